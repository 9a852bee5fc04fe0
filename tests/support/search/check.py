"""What may never happen, looked at whenever a write of ours lands."""

from __future__ import annotations

from tests.support.search import signs, writes
from tests.support.search.world import (
    FOREIGN,
    HAND,
    NAMES,
    NOBODY,
    NOWHERE,
    RELEASES,
    Flight,
    News,
    Process,
    World,
    available,
    short,
    whole,
)

UNLED = (NOBODY, NOWHERE)
# a promotion, and a way back from what nothing is known against
UNASKED = (("promoting", "pass"), ("reverting", ""))


def may_interrupt(consent: bool, w: World, p: Process) -> bool:
    """What serves may be stopped by this process: its operator allows it, or it is on record."""
    if not consent:
        return False
    own = p.strategy == "replace" or p.kind == "rollback"
    return own or (w.mem is not None and w.mem.strategy == "replace")


def landed(consent: bool, before: World, after: World, p: Process, flight: Flight) -> str:
    """The invariant that a write has broken, and by what; '' where none."""
    op, late = flight.op, not holds(before, p)
    stage = p.stage.split(":")[0].rstrip("?")
    by = "late" if late else stage if p.kind == "run" else p.kind
    if before.twins:
        by = "two of one epoch"
    if op[0] in ("stamp", "point") and before.svc == FOREIGN:
        return f"{signs.SERVICE} [{op[0]}]"
    if op[0] in ("applycand", "rmcand") and before.cand == "theirs":
        return f"{signs.CANDIDATE} [{op[0]}]"
    if op[0] in ("apply", "delete") and before.svc == op[1] and before.deps[op[1]]:
        done = {"apply": signs.APPLIED, "delete": signs.DELETED}[op[0]]
        return f"{done} [{by}]"
    dep = before.deps[op[1]] if op[0] == "point" else None
    if (
        dep
        and dep.changed
        and before.svc not in (op[1], *UNLED)
        and available(before)
        and not flight.short
    ):
        roles = before.mem and (before.mem.candidate, before.mem.previous)
        if roles and op[1] in roles and op[1] != before.mem.stable:
            return f"{signs.UNJUDGED} [{by}]"
    dep = before.deps[op[1]] if op[0] == "scale" and before.svc == op[1] else None
    mem = before.mem
    bad = dep and mem and mem.stable == before.svc and writes.known_against(mem)
    if dep and dep.mixed and op[2] < dep.asked and not bad:
        return f"{signs.EDITED} [{by}]"
    silently = mem is not None and (mem.phase, mem.verdict) in UNASKED
    if flight.fewer and silently and not may_interrupt(consent, before, p):
        return f"{signs.FEWER} [{by}]"
    if available(before) and not available(after):
        wanted = op[0] == "scale" and not late and may_interrupt(consent, before, p)
        if not wanted:
            return f"{signs.HARM} [{op[0]}, {by}]"
    if op[0] in ("scale", "delete") and op[1] == before.busy and before.svc in RELEASES:
        dep = before.deps[before.busy]
        if dep and dep.ready and (op[0] == "delete" or op[2] < dep.asked):
            return f"{signs.CUT} [{by}]"
    if op[0] == "save" and op[1][0] == "idle" and before.mem and before.mem.phase != "idle":
        if flight.short and short(before):
            more = ", of replicas that a person had set" if whole(before) else ""
            return f"{signs.NOT_WHOLE}{more}"
        news = before.news
        if news.said and op[1][1] == news.release == before.svc:
            done = {"bad": signs.FAILED, "unsoaked": signs.UNSOAKED}[news.said]
            return f"{done} [{by}]"
    return ""


def fewer(w: World, op: tuple) -> bool:
    """A write leads the Service to fewer pods than answer there."""
    dep = w.deps[op[1]] if op[0] == "point" and op[1] != w.svc else None
    return dep is not None and 0 < dep.ready < available(w)


def holds(w: World, p: Process) -> bool:
    """Nobody who has taken the lease since has looked, and may have decided otherwise."""
    return p.stage == "start" or w.decided <= p.epoch


def noted(before: World, w: World, p: Process, op: tuple) -> World:
    """The world with what is known of the release that was switched to."""
    news = w.news
    moves = op[0] == "point" and op[1] != before.svc
    switched = p.stage in ("promote", "wish") and p.kind in ("run", "promote", "recover")
    if moves and switched and w.mem is not None and w.mem.phase == "promoting":
        return w._replace(news=News(op[1], "unsoaked"))  # judged anew, whatever was known of it
    if moves and op[1] != news.release and news.said != "bad":
        return w._replace(news=News())
    if op[0] != "save" or p.stage == "start":
        return w
    if op[1][8] or (op[1][5] == "fail" and op[1][0] in ("reverting", "unproven")):
        return w._replace(news=News(op[1][1], "bad") if op[1][1] in RELEASES else news)
    return w


def soaked(w: World, release: int, p: Process, by_anybody: bool) -> World:
    """It passed a soak, where that was one."""
    watched = p.kind == "run" or by_anybody
    return w._replace(news=News()) if watched and w.news.release == release else w


def name(svc: int) -> str:
    """Where a Service leads, in words."""
    words = {
        NOBODY: "nothing",
        NOWHERE: "nowhere yet",
        HAND: "pods of a person's own",
        FOREIGN: "somebody else's",
    }
    return words.get(svc) or NAMES[svc]
