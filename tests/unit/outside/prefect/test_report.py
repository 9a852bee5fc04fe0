"""The report in Prefect's UI."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from tasks.outside.prefect import artifacts, report
from tasks.record.record import Record, read
from tasks.report.page import render
from tests.support import reportdata

ROUNDS = reportdata.rounds(3, 16)


@pytest.fixture
def record(tmp_path: Path) -> Record:
    found = read(reportdata.record(ROUNDS))
    path = tmp_path / "report.html"
    path.write_text(render(found, ROUNDS), encoding="utf-8")
    found.report = str(path)
    return found


def test_it_has_the_targets_and_every_figure(record: Record) -> None:
    text = report.as_markdown(record)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(record.targets)
    images = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', text)
    drawn = Path(record.report).read_text(encoding="utf-8").count('<figure class="plot">')
    assert len(images) == drawn and all(b"foreignObject" in base64.b64decode(i) for i in images)


def test_what_is_too_much_is_left_out(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MOST_BYTES", 20_000)
    text = report.as_markdown(record)
    assert len(text) < 30_000 and "The other figures are in the file" in text


def test_without_a_page_it_has_words(record: Record) -> None:
    record.report = "/nowhere/report.html"
    text = report.as_markdown(record)
    assert "<img" not in text and f"rollout report {record.name}/{record.rollout}" in text


def test_it_is_a_link_where_the_page_lies_elsewhere(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: dict[str, str] = {}

    def link(key: str, address: str, text: str) -> int:
        made[key] = address
        return 7

    monkeypatch.setattr(artifacts, "link", link)
    assert report.publish(record, "https://bucket/page") == "/artifacts/artifact/7"
    assert made == {f"report-{record.name}-{record.namespace}": "https://bucket/page"}


def test_outside_of_a_flow_run_it_is_nowhere(record: Record) -> None:
    assert report.publish(record) is None


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        (("rollout", "models", "smollm2"), "rollout-smollm2-models"),
        (("weights", "models", "m", "node-a.site.example"), "weights-m-models-node-a-site-example"),
        (("plan", "", "m"), "plan-m"),
    ],
)
def test_a_key_is_what_prefect_takes(parts: tuple[str, ...], key: str) -> None:
    assert artifacts.key_of(*parts) == key
