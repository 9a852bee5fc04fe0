"""A service account may do what its roles say, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster.api_fixture import CONFIGS, DEPLOYMENTS, PODS, Api, serving

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
APPLY = "application/apply-patch+yaml"


def rule(group: str, names: str, verbs: str, **more: Any) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": names.split(), "verbs": verbs.split(), **more}


@pytest.fixture
def of(api: Api) -> dict[str, str]:
    """Headers of an account that may read and patch ConfigMaps here, and list pods everywhere."""
    account = {"kind": "ServiceAccount", "name": "worker", "namespace": "default"}
    here = {"name": "worker", "namespace": "default"}
    put = api.store.create
    put("serviceaccounts", {"metadata": here})
    rules = [
        rule("", "configmaps", "get list watch patch"),
        rule("", "configmaps", "delete", resourceNames=["mine"]),
        rule("", "pods/log", "get"),
    ]
    put("roles", {"metadata": here, "rules": rules})
    ref = {"kind": "Role", "name": "worker"}
    put("rolebindings", {"metadata": here, "roleRef": ref, "subjects": [account]})
    put("clusterroles", {"metadata": {"name": "pods"}, "rules": [rule("", "pods", "list")]})
    ref = {"kind": "ClusterRole", "name": "pods"}
    bound = {"metadata": {"name": "pods"}, "roleRef": ref, "subjects": [account]}
    put("clusterrolebindings", bound)
    return {"Authorization": f"Bearer {api.server.accounts.token_of('default', 'worker')}"}


def config(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


def test_it_may_do_what_is_granted_where_it_is(api: Api, of: dict[str, str]) -> None:
    assert api.send("GET", CONFIGS, **of)[0] == 200
    assert api.send("GET", "/api/v1/pods", **of)[0] == 200
    code, said = api.send("GET", "/api/v1/configmaps", **of)
    assert code == 403 and "at the cluster scope" in said["message"]
    assert api.send("GET", CONFIGS.replace("default", "other"), **of)[0] == 403
    code, said = api.send("GET", DEPLOYMENTS, **of)
    assert code == 403 and "system:serviceaccount:default:worker cannot list" in (
        said["message"].replace('"', "")
    )
    assert api.send("GET", f"{PODS}/p", **of)[0] == 403
    assert api.send("GET", f"{PODS}/p/log", **of)[0] == 404


def test_an_apply_that_makes_the_object_is_a_create(api: Api, of: dict[str, str]) -> None:
    apply = f"{CONFIGS}/mine?fieldManager=m"
    code, said = api.send("PATCH", apply, config("mine"), APPLY, **of)
    assert code == 403 and "cannot create" in said["message"]
    assert api.send("POST", CONFIGS, config("mine"))[0] == 201
    assert api.send("PATCH", apply, config("mine"), APPLY, **of)[0] == 200


def test_a_rule_may_name_its_objects(api: Api, of: dict[str, str]) -> None:
    for name, code in (("mine", 200), ("other", 403)):
        assert api.send("POST", CONFIGS, config(name))[0] == 201
        assert api.send("DELETE", f"{CONFIGS}/{name}", **of)[0] == code


def test_a_review_tells_what_it_would_be_told(api: Api, of: dict[str, str]) -> None:
    def allowed(verb: str, **headers: str) -> bool:
        asked = {"verb": verb, "group": "", "resource": "configmaps", "namespace": "default"}
        _, said = api.send("POST", REVIEWS, {"spec": {"resourceAttributes": asked}}, **headers)
        return bool(said["status"]["allowed"])

    assert allowed("list", **of) and not allowed("create", **of) and allowed("create")


def test_a_token_of_nobody_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path, token="secret") as api:
        assert api.send("GET", CONFIGS)[0] == 200
        for given in ("Bearer other", "secret", ""):
            assert api.send("GET", CONFIGS, Authorization=given)[0] == 401
