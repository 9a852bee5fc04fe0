"""One process: what it does next, by the product's own decisions, and what becomes of its errors.

The stages follow flows/rollout.py, tasks/run/locked.py, tasks/steps and flows/rollback.py. A stage
that ends in '?' is about to look and decide; the others carry a list of moves out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.search import check, writes
from tests.support.search.decisions import Decisions, room
from tests.support.search.rules import Rules
from tests.support.search.world import (
    FOREIGN,
    NOBODY,
    TWINS,
    Flight,
    Mem,
    News,
    Process,
    World,
    put,
    short,
)

# what follows when a list of moves is through; what is not named here ends
NEXT = {"recall": "begin?", "clear": "begin2?", "deploy": "judge?"}
# who goes on when one fails, after `carry_out` has looked whether it leads home
FAILED = {"clear": "cleanup?", "undo": "cleanup?", "back": "cleanup?", "cleanup": "", "wish": ""}


@dataclass(frozen=True)
class Model:
    """What a search goes by. consent: the operator allows interruptions."""

    rules: Rules
    decide: Decisions
    consent: bool


Step = tuple[tuple, World, str]  # what happened, the world after it, what it violates


def starts(m: Model, w: World, kind: str, wanted: int = NOBODY) -> World | None:
    """The world with a new process that has taken the lease; None where there is none."""
    at = next((n for n, p in enumerate(w.processes) if p is None), None)
    acts = any(p and not p.orphan and (p.flight is None) for p in w.processes)
    if at is None or acts:
        return None
    strategy = ""
    if kind == "run":
        if w.svc == FOREIGN or not (strategy := _strategy(m, w, wanted)):
            return None
    elif kind == "guard":
        if w.svc == FOREIGN or not guards(m, w):
            return None
    elif w.mem is None and (kind not in ("recover", "rollback") or not any(w.deps)):
        return None
    last = w.lease or 0
    if m.rules.epoch_above_all:
        last = max(last, w.svc_epoch, w.mem.epoch if w.mem else 0, *(d.epoch for d in w.deps if d))
    epoch = (last // TWINS + 1) * TWINS
    alike = [p.epoch for p in w.processes if p and p.epoch // TWINS == epoch // TWINS]
    epoch = max(alike) + 1 if alike else epoch
    take: list[tuple] = [("takeover",)]
    if m.rules.take_over_deployments:
        take += [("stampdep", n) for n in range(len(w.deps))]
    take += [("stampsvc",), ("stampcand",)]
    course = m.decide.number(tuple(take))
    new = Process(kind, wanted, epoch, "start", course, strategy=strategy)
    twins = w.twins or bool(alike)
    processes = put(w.processes, at, new)
    w = w._replace(lease=epoch, held=True, twins=twins, processes=processes)
    return w


def guards(m: Model, w: World) -> tuple:
    """The moves that the guard finds to do."""
    course = m.decide.guard(w)
    return m.decide.moves_of[course] if isinstance(course, int) else ()


def _strategy(m: Model, w: World, wanted: int) -> str:
    """As tasks/release/plan.py; '' where it would do nothing."""
    phase = w.mem.phase if w.mem else "idle"
    dep = w.deps[wanted]
    if phase == "idle" and w.svc == wanted and dep and dep.ready:
        return ""
    beside, instead, queued = room(w)
    if beside >= 1:
        return "parallel"
    return "replace" if m.consent and instead >= 1 and not queued else ""


def acts(w: World, p: Process) -> bool:
    """Its fence lets it write."""
    return p.orphan > 0 or (w.held and w.lease == p.epoch)


def steps(m: Model, w: World, at: int) -> Iterator[Step]:
    """Everything that the process may do next."""
    p = w.processes[at]
    assert p is not None
    who = f"{p.kind} {p.epoch}"
    if p.flight:
        yield _lands(m, w, at, p, (who, "lands late", p.flight.op))
        return
    if w.trouble:
        yield (who, "dies"), put_process(spent(w, 1), at, None), ""
    if p.orphan:
        yield (who, "finds its Lease gone"), put_process(w, at, None), ""
    moves = m.decide.moves_of[p.course]
    if p.stage.endswith("?"):
        yield from _decides(m, w, at, p, who)
        return
    move = moves[p.at]
    if p.waits:
        found = writes.gone(w, p, move[1])
    else:
        found = writes.look(m.rules, w, p, move, check.may_interrupt(m.consent, w, p))
    for what in found:
        if what[0] == "write":
            fewer = check.fewer(w, what[1])
            flight = Flight(what[1], what[2], short=short(w), fewer=fewer)
            yield _lands(m, w, at, p._replace(flight=flight), (who, "does", what[1]))
            if w.trouble:
                still = put_process(spent(w, 1), at, p._replace(flight=flight))
                yield (who, "stands still before its write", what[1]), still, ""
        elif what[-1] <= w.trouble:
            after = spent(w, what[-1])
            if what[0] == "done":
                if move[0] == "soak":
                    after = check.soaked(after, move[1], p, m.rules.soak_by_anybody)
                if move[0] == "drain":
                    after = after._replace(busy=NOBODY)
                yield (who, "is through with", move), _advance(m, after, at, p), ""
            else:
                yield (who, f"fails ({what[1]}) at", move), _fails(m, after, at, p, what[1]), ""


def spent(w: World, cost: int) -> World:
    """Less trouble is left to happen."""
    return w._replace(trouble=w.trouble - cost) if cost else w


def put_process(w: World, at: int, p: Process | None) -> World:
    return w._replace(processes=put(w.processes, at, p))


def _lands(m: Model, w: World, at: int, p: Process, said: tuple) -> Step:
    assert p.flight is not None
    before = put_process(w, at, p._replace(flight=None))
    after, told = writes.land(m.rules, before, p.flight)
    wrong = ""
    if told == writes.OK:
        wrong = check.landed(m.consent, before, after, p, p.flight)
        after = check.noted(before, after, p, p.flight.op)
    else:
        said = (*said, f"which is refused ({told})")
    q = p._replace(flight=None, orphan=p.orphan and p.orphan - 1)
    if not acts(w, p) or q.orphan == 1:  # its next fence stops it
        return said, put_process(after, at, None), wrong
    if told == writes.AGAIN:
        return said, put_process(after, at, q._replace(again=True)), wrong
    if told == writes.ERROR and p.flight.op[0] != "breach":
        return said, _fails(m, after, at, q, "outside"), wrong
    if p.flight.op[0] == "breach":
        return said, _fails(m, after, at, q, "soak"), wrong
    if p.flight.op[0] == "delete":
        return said, put_process(after, at, q._replace(waits=True)), wrong
    return said, _advance(m, after, at, q), wrong


def _advance(m: Model, w: World, at: int, p: Process) -> World:
    p = p._replace(at=p.at + 1, waits=False, again=False)
    if p.at < len(m.decide.moves_of[p.course]):
        return put_process(w, at, p)
    if p.stage.startswith("home:"):
        return _goes(m, w, at, p, _after_home(p.stage))
    if p.stage.startswith("again:"):
        return _goes(m, w, at, p, "")
    if p.stage == "start":
        w = w._replace(decided=max(w.decided, p.epoch))
        return _goes(m, w, at, p, "begin?" if p.kind == "run" else "wish?")
    return _goes(m, w, at, p, NEXT.get(p.stage, ""))


def _goes(m: Model, w: World, at: int, p: Process, stage: str, course: int = 0) -> World:
    """On to a stage; '': it ends, and gives the lease back."""
    if stage and not stage.endswith("?") and not m.decide.moves_of[course]:
        stage = _after_home(stage) if stage.startswith("home:") else NEXT.get(stage, "")
    if not stage:
        held = w.held and not (w.lease == p.epoch and not p.orphan)
        return put_process(w, at, None)._replace(held=held)
    new = p._replace(stage=stage, course=course, at=0, waits=False, again=False)
    return put_process(w, at, new)


def _after_home(stage: str) -> str:
    then = stage.removeprefix("home:")
    return then and f"{then}?"


def _fails(m: Model, w: World, at: int, p: Process, kind: str) -> World:
    if kind in ("soak", "unproven"):
        return _goes(m, w, at, p, "back?" if kind == "soak" else "unproven?")
    stage = p.stage
    if stage.startswith("home:"):
        return _goes(m, w, at, p, _after_home(stage))
    if stage.startswith("again:"):
        then = stage.removeprefix("again:")
        return _goes(m, w, at, p, f"last:{then and then + '?'}?")
    if stage == "start":
        return _goes(m, w, at, p, "")
    if stage == "clear" and kind == "step" and m.decide.may_begin_over(w):
        return _goes(m, w, at, p, "begin2?")
    if stage == "promote" and w.mem and w.mem.phase == "proven":
        return _goes(m, w, at, p, "")  # it serves, and what is left is for the guard
    if stage in FAILED:
        then = FAILED[stage] if p.kind == "run" else ""
        if stage == "back" and kind == "outside" and then:
            then = "cleanup_soak?"
        return _goes(m, w, at, p, f"after:{then}?")
    return _goes(m, w, at, p, "cleanup?" if p.kind == "run" else "")


def _decides(m: Model, w: World, at: int, p: Process, who: str) -> Iterator[Step]:
    found = _choices(m, w, p)
    if p.stage == "wish?" and p.kind == "promote" and w.mem and w.mem.phase == "unproven":
        w = w._replace(news=News())  # a person keeps it
    if p.stage == "wish?" and p.kind == "guard" and w.mem and w.mem.phase == "unproven":
        # nobody came in time; what has failed is not kept for that
        w = w if w.news.said == "bad" else w._replace(news=News())
    if p.kind != "run" and w.mem:  # what is on record now, whoever deletes it later
        p = p._replace(strategy=w.mem.strategy)
    for label, stage, course in found:
        yield (who, label), _goes(m, w, at, p, stage, course), ""


def _choices(m: Model, w: World, p: Process) -> list[tuple[str, str, int]]:
    """What it decides, the stage that follows, and the moves of it."""
    asked, stage = m.decide, p.stage
    ends = "cleanup?" if p.kind == "run" and not stage.startswith("cleanup") else ""
    if stage == "judge?":
        mem = w.mem or Mem()
        held = (("save", ("held", *mem[1:5], "pass", *mem[6:9])),)
        verdicts = [("judges: pass", "promote?", 0), ("judges: fail", "undo?", 0)]
        if p.strategy != "replace":  # see next_move in tasks/verdict/decide.py
            verdicts.append(("judges: a person decides", "hold", asked.number(held)))
        return verdicts
    if stage.startswith(("after:", "last:")):
        first, _, then = stage[:-1].partition(":")
        if first == "after" and w.svc != FOREIGN:
            again = asked.once_more(w)
            if isinstance(again, int):
                return [("goes on with its way back", f"again:{then.rstrip('?')}", again)]
        home = None if w.svc == FOREIGN else asked.after_failure(w)
        if home is None:
            return [("goes on after its error", then, 0)]
        return [("goes home", f"home:{then.rstrip('?')}", home)]
    if w.svc == FOREIGN:
        return [("finds a Service that is not ours", ends, 0)]
    if stage == "begin?" and (known := asked.recalled(w)):
        return [("remembers what the Service says", "recall", asked.number((known,)))]
    if stage in ("begin?", "begin2?"):
        found = asked.resume(w, p.wanted)
        if found == "clear" and stage == "begin?":
            return _course("clears up", asked.recovery(w, superseded=True), "clear", ends)
        then = {"done": "", "promote": "promote?"}.get(found, "deploy?")
        return [(f"finds: {found}", then, 0)]
    course, name = {
        "deploy?": lambda: (asked.start(w, p.wanted, p.strategy), "deploy"),
        "promote?": lambda: (asked.promotion(w), "promote"),
        "back?": lambda: (asked.soak_failed(w), "back"),
        "unproven?": lambda: (asked.unproven(w), "unproven"),
        "undo?": lambda: (asked.recovery(w), "undo"),
        "cleanup?": lambda: (asked.recovery(w), "cleanup"),
        "cleanup_soak?": lambda: (asked.recovery(w, soak_failed=True), "cleanup"),
        "wish?": lambda: (
            asked.guard(w) if p.kind == "guard" else asked.wish(w, p.kind, m.consent),
            "wish",
        ),
    }[stage]()
    return _course(f"decides: {name}", course, name, ends)


def _course(label: str, course: int | str, stage: str, ends: str) -> list[tuple[str, str, int]]:
    if isinstance(course, str):
        return [(f"{label}, which is refused ({course})", ends, 0)]
    return [(label, stage, course)]
