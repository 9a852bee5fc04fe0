"""Whether a quota that is used up refuses a release: pods that stop first give their part back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from tasks.nodes.facts import Amounts, pod_requests, quantities
from tasks.objects.pods import ReadObject

# the API server's words, of all that one quota lacks
_USED_UP = re.compile(r"exceeded quota: [^,]+, requested: (\S+), used: (\S+), limited: ([^\s;]+)")
_PODS = ("pods", "count/pods")


def given_back(said: str, gone: Iterable[ReadObject], count: int) -> bool:
    """Whether a refusal is of a quota alone, and `count` such pods have room in it once others are
    gone. said: the API server's words on one pod. gone: PodSpecs of those that stop before."""
    found = _USED_UP.search(said)
    if found is None:
        return False
    asked, used, limited = (_amounts(text) for text in found.groups())
    gone = list(gone)
    for name, amount in asked.items():
        freed = sum((_use(pod, name) for pod in gone), Decimal(0))
        if used.get(name, Decimal(0)) - freed + amount * count > limited.get(name, Decimal(0)):
            return False
    return True


def opens(said: str, gone: Iterable[ReadObject]) -> bool:
    """Whether a quota that refused a pod may let it in once others are gone: they have some of what
    it lacks, and it does not ask for more than there is at all. said, gone: as above; words that
    nobody can read, and of nobody who goes, it may."""
    found, gone = _USED_UP.search(said), list(gone)
    if found is None or not gone:
        return True
    asked, _, limited = (_amounts(text) for text in found.groups())
    if any(amount > limited.get(name, amount) for name, amount in asked.items()):
        return False
    return any(_use(pod, name) for pod in gone for name in asked)


def _amounts(text: str) -> Amounts:
    """'pods=1,requests.cpu=500m'."""
    return quantities(dict(part.partition("=")[::2] for part in text.split(",")))


def _use(pod: ReadObject, name: str) -> Decimal:
    """What a pod has of a quota's resource."""
    if name in _PODS:
        return Decimal(1)
    if name.startswith("limits."):
        return pod_requests(_limits(pod)).get(name.removeprefix("limits."), Decimal(0))
    return pod_requests(pod).get(name.removeprefix("requests."), Decimal(0))


def _limits(pod: ReadObject) -> dict[str, Any]:
    """The PodSpec with its limits alone."""

    def bare(holder: Any) -> dict[str, Any]:
        limits = (holder.get("resources") or {}).get("limits") or {}
        return {**holder, "resources": {"limits": limits}}

    groups = {key: [bare(item) for item in pod.get(key) or ()] for key in _GROUPS}
    return bare({**pod, **groups})


_GROUPS = ("initContainers", "containers")
