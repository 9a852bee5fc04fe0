"""What looks at a promoted release come to."""

from __future__ import annotations

import pytest

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
