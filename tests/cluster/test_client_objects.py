"""The client against an API server: what is written is what the server keeps."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from tasks.base.errors import LockLost, Refused, StepFailed
from tasks.objects.made import made_of
from tasks.outside.kubernetes.client import AlreadyExists, Cluster, Conflict, NotFound
from tasks.outside.kubernetes.lease import LeaseLock
from tests.cluster.client_fixture import client, namespace

__all__ = ["client", "namespace"]


def configmap(ns: str, name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": ns, "labels": {"suite": "client"}},
        "data": data,
    }


def test_create_get_delete(client: Cluster, namespace: str) -> None:
    made = client.create(configmap(namespace, "one", a="1"))
    found = client.get("ConfigMap", "one", namespace)
    assert found is not None and found["data"] == {"a": "1"}
    assert found["metadata"]["uid"] == made["metadata"]["uid"]
    with pytest.raises(AlreadyExists):
        client.create(configmap(namespace, "one"))
    assert client.delete("ConfigMap", "one", namespace) is True
    assert client.delete("ConfigMap", "one", namespace) is False
    assert client.get("ConfigMap", "one", namespace) is None


def test_delete_of_the_very_object_only(client: Cluster, namespace: str) -> None:
    made = client.create(configmap(namespace, "two"))
    with pytest.raises(Conflict):
        client.delete("ConfigMap", "two", namespace, uid="00000000-0000-0000-0000-000000000000")
    assert client.delete("ConfigMap", "two", namespace, uid=made["metadata"]["uid"])


def test_of_two_writers_over_one_version_one_wins(client: Cluster, namespace: str) -> None:
    read = client.create(configmap(namespace, "three", a="1"))
    client.replace({**read, "data": {"a": "2"}})
    with pytest.raises(Conflict):
        client.replace({**read, "data": {"a": "3"}})
    stale = {"metadata": {"resourceVersion": read["metadata"]["resourceVersion"]}}
    with pytest.raises(Conflict):
        client.patch("ConfigMap", "three", namespace, {**stale, "data": {"a": "4"}})
    patched = client.patch("ConfigMap", "three", namespace, {"data": {"b": "5"}})
    assert patched["data"] == {"a": "2", "b": "5"}
    with pytest.raises(NotFound):
        client.patch("ConfigMap", "absent", namespace, {"data": {}})


def test_apply_owns_what_it_names(client: Cluster, namespace: str) -> None:
    client.apply(configmap(namespace, "four", mine="1", gone="1"))
    client.patch("ConfigMap", "four", namespace, {"data": {"theirs": "1"}})
    applied = client.apply(configmap(namespace, "four", mine="2"))
    assert applied["data"] == {"mine": "2", "theirs": "1"}
    again = client.apply(configmap(namespace, "four", mine="2"))
    assert again["metadata"]["resourceVersion"] == applied["metadata"]["resourceVersion"]


def test_a_dry_run_checks_and_changes_nothing(client: Cluster, namespace: str) -> None:
    client.create(configmap(namespace, "five", a="1"), dry_run=True)
    client.apply(configmap(namespace, "five", a="1"), dry_run=True)
    assert client.get("ConfigMap", "five", namespace) is None
    kept = client.create(configmap(namespace, "five", a="1"))
    client.patch("ConfigMap", "five", namespace, {"data": {"a": "2"}}, dry_run=True)
    client.delete("ConfigMap", "five", namespace, dry_run=True)
    assert client.get("ConfigMap", "five", namespace) == kept


def test_a_closed_fence_keeps_every_write_out(client: Cluster, namespace: str) -> None:
    def fence() -> None:
        raise LockLost("another holds it")

    with pytest.raises(LockLost):
        client.apply(configmap(namespace, "six"), fence=fence)
    assert client.get("ConfigMap", "six", namespace) is None


def test_selectors_and_pages(
    client: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.outside.kubernetes.objects.PAGE", 3)
    for number in range(8):
        body = configmap(namespace, f"page-{number}")
        body["metadata"]["labels"]["odd"] = str(number % 2)
        client.create(body)
    listed = client.list("ConfigMap", namespace, "suite=client")
    assert [o["metadata"]["name"] for o in listed] == [f"page-{n}" for n in range(8)]
    assert {o["kind"] for o in listed} == {"ConfigMap"}
    assert len(client.list("ConfigMap", namespace, "suite=client,odd=1")) == 4
    named = client.list("ConfigMap", namespace, field_selector="metadata.name=page-5")
    assert [o["metadata"]["name"] for o in named] == ["page-5"]
    everywhere = client.list("ConfigMap", None, "suite=client")
    assert len([o for o in everywhere if o["metadata"]["namespace"] == namespace]) == 8


def test_a_watch_sees_every_change_in_order(client: Cluster, namespace: str) -> None:
    client.create(configmap(namespace, "before"))
    start = client.snapshot("ConfigMap", namespace, "suite=client")
    client.create(configmap(namespace, "w", a="1"))
    client.patch("ConfigMap", "w", namespace, {"data": {"a": "2"}})
    client.delete("ConfigMap", "w", namespace)
    heard = []
    for change, obj in client.watch(
        "ConfigMap", namespace, label_selector="suite=client", start=start, timeout_s=30
    ):
        heard.append((change, obj["metadata"]["name"], obj["data"]["a"]))
        if len(heard) == 3:
            break
    assert heard == [("ADDED", "w", "1"), ("MODIFIED", "w", "2"), ("DELETED", "w", "2")]


def test_a_watch_from_a_past_that_is_gone_lists_anew(client: Cluster, namespace: str) -> None:
    client.create(configmap(namespace, "present", a="1"))
    lost = {**configmap(namespace, "lost"), "metadata": {"name": "lost", "namespace": namespace}}
    heard = set()
    for change, obj in client.watch(
        "ConfigMap",
        namespace,
        field_selector=f"metadata.namespace={namespace}",
        start=([lost], "1"),
        timeout_s=120,
    ):
        heard.add((change, obj["metadata"]["name"]))
        if ("ADDED", "present") in heard:
            break
    assert ("ADDED", "present") in heard


def test_a_watch_is_stopped_at_once(client: Cluster, namespace: str) -> None:
    stop, heard = threading.Event(), threading.Event()

    def listen() -> None:
        for _ in client.watch("ConfigMap", namespace, stop=stop):
            heard.set()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    client.create(configmap(namespace, "seen"))
    assert heard.wait(120)
    stop.set()
    thread.join(60)
    assert not thread.is_alive()


def test_wait_for(client: Cluster, namespace: str) -> None:
    timer = threading.Timer(0.3, client.create, [configmap(namespace, "late", a="1")])
    timer.start()
    got = client.wait_for(
        "ConfigMap",
        namespace,
        lambda found: [o["data"] for o in found if o["metadata"]["name"] == "late"],
        120,
        what="the ConfigMap late",
    )
    assert got == [{"a": "1"}]
    timer.join()
    with pytest.raises(StepFailed, match="waited 1 s for the impossible"):
        client.wait_for("ConfigMap", namespace, lambda found: None, 1, what="the impossible")


def test_the_lease_lets_one_act_at_a_time(client: Cluster, namespace: str) -> None:
    refused: list[str] = []

    def contend() -> None:
        with pytest.raises(Refused) as caught:
            LeaseLock(client, namespace, "m", "second", duration_s=180).acquire()
        refused.append(str(caught.value))

    with LeaseLock(client, namespace, "m", "first", duration_s=180) as first:
        first.check()
        thread = threading.Thread(target=contend, daemon=True)
        thread.start()
        while thread.is_alive():  # by its renewals it proves alive
            first.renew()
            thread.join(0.5)
        assert "held by 'first'" in refused[0]
        first.check()
    with LeaseLock(client, namespace, "m", "second", duration_s=180) as second:
        assert second.epoch == first.epoch + 1
        with pytest.raises(LockLost):
            first.check()


def test_of_many_at_once_one_gets_the_lease(client: Cluster, namespace: str) -> None:
    together, held, most = threading.Barrier(5), [0], [0]
    epochs: list[int] = []
    mutex = threading.Lock()

    def contend(number: int) -> None:
        together.wait(30)
        with LeaseLock(client, namespace, "many", f"run-{number}", 180, wait_s=300) as lock:
            with mutex:
                held[0] += 1
                most[0] = max(most[0], held[0])
                epochs.append(lock.epoch)
            lock.check()
            time.sleep(0.05)
            with mutex:
                held[0] -= 1

    threads = [threading.Thread(target=contend, args=(n,), daemon=True) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert most == [1] and sorted(epochs) == [1, 2, 3, 4, 5]


def test_what_is_applied_is_answered_as_it_is_read(client: Cluster, namespace: str) -> None:
    """With every default: what was judged is told from that, and a restart is no change."""
    labels = {"app": "made"}
    engine = {"name": "engine", "image": "none:1", "ports": [{"containerPort": 8000}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [engine]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    meta = {"name": "made", "namespace": namespace}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}
    made = made_of(client.apply(body))
    assert made_of(client.get("Deployment", "made", namespace) or {}) == made
    assert made_of(client.apply(body)) == made
    client.patch("Deployment", "made", namespace, {"spec": {"replicas": 1}})
    assert made_of(client.list("Deployment", namespace)[0]) == made
