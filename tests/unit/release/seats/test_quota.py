"""A quota that is used up by what stops first refuses nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.release.seats.quota import given_back, lacking, opens
from tasks.release.seats.scopes import holds

HEAD = 'POST pods is forbidden (403): pods "m-old-x" is forbidden: exceeded quota: q, '
TAIL = "; a quota or admission rule refused it; change the object or the rule"


def said(asked: str, used: str, limited: str) -> str:
    return f"{HEAD}requested: {asked}, used: {used}, limited: {limited}{TAIL}"


def pod(cpu: str = "2", limit: str = "3") -> dict[str, Any]:
    resources = {"requests": {"cpu": cpu, "d/gpu": "1"}, "limits": {"cpu": limit, "d/gpu": "1"}}
    return {"containers": [{"resources": resources}]}


@pytest.mark.parametrize(
    ("words", "back"),
    [
        (said("cpu=2", "cpu=4", "cpu=4"), True),  # both are its own
        (said("requests.cpu=2", "requests.cpu=4", "requests.cpu=4"), True),
        (said("limits.cpu=3", "limits.cpu=6", "limits.cpu=6"), True),
        (said("requests.d/gpu=1", "requests.d/gpu=2", "requests.d/gpu=2"), True),
        (said("pods=1", "pods=9", "pods=9"), True),
        (said("count/pods=1", "count/pods=9", "count/pods=9"), True),
        (said("cpu=2,pods=1", "cpu=4,pods=2", "cpu=4,pods=2"), True),
        (said("cpu=2", "cpu=4", "cpu=3"), False),  # lowered since
        (said("cpu=2,pods=1", "cpu=4,pods=2", "cpu=4,pods=1"), False),
        (said("cpu=2500m", "cpu=4", "cpu=4"), False),  # admission makes it larger than it was
        (said("memory=1Gi", "memory=4Gi", "memory=4Gi"), False),  # others have it
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest"', False),
    ],
)
def test_what_its_own_pods_hold_is_theirs_again(words: str, back: bool) -> None:
    assert given_back(words, [pod(), pod()], 2) is back


def test_what_takes_its_place_has_what_it_frees_and_no_more() -> None:
    words = said("cpu=2", "cpu=4", "cpu=5")
    assert given_back(words, [pod(), pod()], 2) and not given_back(words, [pod(), pod()], 3)
    # an init container counts as the scheduler counts it
    starting = {**pod("1"), "initContainers": [{"resources": {"requests": {"cpu": "4"}}}]}
    assert given_back(said("cpu=4", "cpu=4", "cpu=4"), [starting], 1)


@pytest.mark.parametrize(
    ("words", "gone", "open_then"),
    [
        (said("cpu=2", "cpu=4", "cpu=4"), 1, True),
        (said("cpu=4", "cpu=4", "cpu=4"), 1, True),  # others may give up the rest
        (said("cpu=5", "cpu=4", "cpu=4"), 1, False),  # nobody ever gives as much
        (said("memory=1Gi", "memory=4Gi", "memory=4Gi"), 1, False),  # it has none of that
        (said("memory=1Gi,pods=1", "memory=4Gi,pods=4", "memory=4Gi,pods=4"), 1, True),
        (said("cpu=2", "cpu=4", "cpu=4"), 0, True),  # of whom nobody knows anything
        ("exceeded quota: q", 1, True),
    ],
)
def test_who_waits_for_a_quota_waits_for_what_is_in_it(
    words: str, gone: int, open_then: bool
) -> None:
    assert opens(words, [pod()] * gone) is open_then


# -- the others, which the API server does not name -------------------------------------------


def quota(hard: dict[str, str], used: dict[str, str], name: str = "m", **spec: Any) -> Any:
    return {
        "metadata": {"name": name},
        "spec": {"hard": hard, **spec},
        "status": {"hard": spec.pop("was", hard), "used": used},
    }


@pytest.mark.parametrize(
    ("name", "each"),
    [
        ("cpu", 2),
        ("requests.cpu", 2),
        ("limits.cpu", 3),
        ("requests.d/gpu", 1),
        ("memory", 2**30),
        ("requests.memory", 2**30),
        ("ephemeral-storage", 2**30),
        ("requests.ephemeral-storage", 2**30),
        ("requests.hugepages-2Mi", 2**30),
        ("pods", 1),
        ("count/pods", 1),
    ],
)
def test_each_quota_is_asked_what_two_more_pods_would_have(name: str, each: int) -> None:
    mine = pod()
    for kind in ("memory", "ephemeral-storage", "hugepages-2Mi"):
        mine["containers"][0]["resources"]["requests"][kind] = "1Gi"
    room = quota({name: str(each * 2), "services": "0"}, {name: str(each * 2), "services": "9"})
    assert lacking([room], mine, [mine, mine], 2) == ""
    assert lacking([room], mine, [mine, mine], 0) == ""
    # the second of three; one of the two stays; one more than there were; lowered since
    assert f"quota m would be exceeded: {name}: " in lacking([room, room], mine, [mine], 2)
    assert lacking([room], mine, [mine, mine], 3)
    assert lacking([quota({name: str(each)}, {name: str(each * 2)})], mine, [mine, mine], 2)
    assert lacking([quota({name: "0"}, {name: "0"})], {"containers": [{}]}, [], 1) == (
        f"quota m would be exceeded: {name}: 1 requested, 0 used by others, limited to 0"
        if "pods" in name
        else ""
    )


def test_the_lower_number_counts_and_none_at_all_lets_nobody_in() -> None:
    raised = quota({"cpu": "9"}, {"cpu": "0"}, was={"cpu": "1"})
    raised["status"]["hard"] = {"cpu": "1"}
    assert "limited to 1" in lacking([raised], pod(), [], 1)
    new = {"metadata": {"name": "n"}, "spec": {"hard": {"cpu": "9"}}}
    assert lacking([new], pod(), [], 1) == "quota n does not say yet how much cpu is used"


def test_what_is_made_beside_the_pods_counts_where_a_quota_counts_objects() -> None:
    makes, full = ["count/deployments.apps"], {"count/deployments.apps": "2"}
    assert lacking([quota(full, full)], pod(), [], 1, makes)
    assert not lacking([quota(full, full)], pod(), [], 1)
    assert not lacking([quota(full, {"count/deployments.apps": "1"})], pod(), [], 1, makes)


def scope(name: str, operator: str = "Exists", *values: str) -> dict[str, Any]:
    one = {"scopeName": name, "operator": operator, **({"values": [*values]} if values else {})}
    return {"scopeSelector": {"matchExpressions": [one]}}


def across(kind: str, **term: Any) -> dict[str, Any]:
    how = "preferredDuringSchedulingIgnoredDuringExecution"
    return {"affinity": {kind: {how: [{"weight": 1, "podAffinityTerm": term}]}}}


@pytest.mark.parametrize(
    ("spec", "fields", "held"),
    [
        ({}, {}, True),
        ({"scopes": ["Terminating"]}, {}, False),
        ({"scopes": ["Terminating"]}, {"activeDeadlineSeconds": 0}, True),
        ({"scopes": ["NotTerminating"]}, {}, True),
        ({"scopes": ["NotTerminating"]}, {"activeDeadlineSeconds": 9}, False),
        ({"scopes": ["BestEffort"]}, {}, False),
        ({"scopes": ["NotBestEffort"]}, {}, True),
        ({"scopes": ["BestEffort"]}, {"containers": [{}]}, True),
        ({"scopes": ["NotBestEffort"]}, {"containers": [{}]}, False),
        ({"scopes": ["NotBestEffort", "Terminating"]}, {}, False),
        (scope("PriorityClass"), {}, False),
        (scope("PriorityClass"), {"priorityClassName": "high"}, True),
        (scope("PriorityClass", "DoesNotExist"), {}, True),
        (scope("PriorityClass", "In", "high"), {}, False),
        (scope("PriorityClass", "In", "high"), {"priorityClassName": "high"}, True),
        (scope("PriorityClass", "In", "high"), {"priorityClassName": "low"}, False),
        (scope("PriorityClass", "NotIn", "high"), {}, True),
        (scope("PriorityClass", "NotIn", "high"), {"priorityClassName": "high"}, False),
        ({"scopes": ["CrossNamespacePodAffinity"]}, {}, False),
        ({"scopes": ["CrossNamespacePodAffinity"]}, across("podAffinity", topologyKey="z"), False),
        ({"scopes": ["CrossNamespacePodAffinity"]}, across("podAffinity", namespaces=["n"]), True),
        (
            {"scopes": ["CrossNamespacePodAffinity"]},
            across("podAntiAffinity", namespaceSelector={}),
            True,
        ),
        (scope("VolumeAttributesClass"), {}, False),
    ],
)
def test_a_quota_of_other_pods_counts_neither_for_nor_against(
    spec: dict[str, Any], fields: dict[str, Any], held: bool
) -> None:
    mine = {**pod(), **fields}
    full = quota({"pods": "1"}, {"pods": "1"}, "q", **spec)
    assert holds(full, mine) is held
    assert bool(lacking([full], mine, [], 1)) is held
    # what goes gives back where it was counted alone, whoever says that it is full
    words = said("pods=1", "pods=1", "pods=1")
    assert given_back(words, [mine], 1, [full]) is held
    assert not lacking([full], mine, [mine], 1)
