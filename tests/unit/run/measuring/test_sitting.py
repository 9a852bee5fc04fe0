"""What is measured beside rollouts leaves its record where the spec's records go."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.outside.disk import records
from tasks.record.outcome import Outcome
from tasks.run.measuring.sitting import Sitting
from tests.support.surveys import spec

ENDED = Outcome("earned", "chat still meets its targets")


def sitting() -> Sitting:
    return Sitting(spec(), "https://kube.example", kind="verify", rollout="r-1", why="cron")


def test_a_verification_is_in_the_bucket_with_its_pages(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put: dict[str, Any] = {}
    bucket = SimpleNamespace(
        put_json=lambda key, body: put.setdefault(key, body) and f"s3://records/{key}",
        put_file=lambda key, path, _: put.setdefault(key, path),
    )
    monkeypatch.setattr("tasks.run.measuring.sitting.bucket_of", lambda _: bucket)
    this = sitting()
    assert this.end(ENDED) == ENDED
    there = {key.rpartition("/")[2] for key in put}
    assert there == {"record.json", "report.html", "report.zh.html"}
    assert records.read(this.folder / records.FILE)["mirror"].endswith("/r-1/record.json")
