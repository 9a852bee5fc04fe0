"""What a site allows: each rule, every reason, and the same in the file for the API server."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.accelerators.profiles import PROFILES
from tasks.base.errors import SpecError
from tasks.objects.merge import merge_pod
from tasks.spec.file import build_spec, read_spec
from tasks.spec.policy import (
    EXEMPT_CAPABILITIES,
    Policy,
    below,
    parse_policy,
    pod_violations,
    violations,
)
from tests.support.admission import EXAMPLE, POLICY, SHIPPED, Admission, made, pod_of, values
from tests.support.places import ROOT
from tests.support.update_golden import RESOURCES

CLUSTER = ROOT / "deployments" / "cluster"
EXAMPLES = sorted((ROOT / "deployments" / "models").glob("*.yaml"))


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


def overlay(pod: dict[str, Any], container: dict[str, Any]) -> dict[str, Any]:
    """A partial PodSpec; the container's part is for the first one."""
    return {**pod, "containers": [{"name": "?", **container}]} if container else pod


def security(**fields: Any) -> dict[str, Any]:
    return {"securityContext": fields}


def volume(**source: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "v", **source}]}


def projected(source: dict[str, Any]) -> dict[str, Any]:
    return volume(projected={"sources": [source]})


PRIVATE = {"secretKeyRef": {"name": "model-rollout-prefect", "key": "k"}}
ANOTHER = {"name": "model-rollout-prefect"}
CALM = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 9,
    "seccompProfile": {"type": "RuntimeDefault"},
}
# what a site that takes more kinds of volumes still refuses
WIDE = {"volumes": ["hostPath", "emptyDir", "secret", "projected"]}
# rule, pod, first container
MUTATIONS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("hostNetwork", {"hostNetwork": True}, {}),
    ("hostPID", {"hostPID": True}, {}),
    ("hostIPC", {"hostIPC": True}, {}),
    ("nodeName", {"nodeName": "n"}, {}),
    ("serviceAccountName", {"serviceAccountName": "admin"}, {}),
    ("automountServiceAccountToken", {"automountServiceAccountToken": True}, {}),
    ("automountServiceAccountToken", {"automountServiceAccountToken": None}, {}),
    ("automountServiceAccountToken", projected({"serviceAccountToken": {"path": "t"}}), {}),
    ("hostPort", {}, {"ports": [{"hostPort": 80, "containerPort": 80}]}),
    ("privileged", {}, security(privileged=True)),
    ("privileged", {}, security(procMount="Unmasked")),
    ("allowPrivilegeEscalation", {}, security(allowPrivilegeEscalation=None)),
    ("capabilities", {}, security(capabilities={"add": ["SYS_ADMIN"]})),
    ("capabilities", {}, security(capabilities={"add": ["SYS_PTRACE"]})),
    ("capabilities", {}, security(capabilities={"drop": ["NET_RAW"]})),
    ("capabilities", {}, security(capabilities=None)),
    ("unconfined", {}, security(seccompProfile={"type": "Unconfined"})),
    ("unconfined", security(seccompProfile={"type": "Unconfined"}), {}),
    ("unconfined", security(seccompProfile=None), {}),
    ("unconfined", {}, security(appArmorProfile={"type": "Unconfined"})),
    ("unconfined", security(appArmorProfile={"type": "Unconfined"}), {}),
    ("volume", volume(nfs={"server": "evil", "path": "/"}), {}),
    ("volume", volume(secret={"secretName": "model-hub-x"}), {}),
    ("volume", volume(csi={"driver": "d"}), {}),
    ("volume", volume(glusterfs={"path": "/", "endpoints": "e"}), {}),
    ("Secret", {}, {"env": [{"name": "X", "valueFrom": PRIVATE}]}),
    ("Secret", {}, {"envFrom": [{"secretRef": ANOTHER}]}),
    ("Secret", volume(secret={"secretName": "model-rollout-prefect"}), {}),
    ("Secret", projected({"secret": ANOTHER}), {}),
    (
        "Secret",
        {"initContainers": [{"name": "i", "image": "vllm-cpu:1", "securityContext": CALM,
                             "envFrom": [{"secretRef": ANOTHER}]}]},
        {},
    ),
    ("root", {}, {"image": "vllm-cpu:1", **security(runAsUser=0, runAsNonRoot=None)}),
    ("root", {}, {"image": "vllm-cpu:1", **security(runAsNonRoot=False)}),
    ("root", security(runAsUser=0), {"image": "vllm-cpu:1", **security(runAsUser=None)}),
    (
        "root",
        security(runAsNonRoot=None),
        {"image": "vllm-cpu:1", **security(runAsNonRoot=None)},
    ),
    ("image evil/x:1", {}, {"image": "evil/x:1", **security(runAsNonRoot=True, runAsUser=9)}),
    (
        "image quay.io/ascend-evil/x",
        {},
        {"image": "quay.io/ascend-evil/x", **security(runAsNonRoot=True, runAsUser=9)},
    ),
    ("host path /etc", volume(hostPath={"path": "/etc"}), {}),
    (
        "host path /var/lib/model-rollout/models/../../x",
        volume(hostPath={"path": "/var/lib/model-rollout/models/../../x"}),
        {},
    ),
    (
        "host path /var/lib/x",
        volume(hostPath={"path": "/var/lib/x"}),
        {"volumeMounts": [{"name": "v", "mountPath": "/h"}]},
    ),
    (
        "image evil/init",
        {"initContainers": [{"name": "i", "image": "evil/init", "securityContext": CALM}]},
        {},
    ),
]  # fmt: skip


def broken(body: dict[str, Any], pod: dict[str, Any], container: dict[str, Any]) -> dict[str, Any]:
    """An object with a rule's opposite laid over it."""
    out = copy.deepcopy(body)
    spec = out["spec"]["template"]["spec"]
    patch = overlay(pod, container)
    if "containers" in patch:
        patch["containers"][0]["name"] = spec["containers"][0]["name"]
    out["spec"]["template"]["spec"] = merge_pod(spec, patch)
    return out


def site(rule: str, pod: dict[str, Any]) -> Policy:
    """The shipped policy; where a volume is what brings the thing, one that takes such volumes."""
    sources = [next(iter(set(item) - {"name"})) for item in pod.get("volumes") or ()]
    wide = rule != "volume" and bool(set(sources) & {"secret", "projected"})
    return SHIPPED.model_copy(update=WIDE) if wide else SHIPPED


@pytest.mark.parametrize(("rule", "pod", "container"), MUTATIONS, ids=lambda x: str(x)[:30])
def test_what_breaks_the_shipped_policy(
    rule: str, pod: dict[str, Any], container: dict[str, Any]
) -> None:
    """Here, and in the API server: each evaluates its own rules."""
    policy = site(rule, pod)
    for body in made()[:2]:
        bad = broken(body, pod, container)
        (said,) = pod_violations(policy, pod_of(bad))
        assert rule in said
        (told,) = Admission(bad, site=values(policy)).refusals()
        assert rule.split()[0] in told


def test_every_rule_of_the_api_server_is_broken_once() -> None:
    """A rule that nothing breaks may be one that holds nothing."""
    body, unbroken = made()[0], {item["expression"] for item in POLICY["spec"]["validations"]}
    hub = {"command": ["fetch", "--endpoint=https://evil.example"]}
    claims = {"resourceClaims": [{"name": "d", "resourceClaimTemplateName": "two"}]}
    more = [
        ("hub", {}, hub),
        ("priorityClassName", {"priorityClassName": "p"}, {}),
        ("resourceClaims", claims, {}),
    ]
    strict = {"digests": True, "forbid": [*SHIPPED.forbid, "priorityClassName", "resourceClaims"]}
    for rule, pod, container in [*MUTATIONS, *more]:
        here = values(site(rule, pod).model_copy(update=strict))
        asked = Admission(broken(body, pod, container), site=here)
        asked.refusals()
        unbroken -= {e for e in unbroken if asked.evaluate(e) is not True}
    of_its_own = Admission(bare(body), user=account_of(body))
    (said,) = of_its_own.refusals()
    assert said == "model-rollout makes no Pod itself; it may try one (dryRun=All)"
    unbroken -= {e for e in unbroken if of_its_own.evaluate(e) is not True}
    assert unbroken == set()


def bare(body: dict[str, Any], **meta: Any) -> dict[str, Any]:
    """A Pod as an object's template has it."""
    return {"kind": "Pod", "metadata": {**body["metadata"], **meta}, "spec": pod_of(body)}


def account_of(body: dict[str, Any]) -> str:
    return f"system:serviceaccount:{body['metadata']['namespace']}:model-rollout"


@pytest.mark.parametrize("pod", [{}, {"hostPID": True}], ids=["allowed", "from before a rule"])
@pytest.mark.parametrize("owners", [[], [{"kind": "ReplicaSet", "controller": True}]])
def test_our_account_tries_pods_and_makes_none(pod: Any, owners: Any) -> None:
    """What runs already is no new template: no rule stands in the way of asking for it again."""
    body = broken(made()[0], pod, {})
    tried = bare(body, ownerReferences=owners)
    account = account_of(body)
    assert not Admission(tried, user=account, trial=True).asked()
    made_so = Admission(tried, user=account)
    assert made_so.asked() and any("makes no Pod itself" in said for said in made_so.refusals())
    # what it is to store is held to every rule, tried or not
    assert Admission(body, user=account, trial=True).asked()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_api_server_takes_our_examples(path: Any) -> None:
    for body in made(read_spec(path)):
        assert Admission(body).asked() and Admission(body).refusals() == []


@pytest.mark.parametrize("row", PROFILES.values(), ids=lambda row: row.name)
@pytest.mark.parametrize("amount", ["1", "8", 2, "0", 0, "0.0", "-1"])
def test_a_drivers_needs_are_for_who_asks_for_its_device(row: Any, amount: Any) -> None:
    """Rows that need more are exempt with a whole device, and every row keeps the policy."""
    name = RESOURCES[row.name]
    data = EXAMPLE.model_dump(mode="json", exclude_unset=True)
    data["nodes"] = {"accelerator": row.name}
    body = copy.deepcopy(made(build_spec(data, row.name))[0])
    if name:
        pod_of(body)["containers"][0]["resources"]["limits"][name] = amount
    needs = bool(row.container_security.get("capabilities") or row.pod_security)
    refused = needs and str(amount) not in ("1", "8", "2")
    assert bool(pod_violations(SHIPPED, pod_of(body))) is refused
    assert bool(Admission(body).refusals()) is refused
    added = (row.container_security.get("capabilities") or {}).get("add", ())
    assert set(added) <= set(EXEMPT_CAPABILITIES)


def test_a_claim_template_may_be_exempt() -> None:
    """As a resource is: by its name behind claims/, or by a beginning."""
    claims = {"resourceClaims": [{"name": "d", "resourceClaimTemplateName": "two-hcus"}]}
    bad = broken(made()[0], claims, security(seccompProfile={"type": "Unconfined"}))
    for exempt, refused in (["hygon.com/*"], True), (["claims/two-*"], False):
        policy = SHIPPED.model_copy(update={"exempt": exempt})
        assert bool(pod_violations(policy, pod_of(bad))) is refused
        assert bool(Admission(bad, site=values(policy)).refusals()) is refused


def test_what_is_allowed_is_read_in_both() -> None:
    """Secrets by their beginning, and a part left out allows what it is about."""
    body = made()[1]
    good = {"secretKeyRef": {"name": "model-hub-x", "key": "k"}}
    bad = broken(body, {}, {"env": [{"name": "X", "valueFrom": good}]})
    assert pod_violations(SHIPPED, pod_of(bad)) == Admission(bad).refusals() == []
    for rule, pod, container in MUTATIONS:
        bad = broken(body, pod, container)
        assert pod_violations(Policy(), pod_of(bad)) == [], rule
        assert Admission(bad, site={}).refusals() == [], rule


def test_who_is_asked() -> None:
    """Our account and our label; no template that stays as it was, and no controller's pods."""
    body = made()[0]
    account = account_of(body)
    assert Admission(body).asked() and not Admission(body, old=body).asked()
    assert Admission(broken(body, {"hostPID": True}, {}), old=body).asked()
    plain = copy.deepcopy(body)
    del plain["metadata"]["labels"]
    assert not Admission(plain).asked() and Admission(plain, user=account).asked()
    owner = [{"kind": "ReplicaSet", "controller": True}]
    pod = bare(body, ownerReferences=owner)
    assert not Admission(pod, user="system:serviceaccount:kube-system:replicaset").asked()
    assert Admission(pod, user=account).asked() and Admission(pod).refusals() == []


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


def test_the_api_server_has_the_same_values() -> None:
    """In the policy itself, which our account cannot write; a ConfigMap beside it may be read as it
    was long ago."""
    (site,) = (item for item in POLICY["spec"]["variables"] if item["name"] == "site")
    assert Admission({"metadata": {}, "kind": "Pod"}).evaluate(site["expression"]) == values(
        SHIPPED
    )
    assert "paramKind" not in POLICY["spec"]
    for item in yaml.safe_load_all((CLUSTER / "base" / "rbac.yaml").read_text()):
        groups = {group for rule in item.get("rules", []) for group in rule["apiGroups"]}
        assert not groups & {"*", "admissionregistration.k8s.io"}
