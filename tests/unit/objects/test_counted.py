"""Of the pods of a whole cluster what is read is kept, and nothing else: every rule that reads them
comes to the same with it."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tasks.nodes.facts import api_facts, group_pods, pod_requests
from tasks.nodes.queue import QUEUE_NAME, queued_by, queueing
from tasks.objects.labels import INSTANCE_LABEL, REACHED_ANNOTATION, RELEASE_LABEL
from tasks.objects.pods import counted, ending, ready
from tasks.objects.reached import belongs_to, labelled, reached_of
from tasks.release.seats.crowd import crowd_of, host_ports, matter
from tasks.release.seats.quota import given_back, opens
from tasks.release.seats.rank import may_evict
from tasks.release.seats.room import room_for, waiting

ROOT = Path(__file__).parents[3]
HOST = {"kubernetes.io/hostname": "n1"}
NODE: dict[str, Any] = {
    "metadata": {"name": "n1", "labels": {**HOST, "zone": "a"}},
    "spec": {"taints": [{"key": "gpu", "effect": "NoSchedule"}]},
    "status": {
        "conditions": [{"type": "Ready", "status": "True"}],
        "allocatable": {"cpu": "64", "memory": "256Gi", "hygon.com/dcu": "8", "pods": "20"},
    },
}
QUOTA = "exceeded quota: q, requested: limits.cpu=2, used: limits.cpu=8, limited: limits.cpu=8"


def pod(name: str = "web-1", **over: Any) -> dict[str, Any]:
    """A pod as an API server has it, with a sidecar that a mesh put in."""

    def container(kind: str) -> dict[str, Any]:
        return {
            "name": kind,
            "image": f"registry/{kind}:v1",
            "command": ["run"],
            "args": [f"--flag={n}" for n in range(6)],
            "env": [{"name": f"VAR_{n}", "value": "x" * 20} for n in range(12)],
            "ports": [{"containerPort": 8080}],
            "resources": {"limits": {"cpu": "2", "hygon.com/dcu": "1"}, "requests": {"cpu": "1"}},
            "volumeMounts": [{"name": f"v{n}", "mountPath": f"/m{n}"} for n in range(4)],
            "livenessProbe": {"httpGet": {"path": "/h", "port": 8080}},
        }

    made: dict[str, Any] = {
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": "u-1",
            "resourceVersion": "1",
            "labels": {"app": "web"},
            "annotations": {"sidecar.istio.io/status": "s" * 900},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-7d9f", "uid": "u-0"}],
        },
        "spec": {
            "nodeName": "n1",
            "containers": [container("app"), container("istio-proxy")],
            "volumes": [{"name": f"v{n}", "configMap": {"name": f"c{n}"}} for n in range(4)],
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
        },
        "status": {
            "phase": "Running",
            "podIP": "10.1.1.1",
            "conditions": [{"type": t, "status": "True"} for t in ("Initialized", "Ready")],
            "containerStatuses": [{"name": "app", "ready": True, "state": {"running": {}}}],
        },
    }
    for path, value in over.items():
        part, _, key = path.partition("__")
        made[part][key] = value
    return made


def ours(release: str, **over: Any) -> dict[str, Any]:
    labels = {
        INSTANCE_LABEL: "m",
        RELEASE_LABEL: release,
        "model-rollout/kind": "engine",
        "app.kubernetes.io/managed-by": "model-rollout",
        "app": "m",
    }
    owner = {"kind": "ReplicaSet", "name": f"m-{release}-7d9f"}
    made = {"metadata__labels": labels, "metadata__ownerReferences": [owner]}
    return pod(f"m-{release}-1", **{**made, **over})


APART = {
    "podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "m"}}}
        ]
    }
}
HERE = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]}
            ]
        }
    }
}
WAITS: dict[str, Any] = {"spec__nodeName": "", "status__phase": "Pending"}
ONE = {"name": "one", "resources": {"requests": {"hygon.com/dcu": "4"}}}
POD_CASES: dict[str, dict[str, Any]] = {
    "runs": pod(),
    "serves": ours("old"),
    "under test": ours("new"),
    "a stranger with our labels": ours("old", metadata__ownerReferences=[]),
    "over": pod(status__phase="Succeeded"),
    "on its way out": ours("old", metadata__deletionTimestamp="2026-01-01T00:00:00Z"),
    "host port": pod(spec__containers=[{**ONE, "ports": [{"hostPort": 8000}]}]),
    "host network": pod(
        spec__hostNetwork=True, spec__containers=[{**ONE, "ports": [{"containerPort": 8000}]}]
    ),
    "keeps apart": pod(spec__affinity=APART),
    "by overhead": pod(spec__overhead={"cpu": "40"}),
    "by its own amounts": pod(spec__resources={"requests": {"cpu": "50", "memory": "9Gi"}}),
    "by an init container": pod(spec__initContainers=[ONE]),
    "by a sidecar": pod(
        spec__initContainers=[{**ONE, "restartPolicy": "Always", "ports": [{"hostPort": 8000}]}]
    ),
    "by claim": pod(spec__resourceClaims=[{"name": "devices"}]),
    "waits": pod(**WAITS),
    "waits elsewhere": pod(**WAITS, spec__affinity=HERE),
    "waits by selector": pod(**WAITS, spec__nodeSelector={"zone": "b"}),
    "waits without toleration": pod(**WAITS, spec__tolerations=[]),
    "waits, gated": pod(**WAITS, spec__schedulingGates=[{"name": "g"}]),
    "waits for a quota": pod(**WAITS, status__message=f"pods is forbidden: {QUOTA}"),
    "queued by label": ours("old", metadata__labels={**ours("old")["metadata"]["labels"]}),
    "queued by annotation": ours("old", metadata__annotations={f"kueue.x-k8s.io{QUEUE_NAME}": "q"}),
    "of an adopted release": ours(
        "old",
        metadata__annotations={
            REACHED_ANNOTATION: json.dumps({"release": "a", "selector": {"app": "m"}, "ports": []})
        },
    ),
    "a job's": pod(metadata__ownerReferences=[{"kind": "Job", "name": "j"}]),
    "a plugin's": pod(
        metadata__ownerReferences=[{"kind": "DaemonSet", "name": "plugin"}],
        status__conditions=[{"type": "Ready", "status": "False"}],
        status__containerStatuses=[
            {"name": "app", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
        ],
    ),
    "a plugin's, ready": pod(metadata__ownerReferences=[{"kind": "DaemonSet", "name": "plugin"}]),
    "of high priority": ours("old", spec__priority=1000),
    "bare": {"metadata": {"name": "bare"}},
}


def deploy(release: str) -> dict[str, Any]:
    labels = {INSTANCE_LABEL: "m", RELEASE_LABEL: release, "app": "m"}
    spec: dict[str, Any] = {
        "containers": [
            {
                "name": "engine",
                "ports": [{"containerPort": 8000, "hostPort": 8000}],
                "resources": {"requests": {"cpu": "4", "hygon.com/dcu": "2"}},
            }
        ],
        "affinity": APART,
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "topologySpreadConstraints": [
            {
                "topologyKey": "kubernetes.io/hostname",
                "maxSkew": 1,
                "labelSelector": {"matchLabels": {"app": "m"}},
            }
        ],
    }
    return {
        "metadata": {"name": f"m-{release}", "namespace": "team", "labels": labels},
        "spec": {"template": {"metadata": {"labels": labels}, "spec": spec}},
    }


def told(pods: list[dict[str, Any]]) -> dict[str, Any]:
    """All that is made of the pods of a cluster."""
    crowd = crowd_of(deploy("new")["spec"]["template"], "team")
    asks = {"cpu": 1, "hygon.com/dcu": 1}
    whole = labelled(pods, [])
    facts = api_facts(NODE, group_pods(whole).get("n1", ()))
    specs = [item.get("spec") or {} for item in whole]
    rank = {"metadata": {"name": "high"}, "value": 500}
    out: dict[str, Any] = {
        "facts": facts,
        "matter": [item["metadata"]["name"] for item in matter(crowd, whole)],
        "bars": [crowd.bars(item) for item in whole],
        "ports": [host_ports(spec) for spec in specs],
        "requests": [pod_requests(spec) for spec in specs],
        "back": [given_back(QUOTA, [spec], 1) for spec in specs],
        "opens": [opens(QUOTA, [spec]) for spec in specs],
        "labels": [item["metadata"].get("labels") for item in whole],
        "reached": [reached_of(item) for item in whole],
        "made": [belongs_to(item, "m-old") for item in whole],
        "queued": [queued_by(item) for item in whole],
        "up": [(ready(item), ending(item)) for item in whole],
        "rank": may_evict(deploy("new")["spec"]["template"], rank, whole),
        "queue": queueing(whole, asks, "team", "m"),
    }
    for serving in ("old", None):
        out[f"room {serving}"] = room_for(deploy("new"), [NODE], whole, serving)
        out[f"waits {serving}"] = waiting(whole, [NODE], asks, ("team", "m"), serving)
    return out


@pytest.mark.parametrize("case", POD_CASES)
def test_every_rule_comes_to_the_same_without_the_rest(case: str) -> None:
    for others in ([], ["serves"], ["queued by annotation"], ["runs", "under test"]):
        pods = [POD_CASES[name] for name in dict.fromkeys([case, *others])]
        before = copy.deepcopy(pods)
        assert told([counted(item) for item in pods]) == told(pods)
        assert pods == before


def test_what_a_pod_runs_is_not_kept() -> None:
    text = json.dumps(counted(pod()))
    whole = json.dumps(pod())
    for gone in (
        "env",
        "args",
        "command",
        "volume",
        "livenessProbe",
        "istio.io",
        "8080",
        "running",
    ):
        assert gone in whole and gone not in text
    assert 4 * len(text) < len(whole)


def test_pods_of_a_whole_cluster_are_never_kept_in_full() -> None:
    """But where what they mount, and name in any word, is looked for."""
    found = {
        str(path.relative_to(ROOT))
        for folder in ("tasks", "flows")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"\.list\(\s*\"Pod\"\s*,?\s*\)", path.read_text(encoding="utf-8"))
    }
    assert found == {"flows/cli/store.py"}
