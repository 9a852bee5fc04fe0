"""What serves could not start again: nothing is taken from it, and nobody notices."""

from __future__ import annotations

from typing import Any

import pytest

from tests.flows.house import NAMESPACE, House
from tests.support.cluster.hand import Hand

pytestmark = pytest.mark.timeout(900)
WIDE = {"cpu": "3", "memory": "4Gi", "shm_gib": 0}
REPLACE = {"serving__resources": WIDE, "promotion__allow_interruption": True}


def of(kind: str, **body: Any) -> dict[str, Any]:
    group = {"PriorityClass": "scheduling.k8s.io/v1"}.get(kind, "v1")
    meta = {"name": "mine", "namespace": NAMESPACE}
    return {"apiVersion": group, "kind": kind, "metadata": meta, **body}


NAMED = [
    of("Secret", stringData={"k": "v"}),
    of("ConfigMap", data={"k": "v"}),
    of("PersistentVolumeClaim", spec={"accessModes": ["ReadWriteOnce"]}),
    of("ServiceAccount"),
    of("PriorityClass", value=1000),
]
POD = {
    "terminationGracePeriodSeconds": 6,
    "priorityClassName": "mine",
    "serviceAccountName": "mine",
    "volumes": [
        {"name": "a", "persistentVolumeClaim": {"claimName": "mine"}},
        {"name": "b", "configMap": {"name": "mine", "items": [{"key": "k", "path": "p"}]}},
    ],
    "containers": [
        {
            "name": "engine",
            "env": [
                {"name": "K", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "k"}}},
                {"name": "N", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "no",
                                                             "optional": True}}},
            ],
        }
    ],
}  # fmt: skip


def test_what_serves_is_not_stopped_for_what_is_gone_or_refused(home: House) -> None:
    spec = str(home.spec(**REPLACE, serving__pod=POD))
    plain = str(home.spec(**REPLACE))
    with Hand.connect(str(home.cluster.kubeconfig)) as api:
        for body in NAMED:
            api.apply(body)
        home.publish(1)
        home.rollout("run", spec, expect=0)
        home.publish(2)
        for body in NAMED:
            kind, name = body["kind"], body["metadata"]["name"]
            space = None if kind == "PriorityClass" else NAMESPACE
            api.delete(kind, name, space)
            refused(home, plain, kind)
            api.apply(body)
        # a quota that it uses up itself is no refusal, one below that is
        quota = of("ResourceQuota", spec={"hard": {"requests.cpu": "2"}})
        api.apply(quota)
        refused(home, plain, "exceeded quota")
        api.apply({**quota, "spec": {"hard": {"requests.cpu": "3500m"}}})
        # nor is it one that another quota has room: the API server names the first alone
        other = of("ResourceQuota", spec={"hard": {"requests.memory": "1Gi"}})
        other["metadata"] = {**other["metadata"], "name": "other"}
        api.apply(other)
        refused(home, plain, "quota other would be exceeded")
        api.delete("ResourceQuota", "other", NAMESPACE)
        home.rollout("run", plain, "--yes", expect=0)
    assert home.state().phase == "idle"


def refused(home: House, spec: str, why: str) -> None:
    with home.asking() as seen:
        said = home.rollout("run", spec, "--yes", expect=5)
    assert "could not come back if it were stopped" in said and why.lower() in said.lower()
    assert seen.answered and not seen.failed
