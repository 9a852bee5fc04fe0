"""Deleting a pod at an awkward moment ends all of it, and nothing begins."""

from __future__ import annotations

import time

import pytest
from kubernetes.client.exceptions import ApiException

from tests.cluster.conftest import Kube


def gone(kube: Kube, name: str) -> bool:
    return all(pod.metadata.name != name for pod in kube.pods())


def test_a_pod_deleted_while_it_prepares_never_runs_its_main_container(
    kube: Kube,
) -> None:
    main = kube.container("pass")
    first = {**kube.container("import time; time.sleep(300)"), "name": "first"}
    kube.pod("early", main, initContainers=[first])

    def preparing() -> bool:
        statuses = kube.core.read_namespaced_pod("early", kube.ns).status.init_container_statuses
        return bool(statuses and statuses[0].state.running)

    kube.until(preparing, "the init container runs")
    kube.core.delete_namespaced_pod("early", kube.ns)
    kube.until(lambda: gone(kube, "early"), "the pod is gone")
    time.sleep(1)
    events = kube.core.list_namespaced_event(kube.ns).items
    assert sum(event.count or 1 for event in events if event.reason == "Started") == 1


def test_a_pod_whose_mount_fails_can_be_deleted(kube: Kube) -> None:
    mounts = [{"name": "weights", "mountPath": "/mnt/models"}]
    absent = {"name": "weights", "hostPath": {"path": "/no/such/folder", "type": "Directory"}}
    kube.pod("stuck", kube.container("pass", volumeMounts=mounts), volumes=[absent])
    kube.until(lambda: kube.said("FailedMount"), "the mount fails")
    kube.core.delete_namespaced_pod("stuck", kube.ns)
    kube.until(lambda: gone(kube, "stuck"), "the pod is gone")


def test_a_mount_of_no_volume_is_refused(kube: Kube) -> None:
    mounts = [{"name": "nothing", "mountPath": "/x"}]
    with pytest.raises(ApiException) as caught:
        kube.pod("odd", kube.container("pass", volumeMounts=mounts))
    assert caught.value.status == 422
