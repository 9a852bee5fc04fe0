"""The product's own decisions, asked with the model's state: an Observed goes in, moves come out.

Nothing is decided here. Moves become tuples of small things, and a list of them a number, so that a
World stays small; what was asked before is not asked again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tasks.base.errors import RolloutError
from tasks.objects.down import Down
from tasks.objects.labels import RELEASE_LABEL
from tasks.outside.kubernetes.waits import SoakFailed
from tasks.release import moves, wish
from tasks.release.back import leaving
from tasks.release.course import DeploymentView, Observed, Room
from tasks.release.guard import Around, decide_guard
from tasks.release.memory.again import decide_once_more, owed_back
from tasks.release.memory.recall import recalled
from tasks.release.seats.capacity import set_by_hand
from tasks.release.state import Release, State
from tests.support.search.rules import Rules
from tests.support.search.world import (
    NAMES,
    NOBODY,
    NOWHERE,
    QUEUES,
    RELEASES,
    SITS,
    Dep,
    Mem,
    World,
    free,
)

ITEMS = tuple(
    Release(name, f"m-{name}", "o/m", "r", f"c-{name}", "sha256:0", "img", "m", 1) for name in NAMES
)
NUMBER = {item.id: at for at, item in enumerate(ITEMS)}
BY_DEPLOYMENT = {item.deployment: at for at, item in enumerate(ITEMS)}
AS_JUDGED = "u/judged"
Course = int | str  # its number, or 'step' or 'refused': it raised


class Decisions:
    """What the product decides. `moves_of` gives the moves of a course by its number."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._known: dict[Any, Any] = {}
        self._numbers: dict[tuple, int] = {}
        self.moves_of: list[tuple] = []
        self.number(())

    def number(self, course: tuple) -> int:
        """The number of a list of moves."""
        if course not in self._numbers:
            self._numbers[course] = len(self.moves_of)
            self.moves_of.append(course)
        return self._numbers[course]

    # -- what is asked ------------------------------------------------------------------------

    def start(self, w: World, wanted: int, strategy: str) -> Course:
        """Announce a candidate; its Service and its template are applied, and it is awaited."""
        more = (("applycand",), ("apply", wanted), ("ready", wanted))
        return self._course(
            ("start", wanted, strategy),
            w,
            lambda seen: moves.decide_start(seen, ITEMS[wanted], "r", strategy),
            more,
        )

    def resume(self, w: World, wanted: int) -> str:
        """'fresh', 'done', 'promote', 'retest' or 'clear'."""
        return str(
            self._memo(("resume", wanted), w, lambda seen: moves.decide_resume(seen, ITEMS[wanted]))
        )

    def may_begin_over(self, w: World) -> bool:
        """Whether a run goes on although it could not clear up."""
        return bool(self._memo(("over",), w, moves.may_begin_over))

    def recovery(self, w: World, *, superseded: bool = False, soak_failed: bool = False) -> Course:
        return self._course(
            ("recovery", superseded, soak_failed),
            w,
            lambda seen: moves.decide_recovery(
                seen, superseded=superseded, soak_failed=soak_failed
            ),
        )

    def promotion(self, w: World) -> Course:
        def asked(seen: Observed) -> moves.Course:
            return moves.decide_promotion(seen, keep_previous=True, room=room_to_promote(w, seen))

        return self._course(("promotion", room(w)), w, asked)

    def soak_failed(self, w: World) -> Course:
        return self._course(
            ("soak_failed", room(w)),
            w,
            lambda seen: moves.decide_soak_failed(seen, room_of(w, seen.state.previous)),
        )

    def unproven(self, w: World) -> Course:
        return self._course(
            ("unproven",), w, lambda seen: moves.decide_unproven(seen, "inconclusive", "")
        )

    def wish(self, w: World, what: str, allow: bool) -> Course:
        if w.mem and w.mem.phase == "held" and w.expired and what == "promote":
            return "refused"  # see must_be_meant in tasks/release/wish.py

        def asked(seen: Observed) -> moves.Course:
            back = what in ("rollback", "abort") or seen.state.phase == "reverting"
            back = back or owed_back(seen) is not None
            previous = leaving(seen).previous
            found = room_of(w, previous) if back else None
            if what == "promote":
                found = room_to_promote(w, seen)
            return wish.decide_wish(
                what,  # type: ignore[arg-type]
                seen,
                allow_interruption=allow,
                room=found,
            )

        return self._course(("wish", what, allow, room(w)), w, asked)

    def recalled(self, w: World) -> tuple | None:
        """What a run that begins remembers first, where the Service knows better."""

        def asked(seen: Observed) -> tuple | None:
            return compact(moves.Save(seen.state)) if seen.recalled else None

        found: tuple | None = self._memo(("recalled",), w, asked)
        return found

    def guard(self, w: World) -> Course:
        """What the guard, or whoever wishes to recover, does about what is there."""
        tested = w.cand == "ours"
        dep = w.deps[w.svc] if w.svc in RELEASES else None
        waits = dep is not None and dep.asked > dep.ready + dep.unready and free(w) <= 0
        phase = w.mem.phase if w.mem else ""
        overdue = phase == "unproven"  # its time is always over
        looks = broken(w) or overdue or phase == "reverting"
        rested = not (w.mem and w.mem.tried)
        expired = w.expired or overdue

        def asked(seen: Observed) -> moves.Course:
            found = room_of(w, seen.state.previous) if looks else None
            return decide_guard(seen, Around(tested, waits, found, expired, rested=rested))

        return self._course(("guard", tested, waits, looks, room(w), expired, rested), w, asked)

    def once_more(self, w: World) -> Course | None:
        """A way back that was cut short is gone on with; None where it is not."""
        found = self._course(("once more",), w, decide_once_more)
        return found or None

    def after_failure(self, w: World) -> Course | None:
        """None: nothing but what a recovery does."""
        found = self._course(("after",), w, moves.decide_after_failure)
        return found or None  # number 0 is the empty list

    # -- how it is asked ----------------------------------------------------------------------

    def _memo(self, what: Any, w: World, ask: Callable[[Observed], Any]) -> Any:
        deps = tuple(
            d and (d.asked, d.serves, d.ready, d.zeroed, d.changed, d.mixed) for d in w.deps
        )
        key = (what, w.mem[:9] if w.mem else None, w.svc, w.bent, deps, broken(w))
        if key not in self._known:
            self._known[key] = ask(observed(w, self.rules))
        return self._known[key]

    def _course(
        self, what: Any, w: World, ask: Callable[[Observed], Any], more: tuple = ()
    ) -> Course:
        def found(seen: Observed) -> Course:
            try:
                course = ask(seen)
            except RolloutError as error:
                return kind_of(error)
            if course is None:
                return 0
            return self.number((*map(compact, course.moves), *more))

        out: Course = self._memo(what, w, found)
        return out


def kind_of(error: Exception) -> str:
    """What a caller tells errors apart by."""
    if isinstance(error, SoakFailed):
        return "soak"
    return {"Refused": "refused", "StepFailed": "step"}.get(type(error).__name__, "outside")


def _item(at: int) -> Release | None:
    return None if at == NOBODY else ITEMS[at]


def state_of(mem: Mem | None) -> State:
    """The State that a ConfigMap holds."""
    if mem is None:
        return State("m")
    return State(
        "m",
        phase=mem.phase,  # type: ignore[arg-type]
        stable=_item(mem.stable),
        candidate=_item(mem.candidate),
        previous=_item(mem.previous),
        strategy=mem.strategy,
        verdict=mem.verdict,
        doubt=mem.doubt,
        doubted="" if mem.doubted == NOBODY else ITEMS[mem.doubted].id,
        breach="breach" * mem.breach,
        epoch=mem.epoch,
        rollout="r",
        made={item.id: AS_JUDGED for item in ITEMS},
    )


def view(at: int, dep: Dep, rules: Rules) -> DeploymentView:
    """How a process sees a Deployment."""
    serves = (dep.asked or dep.serves) if rules.scale_by_hand else dep.serves
    stopped = dep.asked < serves and dep.zeroed
    made = "u/changed" if dep.changed else AS_JUDGED
    name, ident = ITEMS[at].deployment, ITEMS[at].id
    mixed = "1 of its pods is of an earlier pod template" if dep.mixed else ""
    return DeploymentView(name, ident, dep.asked, serves, dep.ready, stopped, made, mixed)


def _deploy(at: int) -> dict[str, Any]:
    """Its Deployment, as far as memory is rebuilt from it."""
    labels = {RELEASE_LABEL: ITEMS[at].id}
    spec = {"replicas": 1, "template": {"spec": {"containers": []}}}
    return {"metadata": {"name": ITEMS[at].deployment, "labels": labels}, "spec": spec}


def observed(w: World, rules: Rules) -> Observed:
    """What a process sees; the Service is ours."""
    seen = Observed(
        state_of(w.mem),
        ITEMS[w.svc].id if w.svc in RELEASES else None,
        {ITEMS[at].id: view(at, dep, rules) for at, dep in enumerate(w.deps) if dep},
        bent=w.bent,
        lost=w.svc in (NOBODY, NOWHERE),
        down=Down("it is broken", True) if broken(w) else None,
    )
    return recalled(seen, [_deploy(at) for at, dep in enumerate(w.deps) if dep], None)


def broken(w: World) -> bool:
    """What the Service leads to crashes again and again, in every pod that it has."""
    dep = w.deps[w.svc] if w.svc in RELEASES else None
    return dep is not None and w.broken[w.svc] and not dep.ready and dep.unready >= dep.asked > 0


def room_of(w: World, release: Release | None) -> Room | None:
    """What `seats.room` finds for a release."""
    if release is None or w.deps[NUMBER[release.id]] is None:
        return None
    beside, instead, queued = room(w)
    return Room(beside, instead, "one seat", ("a neighbour",) * queued)


def room_to_promote(w: World, seen: Observed) -> Room | None:
    """What `seats.room_to_promote` finds."""
    candidate = seen.state.candidate
    more = candidate is not None and set_by_hand(seen) > candidate.replicas
    return room_of(w, candidate) if more else None


def room(w: World) -> tuple[int, int, bool]:
    """Seats beside what serves, and with that down; pods of our other releases are as gone. And
    whether somebody queues for them."""
    instead = w.seats - w.neighbours[SITS]
    dep = w.deps[w.svc] if w.svc in RELEASES else None
    held = w.ending[w.svc] + (dep.ready + dep.unready if dep else 0) if w.svc in RELEASES else 0
    return instead - held, instead, w.neighbours[QUEUES] > 0


def compact(move: moves.Move) -> tuple:
    """A move as a tuple."""

    def at(item: Release | None) -> int:
        return NUMBER[item.id] if item else NOBODY

    match move:
        case moves.Save(state):
            who = (at(state.stable), at(state.candidate), at(state.previous))
            doubted = NUMBER.get(state.doubted, NOBODY)
            told = (state.strategy, state.verdict, state.doubt, doubted, state.breach != "")
            return ("save", (state.phase, *who, *told))
        case moves.PointService(release=release, made=made, alone=alone, least=least):
            return ("point", at(release), made == AS_JUDGED, alone, least)
        case moves.Scale(deployment, replicas, interrupts, of=of):
            return ("scale", BY_DEPLOYMENT[deployment], replicas, interrupts, of)
        case moves.AwaitReady(deployment):
            return ("ready", BY_DEPLOYMENT[deployment])
        case moves.AwaitFreed(deployment):
            return ("freed", BY_DEPLOYMENT[deployment])
        case moves.Soak(release):
            return ("soak", at(release))
        case moves.Drain(ident, _):
            return ("drain", NUMBER[ident])
        case moves.Remove(deployment):
            return ("remove", BY_DEPLOYMENT[deployment])
        case moves.RemoveCandidateService():
            return ("rmcand",)
    raise TypeError(f"the model does not know the move {move!r}: give it a row in writes.py")
