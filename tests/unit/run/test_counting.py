"""An old release's requests are counted by its engines, whichever way leads to them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tasks.base.errors import OutsideError
from tasks.objects.labels import INSTANCE_LABEL, KIND_LABEL, REACHED_ANNOTATION, RELEASE_LABEL
from tasks.objects.reached import Reached
from tasks.release.draining import Count
from tasks.run.counting import Counter
from tests.exact_engine import Behaviour, Law, in_thread
from tests.support.waiting import until

NOWHERE = "127.0.0.1"


class Fake:
    """A cluster with pods; port-forwards lead to `port`, or fail."""

    def __init__(self, pods: list[dict[str, Any]], port: int | None = None) -> None:
        self.pods, self.port = pods, port
        self.deployments: list[dict[str, Any]] = []
        self.forwards = 0

    def list(self, kind: str, ns: str, label_selector: str) -> list[dict[str, Any]]:
        if not self.pods:
            raise OutsideError("the API server does not answer")
        wanted = dict(part.split("=") for part in label_selector.split(","))
        every = self.pods if kind == "Pod" else self.deployments
        return [item for item in every if wanted.items() <= item["metadata"]["labels"].items()]

    @contextmanager
    def port_forward(self, pod: str, ns: str, port: int) -> Iterator[int]:
        self.forwards += 1
        if self.port is None:
            raise OutsideError(f"port-forward to {pod} failed")
        yield self.port


def pod(name: str, port: int, release: str = "old") -> dict[str, Any]:
    ports = [{"name": "http", "containerPort": port}]
    labels = {INSTANCE_LABEL: "m", KIND_LABEL: "engine", RELEASE_LABEL: release}
    owners = [{"kind": "ReplicaSet", "name": f"m-{release}-5d8"}]
    return {
        "metadata": {"name": name, "labels": labels, "ownerReferences": owners},
        "spec": {"containers": [{"name": "engine", "ports": ports}]},
        "status": {"phase": "Running", "podIP": NOWHERE},
    }


def count(fake: Fake) -> Count:
    return Counter(fake, "models", "m")("new")  # type: ignore[arg-type]


@contextmanager
def asking(url: str, streams: int) -> Iterator[None]:
    """Requests that run while the block does."""
    body = {"model": "exact", "messages": [], "max_tokens": 1}
    ask = lambda: httpx.post(f"{url}/v1/chat/completions", json=body, timeout=90, trust_env=False)  # noqa: E731
    threads = [threading.Thread(target=ask) for _ in range(streams)]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(90)


def test_running_and_waiting_of_all_pods() -> None:
    slow = Behaviour(ttft=Law("constant", 8.0), slots=1)
    with in_thread(slow) as (busy, url), in_thread(Behaviour()) as (idle, _):
        pods = [pod("m-old-0", idle.port), pod("m-old-1", busy.port), pod("m-new", 1, "new")]
        assert count(Fake(pods)) == Count()
        with asking(url, 2):
            until(lambda: busy.meter.running + busy.meter.waiting == 2, every_s=0.02)
            assert count(Fake(pods)) == Count(2)
        # each has a first token, and an end
        assert count(Fake(pods)) == Count(answered=4)


def test_a_port_forward_is_tried_where_the_address_leads_nowhere() -> None:
    with in_thread(Behaviour()) as (engine, _):
        fake = Fake([pod("m-old-0", 9), pod("m-old-1", 9)], engine.port)
        counter = Counter(fake, "models", "m")  # type: ignore[arg-type]
        assert counter("new") == counter("new") == Count()
        assert fake.forwards == 4
    found = counter("new")
    assert found.look == "unread" and found.unread.startswith("m-old-0: ")


@pytest.mark.parametrize("named", [True, False])
def test_an_adopted_release_has_requests_too(named: bool) -> None:
    """Its pods carry no label of ours, and listen where the Service that it had sent to."""
    with in_thread(Behaviour(ttft=Law("constant", 8.0))) as (busy, url):
        theirs = pod("by-hand-0", busy.port)
        theirs["metadata"]["ownerReferences"][0]["name"] = "by-hand-5d8"
        theirs["metadata"]["labels"] = {"app": "vllm"}
        theirs["spec"]["containers"][0] = {
            "name": "vllm",
            "ports": [{"name": "web", "containerPort": busy.port}],
        }
        ports = [{"port": 80, "targetPort": "web" if named else busy.port}]
        fake = Fake([theirs, pod("m-new", 1, "new")])
        reached = Reached("adopted-1", {"app": "vllm"}, ports)
        meta = {
            "name": "by-hand",
            "namespace": "models",
            "labels": {INSTANCE_LABEL: "m", RELEASE_LABEL: "adopted-1"},
            "annotations": {REACHED_ANNOTATION: reached.text()},
        }
        fake.deployments = [{"kind": "Deployment", "metadata": meta}]
        for item in fake.pods:
            item["metadata"]["namespace"] = "models"
        with asking(url, 1):
            until(lambda: busy.meter.running, every_s=0.02)
            assert count(fake) == Count(1)
        assert count(fake) == Count(answered=2)


@pytest.mark.parametrize("behaviour", [Behaviour(metrics=False)])
def test_an_engine_without_counters_says_nothing(behaviour: Behaviour) -> None:
    with in_thread(behaviour) as (engine, _):
        found = count(Fake([pod("m-old-0", engine.port)]))
    assert found.look == "unread"
    assert "without vLLM's counters" in found.unread and "port-forward" in found.unread


def test_a_cluster_that_does_not_answer_says_nothing() -> None:
    assert count(Fake([])) == Count(unread="the API server does not answer")
