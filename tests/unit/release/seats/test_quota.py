"""A quota that is used up by what stops first refuses nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.release.seats.quota import given_back, opens

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
