"""Where a browser on another machine finds a report."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.base.errors import OutsideError
from tasks.outside.prefect import artifacts, report
from tasks.record.parts import PlanMade
from tasks.record.record import Record
from tasks.run.ui import reported
from tasks.run.ui.reported import ReportPlace, bucket_of, in_bucket, publish

IN_BUCKET = {"bucket": "records", "prefix": "rollouts", "endpoint": "https://s3.example"}


def record(**more: Any) -> Record:
    spec = {"records": IN_BUCKET}
    kept = {"mirror": "s3://records/rollouts/models/m/r-1/record.json", "spec": spec, **more}
    return Record(name="m", namespace="models", rollout="r-1", **kept)


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret-value")


def test_all_of_it_is_signed_where_records_go_to_a_bucket() -> None:
    kept = record(logs=["/here/r-1/logs/engine.log"])
    found = in_bucket(kept)
    start = "https://s3.example/records/rollouts/models/m/r-1"
    assert {said: address.partition("?")[0] for said, address in found.items()} == {
        "English": f"{start}/report.html",
        "简体中文": f"{start}/report.zh.html",
        "engine.log": f"{start}/logs/engine.log",
    }
    assert all("Signature=" in one and "s3cret-value" not in one for one in found.values())
    # signed in another second, it has another signature
    assert publish(kept).address.partition("?")[0] == found["English"].partition("?")[0]


@pytest.mark.parametrize(
    "more", [{"mirror": ""}, {"mirror_error": "no space"}, {"spec": {}}, {"spec": {"records": 1}}]
)
def test_else_it_is_where_the_ui_shows_it(
    more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "publish", lambda record, _: f"/{record.rollout}")
    monkeypatch.setattr(artifacts, "ui", lambda: "http://ui")
    assert in_bucket(record(**more)) == {}
    assert publish(record(plan=PlanMade(), **more)) == ReportPlace(
        "/r-1", "http://ui/r-1", "http://ui/r-1"
    )


def test_what_cannot_be_signed_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(where: object) -> Any:
        raise OutsideError("no credentials found")

    monkeypatch.setattr(reported, "bucket_of", broken)
    assert in_bucket(record()) == {} and publish(record()) == ReportPlace()


def test_a_spec_without_records_has_no_bucket() -> None:
    assert bucket_of(None) is None
