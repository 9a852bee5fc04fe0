"""Where a Service leads, by its EndpointSlices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tasks.objects.pods import ReadObject, ready

# who makes the slices of a Service by its selector, by the API's own label
MAKER_LABEL = "endpointslice.kubernetes.io/managed-by"
MAKER = "endpointslice-controller.k8s.io"


def by_hand(slices: Iterable[ReadObject]) -> set[str]:
    """The names of slices that somebody else made: no switch changes where those lead."""
    return {item["metadata"]["name"] for item in slices if not _by_selector(item)}


def _by_selector(item: ReadObject) -> bool:
    return ((item.get("metadata") or {}).get("labels") or {}).get(MAKER_LABEL) == MAKER


def leads_astray(slices: Sequence[ReadObject], pods: Sequence[ReadObject]) -> str:
    """Why a Service does not lead to exactly the ready ones of these pods; '' when it does.

    A slice without ports leads nowhere: its pods have no port of the name asked for. Slices that
    the Service's selector does not make say nothing of a switch, where others say whose they are.
    One of these pods that is led to and not ready (publishNotReadyAddresses) is no other's.
    """
    wanted = {pod["metadata"]["name"] for pod in pods if ready(pod)}
    made = [item for item in slices if _by_selector(item)]
    named: set[str] = set()
    deaf: set[str] = set()
    for item in made or slices:
        for end in item.get("endpoints") or []:
            # absent means ready, by the API's own words
            if (end.get("conditions") or {}).get("ready", True) is False:
                continue
            about = end.get("targetRef") or {}
            name = str(about.get("name") or ", ".join(end.get("addresses") or ["?"]))
            (named if item.get("ports") else deaf).add(name)
    if not wanted:
        return "no pod of the release is ready"
    if deaf & wanted:
        return f"{', '.join(sorted(deaf & wanted))} has no port of the Service's name"
    if missing := wanted - named:
        return f"it does not lead to {', '.join(sorted(missing))} yet"
    if others := named - {pod["metadata"]["name"] for pod in pods}:
        return f"it still leads to {', '.join(sorted(others))}"
    return ""
