"""What looks at a promoted release come to, and where a Service leads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tasks.objects.endpoints import leads_astray
from tasks.release.soaking import EVERY_S, PATIENCE_S, Look, Watched

GOOD = Look()
BAD = Look(answer="bad", why="500 from /v1/completions")
SICK = Look(trouble=("pod m-0 restarted",))
DEAF = Look(answer="none", why="no route to host")
BLIND = Look(trouble=None, answer="none", why="the API server does not answer")


def after(*looks: Look, soak_s: float = 4) -> tuple[str, str]:
    """How a soak stands after these looks, one every two seconds."""
    seen, at, end = Watched(0.0), 0.0, ("", "")
    for look in looks:
        seen = seen.saw(at, look)
        end = seen.end(at, soak_s)
        at += EVERY_S
    return end


@pytest.mark.parametrize(
    ("looks", "end"),
    [
        ([GOOD], ""),
        ([GOOD, GOOD], ""),
        ([GOOD, GOOD, GOOD], "passed"),
        # it lasts from the first good answer
        ([DEAF, DEAF, DEAF, GOOD, GOOD], ""),
        ([DEAF, DEAF, DEAF, GOOD, GOOD, GOOD], "passed"),
        # one bad look is no breach, two in a row are
        ([GOOD, SICK, GOOD], "passed"),
        ([GOOD, SICK, SICK], "failed"),
        ([GOOD, BAD, GOOD], "passed"),
        ([GOOD, BAD, BAD], "failed"),
        ([GOOD, SICK, GOOD, SICK], ""),
        # the last look is a good one
        ([GOOD, GOOD, SICK], ""),
        ([GOOD, GOOD, DEAF], ""),
        # before the first good answer an error may be what went before's
        ([BAD, BAD, GOOD], ""),
        # what the cluster says counts from the start, and through looks that could not ask
        ([SICK, SICK], "failed"),
        ([GOOD, SICK, DEAF], ""),
        ([GOOD, SICK, BLIND, SICK], "failed"),
        # who cannot look finds nothing
        ([GOOD, BLIND, BLIND, BLIND], ""),
    ],
)
def test_looks(looks: list[Look], end: str) -> None:
    assert after(*looks)[0] == end


def test_a_way_of_asking_that_fails_says_nothing_of_the_release() -> None:
    silent = int(PATIENCE_S / EVERY_S) + 2
    assert after(*[DEAF] * silent)[0] == "unproven"
    assert after(GOOD, *[BLIND] * silent)[0] == "unproven"
    assert "no route to host" in after(*[DEAF] * silent)[1]
    # the release itself answers, and wrongly, all the while
    assert after(*[BAD] * silent) == ("failed", f"for {PATIENCE_S + 2:.0f} s: {BAD.why}")


def slices(*ends: Any, ports: Sequence[Any] = ({"port": 8000},)) -> dict[str, Any]:
    return {"ports": list(ports), "endpoints": list(ends)}


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
        # an address that nobody made known as a pod
        ([slices(end("a"), {"addresses": ["10.0.0.9"]})], [pod("a")], "it still leads to 10.0.0.9"),
    ],
)
def test_where_a_service_leads(
    found: list[dict[str, Any]], pods: list[dict[str, Any]], why: str
) -> None:
    assert leads_astray(found, pods) == why
