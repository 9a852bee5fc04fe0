"""What happens around the processes: pods, a neighbour, a person's hands, the operator's wishes."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.search.check import name
from tests.support.search.process import Model, Step, spent, starts
from tests.support.search.world import (
    AWAY,
    CAND,
    FOREIGN,
    HAND,
    MEM,
    NAMES,
    NOBODY,
    NOWHERE,
    QUEUES,
    RELEASES,
    SITS,
    SVC,
    News,
    World,
    free,
    moved,
    touched,
    with_dep,
)
from tests.support.search.writes import ends

ORPHAN = 3  # two more writes
WISHES = ("guard", "recover", "rollback", "promote", "reject", "abort")


def around(m: Model, w: World) -> Iterator[Step]:
    """Everything that may happen next outside of the processes."""
    for said, after in (*pods(w), *wishes(m, w), *(troubles(w) if w.trouble else ())):
        yield said, after, ""
    if w.mem and w.mem.phase == "held" and not w.expired:
        yield ("what is held", "has waited too long"), w._replace(expired=True), ""
    if w.mem and w.mem.tried:
        later = w._replace(mem=w.mem._replace(tried=False))
        yield ("what led nowhere", "may be tried again"), later, ""


def pods(w: World) -> Iterator[tuple[tuple, World]]:
    """Controllers, scheduler and kubelet; a neighbour that queues is one more who wants a seat."""
    room = free(w)
    for at, dep in enumerate(w.deps):
        if dep and room > 0 and dep.asked > dep.ready + dep.unready:
            placed = dep._replace(unready=dep.unready + 1)
            yield ("a pod of", NAMES[at], "gets a seat"), with_dep(w, at, placed)
        if dep and dep.unready and not w.broken[at]:
            up = dep._replace(unready=dep.unready - 1, ready=dep.ready + 1)
            yield ("a pod of", NAMES[at], "gets ready"), with_dep(w, at, up)
        if w.ending[at]:
            yield ("a pod of", NAMES[at], "is gone"), ends(w, at)
    if w.neighbours[QUEUES] and room > 0:
        yield ("the neighbour", "takes a seat"), moved(w, QUEUES, SITS)


def wishes(m: Model, w: World) -> Iterator[tuple[tuple, World]]:
    """Somebody starts a process."""
    if not w.starts:
        return
    wanted = [("run", at) for at in range(len(w.deps))] + [(kind, -1) for kind in WISHES]
    for kind, at in wanted:
        if after := starts(m, w, kind, at):
            what = f"{kind} {NAMES[at]}" if kind == "run" else kind
            yield ("somebody starts", what), after._replace(starts=w.starts - 1)


def troubles(w: World) -> Iterator[tuple[tuple, World]]:
    """What costs trouble: pods that break, the neighbour who comes and goes, hands."""
    aimed = {p.flight.op[1] for p in w.processes if p and p.flight and p.flight.op[0] == "point"}
    for said, after in (*_breaks(w, aimed), *_hands(w, aimed)):
        yield said, spent(after, 1)


def _breaks(w: World, aimed: set) -> Iterator[tuple[tuple, World]]:
    """A pod falls, and may come back; or a release breaks for good. Not while a switch to it is in
    flight: no precondition of a Service knows of pods."""
    for at, dep in enumerate(w.deps):
        if at in aimed:
            continue
        if dep and dep.ready:
            down = dep._replace(ready=dep.ready - 1, unready=dep.unready + 1)
            yield ("a pod of", NAMES[at], "falls"), with_dep(w, at, down)
        if not w.broken[at] and (dep or w.starts):
            worse = w._replace(broken=(*w.broken[:at], True, *w.broken[at + 1 :]))
            if dep and dep.ready:
                down = dep._replace(ready=0, unready=dep.unready + dep.ready)
                worse = with_dep(worse, at, down)
            yield (NAMES[at], "breaks for good"), worse
    if w.neighbours[AWAY]:
        yield ("a neighbour", "queues for a seat"), moved(w, AWAY, QUEUES)
    if w.neighbours[SITS]:
        yield ("the neighbour", "frees its seat"), moved(w, SITS, AWAY)


def _hands(w: World, aimed: set) -> Iterator[tuple[tuple, World]]:
    """A person with kubectl, who leads the Service to what answers. Not to what a write is on its
    way to: no precondition of a Deployment knows of a Service."""
    flying = {p.flight.target for p in w.processes if p and p.flight}
    if w.svc not in (NOBODY, NOWHERE) and not w.bent:
        ours = [at for at, dep in enumerate(w.deps) if dep and dep.ready and at not in flying]
        there = [*ours, HAND, FOREIGN]
        for svc in there:
            if svc == w.svc:
                continue
            news = News() if w.news.said == "unsoaked" else w.news
            led = w._replace(svc=svc, bent=False, news=news, busy=NOBODY)
            yield ("a person", "moves the Service to", name(svc)), touched(led, SVC)
    if w.svc in RELEASES and not w.bent and w.svc not in aimed:
        bent = touched(w._replace(bent=True, busy=NOBODY), SVC)
        yield ("a person", "asks for more in the Service than its pods carry"), bent
    for at, dep in enumerate(w.deps):
        if dep and dep.asked and at not in aimed:
            zero = dep._replace(asked=0, stopped=True, had=0)
            yield ("a person", "scales to zero", NAMES[at]), with_dep(w, at, zero)
        if dep and dep.asked < 2:
            more = dep._replace(asked=dep.asked + 1, had=min(dep.had, dep.asked + 1))
            yield ("a person", "scales up", NAMES[at]), with_dep(w, at, more)
        roles = (w.mem.candidate, w.mem.previous) if w.mem else ()
        if dep and at in roles and at != w.svc and not dep.changed and at not in aimed:
            other = with_dep(w, at, dep._replace(changed=True))
            yield ("a person", "changes the template of", NAMES[at]), other
        if dep and at == w.svc and dep.ready and not dep.mixed and not w.bent:
            half = with_dep(w, at, dep._replace(mixed=True, changed=True))
            yield ("a person", "makes what does not start of", NAMES[at]), half
    if w.mem:
        # nobody knows any more what was judged, nor what has requests yet since a switch
        deps = tuple(dep and dep._replace(changed=False) for dep in w.deps)
        gone = w._replace(mem=None, news=News(), busy=NOBODY, deps=deps)
        lost = touched(gone, MEM, True)
        yield ("a person", "deletes the ConfigMap"), lost
    if w.lease is not None:
        yield ("a person", "deletes the Lease"), _without_lease(w)
    if not w.cand:
        made = touched(w._replace(cand="theirs"), CAND)
        yield ("a person", "makes a Service called as the candidate's"), made


def _without_lease(w: World) -> World:
    """Who held it does not notice at once: its last renewal still counts for a while."""
    processes = tuple(
        p._replace(orphan=ORPHAN) if p and w.held and p.epoch == w.lease else p for p in w.processes
    )
    return w._replace(lease=None, held=False, processes=processes)
