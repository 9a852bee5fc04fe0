"""Pods that the API server does not take: one rule for a Deployment's condition, a Job's events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.diagnose.created import job_not_created, not_created

Object = dict[str, Any]
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
FORBIDDEN = 'Error creating: pods "fetch-w1-x2x7q" is forbidden: '
PRIVILEGED = (
    FORBIDDEN + 'violates PodSecurity "restricted:latest": restricted volume types (volume "store" '
    'uses restricted volume type "hostPath"), runAsNonRoot != true (pod or container "runner" must '
    "set securityContext.runAsNonRoot=true)"
)
QUOTA = FORBIDDEN + "exceeded quota: team, requested: pods=1, used: pods=4, limited: pods=4"


@pytest.mark.parametrize(
    ("message", "code", "does", "fatal"),
    [
        (PRIVILEGED, "pod-security", "pod-security.kubernetes.io/enforce=privileged", True),
        (
            FORBIDDEN + "unable to validate against any security context constraint: []",
            "pod-security",
            "SecurityContextConstraint",
            True,
        ),
        (QUOTA, "quota", "raise the namespace's quota", False),
        (
            FORBIDDEN + "exceeded quota: q, requested: limits.memory=6Gi,pods=1, used: "
            "limits.memory=0,pods=0, limited: limits.memory=4096Mi,pods=10",
            "quota",
            "raise the namespace's quota",
            True,
        ),
        (FORBIDDEN + "failed quota: team: must specify limits.cpu", "quota", "runner.pod", True),
        (
            FORBIDDEN + "maximum memory usage per Container is 1Gi, but limit is 4Gi",
            "limit-range",
            "LimitRange",
            True,
        ),
        (
            FORBIDDEN + "error looking up service account llm/engine: serviceaccount "
            '"engine" not found',
            "service-account",
            "create that service account",
            True,
        ),
        (
            FORBIDDEN + "error looking up service account llm/default: serviceaccount "
            '"default" not found',
            "service-account",
            "default",
            False,
        ),
        (
            'Error creating: admission webhook "images.corp" denied the request: unsigned image',
            "admission",
            "admission rule",
            True,
        ),
        (
            FORBIDDEN + "ValidatingAdmissionPolicy 'no-host' with binding 'b' denied request: no",
            "admission",
            "admission rule",
            True,
        ),
        (
            'Error creating: Internal error occurred: failed calling webhook "images.corp": dial '
            "tcp 10.0.0.1:443: connect: connection refused",
            "webhook-down",
            "failurePolicy",
            False,
        ),
        (
            FORBIDDEN + "no PriorityClass with name high was found",
            "priority-class",
            "create that PriorityClass",
            True,
        ),
        (
            FORBIDDEN + 'pod rejected: RuntimeClass "nvidia" not found',
            "runtime-class",
            "create that RuntimeClass",
            True,
        ),
        (
            FORBIDDEN + "unable to create new content in namespace llm because it is being "
            "terminated",
            "namespace-ends",
            "being deleted",
            True,
        ),
        ("Error creating: etcdserver: request timed out", "not-created", "API server", False),
    ],
)
def test_every_refusal_has_its_cause_and_what_to_do(
    message: str, code: str, does: str, fatal: bool
) -> None:
    found = not_created("Job fetch-w1", message, grace_s=60)
    assert (found.code, found.fatal) == (code, fatal)
    assert does in found.action
    assert message.removeprefix("Error creating: ") in found.text()
    assert "Job fetch-w1" in found.summary
    assert not_created("Job fetch-w1", message, waited_s=61, grace_s=60).fatal


def job(made: datetime = NOW) -> Object:
    return {"metadata": {"name": "fetch-w1", "uid": "j", "creationTimestamp": made.isoformat()}}


def event(at: datetime, reason: str = "FailedCreate", uid: str = "j", **more: Any) -> Object:
    return {
        "involvedObject": {"kind": "Job", "name": "fetch-w1", "uid": uid},
        "reason": reason,
        "message": QUOTA,
        "lastTimestamp": at.isoformat().replace("+00:00", "Z"),
        **more,
    }


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def test_a_job_tells_it_in_its_events() -> None:
    found = job_not_created(job(), [event(NOW)], since=NOW, now=NOW)
    assert found is not None and found.code == "quota" and not found.fatal
    waited = event(NOW + seconds(90), firstTimestamp=NOW.isoformat())
    late = job_not_created(job(), [waited], since=NOW, now=NOW + seconds(90))
    assert late is not None and late.fatal


@pytest.mark.parametrize(
    "events",
    [
        [],
        [event(NOW, uid="an older job of that name")],
        [event(NOW), event(NOW, "SuccessfulCreate")],
        [event(NOW), event(NOW + seconds(2), "SuccessfulCreate")],
        [event(NOW, "Suspended")],
    ],
)
def test_a_job_that_makes_its_pods_is_left_alone(events: list[Object]) -> None:
    assert job_not_created(job(), events, since=NOW, now=NOW) is None


def test_what_failed_before_a_job_was_found_may_be_mended() -> None:
    old = job(NOW - seconds(600))
    assert job_not_created(old, [event(NOW - seconds(30))], since=NOW, now=NOW) is None
    again = [event(NOW - seconds(30)), event(NOW + seconds(3))]
    assert job_not_created(old, again, since=NOW, now=NOW + seconds(4)) is not None


def test_times_of_a_series_count() -> None:
    new = {
        **event(NOW),
        "lastTimestamp": None,
        "eventTime": "2026-11-23T09:00:00.000001Z",
        "series": {"count": 3, "lastObservedTime": "2026-11-23T09:01:10.000001Z"},
    }
    found = job_not_created(job(), [new], since=NOW, now=NOW + seconds(80))
    assert found is not None
