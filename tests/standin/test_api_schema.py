"""What is refused, and that the answer names the field."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes.client import models

from deployments.local.kube.admit.schema import fields
from deployments.local.kube.objects.kinds import KINDS
from tests.support.cluster.api_fixture import (
    CONFIGS,
    DEPLOYMENTS,
    PODS,
    Api,
    config,
    deployment,
    pod,
)

Object = dict[str, Any]
CRONJOBS = "/apis/batch/v1/namespaces/default/cronjobs"


def _container(**fields_: Any) -> Object:
    obj = deployment()
    obj["spec"]["template"]["spec"]["containers"][0].update(fields_)
    return obj


def _job(**spec: Any) -> Object:
    inner = {"restartPolicy": "Never", "containers": [{"name": "m", "image": "i"}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j"},
        "spec": {"template": {"spec": inner}, **spec},
    }


def _cronjob(**pod: Any) -> Object:
    job = _job()
    job["spec"]["template"]["spec"] |= pod
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "c"},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": job["spec"]}},
    }


def _amounts(requests: Object, limits: Object) -> Object:
    return _container(resources={"requests": requests, "limits": limits})


CASES: list[tuple[str, int, Object, str]] = [
    (DEPLOYMENTS, 400, deployment(replcas=1), 'unknown field "spec.replcas"'),
    (DEPLOYMENTS, 400, _container(imag="x"), "spec.template.spec.containers[0].imag"),
    (DEPLOYMENTS, 400, deployment(replicas="1"), "spec.replicas: found string '1'"),
    (DEPLOYMENTS, 400, _container(args="x"), "containers[0].args: found string"),
    (DEPLOYMENTS, 400, _container(env=[{"name": "A", "value": 1}]), "env[0].value: found number"),
    (DEPLOYMENTS, 400, deployment(strategy={"rollingUpdate": {"maxSurge": []}}), "maxSurge"),
    (DEPLOYMENTS, 400, {**deployment(), "kind": "Pod"}, "does not match the expected kind"),
    (CONFIGS, 400, {**config(), "data": {"a": 1}}, "data.a: found number 1"),
    ("/api/v1/namespaces/default/secrets", 400, {"data": {"a": 1}}, "data.a: found number 1"),
    (CONFIGS, 400, config(namespace="other"), "namespace of the provided object"),
    (
        CRONJOBS,
        422,
        _cronjob(restartPolicy="Always"),
        "spec.jobTemplate.spec.template.spec.restart",
    ),
    (CRONJOBS, 400, _cronjob(image="x"), "spec.jobTemplate.spec.template.spec.image"),
    (DEPLOYMENTS, 422, deployment(selector=None), "spec.selector: Required value"),
    (DEPLOYMENTS, 422, deployment(selector={"matchLabels": {"a": "b"}}), "does not match template"),
    (DEPLOYMENTS, 422, deployment(selector={}), "empty selector is invalid"),
    (DEPLOYMENTS, 422, deployment(replicas=-1), "spec.replicas: Invalid value"),
    (DEPLOYMENTS, 422, deployment("Web_1"), "metadata.name: Invalid value"),
    (CONFIGS, 422, config(labels={"a b": "c"}), "metadata.labels"),
    (CONFIGS, 422, config(labels={"a": "-c"}), "metadata.labels"),
    (CONFIGS, 422, config(labels={"a": "x" * 64}), "metadata.labels"),
    (DEPLOYMENTS, 422, _amounts({"x.com/gpu": "1"}, {"x.com/gpu": "2"}), "equal to x.com/gpu"),
    (DEPLOYMENTS, 422, _amounts({"x.com/gpu": "1"}, {}), "Limit must be set for x.com/gpu"),
    (DEPLOYMENTS, 422, _amounts({}, {"x.com/gpu": "500m"}), "must be an integer"),
    (DEPLOYMENTS, 422, _amounts({"cpu": "2"}, {"cpu": "1500m"}), "less than or equal to cpu"),
    (DEPLOYMENTS, 422, _amounts({"memory": "1Gib"}, {}), "must be a quantity"),
    (DEPLOYMENTS, 422, _container(livenessProbe={"periodSeconds": 1}), "handler type"),
    (DEPLOYMENTS, 422, _container(volumeMounts=[{"name": "v", "mountPath": "/v"}]), "Not found"),
    (DEPLOYMENTS, 422, _container(ports=[{"containerPort": 70000}]), "containerPort"),
    ("/apis/batch/v1/namespaces/default/jobs", 422, _job(template={}), "containers"),
    (PODS, 422, {**pod(), "spec": {"containers": []}}, "spec.containers: Required value"),
    (
        "/api/v1/namespaces/default/services",
        422,
        {"metadata": {"name": "s"}, "spec": {"selector": {"a": "b"}}},
        "spec.ports: Required value",
    ),
    (
        "/api/v1/namespaces/default/services",
        422,
        {"metadata": {"name": "1s"}, "spec": {"ports": [{"port": 1}]}},
        "DNS-1035",
    ),
]


@pytest.mark.parametrize(("path", "code", "obj", "said"), CASES, ids=[c[3] for c in CASES])
def test_a_wrong_object_is_refused_by_its_field(
    shared_api: Api, path: str, code: int, obj: Object, said: str
) -> None:
    before = shared_api.store.version
    answer = shared_api.send("POST", path, obj)
    assert (answer[0], answer[1]["status"]) == (code, "Failure")
    assert said in answer[1]["message"]
    assert shared_api.store.version == before


def test_what_kubernetes_takes_is_taken(shared_api: Api) -> None:
    obj = _container(
        resources={"limits": {"cpu": "1500m", "memory": "1Gi", "x.com/gpu": 2}},
        ports=[{"containerPort": 80}],
        readinessProbe={"httpGet": {"port": "http"}},
        env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
    )
    obj["spec"]["strategy"] = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": "10%"}}
    obj["metadata"]["annotations"] = {"example.com/Free.Form_1": "any {text}"}
    code, made = shared_api.send("POST", DEPLOYMENTS, obj)
    assert code == 201, made
    container = made["spec"]["template"]["spec"]["containers"][0]
    # a limit is a request too in the pods alone
    assert container["resources"] == {"limits": {"cpu": "1500m", "memory": "1Gi", "x.com/gpu": "2"}}
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    probe = container["readinessProbe"]
    assert (probe["periodSeconds"], probe["timeoutSeconds"]) == (10, 1)
    assert (probe["failureThreshold"], probe["successThreshold"]) == (3, 1)


def test_field_validation_may_warn_or_ignore(shared_api: Api) -> None:
    odd = {**config("odd"), "colour": "red"}
    for mode, warned in (("Warn", True), ("Ignore", False)):
        answer = shared_api.pool.request(
            "POST", f"{shared_api.server.url}{CONFIGS}?fieldValidation={mode}&dryRun=All", json=odd
        )
        assert answer.status == 201
        assert "colour" not in answer.json()
        assert ('unknown field "colour"' in answer.headers.get("Warning", "")) is warned


def _change(
    path: str, name: str, obj: Object, change: Callable[[Object], None], shared_api: Api
) -> Any:
    made = shared_api.send("POST", path, obj)[1]
    change(made)
    return shared_api.send("PUT", f"{path}/{name}", made)


def test_what_may_not_change_does_not(shared_api: Api) -> None:
    def selector(obj: Object) -> None:
        obj["spec"]["selector"]["matchLabels"] = {"app": "other"}
        obj["spec"]["template"]["metadata"]["labels"] = {"app": "other"}

    def template(obj: Object) -> None:
        obj["spec"]["template"]["spec"]["containers"][0]["image"] = "other"

    def command(obj: Object) -> None:
        obj["spec"]["containers"][0]["command"] = ["other"]

    jobs = "/apis/batch/v1/namespaces/default/jobs"
    for path, name, obj, change, said in (
        (DEPLOYMENTS, "fixed", deployment("fixed"), selector, "spec.selector"),
        (jobs, "j", _job(), template, "spec.template"),
        (PODS, "p", pod(), command, "pod updates may not change"),
    ):
        code, body = _change(path, name, obj, change, shared_api)
        assert code == 422, said
        assert said in body["message"]
    job = shared_api.send("GET", f"{jobs}/j")[1]
    assert (job["spec"]["backoffLimit"], job["spec"]["completions"]) == (6, 1)


def test_every_served_kind_has_a_schema_down_to_its_leaves() -> None:
    waiting, seen = [kind.model for kind in KINDS], set[str]()
    while waiting:
        for field in fields(waiting.pop()).values():
            inner = re.sub(r"^(List|Dict)\[(?:str, )?|\]$", "", field.type)
            if hasattr(models, inner) and inner not in seen:
                seen.add(inner)
                waiting.append(inner)
    assert {"V1Container", "V1Probe", "V1Toleration", "V1JobStatus"} <= seen
    assert fields("V1Probe")["exec"].type == "V1ExecAction"
    assert fields("V1Container")["name"].required
    assert not fields("V1Container")["image"].required
