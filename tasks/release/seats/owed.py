"""Seats that look free and are another rollout's of ours: lent, freed for its candidate, or what it
needs for its way back. Who counts room counts them as taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from tasks.nodes.facts import (
    TERMINAL,
    Amounts,
    ApiFacts,
    add,
    api_facts,
    group_pods,
    pod_requests,
)
from tasks.nodes.rules_api import CLAIMS
from tasks.objects.labels import INSTANCE_LABEL, RELEASE_LABEL
from tasks.objects.pods import Object, ReadObject
from tasks.objects.replicas import replicas_of
from tasks.release.seats.room import takes
from tasks.release.state import Release, State

Rolled = tuple[str, str]  # namespace, name
_ZERO = Decimal(0)
# of a template: which nodes its pods may be placed on
_PLACED_BY = ("nodeSelector", "affinity", "tolerations", "resourceClaims")
# nobody here can count devices that are asked for by claim: each node may have some
_UNCOUNTED = Decimal(1 << 20)


@dataclass(frozen=True)
class Owed:
    """Replicas of one Deployment that its rollout is to have, `of` in all, `missing` now.

    pods: stand for what they need beyond what that rollout holds; without a node where none has
    room for it.
    """

    rollout: str
    deployment: str
    missing: int
    of: int
    pods: tuple[Object, ...] = ()

    def __str__(self) -> str:
        return (
            f"rollout {self.rollout} is owed {self.missing} of the {self.of} replica(s) of "
            f"{self.deployment}"
        )


def owed(
    deployments: Iterable[ReadObject],
    states: Mapping[Rolled, State],
    nodes: Iterable[ReadObject],
    pods: Iterable[ReadObject],
    mine: Rolled,
) -> tuple[Owed, ...]:
    """What all rollouts but `mine` are to have and do not have.

    deployments: engines of every rollout. states: those that can be read; of a rollout without one
    nobody knows which release serves, and each may. nodes, pods: of the whole cluster.
    """
    engines: dict[Rolled, list[ReadObject]] = {}
    for item in deployments:
        meta = item["metadata"]
        key = meta.get("namespace", ""), (meta.get("labels") or {}).get(INSTANCE_LABEL, "")
        engines.setdefault(key, []).append(item)
    pods = [p for p in pods if (p.get("status") or {}).get("phase") not in TERMINAL]
    by_node = group_pods(pods)
    there = _Nodes(tuple(api_facts(n, by_node.get(n["metadata"]["name"], ())) for n in nodes))
    out = []
    for key in sorted(engines.keys() - {mine}):
        out += _of_rollout(key, _due(states.get(key), engines[key]), pods, there)
    return tuple(out)


def _due(state: State | None, engines: Sequence[ReadObject]) -> list[ReadObject]:
    """The Deployments of which a rollout must be able to have all replicas: of what serves; of what
    is tested, or may have to serve again, while it is under way. One at a time, not together."""
    if state is None or (state.stable is None and state.candidate is None):
        return list(engines)
    named: list[Release | None] = [state.stable]
    if state.phase in ("testing", "promoting", "held"):
        named.append(state.candidate)
    elif state.phase not in ("idle", "proven"):
        named.append(state.previous)
    wanted = {item.deployment for item in named if item}
    return [item for item in engines if item["metadata"]["name"] in wanted]


class _Nodes:
    """What is free on each node, less and less."""

    def __init__(self, facts: tuple[ApiFacts, ...]) -> None:
        self.facts = facts
        self.free = {
            f.name: {CLAIMS: _UNCOUNTED, **{n: f.free(n) for n in f.allocatable}} for f in facts
        }

    def take(self, extra: Mapping[str, Amounts]) -> None:
        for node, amounts in extra.items():
            self.free[node] = add(self.free[node], {n: -v for n, v in amounts.items()})


@dataclass(frozen=True)
class _Claim:
    """extra: by node, beyond what the rollout holds there. unplaced: replicas that no node has room
    for."""

    owed: Owed
    extra: Mapping[str, Amounts]
    unplaced: int
    deploy: ReadObject


def _of_rollout(
    key: Rolled, due: Sequence[ReadObject], pods: Sequence[ReadObject], nodes: _Nodes
) -> list[Owed]:
    mine = [pod for pod in pods if _key_of(pod) == key]
    claims = [claim for item in due if (claim := _claim(key, item, mine, nodes))]
    if not claims:
        return []
    # each alone has room in what all of them come to
    most: dict[str, Amounts] = {}
    for claim in claims:
        for node, amounts in claim.extra.items():
            have = most.get(node, {})
            most[node] = {n: max(have.get(n, _ZERO), amounts.get(n, _ZERO)) for n in have | amounts}
    nodes.take(most)
    worst = max(claims, key=lambda claim: claim.unplaced)
    waiting = sum(not (pod.get("spec") or {}).get("nodeName") for pod in mine)
    need = pod_requests(worst.deploy["spec"]["template"]["spec"])
    stand = []
    for node, amounts in most.items():
        held = int(amounts.pop(CLAIMS, _ZERO))  # one a pod
        stand.append(_stands_for(key, worst.deploy, amounts, node, claims=held > 0))
        stand += [_stands_for(key, worst.deploy, {}, node, claims=True)] * (held - 1)
    # those that wait already speak for themselves
    stand += [_stands_for(key, worst.deploy, need, "")] * max(0, worst.unplaced - waiting)
    first, *rest = [claim.owed for claim in claims]
    return [replace(first, pods=tuple(stand)), *rest]


def _claim(
    key: Rolled, deploy: ReadObject, mine: Sequence[ReadObject], nodes: _Nodes
) -> _Claim | None:
    """What a Deployment lacks; None where it has all it is to have."""
    found = replicas_of(deploy)
    of = found.serves_with if found.stopped else found.asked
    template, labels = deploy["spec"]["template"]["spec"], deploy["metadata"]["labels"]
    release = labels.get(RELEASE_LABEL)
    bound = [pod for pod in mine if (pod.get("spec") or {}).get("nodeName")]
    own = sum((p["metadata"].get("labels") or {}).get(RELEASE_LABEL) == release for p in bound)
    missing = of - own
    if missing <= 0:
        return None
    # what its other releases hold is its own to use: they go before it comes
    cover: dict[str, Amounts] = {}
    for pod in bound:
        if (pod["metadata"].get("labels") or {}).get(RELEASE_LABEL) != release:
            node = pod["spec"]["nodeName"]
            cover[node] = add(cover.get(node, {}), _asks(pod["spec"]))
    need = {n: v for n, v in _asks(template).items() if v > 0}
    fit = [fact.name for fact in nodes.facts if takes(template, fact)]
    free = {name: dict(nodes.free[name]) for name in fit}
    extra: dict[str, Amounts] = {}
    unplaced = 0
    for _ in range(missing):
        lacks = {name: _beyond(need, cover.get(name, {})) for name in fit}
        there = [
            name
            for name in fit
            if all(free[name].get(n, _ZERO) >= value for n, value in lacks[name].items())
        ]
        if not there:
            unplaced += 1
            continue
        # where it holds most of it already
        node = min(there, key=lambda name: (sum(lacks[name].values()), name))
        extra[node] = add(extra.get(node, {}), lacks[node])
        free[node] = add(free[node], {n: -v for n, v in lacks[node].items()})
        cover[node] = _beyond(cover.get(node, {}), need)
    name = deploy["metadata"]["name"]
    short = sum(1 for amounts in extra.values() if any(amounts.values())) + unplaced
    if not short:
        return None
    said = Owed("/".join(key), name, missing, of)
    return _Claim(said, {n: a for n, a in extra.items() if any(a.values())}, unplaced, deploy)


def _asks(spec: ReadObject) -> Amounts:
    """A claim of devices counts as one of which a pod holds one."""
    claims = {CLAIMS: Decimal(1)} if spec.get("resourceClaims") else {}
    return {**pod_requests(spec), **claims}


def _beyond(need: Amounts, have: Amounts) -> Amounts:
    return {n: left for n, v in need.items() if (left := v - have.get(n, _ZERO)) > 0}


def _key_of(pod: ReadObject) -> Rolled:
    meta = pod["metadata"]
    return meta.get("namespace", ""), (meta.get("labels") or {}).get(INSTANCE_LABEL, "")


def _stands_for(
    key: Rolled, deploy: ReadObject, amounts: Amounts, node: str, *, claims: bool = False
) -> Object:
    """A pod that is not there, and has these amounts of a node. claims: and devices by claim."""
    meta = deploy["metadata"]
    marks = {label: meta["labels"][label] for label in (INSTANCE_LABEL, RELEASE_LABEL)}
    requests = {name: format(value, "f") for name, value in amounts.items()}
    template = deploy["spec"]["template"]["spec"]
    rules = {} if node else {k: template[k] for k in _PLACED_BY if k in template}
    if claims:
        rules["resourceClaims"] = [{"name": "devices"}]
    return {
        "metadata": {"namespace": key[0], "name": meta["name"], "labels": marks},
        "spec": {**rules, "nodeName": node, "containers": [{"resources": {"requests": requests}}]},
        "status": {"phase": "Pending"},
    }
