"""What befalls a candidate while it is measured."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.accelerators.profiles import profile
from tasks.nodes.health import HealthWatch
from tasks.nodes.metrics import device_problems

HYGON, NVIDIA, AMD = profile("hygon-dcu"), profile("nvidia-gpu"), profile("amd-gpu")
COOL = 'dcu_temp{minor_number="0",dcu_pod_name="ours"} 60\n'
HOT = 'dcu_temp{minor_number="0",dcu_pod_name="ours"} 101\n'


def pod(name: str = "ours", *, restarts: int = 0, up: bool = True, node: str = "n1") -> Any:
    return {
        "metadata": {"name": name},
        "spec": {"nodeName": node},
        "status": {
            "conditions": [{"type": "Ready", "status": "True" if up else "False"}],
            "containerStatuses": [{"restartCount": restarts}],
        },
    }


def test_restarts_and_lost_replicas_are_told_once_each_round() -> None:
    pods = [pod(restarts=3)]
    watch = HealthWatch(lambda: pods, 1, HYGON, {}, lambda _: None)
    assert watch() == []
    pods[:] = [pod(restarts=4, up=False)]
    assert watch() == [
        "1 container restart(s) of the candidate during the round",
        "0 of 1 candidate replicas ready after the round",
    ]
    pods[:] = [pod(restarts=4)]
    assert watch() == []


def test_a_card_that_grows_too_hot_is_a_problem_of_the_round() -> None:
    text = [COOL]
    watch = HealthWatch(lambda: [pod()], 1, HYGON, {"n1": "http://x"}, lambda _: text[0])
    assert watch.watched == 1 and watch() == []
    text[0] = HOT
    assert watch() == ["n1: card 0: 101 degrees Celsius (exporter)"]


def test_without_an_exporter_nothing_is_said_of_cards() -> None:
    for exporters in ({}, {"n1": "http://x"}, {"other": "http://x"}):
        watch = HealthWatch(lambda: [pod()], 1, HYGON, exporters, lambda _: None)
        assert watch.watched == 0 and watch() == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("DCGM_FI_DEV_THERMAL_VIOLATION{gpu=\"2\"} 5", "DCGM_FI_DEV_THERMAL_VIOLATION{gpu=\"2\"} 9",
         "card 2: was throttled, DCGM_FI_DEV_THERMAL_VIOLATION grew from 5 to 9"),
        ("", "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS{gpu=\"1\"} 68",
         "card 1: is throttled, DCGM_FI_DEV_CLOCK_THROTTLE_REASONS is 0x44"),
        ("", "DCGM_FI_DEV_CLOCKS_EVENT_REASONS{gpu=\"1\"} 4", None),
        ("", "DCGM_FI_DEV_THERMAL_VIOLATION{gpu=\"2\"} 9", None),
        ("", "DCGM_FI_DEV_CLOCKS_EVENT_REASONS{gpu=\"1\",exported_pod=\"theirs\"} 64", None),
        ("", "DCGM_FI_DEV_CLOCKS_EVENT_REASONS{gpu=\"1\"} NaN", None),
    ],
    ids=["counter", "reason", "power cap", "no reading before", "another's card", "not a number"],
)  # fmt: skip
def test_throttling_as_dcgm_tells_it(before: str, after: str, said: str | None) -> None:
    assert device_problems(before, after, NVIDIA, ["ours"]) == ([said] if said else [])


def test_throttling_as_amd_tells_it() -> None:
    name = "gpu_violation_socket_thermal_residency_accumulated"
    line = name + '{gpu_id="3",pod="ours"} '
    assert device_problems(line + "1", line + "2", AMD, ["ours"]) == [
        f"card 3: was throttled, {name} grew from 1 to 2"
    ]
