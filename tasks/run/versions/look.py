"""One look of the watcher at one spec: what is followed, what became of it, and what is to be told.
It writes nothing but its own memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tasks.accelerators.profiles import profile
from tasks.base import clock
from tasks.base.errors import OutsideError, RolloutError
from tasks.nodes.assess import agree_on_resource, api_facts, is_candidate, judge_node
from tasks.outside.disk.site import site_policy
from tasks.outside.kubernetes.client import Cluster, Object
from tasks.outside.kubernetes.lease import holder_of
from tasks.outside.modelscope.hub import Hub, Limits
from tasks.release.memory.terms import terms_of
from tasks.release.state import Release, State, configmap_name, from_configmap
from tasks.release.versions.decide import (
    Now,
    WatchDecision,
    decide_found,
    serves_it,
    waiting,
    waits_for_window,
)
from tasks.release.versions.memory import (
    WatchMemory,
    looked_again_at,
    with_failure,
    with_seen,
    with_told,
    without_failure,
)
from tasks.render.devices import pod_needs
from tasks.render.release import release_of
from tasks.run.versions.follow import followed, hub_commit, hub_of, pinned, standing
from tasks.run.versions.remember import recall_watch, remember_watch
from tasks.spec.rollout import Rollout
from tasks.verdict.decide import asked_of, same_demands
from tasks.weights.manifest import changed_files

# the next look tries again: one hub that is down must not hold up all the others
PATIENCE = Limits(tries=2, listing_s=120)


@dataclass(frozen=True)
class Sighting:
    """What a look came to. sign: see WatchDecision, or 'failed'. follows: what is followed, in
    words; serves, found: commits; size: bytes. wrong: a look was made and failed, as often by now
    that it is a person's matter. trouble: a person is to be told, for the first time. event: the
    payload of the event to emit, empty where there is none; wish, times: see event_id."""

    name: str
    namespace: str
    model: str
    follows: str
    sign: str
    said: str
    serves: str = ""
    found: str = ""
    size: int = 0
    wrong: bool = False
    trouble: bool = False
    wish: str = ""
    times: int = 0
    event: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Followed:
    """What is followed now: what the hub calls it, and what its files come to (size in bytes)."""

    head: str
    commit: str
    digest: str
    size: int


class VersionWatch:
    """What the looks of one run share. Nodes are read once, and only where something is new."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.policy = cluster, site_policy()

    @cached_property
    def _nodes(self) -> tuple[list[Object], list[Object]]:
        return self.cluster.list("Node"), self.cluster.list("DaemonSet")

    def look(self, spec: Rollout) -> Sighting:
        """Look at one spec. An error of the outside is remembered and told once it came
        `watch.tries` times in a row; until then looks wait longer each time. Raises RolloutError
        for all that waiting does not mend."""
        memory, version = recall_watch(self.cluster, spec)
        now = self.cluster.now()
        again = looked_again_at(memory, clock.rng().random())
        if again is not None and again > now:
            said = f"is looked at again at {again.isoformat(timespec='seconds')}: {memory.error}"
            return self._sighting(spec, "failed", said)
        before = memory
        try:
            seen, memory = self._seen(spec, memory)
        except OutsideError as error:
            failed = with_failure(memory, str(error), now)
            remember_watch(self.cluster, spec.namespace, spec.name, failed, version)
            said = f"{error} ({failed.failures} time(s) in a row)"
            return replace(
                self._sighting(spec, "failed", said),
                wrong=failed.failures >= spec.watch.tries,
                trouble=failed.failures == spec.watch.tries,
            )
        kept = memory == before or remember_watch(
            self.cluster, spec.namespace, spec.name, memory, version
        )
        if kept or not seen.event:
            return seen
        return replace(seen, sign="told", said="another watcher told it just now", event={})

    def _sighting(self, spec: Rollout, sign: str, said: str) -> Sighting:
        return Sighting(spec.name, spec.namespace, spec.model.id, follows(spec), sign, said)

    def _seen(self, spec: Rollout, memory: WatchMemory) -> tuple[Sighting, WatchMemory]:
        there = self.cluster.get("ConfigMap", configmap_name(spec.name), spec.namespace)
        state = from_configmap(spec.name, there)
        hub = hub_of(spec, self.policy, PATIENCE)
        spec = pinned(self.policy, followed(hub, spec), self.cluster)
        found, memory = version_now(hub, spec, without_failure(memory))
        stable = state.stable
        serves = stable.id if stable and stable.commit == found.commit else ""
        memory = with_seen(memory, found.head, serves)
        sighting = replace(
            self._sighting(spec, "serves", "it serves"),
            serves=stable.commit if stable else "",
            found=found.commit,
            size=found.size,
        )
        image = spec.serving.image if spec.watch.image else None
        if serves_it(state, found.commit, found.digest, image) and not self._waits(
            spec, state, found
        ):
            return sighting, memory
        decided, release = self._decided(hub, spec, state, found, memory)
        sighting = replace(sighting, sign=decided.sign, said=decided.said)
        if decided.sign == "given up":
            sighting = replace(sighting, trouble=memory.gave_up != decided.wish, wish=decided.wish)
            return sighting, replace(memory, gave_up=decided.wish)
        if decided.sign != "new":
            return sighting, memory
        memory = with_told(memory, decided.wish, self.cluster.now())
        event = {
            "model": spec.model.id,
            "revision": spec.model.revision,
            "commit": found.commit,
            "digest": found.digest,
            "image": release.image,
            "release": release.deployment,
            "bytes": found.size,
            **differences(hub, spec, state, found),
        }
        return (
            replace(sighting, wish=decided.wish, times=memory.times, event=event),
            memory,
        )

    def _waits(self, spec: Rollout, state: State, found: Followed) -> bool:
        """Whether other settings of the version that serves passed, and wait for their window."""
        candidate = waiting(state)
        if candidate is None or candidate.commit != found.commit:
            return False
        return waits_for_window(state, self._release(spec, state, found), self.cluster.now())

    def _decided(
        self, hub: Hub, spec: Rollout, state: State, found: Followed, memory: WatchMemory
    ) -> tuple[WatchDecision, Release]:
        release = self._release(spec, state, found)
        order = standing(hub, spec, state, memory, found.commit)
        now = Now(
            self.cluster.now(),
            holder_of(self.cluster, spec.namespace, spec.name),
            clock.rng().random(),
        )
        before = terms_of(state, release.id).spec
        asked = spec.model_dump(mode="json", exclude_defaults=True)
        otherwise = bool(before) and not same_demands(before, asked)
        demands = asked_of(spec)
        decided = decide_found(
            spec, state, release, order, memory, demands, now, otherwise=otherwise
        )
        return decided, release

    def _release(self, spec: Rollout, state: State, found: Followed) -> Release:
        """What a rollout would make of it: named as that names it, so that it is known again."""
        nodes, daemonsets = self._nodes
        row = profile(spec.nodes.accelerator)
        stable = state.stable.id if state.stable else None
        quick = [
            judge_node(spec, row, api_facts(node, (), daemonsets), None, stable_release=stable)
            for node in nodes
            if is_candidate(spec, node)
        ]
        needs = pod_needs(row, agree_on_resource(quick)[0])
        return release_of(spec, found.commit, found.digest, needs)


def follows(spec: Rollout) -> str:
    """What a spec follows, in words."""
    by = f"tags {spec.watch.tags}" if spec.watch.tags is not None else spec.model.revision
    return f"{by}, image" if spec.watch.image else by


def version_now(hub: Hub, spec: Rollout, memory: WatchMemory) -> tuple[Followed, WatchMemory]:
    """What the followed revision is now. Files are listed only where its commit has moved since, or
    where the hub tells no commits. Raises OutsideError."""
    model = spec.model
    ref, excluded = f"{model.id}@{model.revision}", tuple(model.exclude)
    head = hub.head(model.id, model.revision) or ""
    if head and (memory.ref, memory.head, memory.excluded) == (ref, head, excluded):
        return Followed(head, memory.commit, memory.digest, memory.size), memory
    manifest = hub.resolve(model.id, model.revision, model.exclude)
    found = Followed(
        hub_commit(manifest.commit), manifest.commit, manifest.digest, manifest.total_bytes
    )
    return found, replace(
        memory,
        ref=ref,
        head=found.head,
        excluded=excluded,
        commit=found.commit,
        digest=found.digest,
        size=found.size,
    )


def differences(hub: Hub, spec: Rollout, state: State, found: Followed) -> dict[str, Any]:
    """Against what serves: files by what became of them, and the bytes of those that are new or
    other ones. Empty where nothing serves, or its files are not listed any more."""
    stable = state.stable
    if stable is None or stable.model != spec.model.id:
        return {}
    try:
        old, new = (
            hub.resolve(spec.model.id, hub_commit(commit), spec.model.exclude)
            for commit in (stable.commit, found.commit)
        )
    except RolloutError:
        return {}
    return {"serves": stable.commit, **changed_files(old, new)}
