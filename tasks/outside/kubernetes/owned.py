"""A rollout's own objects in the cluster. They are changed only where they are ours, at exactly the
version that was read, and not over the head of a newer run: the API server refuses what comes late.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TypeVar

from tasks.base import clock
from tasks.base.errors import LockLost, OutsideError, StepFailed
from tasks.objects.labels import (
    EPOCH_ANNOTATION,
    KIND_LABEL,
    MANAGED_LABEL,
    MANAGER,
    WRITER_ANNOTATION,
)
from tasks.objects.ours import is_ours, marks, must_be_kept, must_be_ours, with_marks
from tasks.objects.pods import Object, ending
from tasks.objects.reached import told_apart
from tasks.outside.kubernetes.access import astray, selector_text
from tasks.outside.kubernetes.client import AlreadyExists, Cluster, Conflict
from tasks.outside.kubernetes.rest import Fence
from tasks.release.memory.terms import dated, terms_of, with_terms
from tasks.release.state import Release, State, Terms, configmap_name, from_configmap, to_configmap
from tasks.render.services import stable_service, switch

_log = logging.getLogger(__name__)
TRIES = 8
_AT_REST = ("idle", "unproven")

Patch = Callable[[Object], Object]
Check = Callable[[Object], None]
T = TypeVar("T")


class Owned:
    """The objects of rollout `name`. epoch: of our lease, marked on all that we write, with a word
    that no other process has: a Lease that is deleted may give one epoch out twice."""

    def __init__(
        self, cluster: Cluster, namespace: str, name: str, fence: Fence, epoch: int
    ) -> None:
        self.cluster, self.namespace, self.name = cluster, namespace, name
        self.write, self.epoch = cluster.writer(fence), epoch
        self.writer = f"{clock.rng().getrandbits(64):016x}"

    # -- read

    def get(self, kind: str, name: str, role: str) -> Object | None:
        """One of ours, None where there is none. Raises Refused for somebody else's."""
        found = self.cluster.get(kind, name, self.namespace)
        if found is not None:
            must_be_ours(found, self.name, role, self._instead(found, role))
        return found

    def deployments(self) -> list[Object]:
        """The engines' Deployments that are not ending."""
        return self.told_apart()[0]

    def told_apart(self) -> tuple[list[Object], list[Object]]:
        """Those, and Deployments that carry their labels and are no release's (see told_apart)."""
        ours = selector_text(marks(self.name, "engine"))
        found = self.cluster.list("Deployment", self.namespace, label_selector=ours)
        return told_apart(self.name, [item for item in found if not ending(item)])

    def highest_epoch(self) -> int:
        """The newest epoch on what is ours."""
        found = [*self.deployments(), self.cluster.get("Service", self.name, self.namespace)]
        return max((_epoch_of(item) for item in found if item is not None), default=0)

    def is_ours(self, found: Object, role: str) -> bool:
        """Whether an object carries this rollout's labels."""
        return is_ours(found, self.name, role)

    def _instead(self, found: Object, role: str) -> str:
        theirs = (found["metadata"].get("labels") or {}).get(MANAGED_LABEL) != MANAGER
        if role != "stable" or not theirs:
            return ""
        return (
            f"`rollout adopt {self.name} --service {self.name} -n {self.namespace}` takes over "
            "what serves behind it, or "
        )

    def _must_not_be_newer(self, found: Object) -> None:
        stamped = _epoch_of(found)
        if self.is_another(stamped, _mark(found, WRITER_ANNOTATION)):
            raise LockLost(
                f"{found['kind']} {self.namespace}/{found['metadata']['name']} belongs to a newer "
                f"run (epoch {stamped}, ours {self.epoch}); this one stops, and `rollout status "
                f"{self.name} -n {self.namespace}` shows what that one does"
            )

    def is_another(self, epoch: int, writer: str) -> bool:
        """Whether marks say that another process has taken over: of a newer epoch, or of ours."""
        return epoch > self.epoch or (epoch == self.epoch and writer not in ("", self.writer))

    def try_switch(self, deploy: Object) -> None:
        """What the API server and the Service itself say to leading it to this Deployment, and
        whether what a rollout makes on its way is free to be made.

        Changes nothing. Raises Refused, also where the answer is not what was sent, or OutsideError
        with the server's reason.
        """
        wanted = stable_service(deploy)
        self.get("Service", f"{self.name}-candidate", "candidate")
        self.get("Deployment", deploy["metadata"]["name"], "engine")
        found = self.get("Service", self.name, "stable")
        if found is None:
            self.cluster.trial().create(wanted)
        else:
            body = switch(found, wanted)
            answer = self.cluster.trial().patch("Service", self.name, self.namespace, body)
            must_be_kept(with_marks(found, body), answer)
        astray(self.cluster, self.namespace, self.name, [])

    # -- change

    def take_over(self, missing: Callable[[Object], Object]) -> None:
        """Mark all that is ours, so that whatever a predecessor still sends finds it changed.

        missing: the Service to make where there is none, and a Deployment that a predecessor may be
        about to lead one to: its creation comes late then, too.
        """
        engines = self.deployments()
        for item in engines:
            self.change("Deployment", item["metadata"]["name"], "engine", lambda _: {}, gone=True)
        for name, role in ((self.name, "stable"), (f"{self.name}-candidate", "candidate")):
            if role == "stable" and engines:
                self._make(missing(engines[0]))
            found = self.cluster.get("Service", name, self.namespace)
            if found is not None and self.is_ours(found, role):
                self.change("Service", name, role, lambda _: {}, gone=True)

    def _make(self, body: Object) -> None:
        meta = body["metadata"]
        if self.cluster.get(body["kind"], meta["name"], self.namespace) is None:
            with suppress(AlreadyExists):  # made just now: it is marked as what was there
                self.write.create(self._marked(body))

    def change(self, kind: str, name: str, role: str, change: Patch, *, gone: bool = False) -> None:
        """Merge-patch what `change` makes of the object just read.

        gone: it may be gone. Raises Refused for somebody else's, LockLost for one that a newer run
        has, StepFailed for one that is gone, Conflict where it changes faster than it can be read.
        """
        self._change(kind, name, lambda: self.get(kind, name, role), change, gone=gone)

    def try_change(self, kind: str, name: str, role: str, change: Patch) -> None:
        """What the API server says to such a change; nothing is changed. Raises Refused, also where
        the answer is not what was sent, or OutsideError with the server's reason."""
        found = self.get(kind, name, role)
        if found is not None:
            body = self._marked(change(found))
            answer = self.cluster.trial().patch(kind, name, self.namespace, body)
            must_be_kept(with_marks(found, body), answer)

    def adopt(self, kind: str, name: str, change: Patch) -> None:
        """The same with somebody else's, which `change` makes ours. It raises Refused where that
        must not be."""
        self._change(kind, name, lambda: self.cluster.get(kind, name, self.namespace), change)

    def _change(
        self,
        kind: str,
        name: str,
        read: Callable[[], Object | None],
        change: Patch,
        *,
        gone: bool = False,
    ) -> None:
        def attempt() -> None:
            found = read()
            if found is None:
                if gone:
                    return
                raise StepFailed(f"{kind} {self.namespace}/{name} is gone; somebody deleted it")
            self._must_not_be_newer(found)
            body = self._marked(change(found))
            body["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
            answer = self.write.patch(kind, name, self.namespace, body)
            must_be_kept(with_marks(found, body), answer)

        looked_anew(attempt)

    def put(self, body: Object, *, check: Check = lambda found: None) -> Object:
        """Create it, or make what is there the same; gives it as the API server has it. check:
        raises where that must not be."""
        kind, name = body["kind"], body["metadata"]["name"]
        role = body["metadata"]["labels"][KIND_LABEL]
        wanted = self._marked(body)

        def attempt() -> Object:
            found = self.get(kind, name, role)
            if found is None:
                return self.write.create(wanted)
            self._must_not_be_newer(found)
            check(found)
            version = {"resourceVersion": found["metadata"]["resourceVersion"]}
            at = {**wanted, "metadata": {**wanted["metadata"], **version}}
            if kind == "Service":  # a merge patch takes its list of ports whole
                return self.write.patch(kind, name, self.namespace, at)
            return self.write.apply(at)

        return looked_anew(attempt)

    def delete(
        self, kind: str, name: str, role: str, *, check: Check = lambda found: None
    ) -> Object | None:
        """Delete it, as it was read; gives that, None where there was none. check: raises where it
        must not go."""

        def attempt() -> Object | None:
            found = self.get(kind, name, role)
            if found is None:
                return None
            self._must_not_be_newer(found)
            check(found)
            uid, version = found["metadata"]["uid"], found["metadata"]["resourceVersion"]
            self.write.delete(kind, name, self.namespace, uid=uid, version=version)
            return found

        return looked_anew(attempt)

    def _marked(self, body: Object) -> Object:
        meta = body.get("metadata") or {}
        ours = {EPOCH_ANNOTATION: str(self.epoch), WRITER_ANNOTATION: self.writer}
        marks = {**(meta.get("annotations") or {}), **ours}
        return {**body, "metadata": {**meta, "annotations": marks}}


class ChangedByHand(StepFailed):
    """The state is not what a decision was made from: it is read again, and decided anew."""


class Memory:
    """The state of a rollout in its ConfigMap. What was decided from it is written over exactly
    that: a person's edit is never written over by who has not read it."""

    def __init__(self, owned: Owned) -> None:
        self._owned = owned
        self._known: State | None = None  # what decisions go by: read for them, or written since
        self._saved: State | None = None

    def read(self, *, decide: bool = True) -> tuple[State, str | None]:
        """The state and the ConfigMap's resourceVersion (None where it does not exist).

        Where it was deleted under a run that lives, what that run wrote last holds: nobody else may
        have written since. decide: what is saved from here on was decided from this.
        """
        found, held = self._look()
        if decide:
            self._known = held
        return held, found["metadata"]["resourceVersion"] if found else None

    def save(self, state: State) -> None:
        """Write what was decided. Raises ChangedByHand where somebody has edited what it was
        decided from, LockLost where a newer run has written."""

        def decided(held: State, there: bool) -> State:
            if there and self._known is not None and _plain(held) != _plain(self._known):
                raise ChangedByHand(
                    f"ConfigMap {self._owned.namespace}/{configmap_name(self._owned.name)} was "
                    f"edited by hand since it was read: {_apart(self._known, held)}; nothing was "
                    "written over it, and what follows is decided anew from what it says"
                )
            return state

        if state.phase in _AT_REST and self._known is not None:
            self._must_be_gone(self._known.candidate, state)
        self._known = self._write(decided)

    def _must_be_gone(self, candidate: Release | None, after: State) -> None:
        """What is forgotten is gone by its name, or is found by its marks: whatever else it is, no
        later look would know of it and of its seats. Raises StepFailed."""
        if candidate is None or candidate.id in [r.id for r in (after.stable, after.previous) if r]:
            return
        owned, name = self._owned, candidate.deployment
        found = owned.cluster.get("Deployment", name, owned.namespace)
        ours = found is not None and owned.is_ours(found, "engine")
        if found is None or not (ours or _mark(found, WRITER_ANNOTATION)):
            return  # another's, of that name, is told elsewhere
        if ours and not ending(found):
            return
        held = ", ".join(found["metadata"].get("finalizers") or ()) or "none"
        why = f"is being deleted (finalizers: {held})" if ending(found) else "lacks its labels"
        raise StepFailed(
            f"candidate {owned.namespace}/{name} is not removed: it is there, and {why}; rollout "
            f"{owned.name} is not at rest while it may hold seats. Delete it, or give it back "
            + ", ".join(f"{key}={value}" for key, value in marks(owned.name, "engine").items())
        )

    def change(self, change: Callable[[State], State]) -> None:
        """Write what `change` makes of what is there, whoever wrote it. What was decided before
        stays decided from what was read then."""
        seen: list[State] = []

        def made(held: State, there: bool) -> State:
            seen.append(held)
            return change(held)

        written = self._write(made)
        if self._known is None or _plain(seen[-1]) == _plain(self._known):
            self._known = written

    def noted(self, release: str) -> tuple[Terms, Callable[..., None]]:
        """What those before have noted of a wait for a release, and how to note more. Not being
        able to ends no wait."""

        def note(**known: object) -> None:
            try:
                self.change(lambda held: with_terms(held, release, **known))
            except OutsideError as error:
                _log.warning("what was waited so far is not noted: %s", error)

        try:
            return terms_of(self.read(decide=False)[0], release), note
        except OutsideError:
            return Terms(), note

    def _look(self) -> tuple[Object | None, State]:
        name, ns = self._owned.name, self._owned.namespace
        found = self._owned.cluster.get("ConfigMap", configmap_name(name), ns)
        if found is None and self._saved is not None:
            return None, self._saved
        return found, from_configmap(name, found)

    def _write(self, change: Callable[[State, bool], State]) -> State:
        """Under our epoch, on top of exactly the version that `change` was given."""
        owned = self._owned
        sent: list[State] = []

        def attempt() -> State:
            found, held = self._look()
            if found is not None and owned.is_another(held.epoch, held.writer):
                raise LockLost(
                    f"rollout {owned.name} is driven by a newer run (epoch {held.epoch}, ours "
                    f"{owned.epoch}); this one stops, and `rollout status {owned.name} -n "
                    f"{owned.namespace}` shows what that one does"
                )
            if found is not None and held in sent:
                return held  # the answer to our own write was lost
            made = change(held, found is not None)
            now = owned.cluster.now().isoformat(timespec="seconds")
            since = held.since if made.phase == held.phase else now
            made = dated(made, since, held.phase)
            state = replace(made, epoch=owned.epoch, writer=owned.writer, since=since)
            body = to_configmap(state, owned.namespace)
            state = from_configmap(owned.name, body)  # without what it had no room for
            if found is not None and held == state:
                return state
            sent.append(state)
            if found is None:
                owned.write.create(body)
                return state
            # what a person noted on it beside the state stays
            meta = found["metadata"]
            labels = {**(meta.get("labels") or {}), **body["metadata"]["labels"]}
            data = {**(found.get("data") or {}), **body["data"]}
            owned.write.replace({**found, "metadata": {**meta, "labels": labels}, "data": data})
            return state

        self._saved = looked_anew(attempt)
        return self._saved


def _plain(state: State) -> State:
    """What it says, whoever wrote it."""
    return replace(state, epoch=0, writer="", namespace="")


def _apart(before: State, now: State) -> str:
    """The fields in which two states differ, in words."""
    old, new = asdict(_plain(before)), asdict(_plain(now))
    return ", ".join(key for key in old if old[key] != new[key])


def looked_anew(attempt: Callable[[], T]) -> T:
    """What an attempt gives: it looks, and writes at the version it saw. A controller writes status
    in between, or an answer was lost: then it looks anew. Raises what the last one came to."""
    for number in range(TRIES - 1):
        try:
            return attempt()
        except (AlreadyExists, Conflict):
            clock.sleep(0.1 * (number + 1))
    return attempt()


def _epoch_of(found: Object) -> int:
    """The epoch of who wrote last; 0 where nobody of ours did, or the mark is not ours."""
    mark = _mark(found, EPOCH_ANNOTATION)
    return int(mark) if mark.isdecimal() else 0


def _mark(found: Object, key: str) -> str:
    return str((found["metadata"].get("annotations") or {}).get(key) or "")
