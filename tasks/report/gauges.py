"""What a Prometheus server is told of every rollout: read from the states in the cluster alone, so
that whoever asks sees the same, and a rollout that nobody runs any more is seen, too.

Names follow Prometheus' own rules: base units, `_total` for what only grows, `_info` for words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import get_args

from tasks.base import clock
from tasks.base.errors import Exit
from tasks.objects.pods import ReadObject
from tasks.objects.replicas import available_of, replicas_of
from tasks.record.outcome import ENDINGS, OF_WHAT_SERVES
from tasks.record.parts import TargetJudged
from tasks.record.record import Record, read
from tasks.release.state import Phase, Release, State, in_doubt

PREFIX = "model_rollout_"
Sampled = Mapping[str, str]  # of one sample


@dataclass(frozen=True)
class Family:
    """One metric: name without the prefix, what it is for a person, its samples."""

    name: str
    text: str
    samples: tuple[tuple[Sampled, float], ...]


@dataclass(frozen=True)
class Unread:
    """A rollout whose state cannot be read: nothing else is known of it."""

    namespace: str
    name: str

    @property
    def labels(self) -> dict[str, str]:
        """Whose sample it is."""
        return {"namespace": self.namespace, "name": self.name}


@dataclass(frozen=True)
class Overseen:
    """What the cluster has of one rollout. engine: the Deployment of what serves, None where there
    is none."""

    namespace: str
    state: State
    engine: ReadObject | None = None

    @property
    def labels(self) -> dict[str, str]:
        """Whose sample it is."""
        return {"namespace": self.namespace, "name": self.state.name}

    @cached_property
    def records(self) -> list[Record]:
        """Its history, newest first: of rollouts alone, not of what was done by name."""
        return [read(entry) for entry in self.state.history if entry.get("steps")]

    @property
    def endings(self) -> dict[str, str]:
        """How each rollout of it ended, by its id; of one that died, by the id of what brought it
        to rest, which is its only entry."""
        settled = [read(entry) for entry in self.state.history if not entry.get("steps")]
        found = {record.rollout: record.outcome for record in self.records if record.outcome}
        return found | {
            record.rollout: "promoted" if record.exit_code == Exit.DONE else "error"
            for record in settled
            if record.kind == "command" and record.exit_code is not None
        }


def families(every: Sequence[Overseen | Unread]) -> list[Family]:
    """All gauges of all rollouts, in the order of the page in docs/monitoring.md."""
    readable = tuple((kept.labels, float(isinstance(kept, Overseen))) for kept in every)
    return [
        Family("readable", "1 where its state can be read, else nothing more is told.", readable),
        *(
            Family(name, text, tuple(sample for kept in read_of(every) for sample in samples(kept)))
            for name, text, samples in _TABLE
        ),
    ]


def read_of(every: Iterable[Overseen | Unread]) -> list[Overseen]:
    """Those that can be read."""
    return [kept for kept in every if isinstance(kept, Overseen)]


def _moment(text: str) -> float | None:
    found = clock.moment(text) if text else None
    return found.timestamp() if found else None


def _phase(kept: Overseen) -> Iterator[tuple[Sampled, float]]:
    for phase in get_args(Phase):
        yield {**kept.labels, "phase": phase}, float(phase == kept.state.phase)


def _phase_since(kept: Overseen) -> Iterator[tuple[Sampled, float]]:
    if (at := _moment(kept.state.since)) is not None:
        yield {**kept.labels, "phase": kept.state.phase}, at


def _serving(kept: Overseen) -> Iterator[tuple[Sampled, float]]:
    if (stable := kept.state.stable) is not None:
        yield (
            {
                **kept.labels,
                "release": stable.id,
                "deployment": stable.deployment,
                "model": stable.model,
                "commit": stable.commit,
                "image": stable.image,
            },
            1.0,
        )


def _serving_since(kept: Overseen) -> Iterator[tuple[Sampled, float]]:
    if (stable := kept.state.stable) is not None and (at := _promoted(kept, stable)) is not None:
        yield kept.labels, at


def _promoted(kept: Overseen, stable: Release) -> float | None:
    """When it was promoted last; where the history does not reach so far, when it was made."""
    for record in kept.records:
        made = record.resolve_model
        if record.outcome == "promoted" and made is not None and made.release == stable.id:
            return _moment(record.finished)
    return _moment(stable.created)


def _wanted(kept: Overseen) -> Iterator[tuple[Sampled, float]]:
    if (stable := kept.state.stable) is not None:
        # one whose Deployment is gone is missed all the same
        asked = replicas_of(kept.engine).serves_with if kept.engine else stable.replicas
        yield kept.labels, float(asked)


def _available(kept: Overseen) -> Iterator[tuple[Sampled, float]]:
    if kept.state.stable is not None:
        yield kept.labels, float(available_of(kept.engine) if kept.engine else 0)


def _doubted(kept: Overseen) -> Iterator[tuple[Sampled, float]]:
    if (stable := kept.state.stable) is not None:
        yield kept.labels, float(bool(in_doubt(kept.state, stable.id)))


def _deadline(kept: Overseen) -> Iterator[tuple[Sampled, float]]:
    if kept.state.phase == "held" and (at := _moment(kept.state.until)) is not None:
        yield kept.labels, at


def _last(kept: Overseen) -> Iterator[tuple[Sampled, float]]:
    for record in kept.records[:1]:
        if (at := _moment(record.finished)) is not None:
            yield {**kept.labels, "outcome": record.outcome}, at


def _steps(kept: Overseen) -> Iterator[tuple[Sampled, float]]:
    for record in kept.records[:1]:
        for step in record.steps:
            if step.seconds is not None:
                yield {**kept.labels, "step": step.step}, step.seconds


def _bytes(kept: Overseen) -> Iterator[tuple[Sampled, float]]:
    for record in kept.records[:1]:
        if record.resolve_model is not None and record.resolve_model.bytes is not None:
            yield kept.labels, float(record.resolve_model.bytes)


def _judged(kept: Overseen) -> Iterator[tuple[Sampled, TargetJudged]]:
    """The targets of the last rollout that judged some."""
    for record in kept.records:
        if record.targets:
            for target in record.targets:
                yield (
                    {
                        **kept.labels,
                        "metric": target.metric,
                        "load": target.load,
                        "verdict": target.verdict,
                    },
                    target,
                )
            return


def _limits(kept: Overseen) -> Iterator[tuple[Sampled, float]]:
    for labels, target in _judged(kept):
        if target.limit is not None:
            yield labels, target.limit


def _margins(kept: Overseen) -> Iterator[tuple[Sampled, float]]:
    for labels, target in _judged(kept):
        if (margin := margin_of(target)) is not None:
            yield labels, margin


def margin_of(target: TargetJudged) -> float | None:
    """How far the bound that decides lies on the good side of the limit, as a part of the limit;
    below 0 on the bad one. None where there is no such bound, or the limit is 0."""
    bound = target.high if target.direction == "at_most" else target.low
    if not target.limit or bound is None or not math.isfinite(bound):
        return None
    better = target.limit - bound if target.direction == "at_most" else bound - target.limit
    return better / abs(target.limit)


_TABLE = (
    ("phase", "1 for the phase that the rollout is in.", _phase),
    ("phase_start_timestamp_seconds", "When it came to that phase.", _phase_since),
    ("serving_info", "What serves.", _serving),
    ("serving_start_timestamp_seconds", "When what serves was promoted.", _serving_since),
    ("serving_replicas_wanted", "Replicas that what serves is asked to have.", _wanted),
    ("serving_replicas_available", "Replicas of what serves that are available.", _available),
    ("serving_doubted", "1 where something is known against what serves.", _doubted),
    ("approval_deadline_timestamp_seconds", "When a held candidate ends by itself.", _deadline),
    ("last_finished_timestamp_seconds", "When the last rollout ended, and how.", _last),
    ("last_step_duration_seconds", "How long each step of the last rollout took.", _steps),
    ("last_weights_bytes", "Bytes of the weights of the last rollout.", _bytes),
    ("last_target_limit", "Limits of the last verdict, in the target's unit.", _limits),
    (
        "last_target_margin_ratio",
        "How far the bound lies on the good side of the limit, as a part of it.",
        _margins,
    ),
)


@dataclass(frozen=True)
class Tally:
    """Rollouts that ended since somebody counts. begun: there was a look before. seen: by rollout's
    namespace and name, the ids in its history; finished: by namespace, name and outcome."""

    begun: bool = False
    seen: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    finished: Mapping[tuple[str, str, str], int] = field(default_factory=dict)

    def after(self, every: Iterable[Overseen | Unread]) -> Tally:
        """Counted on. What a history holds at the first look ended before: it counts as nothing, so
        that a server's `rate` sees no jump where this process was restarted."""
        seen, finished = dict(self.seen), dict(self.finished)
        for kept in read_of(every):
            key = (kept.namespace, kept.state.name)
            known = seen.get(key, frozenset())
            for kind in (kind for kind in ENDINGS if kind not in OF_WHAT_SERVES):
                finished.setdefault((*key, kind), 0)
            ended = kept.endings
            for rollout in ended.keys() - known if self.begun else ():
                told = (*key, ended[rollout])
                finished[told] = finished.get(told, 0) + 1
            seen[key] = frozenset(ended)
        return Tally(True, seen, finished)

    def samples(self) -> tuple[tuple[Sampled, float], ...]:
        """As a counter has them."""
        return tuple(
            ({"namespace": space, "name": name, "outcome": outcome}, float(count))
            for (space, name, outcome), count in self.finished.items()
        )
