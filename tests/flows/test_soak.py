"""A release that is promoted and then fails: what served before it serves again."""

from __future__ import annotations

import time

import httpx

from tests.flows.house import House, read_until, record_named

SICK = "Are you well?"


def make_sick(address: str) -> None:
    """Ask until the release that sickens from it was asked: a switch takes its time everywhere."""
    body = {"model": "tiny", "messages": [{"role": "user", "content": SICK}], "max_tokens": 1}
    for _ in range(60):
        url = f"{address}/v1/chat/completions"
        if httpx.post(url, json=body, timeout=30, trust_env=False).status_code == 500:
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
        make_sick(home.address())
        assert process.stdout is not None
        said += process.stdout.read()
    assert process.returncode == 3, said

    state = home.state()
    assert state.stable is not None and (state.phase, state.stable.commit) == ("idle", first)
    assert (state.previous, state.candidate) == (None, None)
    assert home.objects("Deployment") == before and home.objects("Service") == ["tiny"]
    with home.asking() as seen:
        time.sleep(2)
    assert seen.answered > 3 and not seen.failed

    record = record_named(said)
    assert (record["outcome"], record["exit_code"]) == ("failed", 3)
    assert record["resolve_model"]["commit"] == second
    assert record["judge"]["verdict"] == "pass"
    assert "failed while soaking" in record["sentence"] and "500" in record["sentence"]
    assert f"went back to {before[0]}" in record["sentence"]
    ends = [(step["step"], step["state"]) for step in record["steps"]]
    assert ends[-3:] == [("judge", "done"), ("promote", "failed"), ("roll_back", "done")]
    assert state.history[0]["outcome"] == "failed"
