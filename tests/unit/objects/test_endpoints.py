"""Where a Service leads, by its EndpointSlices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tasks.objects.endpoints import MAKER, MAKER_LABEL, leads_astray


def slices(*ends: Any, ports: Sequence[Any] = ({"port": 8000},)) -> dict[str, Any]:
    return {"ports": list(ports), "endpoints": list(ends)}


def by(who: str, *ends: Any) -> dict[str, Any]:
    return {**slices(*ends), "metadata": {"name": who, "labels": {MAKER_LABEL: who}}}


def made(*ends: Any) -> dict[str, Any]:
    return by(MAKER, *ends)


def end(name: str, **conditions: Any) -> dict[str, Any]:
    return {"targetRef": {"name": name}, "addresses": ["10.0.0.1"], "conditions": conditions}


def pod(name: str, *, ready: bool = True, going: bool = False) -> dict[str, Any]:
    meta = {"name": name, **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if going else {})}
    condition = {"type": "Ready", "status": str(ready)}
    return {"metadata": meta, "status": {"conditions": [condition]}}


@pytest.mark.parametrize(
    ("found", "pods", "why"),
    [
        ([slices(end("a", ready=True))], [pod("a")], ""),
        # no word about readiness means ready
        ([slices({"targetRef": {"name": "a"}})], [pod("a")], ""),
        # several slices, one name twice (two address families)
        ([slices(end("a")), slices(end("a"), end("b"))], [pod("a"), pod("b")], ""),
        ([slices(end("a"))], [pod("a"), pod("b", ready=False), pod("c", going=True)], ""),
        ([slices(end("a"), end("old", ready=False))], [pod("a")], ""),
        ([slices(end("a"), end("old", ready=True))], [pod("a")], "it still leads to old"),
        ([slices(end("a"))], [pod("a"), pod("b")], "it does not lead to b yet"),
        ([slices(end("a", ready=False))], [pod("a")], "it does not lead to a yet"),
        ([], [pod("a")], "it does not lead to a yet"),
        ([slices(end("a"))], [], "no pod of the release is ready"),
        ([slices(end("a"), ports=())], [pod("a")], "a has no port of the Service's name"),
        # a pod of the release that is led to before it is ready (publishNotReadyAddresses)
        ([slices(end("a"), end("b"))], [pod("a"), pod("b", ready=False)], ""),
        # a slice of somebody's own beside the one that the selector makes
        ([made(end("a")), by("team-a", end("old"))], [pod("a")], ""),
        ([made(end("a")), slices({"addresses": ["10.0.0.9"]})], [pod("a")], ""),
        ([made(end("old")), slices(end("a"))], [pod("a")], "it does not lead to a yet"),
        # an address that nobody made known as a pod
        ([slices(end("a"), {"addresses": ["10.0.0.9"]})], [pod("a")], "it still leads to 10.0.0.9"),
    ],
)
def test_where_a_service_leads(
    found: list[dict[str, Any]], pods: list[dict[str, Any]], why: str
) -> None:
    assert leads_astray(found, pods) == why
