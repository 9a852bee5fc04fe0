"""A namespace that enforces PodSecurity refuses pods, and their owners say so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from deployments.local.kube.objects import podsecurity
from tests.cluster.conftest import Kube

HOST = [{"name": "weights", "hostPath": {"path": "/tmp"}}]
WHY = 'is forbidden: violates PodSecurity "baseline:latest": hostPath volumes (volume "weights")'


@pytest.fixture
def strict(kube: Kube) -> Kube:
    """A namespace of level baseline, which takes no hostPath."""
    labels = {f"{podsecurity.LABEL}enforce": "baseline"}
    kube.core.patch_namespace(kube.ns, {"metadata": {"labels": labels}})
    return kube


def refusals(kube: Kube, kind: str) -> list[str]:
    """Messages of the FailedCreate events about objects of a kind."""
    events = kube.core.list_namespaced_event(kube.ns).items
    return [
        str(event.message)
        for event in events
        if event.reason == "FailedCreate" and event.involved_object.kind == kind
    ]


def test_a_pod_is_refused_by_name(strict: Kube) -> None:
    with pytest.raises(ApiException) as caught:
        strict.pod("bare", strict.container("pass"), volumes=HOST)
    assert caught.value.status == 403
    assert json.loads(caught.value.body or "")["message"] == f'pods "bare" {WHY}'
    strict.pod("plain", strict.container("pass"))


def test_a_deployment_says_that_its_pods_are_refused(strict: Kube) -> None:
    strict.deploy("web", strict.container("pass"), pod={"volumes": HOST})

    def failing() -> Any:
        conditions = strict.apps.read_namespaced_deployment("web", strict.ns).status.conditions
        return next((c for c in conditions or [] if c.type == "ReplicaFailure"), None)

    found = strict.until(failing, "the condition")
    assert (found.status, found.reason) == ("True", "FailedCreate")
    assert found.message.startswith('pods "web-') and found.message.endswith(WHY)
    said = strict.until(lambda: refusals(strict, "ReplicaSet"), "an event")[0]
    assert said.startswith('Error creating: pods "web-') and said.endswith(WHY)
    assert strict.pods() == []
    # allowed again, and nobody has to touch the Deployment
    labels = {f"{podsecurity.LABEL}enforce": None}
    strict.core.patch_namespace(strict.ns, {"metadata": {"labels": labels}})
    strict.until(strict.pods, "its pod")
    strict.until(lambda: not failing(), "the condition goes")


def test_a_job_says_so_in_events_alone(strict: Kube) -> None:
    strict.job("work", strict.container("pass"), pod={"volumes": HOST}, backoffLimit=0)
    said = strict.until(lambda: refusals(strict, "Job"), "an event")[0]
    assert said.startswith('Error creating: pods "work-') and said.endswith(WHY)
    status = strict.batch.read_namespaced_job_status("work", strict.ns).status
    assert (status.conditions, status.failed, status.active) == (None, None, None)


def test_what_will_make_refused_pods_is_warned_of(strict: Kube) -> None:
    pod = {"restartPolicy": "Never", "volumes": HOST, "containers": [strict.container("pass")]}
    body = {"metadata": {"name": "warned"}, "spec": {"template": {"spec": pod}}}
    _, _, headers = strict.batch.create_namespaced_job_with_http_info(strict.ns, body)
    want = 'would violate PodSecurity "baseline:latest": hostPath volumes (volume "weights")'
    assert want in headers["Warning"].replace("\\", "")


def spec(security: dict[str, Any] | None = None, **pod: Any) -> dict[str, Any]:
    """A PodSpec of one container."""
    container = {"name": "main", "securityContext": security or {}}
    return {"containers": [{**container, **pod.pop("container", {})}], **pod}


GOOD = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.mark.parametrize(
    ("level", "pod", "found"),
    [
        ("privileged", spec(hostPID=True), []),
        ("baseline", spec(), []),
        ("baseline", spec(volumes=HOST), ['hostPath volumes (volume "weights")']),
        (
            "baseline",
            spec(hostNetwork=True, hostIPC=True),
            ["host namespaces (hostNetwork=true, hostIPC=true)"],
        ),
        (
            "baseline",
            spec({"capabilities": {"add": ["SYS_PTRACE", "CHOWN"]}}),
            [
                'non-default capabilities (container "main" must not include "SYS_PTRACE" in '
                "securityContext.capabilities.add)"
            ],
        ),
        (
            "baseline",
            spec(container={"ports": [{"containerPort": 80, "hostPort": 80}]}),
            ['hostPort (container "main" uses hostPort 80)'],
        ),
        (
            "baseline",
            spec({"privileged": True}),
            ['privileged (container "main" must not set securityContext.privileged=true)'],
        ),
        (
            "baseline",
            spec(securityContext={"seccompProfile": {"type": "Unconfined"}}),
            [
                "seccompProfile (pod must not set securityContext.seccompProfile.type to "
                '"Unconfined")'
            ],
        ),
        ("restricted", spec(GOOD), []),
        (
            "restricted",
            spec(GOOD, volumes=HOST),
            [
                'restricted volume types (volume "weights" uses restricted volume type "hostPath")',
            ],
        ),
        (
            "restricted",
            spec({"runAsUser": 0}),
            [
                'allowPrivilegeEscalation != false (container "main" must set '
                "securityContext.allowPrivilegeEscalation=false)",
                'unrestricted capabilities (container "main" must set '
                'securityContext.capabilities.drop=["ALL"])',
                'runAsNonRoot != true (pod or container "main" must set '
                "securityContext.runAsNonRoot=true)",
                'runAsUser=0 (container "main" must not set runAsUser=0)',
                'seccompProfile (pod or container "main" must set '
                'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
            ],
        ),
    ],
)
def test_what_each_level_forbids(level: str, pod: dict[str, Any], found: list[str]) -> None:
    assert podsecurity.violations(level, pod) == found


def test_the_level_is_the_label_of_the_namespace() -> None:
    labels = {"enforce": "baseline", "enforce-version": "v1.30"}
    space = {"metadata": {"labels": {podsecurity.LABEL + k: v for k, v in labels.items()}}}
    pod = spec(hostPID=True)
    assert podsecurity.refusal(space, pod).startswith('violates PodSecurity "baseline:v1.30": host')
    assert podsecurity.refusal(space, pod, "warn").startswith("would violate PodSecurity")
    assert podsecurity.refusal({"metadata": {}}, pod) == ""
    assert podsecurity.refusal(None, pod) == ""
