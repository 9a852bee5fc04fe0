"""Breadth first through every world that can be reached: the first trace found is a shortest one.

What the model leaves out:
- time: a drain, a soak, a deadline and a hold's end are points at which something may happen, not
  durations; how a drain counts is tests/unit/release/test_draining.py's;
- requests in flight where nothing answers at the Service, a person has led it elsewhere, or nobody
  remembers the switch: its ConfigMap was deleted since;
- reading is one instant: an Observed is read at once, and what a move reads, it reads at once;
- one replica a release (a person may ask for two), one kind of seat, one node, one neighbour (the
  walks have more of each, but for replicas and nodes);
- `lend`, which needs two replicas: tests/unit/release/seats/test_lend_cuts.py cuts it at every
  write, and `make chaos` kills it; whether a release could come back, and PriorityClasses;
- a Service that a person has both bent (asked for more than its pods carry) and led elsewhere. Idle
  may be saved of one that was bent a moment ago: the guard straightens it at its next look;
- pods follow their Deployment's replicas at once; who changes the template of a candidate, or of
  what served before, replaces no pod by that; what serves is changed only so that the new template
  does not start, and nobody takes that back;
- of a process whose Lease a person deleted: more than two writes before it notices;
- answers lost after a write, and API errors beyond conflicts and objects that are gone: a death
  before and after each write stands for them;
- access, ports, types of Services; fetching, smoke, benchmark: a verdict falls from the sky, and so
  invariant 8 of docs/architecture.md (a means of measuring that fails says nothing) is not here;
- histories, `keep_previous: false`, adoption, verdicts on releases under test, specs; an approval
  of another candidate than the one that waits (it is refused before anything is decided);
- a person's Ctrl-C: a death, or an error at the next write, stands for them;
- a state that is found again after its ConfigMap was deleted counts as one of a rollout, so that
  what has no role is removed there; the product leaves it;
- what was judged is written in the ConfigMap alone: who deletes it takes a changed template for the
  judged one;
- a person deletes no Deployment and no Service, and does not write into the ConfigMap.
What no precondition of one object can exclude is not entered, either: a pod that falls, or that a
person stops or changes, while a switch to it is in flight; a Service that a person leads to what a
write in flight is about to stop.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.support.search.decisions import Decisions
from tests.support.search.guard import Guard
from tests.support.search.process import Model, steps
from tests.support.search.rules import AT_HAND, Rules
from tests.support.search.surroundings import around
from tests.support.search.trace import told
from tests.support.search.world import World


@dataclass
class Found:
    """What a search came to. wrong: a shortest trace for each thing that may not happen; complete:
    nothing was left to look at within trouble and starts."""

    states: int = 0
    steps: int = 0
    depth: int = 0
    complete: bool = True
    seconds: float = 0.0
    judged: int = 0
    worst: int = 0
    wrong: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        end = "all of them" if self.complete else "cut there"
        return (
            f"{self.states:,} states, {self.steps:,} steps, depth {self.depth} ({end}), "
            f"{self.judged:,} left to the guard (at most {self.worst} moves), "
            f"{self.seconds:.1f} s, {len(self.wrong)} kinds of counterexample"
        )


def search(
    begins: Iterable[World],
    *,
    rules: Rules = AT_HAND,
    consent: bool = True,
    depth: int = 199,
    most: int = 10_000_000,
    stop_at: str | tuple[str, ...] = (),
) -> Found:
    """Look at every world within `depth` steps of these.

    most: states after which no further depth is begun. stop_at: end once something that begins so
    is found.
    """
    out, began = Found(), time.perf_counter()
    gc.disable()  # a million of tuples that stay, and no circles
    try:
        return _search(
            out, list(begins), Model(rules, Decisions(rules), consent), depth, most, stop_at
        )
    finally:
        gc.enable()
        out.seconds = time.perf_counter() - began


def _search(
    out: Found,
    begins: list[World],
    model: Model,
    depth: int,
    most: int,
    stop_at: str | tuple[str, ...],
) -> Found:
    guard = Guard(model)
    came: dict[World, tuple[World, tuple] | None] = dict.fromkeys(begins)
    frontier = list(came)
    while frontier and not any(stop_at and w.startswith(stop_at) for w in out.wrong):
        if out.depth >= depth or len(came) > most:
            out.complete = False
            break
        found: list[World] = []
        for w in frontier:
            if not any(p and not p.flight for p in w.processes) and (bad := guard.judge(w)):
                _keep(out, bad, w, came, ("the guard alone", "is left with this"))
            for said, after, bad in _all(model, w):
                out.steps += 1
                if bad:
                    _keep(out, bad, w, came, said)
                elif after not in came:
                    came[after] = (w, said)
                    found.append(after)
        frontier = found
        out.depth += 1
    out.states = len(came)
    out.judged, out.worst = len(guard._known), guard.worst
    return out


def _all(model: Model, w: World) -> Iterable[Any]:
    for at, process in enumerate(w.processes):
        if process:
            yield from steps(model, w, at)
    yield from around(model, w)


def _keep(out: Found, bad: str, w: World, came: dict[World, Any], last: tuple) -> None:
    if bad in out.wrong:
        return
    path: list[tuple[tuple, World | None]] = [(last, None)]
    at: World | None = w
    while at is not None:
        before = came[at]
        path.append((before[1] if before else ("at first",), at))
        at = before[0] if before else None
    out.wrong[bad] = told(path[::-1])
