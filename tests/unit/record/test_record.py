"""The record: a part a step, and what older versions wrote is still read."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.record.outcome import compact, target_rows
from tasks.record.parts import Part, StepTaken
from tasks.record.record import SCHEMA, Record, of_schema_1, read
from tasks.steps import STEPS
from tests.support import reportdata
from tests.support.places import DATA

OLD = {path.stem: json.loads(path.read_text()) for path in (DATA / "records").glob("*.json")}


def test_a_part_belongs_to_a_step() -> None:
    """By the step's name; one that leaves nothing but its sentence has none."""
    parts = {
        name
        for name, field in Record.model_fields.items()
        if type(None) in (kinds := get_args(field.annotation))
        and any(issubclass(kind, Part) for kind in kinds)
    }
    assert "judge" in parts and parts <= {step.name for step in STEPS}


def test_what_is_written_is_read_again() -> None:
    data = reportdata.record(reportdata.rounds(3, 16))
    record = read(data)
    assert record.unreadable == [] and record.schema_ == SCHEMA
    written = json.dumps(record.as_dict())
    assert json.dumps(read(json.loads(written)).as_dict()) == written
    assert record.as_dict().keys() == data.keys()


def test_a_step_that_was_not_taken_has_no_part() -> None:
    record = Record(name="m", outcome="refused")
    record.steps.append(StepTaken(step="plan", state="done", seconds=0.1))
    record.logs.append("/r/logs/x.log")
    assert set(record.as_dict()) == {"schema", "kind", "name", "outcome", "steps", "logs"}


@pytest.mark.parametrize("ending", OLD)
def test_nothing_of_an_older_record_is_lost(ending: str) -> None:
    old = OLD[ending]
    record = read(old)
    assert old["schema"] == 1 and record.unreadable == []
    assert record.resolve_model is not None
    assert record.resolve_model.commit == old["model"]["commit"]
    assert record.resolve_model.files == old["weights"]["files"]
    assert [node.name for node in record.validate_nodes.nodes] == [  # type: ignore[union-attr]
        node["name"] for node in old["nodes"]
    ]
    assert [t.metric for t in record.targets] == [t["metric"] for t in old.get("targets", [])]
    assert len(target_rows(record)) == len(old.get("targets", []))

    def leaves(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [leaf for item in value.values() for leaf in leaves(item)]
        if isinstance(value, list):
            return [leaf for item in value for leaf in leaves(item)]
        return [json.dumps(value)]

    kept = leaves(json.loads(json.dumps(record.as_dict())))
    for leaf in leaves({k: v for k, v in old.items() if k != "schema"}):
        assert leaf in kept or leaf in ("null", '""', "false"), leaf


def test_the_clusters_history_keeps_the_short_of_it() -> None:
    record = read(reportdata.record(reportdata.rounds(3, 16)))
    short = json.loads(json.dumps(compact(record).as_dict()))
    assert len(json.dumps(short)) < 12_000
    again = read(short)
    assert again == compact(record) and again.unreadable == []
    assert again.deployment == record.deployment != ""
    assert target_rows(again) == target_rows(record) != []
    assert compact(Record(name="m")).steps == []


@pytest.mark.parametrize("schema", [3, 99, "2", None, [2]])
def test_a_record_of_another_schema_is_said_to_be_one(schema: Any) -> None:
    record = read({"schema": schema, "name": "m", "judge": {"targets": "of another form"}})
    assert record.name == "m" and record.targets == []
    assert record.unreadable == ["Judge.targets", f"schema {schema}"]


def test_what_does_not_fit_costs_no_more_than_itself() -> None:
    missed = {"metric": "ttft_p95_ms", "verdict": "fail", "requests_more": "many"}
    odd = {"metric": "goodput", "verdict": '"><script>'}
    checks = [{"name": "stream", "ok": False, "found": 5}, {"name": "model", "ok": True}]
    record = read(
        {"schema": 2, "judge": {"targets": [missed, odd]}, "smoke": {"checks": checks}, "steps": 1}
    )
    assert [(t.metric, t.verdict) for t in record.targets] == [
        ("ttft_p95_ms", "fail"),
        ("goodput", "inconclusive"),
    ]
    assert record.smoke is not None
    assert [(c.name, c.ok) for c in record.smoke.checks] == [("stream", False), ("model", True)]
    assert record.unreadable == ["CheckMade.found", "TargetJudged.requests_more", "steps"]


KEYS = sorted({*Record.model_fields, *OLD["failed"]})


@settings(max_examples=200)
@given(
    st.dictionaries(
        st.sampled_from(sorted({*Record.model_fields, *OLD["failed"]})), reportdata.JUNK
    ),
    st.sampled_from([1, SCHEMA]),
)
def test_whatever_a_document_holds_it_is_read(changes: dict[str, Any], schema: int) -> None:
    base = OLD["failed"] if schema == 1 else of_schema_1(OLD["failed"])
    record = read({**base, **changes, "schema": schema})
    assert isinstance(record, Record)
    record.as_dict()
