"""The state of the world in the search: small, immutable, hashable.

Releases are numbers, and are called A, B, C in a trace. A version is not a number: what a write in
flight has read is either still there as it was (`fresh`) or not, and its object is the same one
(`same`) or another of its name. That is all that the API server's preconditions can tell apart.
"""

from __future__ import annotations

from typing import NamedTuple

# no Service; of ours, at a person's own pods; not ours; of ours and without a selector
NOBODY, HAND, FOREIGN, NOWHERE = -1, 13, 14, 15
NAMES = "ABCDEFGH"
RELEASES = range(len(NAMES))  # as many as there are Deployments in a world
TWINS = 4  # an epoch is its number times this, and which of those that were given it out
SEATS = 2
SVC, MEM, CAND = "svc", "mem", "cand"  # objects, beside the Deployments
AWAY, QUEUES, SITS = 0, 1, 2  # a neighbour


class Dep(NamedTuple):
    """A Deployment. unready: pods that hold a seat and do not answer; serves: replicas it serves
    with, by its annotation; had: most that answered at once; stopped: a person scaled it to zero;
    zeroed: the last that we scaled it to was zero; changed: a person changed its template since it
    was judged, or served; mixed: so that the newest one does not start, and what answers is of an
    earlier one."""

    asked: int
    ready: int = 0
    unready: int = 0
    epoch: int = 0
    serves: int = 1
    had: int = 0
    stopped: bool = False
    zeroed: bool = False
    changed: bool = False
    mixed: bool = False


class Mem(NamedTuple):
    """What the ConfigMap says; releases by number, NOBODY where there is none. breach: the soak
    under way has found something against stable. tried: a way back led nowhere, a moment ago."""

    phase: str = "idle"
    stable: int = NOBODY
    candidate: int = NOBODY
    previous: int = NOBODY
    strategy: str = ""
    verdict: str = ""
    doubt: str = ""
    doubted: int = NOBODY
    breach: bool = False
    epoch: int = 0
    tried: bool = False


class Flight(NamedTuple):
    """A write that was fenced and has read what it goes by, and has not landed. short: what serves
    was not whole when it was read; fewer: it leads to fewer pods than answered then."""

    op: tuple
    target: object
    fresh: bool = True
    same: bool = True
    short: bool = False
    fewer: bool = False


class Process(NamedTuple):
    """A process. kind: 'run', 'recover', 'rollback', 'promote'. course: number of the list of moves
    it carries out, and where it is in it. waits: its write has landed and its end is waited for.
    again: a conflict is being looked at anew. orphan: its Lease was deleted and it has not noticed:
    writes that its last renewal is still good for, and one. strategy: what it may do, whatever
    becomes of the memory: 'replace' stops what serves."""

    kind: str
    wanted: int
    epoch: int
    stage: str
    course: int = 0
    at: int = 0
    flight: Flight | None = None
    waits: bool = False
    again: bool = False
    orphan: int = 0
    strategy: str = ""


class News(NamedTuple):
    """What is known of a release that was switched to. said: 'unsoaked', or 'bad' once that is
    saved."""

    release: int = NOBODY
    said: str = ""


class World(NamedTuple):
    """Everything. bent: the Service names a release, and asks for more than its pods carry.
    neighbours: how many are away, queue, and sit. expired: what is held may not be approved any
    more. lease: epoch it was last taken with, None where it was deleted; held: whether that process
    still holds it. decided: the newest epoch of those who took over, and went on to look. twins:
    there have been two of one epoch. busy: what served until a switch of ours, and may have
    requests. trouble, starts: what may still happen."""

    svc: int
    svc_epoch: int
    bent: bool
    deps: tuple[Dep | None, ...]
    ending: tuple[int, ...]
    broken: tuple[bool, ...]
    neighbours: tuple[int, int, int]
    seats: int
    cand: str  # '', 'ours', 'theirs'
    mem: Mem | None
    expired: bool
    lease: int | None
    held: bool
    decided: int
    twins: bool
    busy: int
    processes: tuple[Process | None, ...]
    news: News
    trouble: int
    starts: int


def newer(apart: bool, mark: int, mine: int) -> bool:
    """A mark is of a newer epoch than mine, or of another process of mine. apart: that can be
    told."""
    return mark // TWINS > mine // TWINS or (
        apart and mark // TWINS == mine // TWINS != 0 and mark != mine
    )


def put(items: tuple, at: int, value: object) -> tuple:
    """A tuple with one item changed."""
    return (*items[:at], value, *items[at + 1 :])


def free(w: World) -> int:
    """Seats that nobody holds."""
    held = sum(d.ready + d.unready for d in w.deps if d) + sum(w.ending) + w.neighbours[SITS]
    return w.seats - held


def moved(w: World, before: int, after: int) -> World:
    """One of the neighbours does something else."""
    counts = list(w.neighbours)
    counts[before] -= 1
    counts[after] += 1
    return w._replace(neighbours=(counts[AWAY], counts[QUEUES], counts[SITS]))


def available(w: World, svc: int | None = None) -> int:
    """Pods that answer where the Service leads."""
    svc = w.svc if svc is None else svc
    if svc in (HAND, FOREIGN):
        return 1
    dep = w.deps[svc] if svc in RELEASES and not w.bent else None
    return dep.ready if dep else 0


def short(w: World) -> bool:
    """What serves is one of ours, and not available with as many replicas as it had."""
    if w.svc not in RELEASES:
        return False
    dep = w.deps[w.svc]
    return dep is None or (not dep.stopped and dep.ready < max(dep.had, 1))


def whole(w: World) -> bool:
    """What serves is not one of ours, or is available as its Deployment says."""
    dep = w.deps[w.svc] if w.svc in RELEASES else None
    return w.svc not in RELEASES or (dep is not None and dep.ready >= max(dep.asked, dep.serves))


def leaves(w: World) -> World:
    """Nobody acts, and nothing is in flight."""
    return w._replace(processes=(None,) * len(w.processes))


def touched(w: World, what: object, gone: bool = False) -> World:
    """An object has changed: whoever read it has an old version; gone: it is another one."""
    if not any(w.processes):
        return w
    out = []
    for process in w.processes:
        flight = process.flight if process else None
        if process and flight and flight.target == what and (flight.fresh or gone):
            old = flight._replace(fresh=False, same=flight.same and not gone)
            out.append(process._replace(flight=old))
        else:
            out.append(process)
    return w._replace(processes=tuple(out))


def with_dep(w: World, at: int, dep: Dep | None) -> World:
    """A Deployment changed, made or deleted; its surplus pods are asked to end at once, those that
    do not answer first."""
    old = w.deps[at]
    if dep == old:
        return w
    ending = w.ending
    if dep is None:
        assert old is not None
        ending = put(ending, at, ending[at] + old.ready + old.unready)
    else:
        surplus = dep.ready + dep.unready - dep.asked
        if surplus > 0:
            unready = min(surplus, dep.unready)
            ready = surplus - unready
            dep = dep._replace(unready=dep.unready - unready, ready=dep.ready - ready)
            ending = put(ending, at, ending[at] + surplus)
        if dep.mixed and not dep.ready:
            dep = dep._replace(mixed=False)
        if dep.ready > dep.had or (dep.asked and dep.stopped):
            dep = dep._replace(had=max(dep.had, dep.ready), stopped=dep.stopped and not dep.asked)
    w = w._replace(deps=put(w.deps, at, dep), ending=ending)
    busy = w.deps[w.busy] if w.busy != NOBODY else None
    if w.busy != NOBODY and not (available(w) and busy and busy.ready):
        w = w._replace(busy=NOBODY)  # nothing is gained by waiting
    return touched(w, at, gone=dep is None or old is None)
