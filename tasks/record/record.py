"""The record of a rollout: what is kept of it, on disk, in the bucket and, short, in the cluster.
Schema 2 has a part a step; records of schema 1 are read as if they had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from tasks.record import parts
from tasks.record.parts import Part, StepTaken
from tasks.spec.measure import CONFIDENCE

SCHEMA = 2

# of what a record is: a rollout, what serves measured again (as the spec says, or by hand), or what
# was done about a rollout by name
RecordKind = Literal["rollout", "verify", "bench", "command"]


class Record(Part):
    """One rollout, or what `kind` says. A step that was not taken has no part. spec: without its
    defaults. earlier: the rollouts before it, newest first.

    who, why: who started it, and what for. started, finished: ISO 8601. record, report: files.
    leftover: what cleaning up left behind. mirror_error, history_error: why the bucket, or the
    history in the cluster, lacks it. unreadable: parts that did not fit when it was read.
    """

    schema_: int = Field(SCHEMA, alias="schema")
    kind: RecordKind = "rollout"
    rollout: str = ""
    name: str = ""
    namespace: str = ""
    who: str = ""
    why: str = ""
    cluster: str = ""
    started: str = ""
    finished: str = ""
    outcome: str = ""
    sentence: str = ""
    exit_code: int | None = None
    steps: list[StepTaken] = Field(default_factory=list)
    resolve_model: parts.ResolveModel | None = None
    validate_nodes: parts.ValidateNodes | None = None
    plan: parts.PlanMade | None = None
    fetch_weights: parts.FetchWeights | None = None
    deploy: parts.Deploy | None = None
    smoke: parts.Smoke | None = None
    exam: parts.Exam | None = None
    benchmark: parts.BenchmarkRun | None = None
    judge: parts.Judge | None = None
    promote: parts.Promote | None = None
    earlier: list[parts.Earlier] = Field(default_factory=list)
    spec: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    logs: list[str] = Field(default_factory=list)
    record: str = ""
    report: str = ""
    mirror: str = ""
    leftover: str = ""
    mirror_error: str = ""
    history_error: str = ""
    unreadable: list[str] = Field(default_factory=list)

    @property
    def targets(self) -> list[parts.TargetJudged]:
        """The targets with their verdicts; none where nothing was judged."""
        return self.judge.targets if self.judge else []

    @property
    def deployment(self) -> str:
        """What was rolled out; '' before that is known."""
        return self.resolve_model.deployment if self.resolve_model else ""

    @property
    def confidence_percent(self) -> float:
        """At which confidence the bounds of the targets hold."""
        asked = self.spec.get("benchmark")
        found = asked.get("confidence") if isinstance(asked, dict) else None
        if not (isinstance(found, float) and 0 < found < 1):
            found = CONFIDENCE  # the record's spec leaves defaults out
        return round(100 * found, 3)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON, without the parts of steps that were not taken."""
        found = self.model_dump(by_alias=True)
        return {k: v for k, v in found.items() if k == "steps" or v not in (None, "", [], {})}


def read(data: Mapping[str, Any]) -> Record:
    """The record in a document of any schema.

    What does not fit is left out and named in `unreadable`: a page that lacks a part is worth more
    than none.
    """
    schema = data.get("schema", 1)
    given = of_schema_1(data) if schema == 1 else dict(data)
    # a newer one is read as far as it is like ours, and said to be newer
    bad = set() if schema in (1, SCHEMA) else {f"schema {schema}"}
    given["schema"] = SCHEMA
    record = Record.model_validate(given, context={"unreadable": bad})
    record.unreadable = sorted({*record.unreadable, *bad})
    return record


# schema 1 had no parts: where its keys went, as key -> (part, field)
_MOVED = {
    "nodes": ("validate_nodes", "nodes"),
    "fetched": ("fetch_weights", "nodes"),
    "pods": ("deploy", "pods"),
    "smoke": ("smoke", "checks"),
    "note": ("benchmark", "note"),
    "verdict": ("judge", "verdict"),
    "targets": ("judge", "targets"),
    "gate": ("judge", "gate"),
    "data_docs": ("judge", "data_docs"),
    "restarts_at_promotion": ("promote", "restarts_before"),
    "trust_remote_code": ("resolve_model", "trust_remote_code"),
}
# and those that were mappings of their own: key -> part, its key -> field
_SPREAD = {
    "model": (
        "resolve_model",
        {"id": "model", "revision": "revision", "commit": "commit", "manifest": "manifest"},
    ),
    "weights": ("resolve_model", {"files": "files", "bytes": "bytes"}),
    "release": ("resolve_model", {"id": "release", "deployment": "deployment"}),
    "access": ("smoke", {"how": "how", "url": "url"}),
}


def of_schema_1(data: Mapping[str, Any]) -> dict[str, Any]:
    """A document of schema 1 in the form of schema 2."""
    out: dict[str, Any] = {}
    for key, value in data.items():
        if key in _MOVED:
            part, field = _MOVED[key]
            _part(out, part)[field] = value
        elif key in _SPREAD and isinstance(value, Mapping):
            part, fields = _SPREAD[key]
            _part(out, part).update(
                {new: value[old] for old, new in fields.items() if old in value}
            )
        elif key == "image" and isinstance(value, Mapping):
            _part(out, "resolve_model")["image"] = value.get("name") or ""
            if value.get("digests"):
                _part(out, "deploy")["image_digests"] = value["digests"]
        elif key == "benchmark" and isinstance(value, Mapping):
            _part(out, "benchmark").update(value)
        else:
            out[key] = value
    return out


def _part(out: dict[str, Any], name: str) -> dict[str, Any]:
    found = out.get(name)
    if not isinstance(found, dict):
        found = out[name] = {}
    return found
