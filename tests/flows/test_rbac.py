"""The roles in deployments/cluster grant what the flows ask of the API, and nothing else."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.outside.kubernetes.writes import FIELD_MANAGER
from tests.flows.house import NAMESPACE, House, read_until
from tests.support.cluster.hand import Hand

pytestmark = pytest.mark.timeout(1200)
MANIFEST = Path(__file__).parents[2] / "deployments" / "cluster" / "base" / "rbac.yaml"
# what other rollouts are owed is asked of the whole cluster first
TRIED = {("cluster", "list", "", "configmaps"), ("cluster", "list", "apps", "deployments")}
WRITES = {"create", "update", "patch", "delete", "deletecollection"}
# (scope, verb, group, resource or resource/subresource); scope: 'namespace' or 'cluster'
Right = tuple[str, str, str, str]


def granted() -> set[Right]:
    """What the roles of the manifest grant."""
    out: set[Right] = set()
    for item in yaml.safe_load_all(MANIFEST.read_text()):
        scope = {"Role": "namespace", "ClusterRole": "cluster"}.get(item["kind"])
        for rule in item.get("rules") or []:
            assert not {"*"} & {*rule["verbs"], *rule["resources"], *rule["apiGroups"]}
            out |= {
                (str(scope), verb, group, name)
                for verb in rule["verbs"]
                for group in rule["apiGroups"]
                for name in rule["resources"]
            }
    return out


@dataclass
class Watcher:
    """Collects the API calls of what runs inside `of`; the tests' own calls stay outside."""

    home: House
    used: set[Right] = field(default_factory=set)
    created: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home.cluster.store.listen(self._hear)

    def _hear(self, event: tuple[int, str, str, Any]) -> None:
        _, plural, what, obj = event
        marks = obj["metadata"].get("managedFields") or []
        applied = any(m["manager"] == FIELD_MANAGER and m["operation"] == "Apply" for m in marks)
        if what == "ADDED" and applied:
            self.created.append((plural, obj["metadata"].get("namespace", "")))

    def of(self, action: Callable[[], Any]) -> set[Right]:
        """Run it; gives the rights it used."""
        audit, before, made = self.home.cluster.audit, len(self.home.cluster.audit), self.created
        made.clear()
        action()
        found: set[Right] = set()
        groups = {}
        for verb, group, plural, sub, namespace, _ in audit[before:]:
            name = f"{plural}/{sub}" if sub else plural
            found.add(("namespace" if namespace else "cluster", verb, group, name))
            groups[plural] = group
        # an apply that makes the object is authorized as create, too
        found |= {("namespace" if ns else "cluster", "create", groups[p], p) for p, ns in made}
        self.used |= found
        return found


def writes(rights: set[Right]) -> set[Right]:
    return {right for right in rights if right[1] in WRITES}


def python(home: House, code: str, **more: str) -> None:
    """Code in a process of its own, as a worker would run it. more: of its environment."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**home.environment, **more},
        cwd=home.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_roles_grant_what_is_used_and_nothing_else(home: House) -> None:
    seen = Watcher(home)
    home.publish(1)
    with Hand.connect(str(home.cluster.kubeconfig)) as api:
        api.apply(CLAIM)
    spec = str(home.spec(serving__pod=CLAIMS))

    # what a plan would write is tried, and nothing is made
    looks = seen.of(lambda: home.rollout("plan", spec, "--json", expect=0))
    assert {right[3] for right in writes(looks)} == {"deployments", "services"}
    assert home.objects("Deployment") == home.objects("Service") == []
    looks = seen.of(lambda: home.rollout("check-nodes", spec, "--json", expect=0))
    assert {right[3] for right in writes(looks)} == {"jobs"}

    seen.of(lambda: home.rollout("run", spec, expect=0))
    idle = seen.of(lambda: home.rollout("run", spec, expect=0))
    assert not writes(idle)
    assert not writes(seen.of(lambda: home.rollout("status", "tiny", "-n", NAMESPACE, expect=0)))

    # a PriorityClass is looked up by whoever names one
    with Hand.connect(str(home.cluster.kubeconfig)) as api:
        api.apply(PRIORITY)
    # it outranks what serves, which may be evicted for it
    agreed = {"promotion__allow_interruption": True}
    ranked = str(home.spec(serving__priority_class="serving", **agreed))
    looks = seen.of(lambda: home.rollout("plan", ranked, "--json", expect=0))
    assert ("cluster", "get", "scheduling.k8s.io", "priorityclasses") in looks
    unknown = str(home.spec(serving__priority_class="nobodys"))
    assert "nobodys is no PriorityClass" in home.rollout("plan", unknown, expect=5)

    # before anything stops, a Pod of what serves is tried, and the claim that it names looked up
    with Hand.connect(str(home.cluster.kubeconfig)) as api:
        api.delete("PersistentVolumeClaim", "kept", NAMESPACE)
        said = ""

        def tried() -> None:
            nonlocal said
            said = home.rollout("run", str(home.spec(**WIDE)), "--yes", expect=5)

        asked = seen.of(tried)
        api.apply(CLAIM)
    assert "PersistentVolumeClaim kept, which its pods name, is not there" in said
    assert ("namespace", "create", "", "pods") in asked

    home.publish(2)
    forward = ["--set", "access.benchmark_through_port_forward=true"]
    seen.of(lambda: home.rollout("run", spec, "--access", "port-forward", *forward, expect=0))
    seen.of(lambda: home.rollout("rollback", "tiny", "-n", NAMESPACE, expect=0))

    # judged and failed; a pod that cannot start; a container that crashes
    home.publish(3)
    seen.of(lambda: home.rollout("run", spec, "--target", "ttft_mean_ms=1", expect=3))
    broken = str(home.spec(serving__image="nowhere/engine:9"))
    seen.of(lambda: home.rollout("run", broken, expect=1))
    crash = ["python3", "-c", "import sys; sys.exit('no')"]
    crashing = str(home.spec(serving__command=crash))
    seen.of(lambda: home.rollout("run", crashing, expect=1))

    def killed() -> None:
        process = home.start("run", spec, lease_s=12)
        read_until(process, "[benchmark] started")
        process.send_signal(signal.SIGKILL)
        process.communicate()

    seen.of(killed)
    call = f"guard(namespace={NAMESPACE!r})"
    swept = seen.of(lambda: python(home, f"from flows.guard import guard; {call}"))
    assert ("namespace", "delete", "apps", "deployments") in swept and home.state().phase == "idle"

    # at rest, the guard only looks
    looks = seen.of(lambda: home.rollout("guard", "--once", "-n", NAMESPACE, expect=0))
    assert looks and not writes(looks)

    # a verification leaves an entry of its own, and an Event where targets are missed
    missed = ["--target", "ttft_mean_ms=1"]
    verified = writes(seen.of(lambda: home.rollout("verify", spec, *missed, expect=3)))
    assert {right[3] for right in verified} == {"configmaps", "events"}

    def aborted() -> None:
        # a load that does not end before it is asked to
        long = str(home.spec(serving__pod=CLAIMS, benchmark__requests_per_round=4000))
        process = home.start("run", long)
        read_until(process, "[benchmark] started")
        home.rollout("abort", "tiny", "-n", NAMESPACE, "--yes", expect=0)
        process.communicate()

    seen.of(aborted)

    # it remembers what it told
    watched = f"from flows.watch_models import watch_models; watch_models([{spec!r}])"
    noted = writes(seen.of(lambda: python(home, watched)))
    assert noted == {("namespace", "create", "", "configmaps")}

    # what prepare-cluster applies is its operator's; what it reads needs no more than the rest
    vendor = home.folder / "vendor.yaml"
    vendor.write_text(json.dumps(LABEL_NODE))
    prepare = (
        "from flows.prepare_cluster import prepare_cluster; "
        f"prepare_cluster('cpu', [{str(vendor)!r}], ['node-a'])"
    )
    other, seen.used = seen.used, set()
    admin = str(home.cluster.kubeconfig)
    prepared = seen.of(lambda: python(home, prepare, KUBECONFIG=admin))
    assert ("namespace", "create", "apps", "daemonsets") in prepared
    seen.used = other | (prepared - writes(prepared))

    # API servers before 1.35 authorize a port-forward as get, later ones and ours as create
    forwarding = ("namespace", "create", "", "pods/portforward")
    assert forwarding in seen.used
    seen.used.add(("namespace", "get", "", "pods/portforward"))

    # the account goes on with its namespace's where those of the cluster are refused
    seen.used -= TRIED

    rights = granted()
    assert sorted(seen.used - rights) == [], "used, and no role grants it"
    assert sorted(rights - seen.used) == [], "granted, and nothing uses it"


CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "kept", "namespace": NAMESPACE},
    "spec": {"accessModes": ["ReadWriteOnce"]},
}
CLAIMS = {
    "terminationGracePeriodSeconds": 6,
    "volumes": [{"name": "kept", "persistentVolumeClaim": {"claimName": "kept"}}],
}
# no room beside what serves, on a node of 4 cores
WIDE = {
    "serving__resources": {"cpu": "3950m", "memory": "4Gi", "shm_gib": 0},
    "promotion__allow_interruption": True,
}
PRIORITY = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": "serving"},
    "value": 1000,
}
LABEL_NODE = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "label-node", "namespace": "kube-system"},
    "spec": {
        "selector": {"matchLabels": {"app": "label-node"}},
        "template": {
            "metadata": {"labels": {"app": "label-node"}},
            "spec": {"containers": [{"name": "label-node", "image": "label-node:1"}]},
        },
    },
}
