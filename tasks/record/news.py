"""What a rollout is at, as whoever acts tells it on the rollout's Lease with each renewal.

News, and no truth: nobody decides by it. It is of one hold of the lease, which it names, and what
does not fit, is another's or of a later version is no news.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from tasks.base import clock
from tasks.base.heard import Heard, StepHeard
from tasks.base.scrub import mask
from tasks.record.parts import Part, StepTaken, TargetJudged

_log = logging.getLogger(__name__)
ANNOTATION = "model-rollout/progress"
VERSION = 1
LIMIT = 4096  # bytes
# What is told, the fullest first: characters of the sentence of a step that runs or failed, and of
# one that is done; subjects of a step; targets.
_LEVELS = (
    (240, 160, 6, 40),
    (240, 80, 4, 40),
    (160, 40, 3, 24),
    (120, 0, 1, 12),
    (80, 0, 0, 0),
    (0, 0, 0, 0),
)
_MOST_STEPS, _MOST_TARGETS = 24, 64  # that are read

# (holder, epoch) -> a document; '' for nothing to tell
Tell = Callable[[str, int], str]


class Subject(Part):
    """What within a step: a node, a pod, a load. done, total: units of `unit`, None where unknown.
    figures: such as ttft_mean_ms."""

    model_config = ConfigDict(allow_inf_nan=False)
    subject: str = ""
    sentence: str = ""
    done: float | None = None
    total: float | None = None
    unit: str = ""
    figures: dict[str, float] = Field(default_factory=dict)


class StepNews(StepTaken):
    """A step that has begun. seconds: None while it runs."""

    model_config = ConfigDict(allow_inf_nan=False)
    state: Literal["running", "done", "failed"] = "running"
    since: datetime | None = None
    subjects: list[Subject] = Field(default_factory=list)


class TargetNews(TargetJudged):
    """A target, as far as it is known."""

    model_config = ConfigDict(allow_inf_nan=False)


class Rounds(Part):
    """Of the benchmark: how many are done, of at most how many."""

    done: int = 0
    most: int = 0


class News(Part):
    """holder, epoch: the hold of the lease that it is of. at: when it was told, UTC."""

    version: int = Field(0, alias="v")
    holder: str = ""
    epoch: int = 0
    at: datetime | None = None
    steps: list[StepNews] = Field(default_factory=list)
    rounds: Rounds | None = None
    targets: list[TargetNews] = Field(default_factory=list)


def news_in(lease: Mapping[str, Any] | None) -> News | None:
    """What the holder of a lease told last; None where nobody holds it, or nothing is told that can
    be read."""
    spec = (lease or {}).get("spec") or {}
    text = (((lease or {}).get("metadata") or {}).get("annotations") or {}).get(ANNOTATION)
    if not text or not spec.get("holderIdentity"):
        return None
    try:
        found = News.model_validate_json(text, context={"unreadable": set()})
    except ValueError:
        return None
    mine = (spec["holderIdentity"], spec.get("leaseTransitions"))
    if found.version != VERSION or (found.holder, found.epoch) != mine or found.at is None:
        return None
    if found.at.tzinfo is None:
        return None
    for step in found.steps:
        if step.since is not None and step.since.tzinfo is None:
            step.since = None
    del found.steps[_MOST_STEPS:], found.targets[_MOST_TARGETS:]
    return found


def with_news(lease: Mapping[str, Any], tell: Tell | None) -> dict[str, Any]:
    """A lease as it is written: with what its holder tells, and without what was told before.
    Never raises for what tells."""
    spec, meta = lease["spec"], lease["metadata"]
    marks = dict(meta.get("annotations") or {})
    known = marks.pop(ANNOTATION, None)
    if tell is not None and spec.get("holderIdentity"):
        try:
            if text := tell(spec["holderIdentity"], spec["leaseTransitions"]):
                marks[ANNOTATION] = text
        except Exception:
            _log.debug("what a rollout is at could not be told", exc_info=True)
    if ANNOTATION not in marks and known is None:
        return dict(lease)
    return {**lease, "metadata": {**meta, "annotations": marks}}


def written(heard: Heard, holder: str, epoch: int, now: datetime) -> str:
    """What was heard, in at most LIMIT bytes of UTF-8: sentences and subjects are shortened until
    it fits. '' where there is nothing to tell, or even the shortest is too long. now: the API
    server's clock, by which all times are told."""
    taken = heard.steps()
    if not taken:
        return ""
    head = {"v": VERSION, "holder": holder, "epoch": epoch, "at": _stamp(now)}
    ahead = now - clock.now()
    for running, ended, subjects, targets in _LEVELS:
        told = [
            _step(
                name, step, step.since + ahead, ended if step.state == "done" else running, subjects
            )
            for name, step in taken.items()
        ]
        body: dict[str, Any] = {**head, "steps": told}
        if heard.rounds:
            body["rounds"] = dict(zip(("done", "most"), heard.rounds, strict=True))
        if heard.targets and targets:
            body["targets"] = [_filled(asdict(item)) for item in heard.targets[:targets]]
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        if len(text.encode()) <= LIMIT:
            return text
    return ""


def _step(name: str, step: StepHeard, since: datetime, room: int, subjects: int) -> dict[str, Any]:
    last = [] if step.state == "done" or not subjects else [*step.subjects.items()][-subjects:]
    told = {
        "step": _clip(name, 40),
        "state": step.state,
        "since": _stamp(since),
        "seconds": None if step.seconds is None else round(step.seconds, 1),
        "sentence": _clip(step.message, room),
        "subjects": [
            _filled(
                {
                    "subject": _clip(subject, 80),
                    "sentence": _clip(event.message, room // 2),
                    "done": event.done,
                    "total": event.total,
                    "unit": event.unit,
                    "figures": _filled(event.figures),
                }
            )
            for subject, event in last
        ],
    }
    return _filled(told)


def _filled(told: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is not there, or no number; figures as short as they are shown."""
    found = {}
    for key, value in told.items():
        if isinstance(value, float):
            if math.isfinite(value):
                found[key] = float(f"{value:.6g}")
        elif value or (value == 0 and value is not False):
            found[key] = value
    return found


def _clip(text: str, most: int) -> str:
    line = " ".join(mask(text[:2000]).encode("utf-8", "replace").decode().split())
    return line if len(line) <= most else line[: most - 1] + "…" if most else ""


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
