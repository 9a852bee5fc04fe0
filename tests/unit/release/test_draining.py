"""When what served before may stop: not while it is busy and there is time left."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.objects.labels import ENGINE_CONTAINER, KIND_LABEL, RELEASE_LABEL
from tasks.release.draining import APART_S, LEAST_S, PAUSE_S, Count, Draining, may_hold

EMPTY, BUSY, DEAF = Count(), Count(3), Count(unread="m-old-0: no route to host")
COUNTS = st.builds(
    Count, st.integers(0, 3), st.sampled_from(["", "m-old-0: no route to host"]), st.integers(0, 1)
)
LOOKS = st.lists(st.tuples(st.floats(0, 40), COUNTS), max_size=30)
DRAIN_S = st.floats(1, 600)


def after(*counts: Count, drain_s: float = 600) -> tuple[str, str]:
    """How a drain stands after these looks."""
    seen, at = Draining(0.0), 0.0
    end: tuple[str, str] = ("", "")
    for count in counts:
        seen = seen.saw(at, count)
        end = seen.end(at, drain_s)
        at += seen.wait_s(at, drain_s)
    return end


@pytest.mark.parametrize(
    ("counts", "end"),
    [
        ([EMPTY], ""),
        # nodes follow the switch late
        ([EMPTY, EMPTY], ""),
        ([EMPTY, EMPTY, EMPTY], "empty"),
        ([BUSY, EMPTY, EMPTY], "empty"),
        ([BUSY, EMPTY, BUSY, EMPTY], ""),
        ([BUSY, BUSY, BUSY, BUSY, EMPTY], ""),
        # who cannot be asked may have some
        ([DEAF, DEAF, DEAF, DEAF], ""),
        ([EMPTY, DEAF, EMPTY], ""),
        ([DEAF, EMPTY, EMPTY], "empty"),
        # a connection that was kept is still used, if only between the looks
        ([EMPTY, Count(answered=1), Count(answered=2), Count(answered=3)], ""),
        ([EMPTY, Count(answered=1), Count(answered=2), Count(answered=2)], "empty"),
        ([BUSY] * 121, "over"),
        ([DEAF] * 121, "over"),
    ],
)
def test_looks(counts: list[Count], end: str) -> None:
    assert after(*counts)[0] == end


def test_it_says_why() -> None:
    assert "3 request(s) run or wait" in after(BUSY)[1]
    for count, why in ((BUSY, "3 request(s)"), (DEAF, "no route to host")):
        end, said = after(count, count, drain_s=5)
        assert end == "over" and "promotion.drain_s" in said and why in said
    assert after(EMPTY, EMPTY, EMPTY)[1] == "it had no request for 10 s"
    # one pod that has requests is enough
    assert Count(1, "m-old-1: no route to host").look == "busy"


@given(LOOKS, DRAIN_S, st.floats(-1000, 1000))
def test_it_ends_only_on_what_was_seen(
    looks: list[tuple[float, Count]], drain_s: float, since: float
) -> None:
    seen, at, last = Draining(since), since, 0
    run: list[float] = []
    for gap, count in looks:
        at += gap
        seen = seen.saw(at, count)
        again = bool(run) and count.answered != last
        run = [*([] if again else run), at] if count.look == "empty" else []
        last = count.answered
        end, why = seen.end(at, drain_s)
        assert why
        if end == "empty":
            assert len(run) >= 2 and run[-1] - run[0] >= APART_S and at - since >= LEAST_S
        elif end == "over":
            assert at - since >= drain_s
        else:
            assert at - since < drain_s
        assert 0 < seen.wait_s(at, drain_s) <= APART_S


@given(st.lists(COUNTS, max_size=200), DRAIN_S)
def test_it_ends_in_its_time_whatever_is_seen(counts: list[Count], drain_s: float) -> None:
    seen, at = Draining(0.0), 0.0
    for count in [*counts, *[DEAF] * 130]:
        seen = seen.saw(at, count)
        if seen.end(at, drain_s)[0]:
            assert at < drain_s + PAUSE_S + 1e-6
            return
        at += seen.wait_s(at, drain_s)
    raise AssertionError("it never ended")


def pod(release: str | None, **changed: Any) -> dict[str, Any]:
    engine = {"name": ENGINE_CONTAINER, "state": {"running": {}}, "started": True}
    engine |= changed.pop("engine", {})
    status = {"phase": changed.pop("phase", "Running"), "containerStatuses": [engine]}
    labels = {KIND_LABEL: "engine", RELEASE_LABEL: release} if release else {KIND_LABEL: "fetch"}
    return {"metadata": {"name": "m", "labels": labels, **changed}, "status": status}


def test_who_may_have_requests() -> None:
    assert may_hold([pod("old"), pod("older")], "new") == [pod("old"), pod("older")]
    none = [
        pod("new"),
        pod(None),
        pod("old", deletionTimestamp="2026-01-01T00:00:00Z"),
        pod("old", phase="Pending"),
        pod("old", phase="Failed"),
        pod("old", engine={"state": {"waiting": {"reason": "CrashLoopBackOff"}}}),
        pod("old", engine={"started": False}),  # it loads still
    ]
    assert may_hold(none, "new") == []
    # a saturated engine fails its readiness probe and streams on
    assert may_hold([pod("old", engine={"ready": False})], "new") != []
