"""Whether the guard alone settles what is left, again and again, while pods follow."""

from __future__ import annotations

from tests.support.search.decisions import room
from tests.support.search.process import Model, guards, starts, steps
from tests.support.search.signs import KEPT, NEVER, NOWHERE, RESTS
from tests.support.search.surroundings import pods
from tests.support.search.world import (
    FOREIGN,
    HAND,
    NOBODY,
    RELEASES,
    SITS,
    Mem,
    News,
    World,
    available,
    leaves,
)

ROUNDS, MOVES = 8, 200


class Guard:
    """Judges worlds in which no process acts; each once."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._known: dict[World, str] = {}
        self.worst, self.looks = 0, 0  # moves, and looks of the guard, until all was settled

    def judge(self, w: World) -> str:
        """The invariant that the guard cannot restore; '' where it can."""
        core = alone(w)
        if core not in self._known:
            self._known[core] = self._judge(core)
        return self._known[core]

    def _judge(self, w: World) -> str:
        if w.svc in (HAND, FOREIGN):
            return ""  # a person's to settle
        behind = w.mem is not None and (w.lease or 0) < w.mem.epoch
        w = self.settled(w)
        phase = w.mem.phase if w.mem else "memory lost"
        if w.bent and w.mem and w.svc not in (w.mem.stable, w.mem.candidate, w.mem.previous):
            return ""  # known, not mended: a release that no memory names
        if self._works(w):
            phase += ", Lease lost" if behind else ""
            if available(w):
                return "" if _asks_too_much(w) else f"{NEVER} [{phase}]"
            known = {w.svc}
            if w.mem and w.mem.phase in ("soaking", "reverting", "restoring"):
                known |= {w.mem.stable, w.mem.previous}
            able = any(at in RELEASES and _could(w, at) for at in known)
            return f"{NOWHERE} [{phase}]" * able
        dep = w.deps[w.svc] if w.svc in RELEASES else None
        if dep and not available(w) and not dep.stopped and _could(w, w.svc):
            return f"{RESTS} [{phase}]"
        return f"{KEPT} [{phase}]" * _may_go_back(w)

    def settled(self, w: World) -> World:
        """What comes of a world in which the guard alone acts."""
        moves = looks = 0
        for _ in range(ROUNDS):
            w = quiet(w)
            after = starts(self.model, w, "guard") if self._works(w) else None
            if after is None:
                break
            w, took = self._through(after)
            moves, looks = moves + took, looks + 1
        w = quiet(w)
        if not self._works(w):
            self.worst, self.looks = max(self.worst, moves), max(self.looks, looks)
        return w

    def _works(self, w: World) -> bool:
        """Whether the guard finds anything to do."""
        return bool(guards(self.model, w))

    def _through(self, w: World) -> tuple[World, int]:
        """One process from its start to its end; it goes on where it can, and waits for pods."""
        for took in range(MOVES):
            at = next((n for n, p in enumerate(w.processes) if p), None)
            if at is None:
                return w, took
            found = list(steps(self.model, w, at))
            good = [step for step in found if not step[0][1].startswith("fails")]
            if not good and (later := quiet(w)) != w:
                w = later
                continue
            if not found:  # it waits for what never comes, and is late at last
                found = list(steps(self.model, w._replace(trouble=1), at))
                found = [
                    s for s in found if s[0][1] not in ("dies", "stands still before its write")
                ]
            w = (good or found)[0][1]._replace(trouble=0)
        raise AssertionError(f"a guard does not end in {MOVES} moves: {w}")


def alone(w: World) -> World:
    """Nobody acts, no more goes wrong, and what does not matter to the guard is as ever."""
    left = leaves(w)
    return left._replace(trouble=0, starts=0, news=News(), decided=0, twins=False, busy=NOBODY)


def quiet(w: World) -> World:
    """All that pods may do is done; the neighbour is quicker than ours."""
    while found := list(pods(w)):
        first = [after for said, after in found if said[0] == "the neighbour"]
        w = (first or [after for _, after in found])[0]
    return w


def _asks_too_much(w: World) -> bool:
    """A person wants more replicas of what serves than there are seats."""
    dep = w.deps[w.svc] if w.svc in RELEASES else None
    return dep is not None and dep.asked > w.seats - w.neighbours[SITS]


def _may_go_back(w: World) -> bool:
    """What failed its soak serves, and what served before is as it was, and finds a seat."""
    mem = w.mem or Mem()
    if mem.phase != "unproven" or mem.verdict != "fail" or not mem.breach or mem.tried:
        return False
    dep = w.deps[mem.previous] if mem.previous in RELEASES else None
    if mem.stable != w.svc or dep is None or dep.changed or w.broken[mem.previous]:
        return False
    if (mem.doubt, mem.doubted) == ("fail", mem.previous):
        return False
    beside, instead, queued = room(w)
    stops = mem.strategy == "replace" and not queued
    need = dep.asked or dep.serves
    return beside >= need or (instead >= need and (stops or not available(w)))


def _could(w: World, at: int) -> bool:
    """A release would answer, were its pods asked for and ours that are in their way stopped."""
    dep = w.deps[at] if at != NOBODY else None
    return dep is not None and not (dep.stopped or w.broken[at]) and w.neighbours[SITS] < w.seats
