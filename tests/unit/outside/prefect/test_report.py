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


def test_links_to_where_its_pages_lie_stand_above_it_as_they_are(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: dict[str, str] = {}

    def create(text: str, key: str, description: str) -> int:
        made[key] = text
        return 7

    monkeypatch.setattr(artifacts, "create_markdown_artifact", create)
    monkeypatch.setattr(artifacts, "_quietly", lambda act: act())
    signed = "https://bucket/report.html?X-Amz-Security-Token=abc&X-Amz-Signature=def"
    links = {"English": signed, "container_1.log": "https://bucket/logs/container_1.log?x"}
    assert report.publish(record, links) == "/artifacts/artifact/7"
    above, _, rest = made[f"report-{record.name}-{record.namespace}"].partition("\n\n")
    assert above == (
        f"[English](<{signed}>) · [container\\_1\\.log](<https://bucket/logs/container_1.log?x>)"
    )
    assert rest == report.as_markdown(record)


def test_outside_of_a_flow_run_it_is_nowhere(record: Record) -> None:
    assert report.publish(record, {}) is None


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
