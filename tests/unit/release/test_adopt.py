"""What cannot be adopted, and why not; how the engine's names are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flows.adopt import adopt, allowed, decide
from tasks.base.errors import Refused
from tasks.objects.labels import FORMER_ANNOTATION, INSTANCE_LABEL, MANAGED_LABEL, MANAGER
from tasks.release.adopt import names_in
from tests.support.cluster.actor_world import NAME, NEW, World, deployment
from tests.support.cluster.by_hand import (
    HAND,
    adopts,
    by_hand,
    plain_deployment,
    plain_service,
    promoted,
    specs,
)
from tests.support.cluster.courses import once

pytestmark = pytest.mark.usefixtures("quick")
SERVICE, HANDS = ("Service", NAME), ("Deployment", HAND)


def changed(key: tuple[str, str], **meta: Any) -> World:
    at = by_hand()
    found = at.objects[key]["metadata"]
    for name, value in meta.items():
        found[name] = {**found.get(name, {}), **value} if isinstance(value, dict) else value
    return at


def with_service(**spec: Any) -> World:
    at = by_hand()
    at.put(plain_service(**spec))
    return at


def with_deployment(body: dict[str, Any]) -> World:
    at = by_hand()
    at.put(body)
    return at


def gone(key: tuple[str, str]) -> World:
    at = by_hand()
    del at.objects[key]
    return at


def broken() -> World:
    at = by_hand()
    at.broken.add(HAND)
    return at


def rolled_out() -> World:
    at = by_hand()
    at.put(deployment(NEW, 2))
    return at


def half_updated() -> World:
    """A person's edit of it does not start: its former pods answer."""

    class Half(World):
        def _control(self) -> None:
            super()._control()
            status = self.objects[HANDS].setdefault("status", {})
            status.update(replicas=3, updatedReplicas=1)

    at = by_hand()
    at.__class__ = Half
    return at


ANOTHERS = {MANAGED_LABEL: MANAGER, INSTANCE_LABEL: "other"}
REFUSED: dict[str, tuple[Callable[[], World], str]] = {
    "half an edit": (half_updated, "kubectl rollout undo deployment/"),
    "no service": (lambda: gone(SERVICE), "does not exist"),
    "a name elsewhere": (lambda: with_service(type="ExternalName"), "type ExternalName"),
    "headless, by hand": (lambda: with_service(selector=None, clusterIP="None"), "no selector"),
    "two ports": (
        lambda: with_service(ports=[{"name": "a", "port": 1}, {"name": "b", "port": 2}]),
        "none is named 'http'",
    ),
    "a selector that would choose a candidate": (
        lambda: with_service(selector={INSTANCE_LABEL: NAME}),
        "every candidate as well",
    ),
    "another rollout's service": (lambda: changed(SERVICE, labels=ANOTHERS), "rollout other"),
    "another rollout's deployment": (lambda: changed(HANDS, labels=ANOTHERS), "rollout other"),
    "no deployment": (lambda: gone(HANDS), "none; one is needed"),
    "two deployments": (lambda: with_deployment(plain_deployment("b", 0)), "b, vllm; one"),
    "nothing ready": (broken, "no ready replica"),
    "helm": (
        lambda: changed(HANDS, labels={MANAGED_LABEL: "Helm"}),
        f"Deployment models/vllm: {MANAGED_LABEL} is Helm",
    ),
    "argo": (
        lambda: changed(SERVICE, annotations={"argocd.argoproj.io/tracking-id": "a:b"}),
        "tracking-id is a:b",
    ),
    "a field manager": (
        lambda: changed(SERVICE, managedFields=[{"manager": "argocd-controller"}]),
        "argocd-controller writes it",
    ),
    "an owner": (
        lambda: changed(HANDS, ownerReferences=[{"kind": "LLM", "name": "qwen"}]),
        "belongs to LLM qwen",
    ),
    "a rollout with a life of its own": (rolled_out, "it knows of m-new"),
    "a service that is ours already": (promoted, "is rollout m's already and leads to release new"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_anything_is_changed(name: str) -> None:
    begin, said = REFUSED[name]
    at = begin()
    before, writes = specs(at), len(at.writes)
    with pytest.raises(Refused, match=said):
        allowed(at.actor(), decide(at.actor(), None, force=False))
    assert specs(at) == before and len(at.writes) == writes


def test_which_deployment_is_named() -> None:
    at = with_deployment(plain_deployment("b", 0))
    assert decide(at.actor(), HAND, force=False).release.deployment == HAND
    with pytest.raises(Refused, match="Deployment models/c is not among them"):
        decide(at.actor(), "c", force=False)
    at.put(plain_deployment("b", 1))
    with pytest.raises(Refused, match="not Deployment models/vllm's as well: b-0"):
        decide(at.actor(), HAND, force=False)


def test_force_says_what_would_fight() -> None:
    at = changed(HANDS, labels={MANAGED_LABEL: "Helm"})
    found = decide(at.actor(), None, force=True)
    assert "Helm: it may write back what a rollout changes" in found.warnings[0]
    once(at, lambda actor: adopts(actor, force=True))
    former = at.objects[HANDS]["metadata"]["annotations"][FORMER_ANNOTATION]
    assert f'"{MANAGED_LABEL}": "Helm"' in former


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["vllm", "serve", "o/m", "--port=1"], ("o/m", "o/m")),
        (["python3", "-m", "x", "--model", "/m", "--served-model-name", "a", "b"], ("/m", "a")),
        (["sh", "-c", "exec vllm serve '/m' --served-model-name=a"], ("/m", "a")),
        (["vllm", "serve", "$(MODEL)"], ("", "")),
        (["vllm", "serve", "/m", "--served-model-name=${NAME}"], ("/m", "")),
        (["start.sh"], ("", "")),
    ],
)
def test_names_in_arguments(arguments: list[str], names: tuple[str, str]) -> None:
    assert names_in(arguments) == names


@pytest.mark.parametrize("name", ["x" * 46, "m-candidate", "M"])
def test_a_name_that_no_rollout_can_have(name: str) -> None:
    actor = by_hand().actor()
    actor.name = name
    with pytest.raises(Refused, match="no rollout can be called"):
        decide(actor, None, force=False)


def test_a_service_of_another_name() -> None:
    with pytest.raises(Refused, match="call the rollout chat"):
        adopt("m", "models", service="chat")
