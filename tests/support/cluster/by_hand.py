"""What somebody deployed by hand, a Deployment behind Service m, in the world of the Actor's tests;
and what adopts it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from flows.adopt import decide
from tasks.objects.labels import RELEASE_LABEL
from tasks.outside.kubernetes.actor import Actor
from tasks.release import moves
from tests.support.cluster.actor_world import NAME, NEW, NS, World, deployment, wait_ready
from tests.support.cluster.courses import once, promotes

Object = dict[str, Any]
HAND = "vllm"
SELECTOR = {"app": "vllm", "tier": "chat"}
PORTS = [{"name": "", "port": 80, "protocol": "TCP", "targetPort": 8123}]


def plain_deployment(name: str = HAND, replicas: int = 2, **meta: Any) -> Object:
    """Its pods have no label of ours, and a port without a name."""
    engine = {
        "name": "vllm",
        "image": "vllm:1",
        "args": ["serve", "/m/qwen", "--served-model-name=qwen"],
        "ports": [{"containerPort": 8123}],
        "resources": {"requests": {"cpu": "1"}},
    }
    template = {
        "metadata": {"labels": {**SELECTOR, "extra": "x"}},
        "spec": {"containers": [engine]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NS, "labels": {"team": "a"}, **meta},
        "spec": {"replicas": replicas, "template": template},
    }


def plain_service(**spec: Any) -> Object:
    """It leads there."""
    whole = {"type": "ClusterIP", "selector": dict(SELECTOR), "ports": [dict(p) for p in PORTS]}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": NS, "labels": {"team": "a"}},
        "spec": {**whole, **spec},
    }


def another_service(selector: dict[str, str], name: str = "m-internal") -> Object:
    """One more, that chooses by this selector."""
    body = plain_service(selector=selector)
    body["metadata"]["name"] = name
    return body


def by_hand(seats: int = 99) -> World:
    """It serves with two replicas; nothing is ours."""
    at = World(seats)
    at.put(plain_deployment())
    at.put(plain_service())
    return at


def adopts(actor: Actor, *, force: bool = False) -> None:
    """What the command does under its lock."""
    actor.adopt(decide(actor, None, force=force))


def adopted(seats: int = 99) -> World:
    """It has been adopted."""
    at = by_hand(seats)
    once(at, adopts)
    return at


def ident(at: World) -> str:
    """Its release."""
    return str(at.objects["Deployment", HAND]["metadata"]["labels"][RELEASE_LABEL])


def puts_new(strategy: str = "parallel") -> Callable[[Actor], None]:
    """A candidate is started, and promoted."""

    def go(actor: Actor) -> None:
        at: Any = actor.cluster
        actor.run(moves.decide_start(actor.observe(), NEW, "r", strategy, 30.0))
        actor.apply(deployment(NEW, 2))
        wait_ready(at, NS, "m-new", timeout_s=1)
        promotes(True)(actor)

    return go


def specs(at: World) -> Any:
    """What is asked for, of every object."""
    return {key: copy.deepcopy(o.get("spec") or o.get("data")) for key, o in at.objects.items()}


def promoted() -> World:
    """A new version took its place."""
    at = adopted()
    once(at, puts_new())
    assert at.harm == [] and at.leads_to() == "new"
    return at
