"""A plain vLLM behind a Service of its own becomes a release, makes way for a new version and comes
back as it was; its clients notice nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest

from tests.flows.house import IMAGE, LAWS, NAMESPACE, House, record_of
from tests.support.cluster.hand import Hand
from tests.support.streams import clients
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(900)
WRITES = {"create", "update", "patch", "delete"}
SELECTOR = {"app": "vllm", "team": "chat"}


def plain() -> list[dict[str, Any]]:
    """A Deployment and a Service, as somebody applies them: no label of ours, no port's name."""
    engine = {
        "name": "vllm",
        "image": IMAGE,
        "command": ["python3", "-m", "tests.exact_engine"],
        "args": ["--served-model-name=tiny", "--host=0.0.0.0", "--port=8123"],
        "env": [{"name": "EXACT_ENGINE", "value": json.dumps(LAWS)}],
        "ports": [{"containerPort": 8123}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8123}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "100m"}},
    }
    # it ends what it has begun
    pod = {"containers": [engine], "terminationGracePeriodSeconds": 30}
    deploy = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "by-hand", "namespace": NAMESPACE, "labels": {"app": "vllm"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "vllm"}},
            "template": {"metadata": {"labels": SELECTOR}, "spec": pod},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "tiny", "namespace": NAMESPACE},
        "spec": {"selector": SELECTOR, "ports": [{"port": 80, "targetPort": 8123}]},
    }
    return [deploy, service]


def found(home: House, kind: str, name: str) -> dict[str, Any]:
    with Hand.connect(str(home.cluster.kubeconfig)) as api:
        item = api.get(kind, name, NAMESPACE)
    assert item is not None
    return item


def pods(home: House) -> list[tuple[str, int]]:
    """Name of each of its pods, and how often it was restarted."""
    chosen = ",".join(f"{key}={value}" for key, value in SELECTOR.items())
    with Hand.connect(str(home.cluster.kubeconfig)) as api:
        every = api.list("Pod", NAMESPACE, label_selector=chosen)
    return sorted((p["metadata"]["name"], restarts(p)) for p in every)


def restarts(pod: dict[str, Any]) -> int:
    return sum(int(c["restartCount"]) for c in pod["status"]["containerStatuses"])


def text(item: dict[str, Any]) -> str:
    return json.dumps(item["spec"], sort_keys=True)


def test_what_somebody_deployed_becomes_a_release_and_is_gone_back_to(home: House) -> None:
    with Hand.connect(str(home.cluster.kubeconfig)) as api:
        for body in plain():
            api.create(body)
    until(lambda: found(home, "Deployment", "by-hand").get("status", {}).get("readyReplicas") == 2)
    service, deploy = found(home, "Service", "tiny"), found(home, "Deployment", "by-hand")
    before = pods(home)
    first = home.publish(1)
    # measured against what somebody deployed
    versus = {"versus_stable_percent": 900, "advisory": True}
    targets = {"ttft_mean_ms": versus, "success_rate_percent": 90}
    promotion = {"soak_s": 1, "drain_s": 60}
    more = {"access": {"mode": "pod-ip"}, "serving__replicas": 2}
    spec = str(home.spec(targets=targets, promotion=promotion, **more))

    said = home.rollout("run", spec, expect=5)
    assert "rollout adopt tiny --service tiny" in said
    where = ("-n", NAMESPACE)
    said = home.rollout("adopt", "other", "--service", "tiny", *where, expect=5)
    assert "call the rollout tiny" in said
    with another_service(home):
        said = home.rollout("adopt", "tiny", *where, expect=5)
    assert "Service tiny-internal leads to the pods of Deployment models/by-hand as well" in said
    assert "or pass --leaves tiny-internal:" in said

    with home.asking() as seen:
        audit = home.cluster.audit
        asked = len(audit)
        home.rollout("adopt", "tiny", "--service", "tiny", *where, expect=0)
        used = {(verb, plural) for verb, _, plural, *_ in audit[asked:] if verb in WRITES}
        said = home.rollout("adopt", "tiny", *where, expect=0)
    assert "by-hand behind Service models/tiny is release adopted-" in said
    assert seen.answered > 5 and not seen.failed
    assert used == {
        ("create", "events"),
        ("create", "leases"),
        ("update", "leases"),
        ("create", "configmaps"),
        ("update", "configmaps"),
        ("patch", "deployments"),
        ("patch", "services"),
    }
    assert text(found(home, "Service", "tiny")) == text(service)
    assert text(found(home, "Deployment", "by-hand")) == text(deploy) and pods(home) == before
    said = home.rollout("status", "tiny", *where, expect=0)
    assert "serving:   by-hand, 2 available" in said and "stable:    by-hand, adopted" in said

    with another_service(home):
        home.rollout("adopt", "tiny", "--leaves", "tiny-internal", *where, expect=0)
        with another_service(home, "tiny-later"):
            said = home.rollout("run", spec, expect=5)
            assert "Service tiny-later leads to pods of by-hand, and nowhere once they stop" in said
            assert "promotion.leaves: [tiny-later]" in said and "tiny-internal" not in said
            agreed = {**promotion, "leaves": ["tiny-later"]}
            asks = str(home.spec(targets=targets, promotion=agreed, **more))
            said = home.rollout("run", asks, expect=2)
            assert "tiny-later" in said and "pass --yes" in said
    spec = str(home.spec(targets=targets, promotion=promotion, **more))

    # its streams outlast the least drain, and a plain engine cuts them off when it has to end
    with home.asking() as seen, clients(home.address(), streams=1, tokens=1500) as long:
        home.rollout("run", spec, expect=0)
    assert seen.answered > 10 and not seen.failed and not long.broken
    rounds = [r for r in record_of(home)["benchmark"]["rounds"] if r["release"] == "stable"]
    assert rounds and all(r["succeeded"] == r["requests"] for r in rounds)
    state = home.state()
    assert state.stable is not None and state.stable.commit == first
    assert state.previous is not None and state.previous.deployment == "by-hand"
    assert found(home, "Deployment", "by-hand")["spec"]["replicas"] == 0
    until(lambda: pods(home) == [])  # they end in their own time
    assert set(found(home, "Service", "tiny")["spec"]["selector"]).isdisjoint(SELECTOR)
    comes_back_from_a_manifest_applied_again(home)

    with home.asking() as seen:
        home.rollout("rollback", "tiny", *where, expect=0)
    assert seen.answered > 10 and not seen.failed
    assert text(found(home, "Service", "tiny")) == text(service)
    assert text(found(home, "Deployment", "by-hand")) == text(deploy)
    state = home.state()
    assert state.stable is not None and state.stable.id.startswith("adopted-")
    assert state.phase == "idle" and home.objects("Deployment") == ["by-hand"]


@contextmanager
def another_service(home: House, name: str = "tiny-internal") -> Iterator[None]:
    """One more that chooses the same pods."""
    _, body = plain()
    body["metadata"]["name"] = name
    with Hand.connect(str(home.cluster.kubeconfig)) as api:
        api.create(body)
        yield
        api.delete("Service", name, NAMESPACE)


def comes_back_from_a_manifest_applied_again(home: House) -> None:
    """It brings the former selector back beside the one there is, which then chooses no pod."""
    with Hand.connect(str(home.cluster.kubeconfig)) as api:
        api.patch("Service", "tiny", NAMESPACE, {"spec": {"selector": SELECTOR}})
    said = home.rollout("status", "tiny", "-n", NAMESPACE, expect=0)
    assert "asks for labels that its pods do not have" in said
    said = home.rollout("guard", "--once", "-n", NAMESPACE, expect=0)
    assert "led to no pod" in said
    assert set(found(home, "Service", "tiny")["spec"]["selector"]).isdisjoint(SELECTOR)

    def answers() -> bool:
        # its rules come a moment later
        with suppress(httpx.HTTPError):
            return httpx.get(f"{home.address()}/v1/models", timeout=30, trust_env=False).is_success
        return False

    until(answers)
