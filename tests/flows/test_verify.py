"""What serves is judged again while it serves: still earned, missed and announced, giving way."""

from __future__ import annotations

import httpx

from tasks.base.errors import Exit
from tests.flows.house import NAMESPACE, House, read_until, record_named
from tests.support.cluster.hand import Hand
from tests.support.waiting import until

TIRED = "Are you tired?"
MISSED = "model-rollout.rollout.missed"


def tire(address: str) -> None:
    """From here on its first tokens come late: a driver, a neighbour, heat."""
    body = {"model": "tiny", "messages": [{"role": "user", "content": TIRED}], "max_tokens": 1}
    url = f"{address}/v1/chat/completions"
    httpx.post(url, json=body, timeout=30, trust_env=False).raise_for_status()


def announced(home: House) -> list[str]:
    """What the server was told of missed targets."""
    body = {"filter": {"event": {"name": [MISSED]}}}

    def asked() -> httpx.Response | None:
        answer = httpx.post(f"{home.prefect_api}/events/filter", json=body, timeout=60)
        return None if answer.status_code == 503 else answer  # SQLite is locked

    answer = until(asked)
    assert answer is not None
    return [event["payload"]["sentence"] for event in answer.raise_for_status().json()["events"]]


def told(home: House) -> list[tuple[str, str]]:
    """Kubernetes Events about the Service: reason and type."""
    with Hand.connect(str(home.cluster.kubeconfig)) as api:
        events = api.list("Event", NAMESPACE)
    return [
        (item["reason"], item["type"])
        for item in events
        if item["involvedObject"]["kind"] == "Service" and item["reason"] == "Missed"
    ]


def test_what_serves_stays_earned_or_is_announced(home: House) -> None:
    # apart by more than a busy machine adds to a first token
    laws = {"slow_on": TIRED, "slow_s": 4.0}
    first = home.publish(1, laws=laws)
    spec = str(
        home.spec(
            benchmark__requests_per_round=16,
            targets={"ttft_mean_ms": 3000, "success_rate_percent": 90},
            verify={"load": {"name": "small", "concurrency": 4}, "interval_s": 0.5},
        )
    )
    home.rollout("run", spec, expect=0)
    before = home.objects("Deployment")

    said = home.rollout("verify", spec, expect=0)
    assert "earned: " in said and "still meets its targets" in said
    assert record_named(said)["judge"]["verdict"] == "pass"
    assert announced(home) == [] and told(home) == []

    # a rollout that runs comes first
    home.publish(2, laws=laws)
    # its load outlasts the start of another command
    long = {"benchmark__requests_per_round": 96}
    held = str(home.spec(promotion__approval="before-promote", **long))
    with home.start("run", held) as process:
        read_until(process, "benchmark")
        said = home.rollout("verify", spec, expect=0)
        assert "not now: tiny is not verified now: " in said and "comes first" in said
        assert process.stdout is not None
        process.stdout.read()
    assert process.returncode == Exit.INCONCLUSIVE  # it waits for a person, and takes nothing

    tire(home.address())
    said = home.rollout("verify", spec, expect=Exit.FAILED)
    assert "missed: " in said and "does not meet its targets any more" in said
    assert len(until(lambda: announced(home))) == 1 and told(home) == [("Missed", "Warning")]
    state = home.state()
    assert state.stable is not None and state.stable.commit == first
    assert set(before) <= set(home.objects("Deployment"))  # announced, and nothing else
