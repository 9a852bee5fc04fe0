"""What serves and does not answer, and when that is its own engine's doing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.objects.down import Down, down_of
from tests.support.cluster.actor_world import OLD, deployment

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def ago(minutes: float) -> str:
    return (NOW - timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def serving(available: int = 0, replicas: int = 2, startup_s: int = 600) -> dict[str, Any]:
    body = deployment(OLD, replicas)
    engine = body["spec"]["template"]["spec"]["containers"][0]
    engine["startupProbe"] = {"failureThreshold": startup_s // 10, "periodSeconds": 10}
    return {**body, "status": {"availableReplicas": available}}


def pod(
    *,
    minutes: float = 20,
    restarts: int = 0,
    node: str = "n",
    state: Any = None,
    last: Any = None,
    ended: Any = None,
) -> dict[str, Any]:
    """Not ready for so long. last: when its engine ended. ended: more of that."""
    engine = {"name": "engine", "ready": False, "restartCount": restarts, "state": state or {}}
    if last is not None:
        lived = {"startedAt": ago(last + 0.5), "finishedAt": ago(last)}
        engine["lastState"] = {"terminated": {"exitCode": 1, **lived, **(ended or {})}}
    unready = {"type": "Ready", "status": "False", "lastTransitionTime": ago(minutes)}
    return {
        "metadata": {"name": "m-old-0", "creationTimestamp": ago(9999)},
        "spec": {"nodeName": node, "containers": [{"name": "engine"}]},
        "status": {"phase": "Running", "conditions": [unready], "containerStatuses": [engine]},
    }


def back_off(pause: str) -> dict[str, Any]:
    text = f"back-off {pause} restarting failed container=engine pod=m-old-0_ns(u)"
    return {"waiting": {"reason": "CrashLoopBackOff", "message": text}}


def node(ready: str = "True", *, minutes: float = 9999, name: str = "n") -> dict[str, Any]:
    """So long as it is now."""
    said = {"type": "Ready", "status": ready, "lastTransitionTime": ago(minutes)}
    return {"metadata": {"name": name}, "status": {"conditions": [said]}}


BACK_OFF = back_off("2m40s")
LOOPS = pod(restarts=5, state=BACK_OFF, last=2)


def found(*pods: dict[str, Any], nodes: Any = None, **deploy: Any) -> Down | None:
    there = [node()] if nodes is None else nodes
    return down_of(serving(**deploy), pods, NOW, there)


def test_an_engine_that_ends_again_and_again_is_broken() -> None:
    down = found(LOOPS, LOOPS)
    assert down == Down(
        "m-old serves and none of its replicas answers since 2026-03-01T11:40:00+00:00: its engine "
        "ends again and again",
        broken=True,
    )
    # it runs between two ends: said in the same words, and it may load
    runs = found(pod(restarts=5, state={"running": {}}, last=2))
    assert runs == replace(down, broken=False)


def test_words_are_the_same_from_look_to_look() -> None:
    assert found(LOOPS) == found(pod(restarts=9, state=BACK_OFF, last=1))


def test_within_its_start_up_it_is_told_and_not_given_up() -> None:
    down = found(pod(restarts=3, state=BACK_OFF, last=1), startup_s=1800)
    assert down is not None and not down.broken
    assert found(pod(minutes=4, restarts=3, state=BACK_OFF, last=1), startup_s=60) == down


@pytest.mark.parametrize(
    "there",
    [
        pytest.param([pod(minutes=5, restarts=1, state={"running": {}}, last=6)], id="reboots"),
        pytest.param([pod(minutes=5, node="")], id="waits"),
        pytest.param([pod(minutes=9, state={"running": {}})], id="loads"),
        pytest.param([], id="no pods yet"),
    ],
)
def test_what_may_be_a_start_up_is_not_told(there: list[dict[str, Any]]) -> None:
    assert found(*there) is None


@pytest.mark.parametrize(
    ("there", "word"),
    [
        pytest.param([pod(node="")], "a pod waits for a node", id="node gone"),
        pytest.param([pod(restarts=1, state={"running": {}}, last=21)], "not ready", id="one end"),
        pytest.param(
            # it ended five times in its life, and none of them is why it is not ready
            [pod(restarts=5, state={"running": {}}, last=500)],
            "a pod is not ready",
            id="long ago",
        ),
        pytest.param([LOOPS, pod(node="")], "a pod waits for a node, its engine", id="one of two"),
        pytest.param(
            [pod(state={"waiting": {"reason": "ImagePullBackOff"}})],
            "its engine waits (ImagePullBackOff)",
            id="image",
        ),
    ],
)
def test_what_lasts_is_told_and_says_nothing_of_the_release(
    there: list[dict[str, Any]], word: str
) -> None:
    down = found(*there)
    assert down is not None and not down.broken and word in down.why


UNSEEN = {"exitCode": 255, "reason": "Unknown"}


@pytest.mark.parametrize(
    ("there", "nodes"),
    [
        pytest.param(
            pod(minutes=14, restarts=4, state={"running": {"startedAt": ago(1)}}, last=1),
            [node(minutes=1)],
            id="loads after its node was away",
        ),
        pytest.param(
            pod(minutes=14, restarts=4, state=back_off("10s"), last=1, ended=UNSEEN),
            [node(minutes=1)],
            id="nobody saw it end",
        ),
        pytest.param(
            pod(minutes=40, restarts=9, state=BACK_OFF, last=2, ended={"exitCode": 255}),
            [node(minutes=30)],
            id="docker's word for that",
        ),
        pytest.param(
            pod(minutes=40, restarts=9, state=back_off("5m0s"), last=2),
            [node(minutes=8)],
            id="its node is Ready for less than a start-up",
        ),
        pytest.param(
            pod(minutes=40, restarts=4, state=back_off("10s"), last=0.1, ended={"exitCode": 137}),
            [node(minutes=30)],
            id="one end in this outage, the others long ago",
        ),
        pytest.param(
            pod(minutes=11, restarts=9, state=back_off("5m0s"), last=1),
            [node()],
            id="it answered between its ends",
        ),
        pytest.param(LOOPS, [node("False")], id="its node is not Ready"),
        pytest.param(LOOPS, [node("Unknown")], id="its node is not heard"),
        pytest.param(LOOPS, [node(name="other")], id="its node is gone"),
        pytest.param(LOOPS, [], id="nobody may read nodes"),
    ],
)
def test_ends_count_in_this_outage_and_on_a_node_that_is_ready(
    there: dict[str, Any], nodes: list[dict[str, Any]]
) -> None:
    down = found(there, nodes=nodes)
    assert down is not None and not down.broken


def test_a_node_that_was_away_before_its_engine_ended_by_itself() -> None:
    looping = pod(minutes=60, restarts=9, state=back_off("2m40s"), last=1)
    assert (down := found(looping, nodes=[node(minutes=20)])) is not None and down.broken


def test_what_answers_or_is_not_asked_for_is_not_down() -> None:
    assert found(LOOPS, available=1) is None
    assert found(replicas=0) is None


def test_no_pod_may_be_made() -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "lastTransitionTime": ago(20)}
    body = serving()
    body["status"]["conditions"] = [refused]
    down = down_of(body, [], NOW)
    assert down is not None and down.why.endswith("it has no pods") and not down.broken


def test_pods_that_end_or_are_over_are_not_counted() -> None:
    going = pod(node="")
    going["metadata"]["deletionTimestamp"] = ago(1)
    over = pod(node="")
    over["status"]["phase"] = "Failed"
    assert (down := found(LOOPS, going, over)) is not None and down.broken


def test_an_adopted_one_without_a_startup_probe() -> None:
    body = {**deployment(OLD, 2), "status": {}}
    down = down_of(body, [LOOPS], NOW, [node()])
    assert down is not None and not down.broken
    looping = [pod(minutes=31, restarts=5, state=BACK_OFF, last=2)]
    assert (late := down_of(body, looping, NOW, [node()]))
    assert late.broken
