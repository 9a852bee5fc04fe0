"""Which nodes a release is held to: by host name, those that its weights were brought to. A node
pool that is upgraded gives its nodes other names, and takes all of them away.

A release is held to other nodes only while it asks for no pod and has none: whoever answers is left
as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

from tasks.base.errors import StepFailed
from tasks.nodes.facts import api_facts
from tasks.objects.labels import RELEASE_LABEL
from tasks.objects.made import PLACED, placed_mark
from tasks.objects.pods import Object, ReadObject
from tasks.objects.reached import reached_of
from tasks.objects.replicas import available_of
from tasks.release.seats.room import room_for

HOSTNAME = "kubernetes.io/hostname"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def pinned(deploy: ReadObject) -> tuple[str, ...]:
    """The host names that a release may run on, alone; () where nothing holds it to any, or it was
    adopted: that is its owner's to say."""
    terms = _terms(deploy)
    found = [_names(term) for term in terms]
    if reached_of(deploy) or not found or not all(found):
        return ()
    return tuple(sorted({name for names in found for name in names}))


def unpinned(deploy: ReadObject) -> Object:
    """The same Deployment, held to no host name."""
    out: Object = copy.deepcopy(dict(deploy))
    affinity = out["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    terms = []
    for term in affinity[_REQUIRED]["nodeSelectorTerms"]:
        rest = [rule for rule in term.get("matchExpressions") or [] if not _is_pin(rule)]
        terms.append({**term, "matchExpressions": rest})
    if all(term["matchExpressions"] or term.get("matchFields") for term in terms):
        affinity[_REQUIRED]["nodeSelectorTerms"] = terms
    else:  # one of them asks for nothing else: any node will do
        del affinity[_REQUIRED]
    return out


def why_stranded(
    deploy: ReadObject, nodes: Sequence[ReadObject], pods: Sequence[ReadObject]
) -> str:
    """Why no pod of a release can be placed, though it asks for some: the nodes that it is held to
    are gone, or take none of its pods, with all of its own gone. '' where one could be placed.

    nodes, pods: of the whole cluster.
    """
    names = pinned(deploy)
    its = (deploy["metadata"].get("labels") or {}).get(RELEASE_LABEL)
    if not names or room_for(deploy, nodes, pods, its).most_instead:
        return ""
    return f"{deploy['metadata']['name']} may run {_where(names, nodes)}"


def some_gone(deploy: ReadObject, nodes: Iterable[ReadObject]) -> str:
    """That nodes which a release is held to are gone, in words; '' where all are there."""
    names = pinned(deploy)
    there = {_host(node) for node in nodes}
    if set(names) <= there:
        return ""
    return f"{deploy['metadata']['name']} may run {_where(names, nodes)}"


def places(
    deploy: ReadObject, nodes: Iterable[ReadObject], pods: Sequence[ReadObject]
) -> dict[str, int]:
    """The nodes that have room for replicas of a release that is held to none of them, by name, and
    for how many."""
    free = unpinned(deploy)
    its = (deploy["metadata"].get("labels") or {}).get(RELEASE_LABEL)
    found = {
        node["metadata"]["name"]: room_for(free, [node], pods, its).most_instead for node in nodes
    }
    return {name: seats for name, seats in found.items() if seats}


def held_to(found: ReadObject, uid: str, nodes: Iterable[ReadObject]) -> dict[str, Any]:
    """The patch that holds a Deployment, as it was just read, to these nodes.

    Raises StepFailed where it is another one by now, or asks for pods, or has some that answer.
    """
    meta, name = found["metadata"], found["metadata"]["name"]
    asked = int(found["spec"].get("replicas", 1))
    why = ""
    if meta.get("uid") != uid:
        why = f"it was Deployment {uid} and is {meta.get('uid')} now: somebody made it anew"
    elif asked or available_of(found):
        why = f"it asks for {asked} replica(s) again, {available_of(found)} answer(s)"
    elif not pinned(found):
        why = "it is not held to nodes by their host names any more"
    if why:
        raise StepFailed(f"{name} is not placed on other nodes: {why}; run the rollout again")
    template = copy.deepcopy(dict(found["spec"]["template"]))
    affinity = template["spec"]["affinity"]["nodeAffinity"]
    hosts = sorted({_host(node) for node in nodes})
    for term in affinity[_REQUIRED]["nodeSelectorTerms"]:
        term["matchExpressions"] = [
            {**rule, "values": hosts} if _is_pin(rule) else rule
            for rule in term["matchExpressions"]
        ]
    return {
        "metadata": {"annotations": {PLACED: placed_mark(found, template)}},
        "spec": {"template": {"spec": {"affinity": {"nodeAffinity": affinity}}}},
    }


def _terms(deploy: ReadObject) -> Sequence[ReadObject]:
    affinity = (deploy["spec"]["template"]["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    return (affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or []


def _is_pin(rule: ReadObject) -> bool:
    return rule.get("key") == HOSTNAME and rule.get("operator") == "In"


def _names(term: ReadObject) -> list[str]:
    rules = [rule for rule in term.get("matchExpressions") or [] if _is_pin(rule)]
    return [str(name) for rule in rules for name in rule.get("values") or []]


def _host(node: ReadObject) -> str:
    return api_facts(node).hostname


def _where(names: Sequence[str], nodes: Iterable[ReadObject]) -> str:
    there = {_host(node) for node in nodes}
    gone = [name for name in names if name not in there]
    left = [name for name in names if name in there]
    said = [f"{', '.join(gone)} {'is' if len(gone) == 1 else 'are'} gone"] if gone else []
    if left:
        takes = "takes" if len(left) == 1 else "take"
        said.append(f"{', '.join(left)} {takes} no more of its pods")
    return f"on {', '.join(names)} alone: {' and '.join(said)}"
