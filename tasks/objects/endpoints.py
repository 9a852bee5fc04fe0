"""Where a Service leads, by its EndpointSlices."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.objects.pods import ReadObject, ready


def leads_astray(slices: Sequence[ReadObject], pods: Sequence[ReadObject]) -> str:
    """Why a Service does not lead to exactly the ready ones of these pods; '' when it does.

    A slice without ports leads nowhere: its pods have no port of the name asked for.
    """
    wanted = {pod["metadata"]["name"] for pod in pods if ready(pod)}
    named: set[str] = set()
    deaf: set[str] = set()
    for item in slices:
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
    if others := named - wanted:
        return f"it still leads to {', '.join(sorted(others))}"
    return ""
