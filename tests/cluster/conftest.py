"""A cluster for all tests of this folder: the embedded one, or a real one by --kubeconfig."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config, watch

from deployments.local.kube.cluster import LocalCluster
from deployments.local.kube.settings import Image, NodeDef, Settings

LOCAL_IMAGE = "python:test"
# what Docker's python images set
PYTHON_IMAGE_ENV = frozenset({"LANG", "GPG_KEY", "PYTHON_VERSION", "PYTHON_SHA256"})
Json = dict[str, Any]


@dataclass(frozen=True)
class Kube:
    """Clients of the official package, a namespace of the test's own, and an image with Python."""

    core: client.CoreV1Api
    apps: client.AppsV1Api
    batch: client.BatchV1Api
    ns: str
    image: str
    image_env: frozenset[str] = frozenset()  # names of the image's own variables

    def until(self, check: Callable[[], Any], what: str, timeout: float = 180.0) -> Any:
        """The first true answer of `check`; fails with the namespace's events when none comes."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if found := check():
                return found
            time.sleep(0.05)
        events = self.core.list_namespaced_event(self.ns).items
        said = "\n".join(f"{item.reason}: {item.message}" for item in events)
        raise AssertionError(f"never came: {what}\n{said}")

    def container(self, program: str, **more: Any) -> Json:
        """A container that runs a Python program, which finds its pod's address in $IP."""
        address = {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
        env = [address, *more.pop("env", [])]
        command = ["python", "-c", program]
        return {"name": "main", "image": self.image, "command": command, "env": env, **more}

    def deploy(self, name: str, container: Json, *, replicas: int = 1, **spec: Any) -> Json:
        """Create a Deployment."""
        labels = {"app": name, **spec.pop("labels", {})}
        pod = {"containers": [container], "terminationGracePeriodSeconds": 5, **spec.pop("pod", {})}
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": labels}, "spec": pod},
                **spec,
            },
        }
        self.apps.create_namespaced_deployment(self.ns, body)
        return body

    def pod(self, name: str, container: Json, **spec: Any) -> Any:
        """Create a bare pod that does not restart; gives it as it was made."""
        body = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 5, **spec}
        return self.core.create_namespaced_pod(
            self.ns,
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "labels": {"app": name}},
                "spec": {**body, "containers": [container]},
            },
        )

    def job(
        self, name: str, container: Json, *, pod: Mapping[str, Any] | None = None, **spec: Any
    ) -> None:
        """Create a Job."""
        template = {"spec": {"restartPolicy": "Never", "containers": [container], **(pod or {})}}
        self.batch.create_namespaced_job(
            self.ns,
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": name},
                "spec": {"template": template, **spec},
            },
        )

    def history(self, made: Any) -> Iterator[Any]:
        """The first container's statuses since its pod was made, in order and none left out: a
        state may be over before one asks for it."""
        name, since = made.metadata.name, made.metadata.resource_version
        one = {"field_selector": f"metadata.name={name}", "resource_version": since}
        listing = self.core.list_namespaced_pod
        for event in watch.Watch().stream(listing, self.ns, timeout_seconds=120, **one):
            yield from (event["object"].status.container_statuses or [])[:1]

    def pods(self, selector: str = "") -> list[Any]:
        """Pods of the namespace."""
        return list(self.core.list_namespaced_pod(self.ns, label_selector=selector).items)

    def phase(self, name: str) -> str:
        """A pod's phase."""
        return str(self.core.read_namespaced_pod(name, self.ns).status.phase)

    def log(self, name: str, **more: Any) -> str:
        """A pod's log."""
        return str(self.core.read_namespaced_pod_log(name, self.ns, **more))

    def ready(self, name: str) -> int:
        """Ready replicas of a Deployment at its newest generation."""
        found = self.apps.read_namespaced_deployment(name, self.ns)
        seen = found.status.observed_generation == found.metadata.generation
        return int(found.status.ready_replicas or 0) if seen else -1

    def complete(self, name: str) -> bool:
        """All replicas of a Deployment are of the newest template and available, none else left."""
        found = self.apps.read_namespaced_deployment(name, self.ns)
        status, want = found.status, found.spec.replicas
        counts = (status.replicas, status.updated_replicas, status.available_replicas)
        return status.observed_generation == found.metadata.generation and all(
            (count or 0) == want for count in counts
        )

    def said(self, reason: str) -> list[str]:
        """Messages of the events with a reason."""
        events = self.core.list_namespaced_event(self.ns).items
        return [str(item.message) for item in events if item.reason == reason]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what a real cluster cannot be asked, with the reason."""
    mark = item.get_closest_marker("embedded")
    if mark is not None and item.config.getoption("--kubeconfig"):
        pytest.skip(f"needs the embedded cluster: {mark.args[0]}")


@pytest.fixture(scope="session")
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalCluster]:
    """The embedded cluster, one node; what asks for it by name is marked 'embedded'."""
    assert not request.config.getoption("--kubeconfig"), "a test of it is marked 'embedded'"
    folder = tmp_path_factory.mktemp("cluster")
    image = Image(str(Path(sys.executable).parent), {"IMAGE_SAYS": "hello"})
    node = NodeDef("one", capacity={"cpu": "64", "memory": "64Gi", "hygon.com/dcu": "8"})
    quick = Settings(
        backoff_s=0.5, job_backoff_s=0.2, config_retry_s=0.2, memory_poll_s=0.2, proxy_sync_s=0.2
    )
    with LocalCluster(folder, [node], {LOCAL_IMAGE: image}, quick) as running:
        yield running


@pytest.fixture
def kube(request: pytest.FixtureRequest) -> Iterator[Kube]:
    """Clients and a fresh namespace, which goes with the test."""
    path = request.config.getoption("--kubeconfig")
    image, image_env = LOCAL_IMAGE, frozenset({"IMAGE_SAYS"})
    if path:
        image_env = PYTHON_IMAGE_ENV
        image = request.config.getoption("--python-image")
    else:
        path = str(request.getfixturevalue("cluster").kubeconfig)
    api = config.new_client_from_config(path)
    ns = f"run-{uuid.uuid4().hex[:8]}"
    core = client.CoreV1Api(api)
    core.create_namespace({"metadata": {"name": ns}})
    try:
        yield Kube(core, client.AppsV1Api(api), client.BatchV1Api(api), ns, image, image_env)
    finally:
        core.delete_namespace(ns)
        api.close()
