"""Whose pods a scheduler would end for whose: a release that outranks what serves may take its
seats, whatever room was counted, as soon as one of its own is lost."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.nodes.facts import TERMINAL
from tasks.objects.pods import ReadObject, ending


def may_evict(
    template: ReadObject, priority: ReadObject | None, serving: Iterable[ReadObject]
) -> str:
    """How a release outranks what serves, in words; '' where it does not.

    template: of its pods. priority: the PriorityClass that they name; None where they name none, or
    there is none of that name. serving: pods of what serves.
    """
    if priority is None:
        return ""
    spec = template["spec"]
    how = spec.get("preemptionPolicy") or priority.get("preemptionPolicy")
    value = int(priority.get("value") or 0)
    ranks = [
        int((pod.get("spec") or {}).get("priority") or 0)
        for pod in serving
        if not ending(pod) and (pod.get("status") or {}).get("phase") not in TERMINAL
    ]
    if how == "Never" or not ranks or value <= min(ranks):
        return ""
    return (
        f"its priority class {priority['metadata']['name']} ({value}) outranks what serves "
        f"({min(ranks)}): where a seat is lost, the cluster may evict pods that serve for it"
    )
