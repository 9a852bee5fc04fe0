"""A release that is promoted and then fails: what served before it serves again."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from tasks.base.errors import Exit
from tasks.release.memory.terms import terms_of
from tests.flows.house import House, read_until, record_named, record_of
from tests.support.waiting import until

SICK = "Are you well?"


def make_sick(address: str, asked: Callable[[httpx.Response], bool]) -> None:
    """Ask until the release that sickens from it was asked: a switch takes its time everywhere."""
    body = {"model": "tiny", "messages": [{"role": "user", "content": SICK}], "max_tokens": 1}
    for _ in range(60):
        url = f"{address}/v1/chat/completions"
        if asked(httpx.post(url, json=body, timeout=30, trust_env=False)):
            return
        time.sleep(0.5)
    raise AssertionError("the promoted release was never asked")


def test_a_promoted_release_that_fails_its_soak_makes_way_for_the_one_before(home: House) -> None:
    first = home.publish(1)
    home.rollout("run", str(home.spec()), expect=0)
    before = home.objects("Deployment")
    second = home.publish(2, laws={"sick_on": SICK})
    with home.start("run", str(home.spec(promotion__soak__duration_s=300))) as process:
        said = read_until(process, "running: soaking,")
        make_sick(home.address(), lambda answer: answer.status_code == 500)
        assert process.stdout is not None
        said += process.stdout.read()
    assert process.returncode == 3, said

    state = home.state()
    assert state.stable is not None and (state.phase, state.stable.commit) == ("idle", first)
    assert (state.previous, state.candidate) == (None, None)
    assert home.objects("Deployment") == before and home.objects("Service") == ["tiny"]
    with home.asking() as seen:
        until(lambda: seen.answered > 3)
    assert not seen.failed

    record = record_named(said)
    assert (record["outcome"], record["exit_code"]) == ("failed", 3)
    assert record["resolve_model"]["commit"] == second
    assert record["judge"]["verdict"] == "pass"
    assert "failed while soaking" in record["sentence"] and "500" in record["sentence"]
    assert record["promote"]["bad"] == 3 and "3 of the last " in record["sentence"]
    assert f"went back to {before[0]}" in record["sentence"]
    ends = [(step["step"], step["state"]) for step in record["steps"]]
    assert ends[-3:] == [("judge", "done"), ("promote", "failed"), ("roll_back", "done")]
    assert state.history[0]["outcome"] == "failed"


def test_a_promoted_release_that_grows_slow_makes_way_for_the_one_before(home: House) -> None:
    """It answers, all the while: only its first tokens come too late."""
    first = home.publish(1)
    home.rollout("run", str(home.spec()), expect=0)
    home.publish(2, laws={"slow_on": SICK, "slow_s": 4.0, "answer": "second"})
    soak = {"duration_s": 300, "interval_s": 0.5, "ttft_ms": 3000}
    with home.start("run", str(home.spec(promotion__soak=soak))) as process:
        said = read_until(process, "running: soaking,")
        make_sick(home.address(), lambda answer: "second" in answer.text)
        assert process.stdout is not None
        said += process.stdout.read()
    assert process.returncode == Exit.FAILED, said

    state = home.state()
    assert state.stable is not None and (state.phase, state.stable.commit) == ("idle", first)
    assert (state.breach, state.previous) == ("", None)
    record = record_named(said)
    assert "at most 3000 ms is allowed (3 of the last " in record["sentence"]
    seen = record["promote"]
    assert seen["bad"] == 3 and seen["worst_ttft_ms"] > 3000
    assert seen["said"].startswith(f"{seen['looks']} looks, 3 of them bad")


def test_a_promoted_release_that_nobody_asks_waits_for_a_person_who_wants_that(home: House) -> None:
    home.publish(1)
    soak = {"duration_s": 2, "interval_s": 0.5, "no_traffic": "hold"}
    said = home.rollout("run", str(home.spec(promotion__soak=soak)), expect=Exit.INCONCLUSIVE)
    assert "no request but our own came, and promotion.soak.no_traffic is hold" in said
    state = home.state()
    assert (state.phase, state.verdict) == ("unproven", "inconclusive")
    seen = record_of(home)["promote"]
    assert (seen["bad"], seen["requests"]) == (0, 0) and seen["tokens"] > 0
    assert seen["notes"] == ["no request but our own came"]
    # by hand it is watched again, by what the cluster remembers; this time somebody asks
    assert state.stable is not None
    assert terms_of(state, state.stable.id).measured.keys() == {"ttft_s", "queue"}
    with home.asking() as clients:
        said = home.rollout("promote", "tiny", "-n", "models", expect=0)
    assert home.state().phase == "idle" and not clients.failed
    assert " requests of others" in said
