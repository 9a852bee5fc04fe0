"""What each move reads and what its write does: the table that follows actor.py.

`look` is the process: it reads, and either goes on, fails, waits, or has a write to send, whose
fence has passed. `land` is the API server at the instant that the write arrives, be it much later.
"""

from __future__ import annotations

from tests.support.search.rules import Rules
from tests.support.search.world import (
    CAND,
    FOREIGN,
    HAND,
    MEM,
    NOBODY,
    NOWHERE,
    RELEASES,
    SVC,
    Dep,
    Flight,
    Mem,
    Process,
    World,
    available,
    free,
    newer,
    put,
    touched,
    with_dep,
)

# what may come of looking: ('done', cost), ('fails', kind, cost), ('write', op, target)
DONE = ("done", 0)
STEP, REFUSED = ("fails", "step", 0), ("fails", "refused", 0)
# what may come of landing
OK, AGAIN, ERROR = "ok", "again", "outside"


def look(rules: Rules, w: World, p: Process, move: tuple, interrupts: bool) -> list[tuple]:
    """Everything that may come of a move now; nothing: it waits.

    interrupts: this process may stop what serves.
    """
    return _LOOKS[move[0]](rules, w, p, move, interrupts)


def _takeover(rules: Rules, w: World, p: Process, move: tuple, _: bool) -> list[tuple]:
    mem = w.mem or Mem()
    if newer(rules.twins_apart, mem.epoch, p.epoch):
        return [STEP]
    return [("write", ("save", mem[:9], p.epoch, w.mem is None), MEM)]


def _save(rules: Rules, w: World, p: Process, move: tuple, _: bool) -> list[tuple]:
    if w.mem and rules.save_epoch and newer(rules.twins_apart, w.mem.epoch, p.epoch):
        return [STEP]
    settles = move[1][0] == "idle" and w.mem and w.mem.phase != "idle"
    if rules.idle_if_whole and settles and not settled(rules, w):
        return [STEP]
    return [("write", ("save", move[1], p.epoch, w.mem is None), MEM)]


def _stampsvc(rules: Rules, w: World, p: Process, move: tuple, _: bool) -> list[tuple]:
    if w.svc == NOBODY and rules.makes_missing and any(w.deps):
        return [("write", ("make", p.epoch), SVC)]
    if w.svc == NOBODY or (w.svc == FOREIGN and rules.stamp_ours):
        return [DONE]
    if newer(rules.twins_apart, w.svc_epoch, p.epoch):
        return [STEP]
    return [("write", ("stamp", p.epoch), SVC)]


def _stampdep(rules: Rules, w: World, p: Process, move: tuple, _: bool) -> list[tuple]:
    dep = w.deps[move[1]]
    if dep is None:
        return [DONE]
    if newer(rules.twins_apart, dep.epoch, p.epoch):
        return [STEP]
    return [("write", ("stampdep", move[1], p.epoch), move[1])]


def _point(rules: Rules, w: World, p: Process, move: tuple, _: bool) -> list[tuple]:
    at = move[1]
    if w.deps[at] is None and not p.again:
        return [STEP]
    if w.svc == FOREIGN and rules.point_ours:
        return [REFUSED]
    if w.svc != NOBODY and rules.point_epoch and newer(rules.twins_apart, w.svc_epoch, p.epoch):
        return [STEP]
    dep = w.deps[at]
    if rules.point_judged and move[2] and w.svc != at and dep and dep.changed:
        return [STEP]
    if rules.point_alone and move[3] and w.svc != at and available(w):
        return [STEP]
    few = dep is not None and dep.ready < min(move[4], available(w))
    if rules.point_fewer and w.svc != at and few:
        return [STEP]
    asked = rules.point_hand if w.svc == HAND else rules.point_answers
    if asked and w.svc != at and not (dep and dep.ready):
        return [STEP]
    return [("write", ("point", at, p.epoch, w.svc == NOBODY), SVC)]


def _scale(rules: Rules, w: World, p: Process, move: tuple, _: bool) -> list[tuple]:
    at, replicas, interrupts, of = move[1:]
    dep = w.deps[at]
    if dep is None:
        return [DONE if replicas == 0 else STEP]
    if rules.scale_epoch and newer(rules.twins_apart, dep.epoch, p.epoch):
        return [STEP]
    if rules.scale_serving and replicas == 0 and w.svc == at and dep.ready and not interrupts:
        return [STEP]
    if rules.stop_missed and replicas == 0 and not interrupts and missed(w, at):
        return [STEP]
    mem = w.mem or Mem()
    bad = mem.stable == at and known_against(mem)
    if rules.scale_edited and dep.mixed and w.svc == at and replicas < dep.asked and not bad:
        return [STEP]
    return [("write", ("scale", at, replicas, p.epoch, *([of] if of else [])), at)]


def _remove(rules: Rules, w: World, p: Process, move: tuple, _: bool) -> list[tuple]:
    at = move[1]
    dep = w.deps[at]
    if dep is None:
        return [DONE]
    if w.svc == FOREIGN:
        return [REFUSED]
    if rules.delete_serving and w.svc == at:
        return [STEP]
    if rules.delete_epoch and newer(rules.twins_apart, dep.epoch, p.epoch):
        return [STEP]
    if rules.stop_missed and missed(w, at):
        return [STEP]
    return [("write", ("delete", at), at)]


def known_against(mem: Mem) -> bool:
    """What serves failed its soak."""
    of_stable = mem.phase in ("soaking", "unproven", "reverting", "restoring")
    return of_stable and (mem.verdict == "fail" or (mem.phase == "soaking" and mem.breach))


def missed(w: World, at: int) -> bool:
    """A release served with answers, and what the Service leads to does not."""
    mem, dep = w.mem or Mem(), w.deps[at]
    if at not in (mem.stable, mem.previous) or at == mem.candidate or w.svc in (at, HAND, FOREIGN):
        return False
    if mem.phase in ("idle", "testing", "held", "promoting") and w.svc in RELEASES:
        return False
    there = w.deps[w.svc] if w.svc in RELEASES else None
    return bool(dep and dep.ready) and not (there and there.ready)


def _rmcand(rules: Rules, w: World, p: Process, move: tuple, _: bool) -> list[tuple]:
    if rules.candidate_ours and w.cand != "ours":
        return [DONE]
    return [("write", ("rmcand", False), CAND)]


def _applycand(rules: Rules, w: World, p: Process, move: tuple, _: bool) -> list[tuple]:
    if rules.candidate_ours and w.cand == "theirs":
        return [REFUSED]
    return [("write", ("applycand", not w.cand), CAND)]


def _apply(rules: Rules, w: World, p: Process, move: tuple, _: bool) -> list[tuple]:
    at = move[1]
    dep = w.deps[at]
    if rules.apply_serving and w.svc == at:
        return [STEP]
    if rules.apply_epoch and dep and newer(rules.twins_apart, dep.epoch, p.epoch):
        return [STEP]
    return [("write", ("apply", at, p.epoch, dep is None), at)]


def _stampcand(rules: Rules, w: World, p: Process, move: tuple, _: bool) -> list[tuple]:
    return [("write", ("stampcand",), CAND)] if w.cand == "ours" else [DONE]


def settled(rules: Rules, w: World) -> bool:
    """What serves is not one of ours, or answers with all that it asks for, and it is not us who
    scaled it to zero."""
    dep = w.deps[w.svc] if w.svc in RELEASES else None
    return dep is None or (dep.ready >= dep.asked and not (dep.asked == 0 and dep.zeroed))


# -- what only waits --------------------------------------------------------------------------


def _ready(rules: Rules, w: World, p: Process, move: tuple, _: bool) -> list[tuple]:
    """It fails at once where a pod never will, late where it is merely slow."""
    at = move[1]
    dep = w.deps[at]
    if dep is None:
        return [STEP]
    if dep.ready >= dep.asked:
        return [DONE]
    pending = dep.asked - dep.ready - dep.unready
    never = w.broken[at] or (pending > 0 and free(w) == 0 and not any(w.ending))
    return [STEP if never else ("fails", "step", 1)]


def _freed(rules: Rules, w: World, p: Process, move: tuple, _: bool) -> list[tuple]:
    """Goes on when its pods are gone, or past their time."""
    at = move[1]
    dep = w.deps[at]
    if dep is None or not (w.ending[at] or dep.ready or dep.unready):
        return [DONE]
    return [DONE if dep.asked else ("done", 1)]


def _soak(rules: Rules, w: World, p: Process, move: tuple, _: bool) -> list[tuple]:
    """A release may fail it at any time, and nobody may be able to look."""
    if p.kind != "run" and not rules.soak_by_anybody:
        return [DONE]
    mem = w.mem or Mem()
    bad: tuple = ("fails", "soak", 0)
    if mem.phase == "soaking" and mem.stable == move[1]:
        if newer(rules.twins_apart, mem.epoch, p.epoch):
            return [STEP]
        bad = ("write", ("breach", p.epoch), MEM)
    out: list[tuple] = [bad]
    if p.again:  # its soak has failed
        return out
    out.append(("fails", "unproven", 0))
    if (
        w.svc == move[1]
        and not w.bent
        and (dep := w.deps[move[1]])
        and dep.ready
        and dep.ready >= dep.asked
    ):
        out.insert(0, ("done", 0))
    return out


def _drain(rules: Rules, w: World, p: Process, move: tuple, _: bool) -> list[tuple]:
    at = move[1]
    dep = w.deps[at]
    return [DONE if w.svc == at and not w.bent and dep and dep.ready else STEP]


def gone(w: World, p: Process, at: int) -> list[tuple]:
    """After a delete: until its pods are gone; past their time it fails."""
    dep = w.deps[at]
    if w.ending[at] or (dep and (dep.ready or dep.unready)):
        return [("fails", "step", 1)]
    return [DONE]


_LOOKS = {
    "takeover": _takeover,
    "stampcand": _stampcand,
    "save": _save,
    "stampsvc": _stampsvc,
    "stampdep": _stampdep,
    "point": _point,
    "scale": _scale,
    "remove": _remove,
    "rmcand": _rmcand,
    "applycand": _applycand,
    "apply": _apply,
    "ready": _ready,
    "freed": _freed,
    "soak": _soak,
    "drain": _drain,
}


# -- the API server ---------------------------------------------------------------------------


def land(rules: Rules, w: World, flight: Flight) -> tuple[World, str]:
    """The world after a write arrives, and what its process is told."""
    op = flight.op
    match op[0]:
        case "save":
            if op[3] != (w.mem is None):
                # made meanwhile, or gone
                return w, AGAIN if rules.save_again and op[3] else ERROR
            if rules.save_version and not op[3] and not flight.fresh:
                return w, AGAIN if rules.save_again else ERROR
            held = op[1][0] == "held" and w.mem is not None and w.mem.phase == "held"
            mem, was = Mem(*op[1], op[2]), w.mem or Mem()
            tried = was.phase == "restoring" or (was.phase == "unproven" and was.tried)
            mem = mem._replace(tried=mem.phase == "unproven" and mem.breach and tried)
            after = w._replace(mem=mem, expired=w.expired and held)
            return touched(after, MEM, op[3]), OK
        case "breach":
            # at the version read, by whoever holds the lease; where it is refused, the way back
            # writes it down once more before it moves
            if w.mem is None or (rules.save_version and not flight.fresh):
                return w, AGAIN
            return touched(w._replace(mem=w.mem._replace(breach=True, epoch=op[1])), MEM), OK
        case "make":
            if w.svc != NOBODY:
                return w, AGAIN
            return touched(w._replace(svc=NOWHERE, svc_epoch=op[1], bent=False), SVC, True), OK
        case "stampcand":
            return (touched(w, CAND), OK) if flight.fresh else (w, AGAIN)
        case "stamp":
            if w.svc == NOBODY:
                return w, ERROR
            if rules.point_version and not flight.fresh:
                return w, AGAIN
            return touched(w._replace(svc_epoch=op[1]), SVC), OK
        case "point":
            if op[3] != (w.svc == NOBODY):
                return w, AGAIN if op[3] else ERROR
            if rules.point_version and not op[3] and not flight.fresh:
                return w, AGAIN
            mem = w.mem or Mem()
            known = w.svc in (mem.stable, mem.candidate, mem.previous) and w.svc in RELEASES
            busy = w.svc if w.svc != op[1] and available(w) and known else w.busy
            busy = NOBODY if busy == op[1] else busy
            led = w._replace(svc=op[1], svc_epoch=op[2], bent=False, busy=busy)
            return touched(led, SVC, op[3]), OK
        case "rmcand" | "applycand" if rules.candidate_ours and (
            not flight.fresh or op[1] != (not w.cand)
        ):
            return w, AGAIN
        case "rmcand":
            return touched(w._replace(cand=""), CAND, True), OK
        case "applycand":
            return touched(w._replace(cand=w.cand or "ours"), CAND), OK
    return _deployment(rules, w, flight)


def _deployment(rules: Rules, w: World, flight: Flight) -> tuple[World, str]:
    op = flight.op
    at = op[1]
    dep = w.deps[at]
    if op[0] == "apply":
        if rules.apply_version and (op[3] != (dep is None) or not (op[3] or flight.fresh)):
            return w, AGAIN
        epoch = op[2] if rules.apply_epoch else dep.epoch if dep else 0
        new = (
            dep._replace(asked=1, serves=1, epoch=epoch, had=min(dep.had, 1), changed=False)
            if dep
            else Dep(1, epoch=epoch)
        )
        return with_dep(w, at, new), OK
    if op[0] == "delete":
        if dep is None:
            return w, OK
        if (rules.delete_uid and not flight.same) or (rules.delete_version and not flight.fresh):
            return w, AGAIN
        return with_dep(w, at, None), OK
    if dep is None:
        return w, ERROR
    if rules.scale_version and not flight.fresh:
        return w, AGAIN
    if op[0] == "stampdep":
        return with_dep(w, at, dep._replace(epoch=op[2])), OK
    serves = dep.asked if rules.scale_by_hand and dep.asked else dep.serves
    asked = op[2]
    if len(op) > 4:  # it serves with so many from now on
        asked, serves = max(asked, dep.asked), max(serves, op[4])
    epoch = op[3] if rules.take_over_deployments else dep.epoch
    return with_dep(
        w, at, dep._replace(asked=asked, serves=serves, epoch=epoch, zeroed=asked == 0)
    ), OK


def ends(w: World, at: int) -> World:
    """One pod of a release that was asked to end is gone."""
    return w._replace(ending=put(w.ending, at, w.ending[at] - 1))
