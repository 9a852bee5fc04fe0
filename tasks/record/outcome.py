"""How a rollout ended, and the record that says so. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tasks.spec.measure import CONFIDENCE

Kind = Literal["promoted", "unchanged", "failed", "inconclusive", "held", "refused", "error"]

# 0 promoted, 1 error, 2 usage, 3 judged and failed, 4 inconclusive, 5 refused before any change
EXIT_CODES: dict[Kind, int] = {
    "promoted": 0,
    "unchanged": 0,
    "failed": 3,
    "inconclusive": 4,
    "held": 4,
    "refused": 5,
    "error": 1,
}
RECORD_SCHEMA = 1
# What the history in the cluster keeps of a record; the rest is on disk and in the bucket.
_COMPACT = (
    "schema",
    "rollout",
    "outcome",
    "sentence",
    "started",
    "finished",
    "who",
    "why",
    "verdict",
    "model",
    "release",
    "image",
    "nodes",
    "targets",
    "steps",
    "record",
)


@dataclass(frozen=True)
class Outcome:
    """How a rollout ended: kind, one sentence for a person."""

    kind: Kind
    sentence: str

    @property
    def exit_code(self) -> int:
        """The command line's exit status."""
        return EXIT_CODES[self.kind]


def unchanged(deployment: str) -> Outcome:
    """What is wanted serves."""
    return Outcome("unchanged", f"{deployment} serves already; nothing was changed")


def compact(record: dict[str, Any]) -> dict[str, Any]:
    """The part of a record that the cluster's history keeps."""
    out = {key: record[key] for key in _COMPACT if key in record}
    out["nodes"] = [
        {key: node.get(key) for key in ("name", "driver", "cards") if node.get(key) is not None}
        for node in record.get("nodes", [])
    ]
    out["targets"] = [
        {
            key: target.get(key)
            for key in ("metric", "load", "limit", "measured", "low", "high", "verdict")
        }
        for target in record.get("targets", [])
    ]
    return out


def confidence_percent(record: dict[str, Any]) -> float:
    """At which confidence the bounds of a record's targets hold."""
    # a record's spec leaves defaults out
    asked = (record.get("spec") or {}).get("benchmark") or {}
    return round(100 * float(asked.get("confidence") or CONFIDENCE), 3)


def target_rows(record: dict[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """(target, limit, measured, bounds, verdict) of each target, as text for a table."""
    rows = []
    for target in record.get("targets", []):
        sign = "≤" if target.get("direction") == "at_most" else "≥"
        limit, measured = target.get("limit"), target.get("measured")
        low, high = target.get("low"), target.get("high")
        name = target["metric"] + (f" @ {target['load']}" if target.get("load") else "")
        if target.get("advisory"):
            name += " (advisory)"
        rows.append(
            (
                name,
                f"{sign} {limit:,.6g}" if limit is not None else "-",
                f"{measured:,.4g}" if measured is not None else "no data",
                " … ".join("-" if b is None else f"{b:,.4g}" for b in (low, high)),
                str(target.get("verdict", "inconclusive")),
            )
        )
    return rows
