"""A Deployment's diagnosis: its pods', and what keeps pods from being made at all."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.diagnose.pods import diagnose_deployment
from tests.support.cluster.pod_cases import load

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def deployment(*conditions: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": "deepseek-32b-4f9c1e"},
        "spec": {"replicas": 2},
        "status": {"conditions": list(conditions)},
    }


def not_created(message: str, at: str = "2026-11-23T08:59:55Z") -> dict[str, Any]:
    return {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": message,
        "lastTransitionTime": at,
    }


FORBIDDEN = 'pods "deepseek-32b-4f9c1e-6c7d9f6b5d-x2x7q" is forbidden: '
QUOTA = (
    FORBIDDEN + "exceeded quota: team, requested: requests.hygon.com/dcu=4, used: "
    "requests.hygon.com/dcu=8, limited: requests.hygon.com/dcu=8"
)


@pytest.mark.parametrize(
    ("message", "code", "fatal"),
    [
        (QUOTA, "quota", False),
        (FORBIDDEN + 'violates PodSecurity "restricted:latest"', "pod-security", True),
        (
            FORBIDDEN + 'error looking up service account: serviceaccount "engine" not found',
            "service-account",
            True,
        ),
        ('admission webhook "images.corp" denied the request: unsigned image', "admission", True),
        ("etcdserver: request timed out", "not-created", False),
    ],
)
def test_pods_that_may_not_be_created(message: str, code: str, fatal: bool) -> None:
    found = diagnose_deployment(deployment(not_created(message)), [], now=NOW)
    assert found is not None and (found.code, found.fatal) == (code, fatal)
    assert message in found.text()


def test_a_quota_that_stays_exhausted_is_fatal() -> None:
    old = not_created(QUOTA, "2026-11-23T08:50:00Z")
    found = diagnose_deployment(deployment(old), [], now=NOW)
    assert found is not None and found.fatal


def test_a_fatal_pod_is_named_before_one_that_may_heal() -> None:
    healing, hopeless = load("image-registry-timeout"), load("oom-killed")
    hopeless["pod"]["metadata"].update(name="second", uid="2")
    found = diagnose_deployment(deployment(), [healing["pod"], hopeless["pod"]], healing["events"])
    assert found is not None and found.code == "oom-killed" and found.fatal


def test_a_pod_on_its_way_out_does_not_count() -> None:
    pod = load("oom-killed")["pod"]
    pod["metadata"]["deletionTimestamp"] = "2026-11-23T08:30:00Z"
    assert diagnose_deployment(deployment(), [pod]) is None


@pytest.mark.parametrize(("count", "fatal"), [(1, False), (2, False), (3, True)])
def test_pods_refused_by_their_node_again_and_again(count: int, fatal: bool) -> None:
    pods = []
    for number in range(count):
        pod = copy.deepcopy(load("node-refused")["pod"])
        pod["metadata"].update(name=f"p{number}", uid=str(number))
        pods.append(pod)
    found = diagnose_deployment(deployment(), pods)
    assert found is not None and (found.code, found.fatal) == ("node-refused", fatal)


def test_logs_reach_the_pod_they_belong_to() -> None:
    case = load("crash-known-log")
    name = case["pod"]["metadata"]["name"]
    told = diagnose_deployment(deployment(), [case["pod"]], logs={name: case["logs"]})
    silent = diagnose_deployment(deployment(), [case["pod"]], logs={"other": case["logs"]})
    assert told is not None and told.code == "tp-heads" and told.log_tail
    assert silent is not None and silent.code == "crash"


def test_progress_deadline_speaks_only_when_nothing_else_does() -> None:
    late = {
        "type": "Progressing",
        "status": "False",
        "reason": "ProgressDeadlineExceeded",
        "message": 'ReplicaSet "deepseek-32b-4f9c1e-6c7d9f6b5d" has timed out progressing.',
    }
    alone = diagnose_deployment(deployment(late), [])
    assert alone is not None and alone.code == "progress-deadline" and not alone.fatal
    pod = load("image-registry-timeout")["pod"]
    with_pod = diagnose_deployment(deployment(late), [pod])
    assert with_pod is not None and with_pod.code == "image-registry"
