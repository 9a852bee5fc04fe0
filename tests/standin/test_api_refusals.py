"""Words, doubles and contradictions that a real API server refuses, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployments.local.kube.admit.admission import Admission
from deployments.local.kube.network.addresses import SERVICES as ADDRESSES
from deployments.local.kube.network.addresses import Addresses
from deployments.local.kube.objects import allowed
from deployments.local.kube.objects.store import Store
from tests.support.cluster.api_fixture import (
    CONFIGS,
    DEPLOYMENTS,
    PODS,
    Api,
    config,
    deployment,
    serving,
)

Object = dict[str, Any]
SERVICES = "/api/v1/namespaces/default/services"
JOBS = "/apis/batch/v1/namespaces/default/jobs"


def _pod(**spec: Any) -> Object:
    inner = {"containers": [{"name": "m", "image": "i"}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": inner}


def _container(**fields: Any) -> Object:
    return _pod(containers=[{"name": "m", "image": "i", **fields}])


def _node_rule(**rule: Any) -> Object:
    terms = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "k", **rule}]}]}
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    return _pod(affinity={"nodeAffinity": {required: terms}})


def _rolling(**rolling: Any) -> Object:
    return deployment(strategy={"type": "RollingUpdate", "rollingUpdate": rolling})


def _job(**spec: Any) -> Object:
    inner = {"restartPolicy": "Never", "containers": [{"name": "m", "image": "i"}]}
    return {"metadata": {"name": "j"}, "spec": {"template": {"spec": inner}, **spec}}


def _service(*ports: Object, **spec: Any) -> Object:
    return {"metadata": {"name": "s"}, "spec": {"ports": list(ports), **spec}}


EMPTY: Object = {"emptyDir": {}}
VOLUMES = [{"name": "v", **EMPTY}]
CASES: list[tuple[str, Object, str]] = [
    (PODS, _pod(restartPolicy="Sometimes"), 'spec.restartPolicy: Unsupported value: "Sometimes"'),
    (PODS, _pod(volumes=[*VOLUMES, *VOLUMES]), 'spec.volumes[1].name: Duplicate value: "v"'),
    (
        PODS,
        _pod(volumes=[{"name": "v", **EMPTY, "hostPath": {"path": "/x"}}]),
        "more than 1 volume",
    ),
    (PODS, _pod(tolerations=[{"operator": "Exist"}]), "spec.tolerations[0].operator: Unsupported"),
    (
        PODS,
        _pod(tolerations=[{"key": "a", "operator": "Exists", "value": "b"}]),
        "spec.tolerations[0].operator: Invalid value",
    ),
    (PODS, _pod(tolerations=[{"operator": "Equal"}]), "operator must be Exists"),
    (PODS, _pod(tolerations=[{"key": "a", "effect": "NoRun"}]), "tolerations[0].effect"),
    (
        PODS,
        _pod(tolerations=[{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 3}]),
        "effect must be 'NoExecute'",
    ),
    (PODS, _node_rule(operator="Has"), "matchExpressions[0].operator: Unsupported value"),
    (PODS, _node_rule(operator="In", values=[]), "matchExpressions[0].values: Required value"),
    (PODS, _node_rule(operator="Exists", values=["a"]), "matchExpressions[0].values: Forbidden"),
    (PODS, _node_rule(operator="Gt", values=["1", "2"]), "must be one value"),
    (PODS, _container(imagePullPolicy="Maybe"), "imagePullPolicy: Unsupported value"),
    (
        PODS,
        _container(ports=[{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]),
        'ports[1].name: Duplicate value: "a"',
    ),
    (
        PODS,
        {
            **_pod(
                volumes=VOLUMES,
                containers=[
                    {
                        "name": "m",
                        "image": "i",
                        "volumeMounts": [{"name": "v", "mountPath": "/m"}] * 2,
                    }
                ],
            )
        },
        'volumeMounts[1].mountPath: Duplicate value: "/m"',
    ),
    (
        PODS,
        _container(
            env=[
                {
                    "name": "A",
                    "value": "1",
                    "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}},
                }
            ]
        ),
        "env[0].valueFrom: Invalid value",
    ),
    (PODS, _container(env=[{"name": "", "value": "1"}]), "env[0].name: Required value"),
    (
        PODS,
        _container(livenessProbe={"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}}),
        "livenessProbe: Forbidden: may not specify more than 1 handler",
    ),
    (DEPLOYMENTS, deployment(strategy={"type": "Fast"}), "spec.strategy.type: Unsupported value"),
    (DEPLOYMENTS, _rolling(maxSurge=0, maxUnavailable=0), "may not be 0 when `maxSurge` is 0"),
    (DEPLOYMENTS, _rolling(maxSurge="0%", maxUnavailable=0), "may not be 0 when `maxSurge` is 0"),
    (DEPLOYMENTS, _rolling(maxSurge="half"), "rollingUpdate.maxSurge: Invalid value"),
    (DEPLOYMENTS, _rolling(maxUnavailable=-1), "rollingUpdate.maxUnavailable: Invalid value"),
    (JOBS, _job(backoffLimit=-1), "spec.backoffLimit: Invalid value"),
    (JOBS, _job(parallelism=-1), "spec.parallelism: Invalid value"),
    (JOBS, _job(activeDeadlineSeconds=-5), "spec.activeDeadlineSeconds: Invalid value"),
    (SERVICES, _service({"port": 1}, type="Public"), "spec.type: Unsupported value"),
    (
        SERVICES,
        _service({"port": 1, "name": "a"}, {"port": 2, "name": "a"}),
        'spec.ports[1].name: Duplicate value: "a"',
    ),
    (
        SERVICES,
        _service({"port": 1, "name": "a"}, {"port": 1, "name": "b"}),
        "spec.ports[1]: Duplicate value",
    ),
    (SERVICES, _service({"port": 1, "nodePort": 30001}), "ports[0].nodePort: Forbidden"),
    (CONFIGS, {**config(), "data": {"a/b": "c"}}, "data[a/b]: Invalid value"),
    (CONFIGS, {**config(), "data": {"a": "x" * (1 << 20), "b": "y"}}, "may not be more than"),
]


@pytest.mark.parametrize(("path", "obj", "said"), CASES, ids=[case[2] for case in CASES])
def test_what_contradicts_itself_is_refused(
    shared_api: Api, path: str, obj: Object, said: str
) -> None:
    before = shared_api.store.version
    code, answer = shared_api.send("POST", path, obj)
    assert (code, answer["reason"]) == (422, "Invalid")
    assert said in answer["message"]
    assert answer["details"]["causes"][0]["field"] in answer["message"]
    assert shared_api.store.version == before


def test_what_only_looks_odd_is_taken(shared_api: Api) -> None:
    odd = _pod(
        volumes=VOLUMES,
        tolerations=[{"operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoExecute"}],
        terminationGracePeriodSeconds=0,
    )
    mounts = [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]
    odd["spec"]["containers"][0]["volumeMounts"] = mounts
    for path, obj in (
        (PODS, odd),
        (DEPLOYMENTS, _rolling(maxSurge="25%", maxUnavailable=0)),
        (JOBS, _job(backoffLimit=0)),
        (
            SERVICES,
            _service({"port": 53, "name": "a"}, {"port": 53, "name": "b", "protocol": "UDP"}),
        ),
        (CONFIGS, {**config("full"), "data": {"a": "x" * (1 << 20)}}),
    ):
        code, answer = shared_api.send("POST", f"{path}?dryRun=All", obj)
        assert code == 201, answer


def test_what_is_immutable_stays(shared_api: Api) -> None:
    made = {**config("fixed"), "data": {"a": "1"}, "immutable": True}
    assert shared_api.send("POST", CONFIGS, made)[0] == 201
    for change in ({"data": {"a": "2"}}, {"immutable": False}):
        code, answer = shared_api.send("PUT", f"{CONFIGS}/fixed", {**made, **change})
        assert code == 422 and "immutable" in answer["message"]
    labelled = {**made, "metadata": {"name": "fixed", "labels": {"a": "b"}}}
    assert shared_api.send("PUT", f"{CONFIGS}/fixed", labelled)[0] == 200


def test_nothing_is_made_in_a_namespace_that_goes(shared_api: Api) -> None:
    spaces = "/api/v1/namespaces"
    held = {"metadata": {"name": "going", "finalizers": ["example.com/wait"]}}
    assert shared_api.send("POST", spaces, held)[0] == 201
    inside = f"{spaces}/going/configmaps"
    assert shared_api.send("POST", inside, config("before", namespace="going"))[0] == 201
    assert shared_api.send("DELETE", f"{spaces}/going")[0] == 200
    code, answer = shared_api.send("POST", inside, config("after", namespace="going"))
    assert (code, answer["reason"]) == (403, "Forbidden")
    assert answer["details"]["causes"][0]["reason"] == "NamespaceTerminating"


# -- what admission asks of a new pod, made or only tried ----------------------------------------

TRIED = f"{PODS}?dryRun=All"


@pytest.fixture
def admitting(tmp_path: Path) -> Iterator[Api]:
    """One whose admission is asked."""
    asked: list[Admission] = []

    def admit(plural: str, obj: Any, old: Any) -> Any:
        return asked[0](plural, obj, old)

    with serving(tmp_path, admit=admit) as served:
        store: Store = served.store
        asked.append(Admission(store, Addresses(ADDRESSES), dict))
        yield served


def asking(**spec: Any) -> dict[str, Any]:
    engine = {"name": "m", "image": "i", "resources": {"limits": {"cpu": "2"}}}
    return {"metadata": {"generateName": "p-"}, "spec": {"containers": [engine], **spec}}


NAMED = [
    ({"serviceAccountName": "a"}, "serviceaccounts", 'serviceaccount "a" not found'),
    ({"priorityClassName": "a"}, "priorityclasses", "no PriorityClass with name a was found"),
    ({"runtimeClassName": "a"}, "runtimeclasses", 'RuntimeClass "a" not found'),
]


@pytest.mark.parametrize(("spec", "plural", "why"), NAMED)
def test_what_a_pod_names_is_there(admitting: Api, spec: Any, plural: str, why: str) -> None:
    code, said = admitting.send("POST", TRIED, asking(**spec))
    assert code == 403 and why in said["message"]
    meta = {"name": "a", "namespace": "default"}
    more = {"value": 1} if plural == "priorityclasses" else {"handler": "h"}
    admitting.store.create(plural, {"metadata": meta, **more})
    assert admitting.send("POST", TRIED, asking(**spec))[0] == 201


@pytest.mark.parametrize(
    ("hard", "refused"),
    [
        ({"requests.cpu": "4"}, ""),
        ({"cpu": "3"}, "requested: cpu=2, used: cpu=2, limited: cpu=3"),
        ({"limits.cpu": "3"}, "requested: limits.cpu=2, used: limits.cpu=2, limited: limits.cpu=3"),
        ({"pods": "1", "cpu": "9"}, "requested: pods=1, used: pods=1, limited: pods=1"),
    ],
)
def test_a_quota_counts_what_is_there_and_a_trial_takes_nothing(
    admitting: Api, hard: dict[str, str], refused: str
) -> None:
    quota = {"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": hard}}
    admitting.store.create("resourcequotas", quota)
    assert admitting.send("POST", PODS, asking())[0] == 201
    for _ in range(2):
        code, said = admitting.send("POST", TRIED, asking())
        assert code == (403 if refused else 201)
        assert not refused or f"exceeded quota: q, {refused}" in said["message"]
    assert len(admitting.store.list("pods", "default")) == 1


def test_a_quota_counts_the_pods_of_its_scope_and_says_so(admitting: Api) -> None:
    wanted = [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]
    quota = {
        "metadata": {"name": "q", "namespace": "default"},
        "spec": {"hard": {"pods": "1"}, "scopeSelector": {"matchExpressions": wanted}},
    }
    meta = {"name": "high", "namespace": "default"}
    admitting.store.create("priorityclasses", {"metadata": meta, "value": 1})
    admitting.store.create("resourcequotas", quota)
    high = asking(priorityClassName="high")
    for body, code in ((asking(), 201), (high, 201), (asking(), 201), (high, 403)):
        assert admitting.send("POST", PODS, body)[0] == code
    pods = admitting.store.list("pods", "default")
    assert allowed.told(quota, pods) == {"hard": {"pods": "1"}, "used": {"pods": "1"}}
    timed = {**quota, "spec": {"hard": {"pods": "1"}, "scopes": ["Terminating"]}}
    assert allowed.told(timed, pods)["used"] == {"pods": "0"}
