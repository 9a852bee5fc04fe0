"""A pod is as planned by what it means: what the API server writes in its own way is no change."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from deployments.local.kube.admit.defaults import defaulted
from deployments.local.kube.objects import pods
from tasks.render.live import differences, engine_differences
from tasks.spec.file import build_spec
from tests.support.nodedata import make_spec
from tests.support.surveys import survey

IP = {"name": "VLLM_HOST_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
MEMORY = {
    "name": "LIMIT",
    "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1024Ki"}},
}


def planned(**serving: Any) -> dict[str, Any]:
    raw = make_spec({"name": "m", "namespace": "models"}).model_dump(
        mode="json", exclude_defaults=True
    )
    raw["serving"] = {**raw["serving"], **serving}
    return survey(build_spec(raw, "x")).deployment(["n"])


def of_the_site(**engine: Any) -> dict[str, Any]:
    return {"pod": {"containers": [{"name": "engine", **engine}]}}


SPECS: list[dict[str, Any]] = [
    {},
    {"resources": {"memory": "65536Mi", "cpu": "8000m"}},
    {"resources": {"memory": "1.5Gi", "cpu": "0.5"}},
    {"resources": {"memory": "0.1Gi", "cpu": "1.0"}},
    {"env": {"NCCL_SOCKET_IFNAME": ""}},
    of_the_site(env=[IP, MEMORY]),
    of_the_site(env=[{"name": "EMPTY"}, {"name": "NONE", "value": ""}]),
    of_the_site(resources={"limits": {"hugepages-2Mi": "2048Ki", "ephemeral-storage": 1024}}),
    {"host_network": True},
]


@pytest.mark.parametrize("serving", SPECS)
def test_what_the_api_server_writes_down_is_as_planned(serving: dict[str, Any]) -> None:
    body = planned(**serving)
    stored = defaulted("deployments", body)
    template = stored["spec"]["template"]
    assert engine_differences(body, template["spec"]) == []
    pod = pods.from_template({**stored, "metadata": {**body["metadata"], "uid": "u"}}, template)
    pod["spec"]["nodeName"] = "n"
    assert differences(body, defaulted("pods", pod), ["n"]) == []


def bent(spec: dict[str, Any], how: str) -> str:
    engine = spec["containers"][0]
    match how:
        case "image":
            engine["image"] = "mirror/x"
        case "args":
            engine["args"].append("--x")
        case "command":
            engine["command"] = ["sh"]
        case "env A":
            next(item for item in engine["env"] if item["name"] == "A")["value"] = "other"
        case "env VLLM_HOST_IP":
            engine["env"] = [item for item in engine["env"] if item["name"] != "VLLM_HOST_IP"]
            engine["env"].append({"name": "VLLM_HOST_IP", "value": "127.0.0.1"})
        case "limits memory":
            engine["resources"]["limits"]["memory"] = "64G"
        case "requests cpu":
            del engine["resources"]["requests"]["cpu"]
    return how


@pytest.mark.parametrize(
    "how",
    ["image", "args", "command", "env A", "env VLLM_HOST_IP", "limits memory", "requests cpu"],
)
def test_what_somebody_changed_is_told(how: str) -> None:
    body = planned(
        env={"A": ""}, resources={"memory": "65536Mi", "cpu": "0.5"}, **of_the_site(env=[IP])
    )
    spec = copy.deepcopy(defaulted("deployments", body)["spec"]["template"]["spec"])
    told = bent(spec, how)
    assert [line.split(":")[0] for line in engine_differences(body, spec)] == [told]


def test_what_a_webhook_adds_is_no_change() -> None:
    body = planned()
    spec = defaulted("deployments", body)["spec"]["template"]["spec"]
    spec["containers"][0]["env"].append({"name": "INJECTED", "value": "1"})
    spec["containers"][0]["resources"]["limits"] = {
        **spec["containers"][0]["resources"].get("limits", {}),
        "ephemeral-storage": "1Gi",
    }
    spec["containers"].append({"name": "proxy", "image": "p"})
    assert engine_differences(body, spec) == []


def test_of_two_variables_with_one_name_the_last_one_counts() -> None:
    body = planned(env={"A": "1"})
    spec = defaulted("deployments", body)["spec"]["template"]["spec"]
    spec["containers"][0]["env"].append({"name": "A", "value": "2"})
    assert engine_differences(body, spec) == ["env A: not as planned"]
