"""What a site allows: each rule, every reason, and the same in the file for the API server."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.errors import SpecError
from tasks.spec.file import build_spec, read_spec
from tasks.spec.policy import FIELDS, Policy, below, parse_policy, pod_violations, violations
from tests.support.places import ROOT
from tests.support.surveys import survey

CLUSTER = ROOT / "deployments" / "cluster"
SHIPPED = parse_policy((ROOT / "deployments" / "policy.yaml").read_text(), "policy.yaml")
EXAMPLES = sorted((ROOT / "deployments" / "models").glob("*.yaml"))
EXAMPLE = read_spec(ROOT / "deployments" / "models" / "smollm2-135m-cpu.yaml")


def made(spec: Any = EXAMPLE) -> list[dict[str, Any]]:
    found = survey(spec)
    return [found.deployment([]), found.fetch_job("n"), found.probe_job("n", "r")]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_our_examples_keep_the_shipped_policy(path: Any) -> None:
    spec = read_spec(path)
    assert violations(SHIPPED, spec, made(spec)) == []


def test_no_policy_allows_everything() -> None:
    bent = made()
    bent[0]["spec"]["template"]["spec"].update(hostPID=True)
    assert violations(Policy(), EXAMPLE, bent, outside={"x": "/etc/passwd"}) == []


def test_every_reason_is_told() -> None:
    policy = Policy(
        stores=["/data"], images=["only/*"], digests=True, hubs=[], local_files=False,
        host_paths=[], forbid=["hostNetwork"],
    )  # fmt: skip
    bent = made()
    bent[0]["spec"]["template"]["spec"]["hostNetwork"] = True
    said = violations(policy, EXAMPLE, bent, outside={"quality.questions": "/etc/passwd"})
    words = ("hub https", "store.path", "/etc/passwd", "image vllm-cpu", "named by digest")
    for word in (*words, "host path /proc", "hostNetwork is forbidden"):
        assert any(word in line for line in said), word


def test_a_priority_class_may_be_forbidden() -> None:
    data = EXAMPLE.model_dump(mode="json", exclude_unset=True)
    data["serving"]["priority_class"] = "serving"
    spec = build_spec(data, "ranked")
    said = violations(Policy(forbid=["priorityClassName"]), spec, made(spec))
    assert len(said) == 1 and "priorityClassName is forbidden here, and the pod has it" in said[0]


CALM = {"allowPrivilegeEscalation": False}
MUTATIONS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("hostNetwork", {"hostNetwork": True}, {}),
    ("hostPID", {"hostPID": True}, {}),
    ("hostIPC", {"hostIPC": True}, {}),
    ("nodeName", {"nodeName": "n"}, {}),
    ("serviceAccountName", {"serviceAccountName": "admin"}, {}),
    ("automountServiceAccountToken", {"automountServiceAccountToken": True}, {}),
    ("hostPort", {}, {"ports": [{"hostPort": 80, "containerPort": 80}]}),
    (
        "privileged",
        {},
        {"securityContext": {"privileged": True, "allowPrivilegeEscalation": False}},
    ),
    ("allowPrivilegeEscalation", {}, {"securityContext": {}}),
    ("image evil/x:1", {}, {"image": "evil/x:1"}),
    ("image quay.io/ascend-evil/x", {}, {"image": "quay.io/ascend-evil/x"}),
    ("host path /etc", {"volumes": [{"name": "h", "hostPath": {"path": "/etc"}}]}, {}),
    (
        "host path /var/lib/model-rollout/models/../../x",
        {"volumes": [{"name": "h", "hostPath": {"path": "/var/lib/model-rollout/models/../../x"}}]},
        {},
    ),
    (
        "host path /var/lib/x",
        {"volumes": [{"name": "h", "hostPath": {"path": "/var/lib/x"}}]},
        {"volumeMounts": [{"name": "h", "mountPath": "/h"}]},
    ),
    (
        "image evil/init",
        {"initContainers": [{"image": "evil/init", "securityContext": CALM}]},
        {},
    ),
]


@pytest.mark.parametrize(("reason", "pod", "container"), MUTATIONS, ids=lambda x: str(x)[:30])
def test_what_breaks_the_shipped_policy(
    reason: str, pod: dict[str, Any], container: dict[str, Any]
) -> None:
    for body in made()[:2]:
        found = copy.deepcopy(body["spec"]["template"]["spec"])
        assert pod_violations(SHIPPED, found) == []
        found.update(pod)
        found["containers"][0].update(container)
        (said,) = pod_violations(SHIPPED, found)
        assert reason in said


@given(st.text("ab./", max_size=12), st.sampled_from(["/a", "/a/b"]))
def test_below_is_never_another_folder(path: str, root: str) -> None:
    if below(path, root):
        assert path == root or path[len(root)] == "/"
        assert path.startswith(root) and ".." not in path.split("/")


@pytest.mark.parametrize(
    "text",
    [
        "stores: [data]",
        "stores: [/data/../etc]",
        "images: ['*/x']",
        "hubs: [ftp://x]",
        "forbid: [hostnetwork]",
        "store: [/data]",
        "[",
        "- a",
    ],
)
def test_a_policy_that_is_not_understood_is_an_error(text: str) -> None:
    with pytest.raises(SpecError, match=r"p\.yaml"):
        parse_policy(text, "p.yaml")


def test_the_api_server_holds_the_same_rules() -> None:
    params, policy, binding = yaml.safe_load_all((CLUSTER / "admission.yaml").read_text())
    held = {key: value.split() for key, value in params["data"].items()}
    assert held.pop("digests") == [str(SHIPPED.digests).lower()]
    named = SHIPPED.model_dump(exclude={"digests", "local_files"})
    assert held == named
    # a rule for each, and one for each field that may be forbidden
    parts = [*policy["spec"]["variables"], *policy["spec"]["validations"]]
    rules = " ".join(item["expression"] for item in parts)
    for field in FIELDS:
        assert f"'{field}' in variables.forbid" in rules
    for part in ("host_paths", "digests", "hubs"):
        assert f"'{part}' in params.data" in rules
    assert binding["spec"]["paramRef"]["parameterNotFoundAction"] == "Deny"
    assert binding["spec"]["paramRef"]["name"] == params["metadata"]["name"]


def test_who_is_bound_by_the_rules_cannot_write_them() -> None:
    """The account may update any ConfigMap of the namespaces that it serves in."""
    params, _, binding = yaml.safe_load_all((CLUSTER / "admission.yaml").read_text())
    roles = [
        item
        for item in yaml.safe_load_all((CLUSTER / "rbac.yaml").read_text())
        if any("configmaps" in rule["resources"] for rule in item.get("rules", []))
    ]
    assert roles and all(role["kind"] == "Role" for role in roles)
    written = {role["metadata"]["namespace"] for role in roles}
    assert params["metadata"]["namespace"] not in written
    assert binding["spec"]["paramRef"]["namespace"] == params["metadata"]["namespace"]
