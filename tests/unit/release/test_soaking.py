"""What looks at a promoted release come to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.measure.traffic import Traffic
from tasks.release.soaking import EVERY_S, PATIENCE_S, Look, Rules, SoakBounds, Watched

GOOD = Look(tokens=4, ttft_s=0.1)
BAD = Look(answer="bad", why="500 from /v1/completions")
SICK = Look(trouble=("pod m-0 restarted",))
DEAF = Look(answer="none", why="no route to host")
BLIND = Look(trouble=None, answer="none", why="the API server does not answer")
RULES = Rules(duration_s=4, failures=2, window=3)
ROW = replace(RULES, consecutive=True)
BOUNDS = SoakBounds(ttft_s=1.0, error_share=0.05, waiting=8)


def seen(*looks: Look, rules: Rules = RULES) -> Watched:
    """After these looks, one every two seconds."""
    out = Watched(0.0, rules)
    for number, look in enumerate(looks):
        out = out.saw(number * EVERY_S, look)
    return out


def after(*looks: Look, rules: Rules = RULES) -> tuple[str, str]:
    """How a soak stands after these looks."""
    return seen(*looks, rules=rules).end((len(looks) - 1) * EVERY_S)


@pytest.mark.parametrize(
    ("looks", "end"),
    [
        ([GOOD], ""),
        ([GOOD, GOOD], ""),
        ([GOOD, GOOD, GOOD], "passed"),
        # it lasts from the first good answer
        ([DEAF, DEAF, DEAF, GOOD, GOOD], ""),
        ([DEAF, DEAF, DEAF, GOOD, GOOD, GOOD], "passed"),
        # one bad look is no breach, two of three are
        ([GOOD, SICK, GOOD], "passed"),
        ([GOOD, SICK, SICK], "failed"),
        ([GOOD, BAD, GOOD], "passed"),
        ([GOOD, BAD, BAD], "failed"),
        ([GOOD, SICK, GOOD, SICK], "failed"),
        ([SICK, GOOD, GOOD, GOOD, SICK], ""),
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


@pytest.mark.parametrize(
    ("looks", "end"),
    [
        ([GOOD, SICK, GOOD, SICK, GOOD, SICK], ""),
        ([GOOD, SICK, GOOD, SICK, SICK], "failed"),
        ([GOOD, SICK, BLIND, DEAF, SICK], "failed"),
        ([GOOD, SICK, BLIND, GOOD, SICK], ""),
    ],
)
def test_consecutive_failures(looks: list[Look], end: str) -> None:
    assert after(*looks, rules=ROW)[0] == end


def test_a_breach_says_what_was_bad_and_how_often() -> None:
    assert after(GOOD, BAD, BAD) == ("failed", f"{BAD.why} (2 of the last 3 looks)")
    assert after(SICK, SICK) == ("failed", "pod m-0 restarted (2 of the last 2 looks)")


def test_a_way_of_asking_that_fails_says_nothing_of_the_release() -> None:
    silent = int(PATIENCE_S / EVERY_S) + 2
    assert after(*[DEAF] * silent)[0] == "unproven"
    assert after(GOOD, *[BLIND] * silent)[0] == "unproven"
    assert "no route to host" in after(*[DEAF] * silent)[1]
    # the release itself answers, and wrongly, all the while
    assert after(*[BAD] * silent) == ("failed", f"for {PATIENCE_S + 2:.0f} s: {BAD.why}")


def test_rare_looks_have_more_patience() -> None:
    rules = Rules(interval_s=60)
    assert (rules.patience_s, RULES.patience_s) == (180, PATIENCE_S)


# -- n of m, whatever the order ---------------------------------------------------------------

BOUNDED = replace(RULES, bounds=BOUNDS)
LOADED = replace(GOOD, engines=Traffic(begun=9, ttft_s=0.2, tokens=90))
goods = st.sampled_from([GOOD, LOADED])
bads = st.sampled_from([SICK, BAD, replace(GOOD, ttft_s=1.5), replace(GOOD, cards=("hot",))])
blinds = st.sampled_from([DEAF, BLIND])
counts = st.builds(
    lambda failures, more: replace(BOUNDED, failures=failures, window=failures + more),
    st.integers(1, 5),
    st.integers(0, 6),
)


@given(st.data(), counts)
def test_the_order_inside_the_window_does_not_matter(data: st.DataObject, rules: Rules) -> None:
    looks = data.draw(st.lists(goods | bads, min_size=1, max_size=rules.window))
    turned = data.draw(st.permutations(looks))
    # a good look first: of what an error before it is, nobody knows yet
    assert seen(GOOD, *looks, rules=rules).breached == seen(GOOD, *turned, rules=rules).breached
    bad = sum(look not in (GOOD, LOADED) for look in looks)
    assert seen(GOOD, *looks, rules=rules).breached == (bad >= rules.failures)


@given(st.data(), counts, st.booleans())
def test_blind_looks_count_neither_way(data: Any, rules: Rules, consecutive: bool) -> None:
    rules = replace(rules, consecutive=consecutive)
    looks = [GOOD, *data.draw(st.lists(goods | bads, max_size=12))]
    mixed: list[Look] = []
    for look in looks:
        mixed += [*data.draw(st.lists(blinds, max_size=2)), look]
    plain, blinded = seen(*looks, rules=rules), seen(*mixed, rules=rules)
    assert (plain.recent, plain.breached, plain.against) == (
        blinded.recent,
        blinded.breached,
        blinded.against,
    )
    assert blinded.seen.blind == len(mixed) - len(looks) and blinded.seen.bad == plain.seen.bad


@given(st.lists(goods | blinds, max_size=20), counts)
def test_without_a_bad_look_nothing_is_a_breach(looks: list[Look], rules: Rules) -> None:
    assert not seen(*looks, rules=rules).breached


# -- bounds -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("look", "said"),
    [
        (Look(ttft_s=1.2), "a probe's first token came after 1200 ms, at most 1000 ms is allowed"),
        (
            Look(answer="none", why="ReadTimeout", ttft_s=12.5),
            "a probe's first token had not come after 12500 ms, at most 1000 ms is allowed",
        ),
        (
            Look(engines=Traffic(begun=5, ttft_s=1.5)),
            "its engines' TTFT is 1500 ms on average, at most 1000 ms is allowed",
        ),
        (
            Look(engines=Traffic(begun=9, errors=1)),
            "its engines failed 1 of 10 requests, at most 5 % is allowed",
        ),
        (
            Look(engines=Traffic(waiting=9)),
            "9 requests wait in one engine, at most 8 are allowed",
        ),
        (
            Look(engines=Traffic(stalled_s=4)),
            "an engine has requests and made no token for 4 s",
        ),
        (Look(engines=Traffic(again=("m-0",))), "the engine of m-0 began anew"),
        (Look(cards=("n1: card 0: 101 degrees",)), "n1: card 0: 101 degrees"),
    ],
)
def test_what_is_past_its_bound_makes_a_look_bad(look: Look, said: str) -> None:
    assert after(GOOD, look, look, rules=BOUNDED) == ("failed", f"{said} (2 of the last 3 looks)")


@pytest.mark.parametrize(
    "look",
    [
        Look(ttft_s=1.0),
        Look(engines=Traffic(begun=20, errors=1, ttft_s=1.0, waiting=8, stalled_s=1.0)),
        Look(cards=()),
        Look(cards=None, unread="no route"),
    ],
)
def test_a_bound_may_be_reached(look: Look) -> None:
    assert after(GOOD, look, look, rules=BOUNDED)[0] == "passed"


def test_what_nobody_bounded_counts_for_nothing() -> None:
    wild = Look(ttft_s=99, engines=Traffic(begun=1, errors=9, ttft_s=99, waiting=99, stalled_s=99))
    assert after(GOOD, wild, wild)[0] == "passed"


def test_a_probe_that_waits_before_any_answer_may_wait_for_the_way() -> None:
    late = Look(answer="none", why="ReadTimeout", ttft_s=12.5)
    assert seen(late, late, late, rules=BOUNDED).recent == ()


# -- traffic ----------------------------------------------------------------------------------

OWN = replace(GOOD, engines=Traffic(begun=1, own=1, ttft_s=0.1, tokens=4))
BUSY = replace(GOOD, engines=Traffic(begun=8, own=1, errors=1, ttft_s=0.3, tokens=99))
UNREAD = replace(GOOD, unread="m-0: no route")


@pytest.mark.parametrize(
    ("wish", "look", "end", "said"),
    [
        ("probes", OWN, "passed", ""),
        ("probes", UNREAD, "passed", ""),
        ("hold", BUSY, "passed", ""),
        ("hold", OWN, "unproven", "no request but our own came"),
        ("hold", UNREAD, "unproven", "the engines' own counters were not read: m-0: no route"),
        ("roll-back", BUSY, "passed", ""),
        ("roll-back", OWN, "failed", "no request but our own came"),
        # what nobody could read is no proof that nobody asked
        ("roll-back", UNREAD, "unproven", "the engines' own counters were not read"),
    ],
)
def test_without_traffic_the_spec_decides(wish: Any, look: Look, end: str, said: str) -> None:
    found = after(GOOD, look, look, rules=replace(RULES, no_traffic=wish))
    assert found[0] == end and said in found[1]
    assert (f"no_traffic is {wish}" in found[1]) == bool(said)


def test_what_was_seen_is_told() -> None:
    found = seen(GOOD, BUSY, OWN, DEAF, replace(BUSY, ttft_s=2.0), rules=BOUNDED).seen
    assert (found.looks, found.bad, found.blind) == (5, 2, 1)
    assert (found.others, found.errors, found.tokens) == (14, 2, 202)
    assert found.told() == (
        "5 looks, 2 of them bad, 1 saw nothing; longest TTFT 2000 ms; "
        "14 requests of others, 2 failed"
    )
    assert seen(OWN).seen.told().endswith("no request but our own came")
