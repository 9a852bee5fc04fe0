"""What we took from what serves, told by its Deployment and the Service alone: no memory is asked,
and nothing else that may be unreadable."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.objects.labels import INSTANCE_LABEL, RELEASE_LABEL
from tasks.objects.ours import is_ours
from tasks.objects.pods import Object, ReadObject, ending
from tasks.objects.reached import chooses, release_labelled
from tasks.objects.replicas import available_of, replicas_of


def taken_of(
    name: str, service: ReadObject | None, deployments: Iterable[Object]
) -> tuple[list[Object], list[Object]]:
    """The Deployments that Service `name` leads to and that ask for fewer replicas than they serve
    with, because we made it so; and the others of the rollout that run.

    deployments: all of the namespace. What somebody else scaled is left out: that is theirs.
    """
    every = [item for item in deployments if not ending(item) and _may_be_ours(item, name)]
    led = _led_to(service, every)
    rest = [i for i in every if i not in led and is_ours(i, name, "engine") and _runs(i)]
    return [item for item in led if replicas_of(item).stopped], rest


def _may_be_ours(item: ReadObject, name: str) -> bool:
    """No other rollout's. One that lost its labels still carries what we noted as we scaled it."""
    whose = (item["metadata"].get("labels") or {}).get(INSTANCE_LABEL, name)
    return bool(whose == name and (is_ours(item, name, "engine") or replicas_of(item).stopped))


def _runs(item: ReadObject) -> bool:
    return replicas_of(item).asked > 0 or available_of(item) > 0


def _led_to(service: ReadObject | None, deployments: list[Object]) -> list[Object]:
    """By the pods that its selector chooses; where those are none's, by the release that it names:
    a selector that somebody bent, or changed, chooses nothing."""
    if service is None:
        return []
    chosen = service["spec"].get("selector") or {}
    found = [item for item in deployments if chooses(chosen, _pod_labels(item))]
    marks = service["metadata"].get("labels") or {}
    named = chosen.get(RELEASE_LABEL) or marks.get(RELEASE_LABEL)
    if found or not chosen or not named:
        return found
    return [item for item in deployments if release_labelled(item) == named]


def _pod_labels(item: ReadObject) -> dict[str, str]:
    return dict(item["spec"]["template"].get("metadata", {}).get("labels") or {})
