"""Worlds to begin with. A serves; C served before it and is kept at zero."""

from __future__ import annotations

from tests.support.search.world import (
    CAND,
    MEM,
    NOBODY,
    SEATS,
    SVC,
    TWINS,
    Dep,
    Flight,
    Mem,
    News,
    Process,
    World,
)

A, B, C = 0, 1, 2
UP, DOWN = Dep(1, ready=1, had=1), Dep(0, zeroed=True)
EPOCH = 20 * TWINS  # there have been runs before


def world(
    *,
    svc: int = A,
    deps: tuple[Dep | None, ...] = (UP, None, DOWN),
    mem: Mem | None = Mem("idle", A, NOBODY, C, epoch=EPOCH),  # noqa: B008
    sits: bool = False,
    away: int = 1,
    seats: int = SEATS,
    processes: int = 2,
    cand: str = "",
    news: News = News(),  # noqa: B008
    trouble: int = 2,
    starts: int = 2,
) -> World:
    """Nobody acts. sits: the neighbour has a seat."""
    away -= sits
    return World(
        svc=svc,
        svc_epoch=EPOCH if svc != NOBODY else 0,
        bent=False,
        deps=deps,
        ending=(0,) * len(deps),
        broken=(False,) * len(deps),
        neighbours=(away, 0, int(sits)),
        seats=seats,
        cand=cand,
        mem=mem,
        expired=False,
        lease=mem.epoch if mem else None,
        held=False,
        decided=0,
        twins=False,
        busy=NOBODY,
        processes=(None,) * processes,
        news=news,
        trouble=trouble,
        starts=starts,
    )


def rest(trouble: int, starts: int) -> list[World]:
    """At rest, with room beside what serves, and without; and before the first rollout ever."""
    some = {"trouble": trouble, "starts": starts}
    return [
        world(**some),
        world(sits=True, **some),
        world(svc=NOBODY, deps=(None, None, None), mem=None, **some),
    ]


def scaled(trouble: int, starts: int) -> list[World]:
    """A person has A serve with two, where as many of another find room beside it, and where not;
    and a test of B is through."""
    some = {"trouble": trouble, "starts": starts}
    two = Dep(2, ready=2, had=2)
    through = Mem("promoting", A, B, C, "parallel", "pass", epoch=EPOCH)
    return [
        world(deps=(two, None, DOWN), seats=4, **some),
        world(deps=(two, None, DOWN), seats=3, **some),
        world(deps=(two, UP, DOWN), seats=4, mem=through, cand="ours", **some),
        world(deps=(two, UP, DOWN), seats=3, mem=through, cand="ours", **some),
    ]


def first(trouble: int, starts: int) -> list[World]:
    """Before the first rollout ever, where the first epoch is 1."""
    return rest(trouble, starts)[2:]


def left(trouble: int, starts: int) -> list[World]:
    """What dead processes left, at every phase."""
    some = {"trouble": trouble, "starts": starts}
    both = (UP, UP, DOWN)

    def mem(phase: str, *who: int, strategy: str = "parallel", verdict: str = "pass") -> Mem:
        doubt = verdict if phase == "unproven" else ""
        whose, breach = B if doubt else NOBODY, verdict == "fail"
        return Mem(phase, *who, strategy, verdict, doubt, whose, breach, epoch=EPOCH)

    unsoaked = News(B, "unsoaked")
    bad = News(B, "bad")
    return [
        world(deps=both, mem=mem("testing", A, B, C, verdict=""), cand="ours", **some),
        world(
            deps=(DOWN, UP, DOWN),
            sits=True,
            mem=mem("testing", A, B, C, strategy="replace", verdict=""),
            cand="ours",
            **some,
        ),
        world(deps=both, mem=mem("promoting", A, B, C), cand="ours", **some),
        world(svc=B, deps=both, mem=mem("promoting", A, B, C), news=unsoaked, cand="ours", **some),
        world(svc=B, deps=both, mem=mem("soaking", B, NOBODY, A), news=unsoaked, **some),
        world(
            svc=B, deps=both, mem=mem("unproven", B, NOBODY, A, verdict="fail"), news=bad, **some
        ),
        # a run of B itself that tried again, and died
        world(svc=B, deps=both, mem=mem("soaking", B, NOBODY, A, verdict="fail"), news=bad, **some),
        world(
            svc=B, deps=both, mem=mem("reverting", B, NOBODY, A, verdict="fail"), news=bad, **some
        ),
        world(svc=B, deps=both, mem=mem("restoring", B, NOBODY, A, verdict=""), **some),
        world(deps=both, mem=mem("held", A, B, C), cand="ours", **some),
    ]


def kept(trouble: int, starts: int) -> list[World]:
    """B took the only seat, by leave, and failed its soak while somebody waited; no more."""
    doubt = Mem("unproven", B, NOBODY, A, "replace", "fail", "fail", B, True, epoch=EPOCH)
    deps, bad = (DOWN, UP, DOWN), News(B, "bad")
    return [world(svc=B, deps=deps, sits=True, mem=doubt, news=bad, trouble=trouble, starts=starts)]


def unproven(trouble: int, starts: int) -> list[World]:
    """B failed its soak, and serves."""
    return [w for w in left(trouble, starts) if w.mem and w.mem.phase == "unproven"]


def late(trouble: int, starts: int) -> list[World]:
    """A predecessor stands still, its write is fenced and has read what it goes by."""
    testing, replaced = left(trouble, starts)[:2]
    soaking, reverting = left(trouble, starts)[4], left(trouble, starts)[7]
    assert testing.mem is not None and soaking.mem is not None

    def stands(w: World, stage: str, op: tuple, target: object) -> World:
        flight = Flight(op, target)
        process = Process("run", B, EPOCH, stage, flight=flight, strategy=w.mem.strategy)  # type: ignore[union-attr]
        return w._replace(decided=EPOCH, processes=(process, None))

    before = testing._replace(
        svc=NOBODY,
        svc_epoch=0,
        deps=(None, UP, None),
        mem=Mem("promoting", NOBODY, B, NOBODY, "parallel", "pass", epoch=EPOCH),
    )
    idle = ("idle", A, NOBODY, C, "", "", "", NOBODY, False)
    return [
        stands(testing, "undo", ("delete", B), B),
        stands(testing, "undo", ("scale", B, 0, EPOCH), B),
        stands(testing, "deploy", ("apply", B, EPOCH, False), B),
        stands(testing._replace(deps=(UP, None, DOWN)), "deploy", ("apply", B, EPOCH, True), B),
        stands(testing, "deploy", ("applycand", False), CAND),
        stands(testing, "undo", ("rmcand", False), CAND),
        stands(testing, "promote", ("point", B, EPOCH, False), SVC),
        stands(before, "promote", ("point", B, EPOCH, True), SVC),
        stands(testing, "undo", ("save", idle, EPOCH, False), MEM),
        stands(replaced, "undo", ("scale", B, 0, EPOCH), B),
        stands(replaced, "deploy", ("scale", A, 0, EPOCH), A),
        stands(soaking, "promote", ("scale", A, 0, EPOCH), A),
        stands(reverting, "back", ("point", A, EPOCH, False), SVC),
    ]
