"""Whether a quota that is used up refuses a release: pods that stop first give their part back.

The API server names the first quota that is exceeded and looks at no other: who believes that this
one will do has to ask the others (`lacking`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from tasks.nodes.facts import Amounts, pod_requests, quantities
from tasks.objects.pods import ReadObject
from tasks.release.seats.scopes import holds, scoped

# the API server's words, of all that one quota lacks
_USED_UP = re.compile(r"exceeded quota: ([^,]+), requested: (\S+), used: (\S+), limited: ([^\s;]+)")
_PODS = ("pods", "count/pods")


def given_back(
    said: str, gone: Iterable[ReadObject], count: int, quotas: Iterable[ReadObject] = ()
) -> bool:
    """Whether a refusal is of a quota alone, and `count` such pods have room in it once others are
    gone. said: the API server's words on one pod. gone: PodSpecs of those that stop before. quotas:
    of the namespace, where they are known: only pods that the one in question counts give it back.
    """
    found = _USED_UP.search(said)
    if found is None:
        return False
    asked, used, limited = (_amounts(text) for text in found.groups()[1:])
    its = [quota for quota in quotas if quota["metadata"]["name"] == found.group(1)]
    gone = [pod for pod in gone if all(holds(quota, pod) for quota in its)]
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
    asked, _, limited = (_amounts(text) for text in found.groups()[1:])
    if any(amount > limited.get(name, amount) for name, amount in asked.items()):
        return False
    return any(_use(pod, name) for pod in gone for name in asked)


def lacking(
    quotas: Iterable[ReadObject],
    pod: ReadObject,
    gone: Iterable[ReadObject],
    count: int,
    makes: Iterable[str] = (),
) -> str:
    """Which quota has no room for `count` such pods once others are gone, in words; '' for none.

    quotas: ResourceQuotas of the namespace. pod: its PodSpec as it is admitted. gone: PodSpecs of
    those that stop before. makes: other objects that are made beside, as a quota names their number
    ('count/deployments.apps').
    """
    gone, makes = list(gone), set(makes)
    for quota in quotas:
        inside, others = holds(quota, pod), makes if not scoped(quota) else set()
        freed = [item for item in gone if holds(quota, item)]
        most, used = _hard(quota), quantities((quota.get("status") or {}).get("used"))
        for name, limit in sorted(most.items()):
            asked = _use(pod, name) * count if inside else Decimal(0)
            asked += name in others
            if not asked:
                continue
            whose = f"quota {quota['metadata']['name']}"
            if name not in used:  # the API server lets nobody in before
                return f"{whose} does not say yet how much {name} is used"
            back = sum((_use(item, name) for item in freed), Decimal(0))
            if used[name] - back + asked > limit:
                return (
                    f"{whose} would be exceeded: {name}: {_plain(asked)} requested, "
                    f"{_plain(used[name] - back)} used by others, limited to {_plain(limit)}"
                )
    return ""


def _hard(quota: ReadObject) -> Amounts:
    """The API server goes by what the status says; a number that was lowered gets there soon."""
    asked = quantities((quota.get("spec") or {}).get("hard"))
    found = quantities((quota.get("status") or {}).get("hard"))
    return {name: min(limit, found.get(name, limit)) for name, limit in asked.items()}


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


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
