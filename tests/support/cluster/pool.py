"""A cluster whose nodes have names, and get other ones: a node pool that is upgraded."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from tasks.release.course import views_of
from tasks.release.memory.terms import with_terms
from tasks.release.seats import pins
from tasks.release.state import Release, to_configmap
from tasks.render.release import node_affinity
from tests.support.cluster import actor_world
from tests.support.cluster.actor_world import NS, OLD, OLDER, World
from tests.support.cluster.tight import known
from tests.support.nodedata import make_spec

BEFORE, AFTER = ("pool-v1-a", "pool-v1-b"), ("pool-v2-a", "pool-v2-b")


class Pool(World):
    """Nodes of these names, two seats each; a pod is placed only where its release may run."""

    names: tuple[str, ...] = BEFORE
    closed: tuple[str, ...] = ()

    def _control(self) -> None:
        super()._control()
        for item in self._deployments():
            hosts = pins.pinned(item)
            if hosts and not set(hosts) & set(self.names):
                item["status"] = {"availableReplicas": 0}

    def _pod(self, item: Any, number: object, ready: str) -> Any:
        pod = super()._pod(item, number, ready)
        pod["spec"]["nodeName"] = pins.pinned(item)[0] if pins.pinned(item) else self.names[0]
        return pod

    def _nodes(self) -> list[Any]:
        (plain,) = super()._nodes()
        return [self._node(plain, name) for name in self.names]

    def _node(self, plain: Any, name: str) -> Any:
        item = copy.deepcopy(plain)
        item["metadata"] = {"name": name, "labels": {"kubernetes.io/hostname": name}}
        item["status"]["allocatable"]["cpu"] = "2"
        item["spec"]["unschedulable"] = name in self.closed
        return item


def pinned_body(release: Release, replicas: int) -> Any:
    out = known(release, replicas)
    out["spec"]["template"]["spec"]["affinity"] = node_affinity(BEFORE)
    return out


def pool(names: tuple[str, ...] = AFTER, **more: Any) -> Pool:
    """`old` serves and `older` served before; every node has another name by now."""
    at = actor_world.world(seats=99)
    at.__class__ = Pool
    assert isinstance(at, Pool)
    at.put(pinned_body(OLD, 2))
    at.put(pinned_body(OLDER, 0))
    spec = make_spec({"name": "m", "namespace": NS}).model_dump(mode="json", exclude_defaults=True)
    state = with_terms(at.actor().observe().state, "old", spec=spec)
    state = with_terms(state, "older", spec=spec)
    made = {item.release: item.made for item in views_of(at._deployments()).values()}
    at.put(to_configmap(replace(state, made=made, **more), NS))
    at.names = names
    at.may_interrupt = True
    at.writes.clear()
    return at
