"""Long random walks through the search's world, with more of everything than it can exhaust.

Two to five seats, five releases, up to three neighbours that queue, up to three predecessors whose
writes arrive late, and a dozen things that go wrong in one walk. After every step what the search
may never see is looked for, whenever nobody acts the guard alone has to settle it, and at the end
memory and Service agree.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tests.support.search import begins
from tests.support.search.decisions import Decisions
from tests.support.search.guard import Guard, alone
from tests.support.search.process import Model, Step, steps
from tests.support.search.rules import AT_HAND
from tests.support.search.signs import CANDIDATE_LEFT, MEMORY, ROLELESS
from tests.support.search.surroundings import around
from tests.support.search.trace import told
from tests.support.search.world import NOBODY, RELEASES, SITS, World

RELEASED, SLOTS, TROUBLE, STARTS, LONGEST = 5, 4, 12, 8, 400
# of the steps: that something goes wrong, that somebody starts, that a late write lands
WRONG, START, LATE = 0.06, 0.05, 0.1


@dataclass
class Walks:
    """What came of walks. worst: moves, looks: of the guard, until a walk's world was settled.
    wrong: what may not happen, by the number of the walk, with its trace."""

    walks: int = 0
    steps: int = 0
    troubles: int = 0
    late: int = 0
    judged: int = 0
    worst: int = 0
    looks: int = 0
    wrong: dict[int, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"{self.walks:,} walks of {self.steps:,} steps, {self.troubles:,} things went wrong, "
            f"{self.late:,} writes came late; {self.judged:,} worlds left to the guard, settled in "
            f"at most {self.worst} moves and {self.looks} of its looks; {len(self.wrong)} walks "
            "with a counterexample"
        )


def walks(numbers: range, seed: int) -> Walks:
    """So many walks; one depends on the seed and its number alone."""
    out = Walks()
    guards = [Guard(Model(AT_HAND, Decisions(AT_HAND), consent)) for consent in (True, False)]
    for number in numbers:
        chance = random.Random(f"{seed} {number}")
        path = _walk(out, chance.choice(guards), chance)
        out.walks += 1
        if path is not None:
            out.wrong[number] = told(path)
    out.judged = sum(len(guard._known) for guard in guards)
    out.worst = max(guard.worst for guard in guards)
    out.looks = max(guard.looks for guard in guards)
    return out


def wide(w: World, chance: random.Random) -> World:
    """A small world with more of everything."""
    more = RELEASED - len(w.deps)
    sits = w.neighbours[SITS]
    return w._replace(
        deps=(*w.deps, *[None] * more),
        ending=(*w.ending, *[0] * more),
        broken=(*w.broken, *[False] * more),
        processes=(*w.processes, *[None] * (SLOTS - len(w.processes))),
        neighbours=(chance.randint(0, 3 - sits), 0, sits),
        seats=chance.randint(2, 5),
    )


Path = list[tuple[tuple, World | None]]


def _walk(out: Walks, guard: Guard, chance: random.Random) -> Path | None:
    """Its way, where something went wrong on it."""
    kinds = (begins.rest, begins.left, begins.late)
    w = wide(chance.choice(chance.choice(kinds)(TROUBLE, STARTS)), chance)
    path: Path = [(("at first",), w)]
    for _ in range(LONGEST):
        step = _drawn(guard.model, w, chance)
        if step is None:
            break
        said, after, bad = step
        out.steps += 1
        out.troubles += after.trouble < w.trouble
        out.late += "lands late" in said
        path.append((said, after))
        w = after
        if bad := bad or _left(guard, w):
            return [*path, ((bad,), None)]
    while late := [n for n, p in enumerate(w.processes) if p and p.flight]:
        ((said, w, bad),) = steps(guard.model, w, chance.choice(late))
        path.append((said, w))
        if bad := bad or _left(guard, w):
            return [*path, ((bad,), None)]
    end = guard.settled(alone(w))
    if bad := disagree(end):
        return [*path, (("the guard alone",), end), ((bad,), None)]
    return None


def _left(guard: Guard, w: World) -> str:
    """As the search looks at every world in which nobody acts."""
    return "" if any(p and not p.flight for p in w.processes) else guard.judge(w)


def _drawn(model: Model, w: World, chance: random.Random) -> Step | None:
    """One of what may happen next: mostly work, sometimes a new process, sometimes trouble."""
    wrong: list[Step] = []
    start: list[Step] = []
    late: list[Step] = []
    work: list[Step] = []
    found = [step for at, p in enumerate(w.processes) if p for step in steps(model, w, at)]
    for step in (*found, *around(model, w)):
        said, after, _ = step
        if after.trouble < w.trouble:
            wrong.append(step)
        elif after.starts < w.starts:
            start.append(step)
        else:
            (late if "lands late" in said else work).append(step)
    for kind, share in ((wrong, WRONG), (start, START), (late, LATE)):
        if kind and chance.random() < share:
            return chance.choice(kind)
    for kind in (work, start, late, wrong):
        if kind:
            return chance.choice(kind)
    return None


def disagree(w: World) -> str:
    """At rest: memory says what the Service says, and nothing is left that has no role."""
    mem = w.mem
    if mem is None or mem.phase != "idle" or w.svc not in RELEASES or w.deps[w.svc] is None:
        return ""
    if mem.stable != w.svc:
        return MEMORY
    if w.cand == "ours" or mem.candidate != NOBODY:
        return CANDIDATE_LEFT
    if any(d and at not in (mem.stable, mem.previous) for at, d in enumerate(w.deps)):
        return ROLELESS
    return ""
