"""Create, read, update, delete, and the answers when they fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.outside.kubernetes.client import AlreadyExists, Conflict
from tests.support.cluster.api_fixture import (
    CONFIGS,
    DEPLOYMENTS,
    Api,
    config,
    deployment,
    pod,
    serving,
)

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def test_a_created_object_has_identity_defaults_and_generation(api: Api) -> None:
    made = api.cluster.create(deployment())
    assert made["spec"]["replicas"] == 1
    assert made["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": "25%", "maxUnavailable": "25%"}
    inner = made["spec"]["template"]["spec"]
    assert (inner["restartPolicy"], inner["terminationGracePeriodSeconds"]) == ("Always", 30)
    assert made["metadata"]["generation"] == 1
    assert api.cluster.get("Deployment", "web", "default") == made


def test_absent_and_taken_names_answer_as_kubernetes_does(api: Api) -> None:
    code, body = api.send("GET", f"{CONFIGS}/none")
    assert (code, body["reason"], body["details"]["name"]) == (404, "NotFound", "none")
    assert body["message"] == 'configmaps "none" not found'
    api.cluster.create(config())
    with pytest.raises(AlreadyExists, match="already exists"):
        api.cluster.create(config())
    lost = {**config(), "metadata": {"name": "c"}}
    code, body = api.send("POST", "/api/v1/namespaces/nowhere/configmaps", lost)
    assert (code, body["details"]) == (404, {"name": "nowhere", "kind": "namespaces"})
    assert api.send("GET", "/apis/apps/v1/namespaces/default/statefulsets")[0] == 404
    assert api.send("PUT", CONFIGS, config())[0] == 405


def test_a_stale_replace_is_a_conflict(api: Api) -> None:
    first = api.cluster.create(config(data={"a": "1"}))
    second = api.cluster.replace({**first, "data": {"a": "2"}})
    assert second["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
    with pytest.raises(Conflict, match="the object has been modified"):
        api.cluster.replace({**first, "data": {"a": "3"}})
    assert api.cluster.get("ConfigMap", "c", "default")["data"] == {"a": "2"}  # type: ignore[index]


def test_dry_run_answers_and_stores_nothing(api: Api) -> None:
    before = api.store.version
    assert api.cluster.create(deployment(), dry_run=True)["metadata"]["uid"]
    assert api.cluster.apply(deployment(), dry_run=True)["spec"]["replicas"] == 1
    api.cluster.create(config())
    after = api.store.version
    assert after == before + 1
    api.cluster.patch("ConfigMap", "c", "default", {"data": {"a": "1"}}, dry_run=True)
    assert api.cluster.delete("ConfigMap", "c", "default", dry_run=True)
    assert api.store.version == after


def test_status_and_spec_are_written_apart(api: Api) -> None:
    made = api.cluster.create({**deployment(), "status": {"replicas": 9}})
    assert "status" not in made
    both = {**made, "spec": {**made["spec"], "replicas": 4}, "status": {"replicas": 2}}
    code, answer = api.send("PUT", f"{DEPLOYMENTS}/web/status", both)
    assert code == 200
    assert (answer["spec"]["replicas"], answer["status"]) == (1, {"replicas": 2})
    assert answer["metadata"]["generation"] == 1
    code, answer = api.send("PUT", f"{DEPLOYMENTS}/web", {**answer, "spec": both["spec"]})
    assert (answer["spec"]["replicas"], answer["status"]) == (4, {"replicas": 2})
    assert answer["metadata"]["generation"] == 2


def test_scale_reads_and_writes_replicas(api: Api) -> None:
    api.cluster.create(deployment(replicas=2))
    code, scale = api.send("GET", f"{DEPLOYMENTS}/web/scale")
    assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == (
        "Scale",
        {"replicas": 2},
        "app=web",
    )
    changed = api.cluster.patch(
        "Deployment", "web", "default", {"spec": {"replicas": 5}}, sub="scale"
    )
    assert changed["spec"]["replicas"] == 5
    code, body = api.send("PUT", f"{DEPLOYMENTS}/web/scale", scale)
    assert (code, body["reason"]) == (409, "Conflict")
    code, body = api.send(
        "PATCH",
        f"{DEPLOYMENTS}/web/scale",
        {"spec": {"replicas": -1}},
        "application/merge-patch+json",
    )
    assert code == 422


def test_delete_demands_the_uid_it_was_given(api: Api) -> None:
    made = api.cluster.create(config())
    with pytest.raises(Conflict):
        api.cluster.delete("ConfigMap", "c", "default", uid="another")
    assert api.cluster.delete("ConfigMap", "c", "default", uid=made["metadata"]["uid"])
    assert api.cluster.delete("ConfigMap", "c", "default") is False


def test_a_finalizer_holds_an_object(api: Api) -> None:
    api.cluster.create(config(finalizers=["example.com/hold"]))
    api.cluster.delete("ConfigMap", "c", "default")
    held = api.cluster.get("ConfigMap", "c", "default")
    assert held and held["metadata"]["deletionTimestamp"]
    api.cluster.patch("ConfigMap", "c", "default", {"metadata": {"finalizers": None}})
    assert api.cluster.get("ConfigMap", "c", "default") is None


@pytest.mark.parametrize("policy", ["Orphan", "Foreground"])
def test_propagation_frees_or_deletes_the_dependants(api: Api, policy: str) -> None:
    owner = api.cluster.create(config("owner"))
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "owner",
        "uid": owner["metadata"]["uid"],
    }
    api.cluster.create(config("child", ownerReferences=[reference]))
    api.cluster.delete("ConfigMap", "owner", "default", propagation=policy)  # type: ignore[arg-type]
    child = api.cluster.get("ConfigMap", "child", "default")
    if policy == "Foreground":
        assert child is None
    else:
        assert child is not None
        assert not child["metadata"].get("ownerReferences")


def test_the_delete_hook_hears_object_and_policy(tmp_path: Path) -> None:
    heard: list[tuple[str, str]] = []
    with serving(
        tmp_path, on_delete=lambda obj, policy: heard.append((obj["metadata"]["name"], policy))
    ) as api:
        api.cluster.create(config())
        api.cluster.delete("ConfigMap", "c", "default", dry_run=True)
        api.cluster.delete("ConfigMap", "c", "default")
    assert heard == [("c", "Background")]


def test_the_admit_hook_decides_what_is_stored(tmp_path: Path) -> None:
    def admit(plural: str, obj: dict, old: dict | None) -> dict:  # type: ignore[type-arg]
        seen = f"{plural} {old is not None}"
        return {**obj, "data": {**(obj.get("data") or {}), "seen": seen}}

    with serving(tmp_path, admit=admit) as api:
        assert api.cluster.create(config())["data"]["seen"] == "configmaps False"
        changed = api.cluster.patch("ConfigMap", "c", "default", {"data": {"a": "b"}})
        assert changed["data"] == {"a": "b", "seen": "configmaps True"}


def test_without_the_token_nothing_is_told(tmp_path: Path) -> None:
    with serving(tmp_path, token="right") as api:
        assert api.cluster.list("ConfigMap", "default") == []
        for given in ("Bearer wrong", "right", ""):
            code, body = api.send("GET", CONFIGS, Authorization=given)
            assert (code, body["reason"]) == (401, "Unauthorized")
        assert api.send("GET", "/readyz", Authorization="")[0] == 200
        assert (api.kubeconfig.stat().st_mode & 0o777) == 0o600


def test_forbidden_verbs_are_refused_and_reviewed(api: Api) -> None:
    api.server.forbidden.add(("create", "pods"))
    for verb, sub, allowed in (("create", "", False), ("get", "log", True)):
        asked = {"resource": "pods", "verb": verb, "subresource": sub}
        code, body = api.send("POST", REVIEWS, {"spec": {"resourceAttributes": asked}})
        assert (code, body["status"]) == (201, {"allowed": allowed})
    code, body = api.send("POST", "/api/v1/namespaces/default/pods", pod())
    assert (code, body["reason"]) == (403, "Forbidden")


def test_every_request_is_in_the_audit(api: Api) -> None:
    api.cluster.create(deployment())
    api.send("GET", f"{DEPLOYMENTS}/web/scale", **{"User-Agent": "probe/1"})
    assert ("get", "apps", "deployments", "scale", "default", "probe/1") in api.server.audit
    assert ("create", "apps", "deployments", "", "default") in {e[:5] for e in api.server.audit}
    assert ["probe/1" in e for e in api.send("GET", "/debug/audit")[1]].count(True) == 1


def test_the_server_serves_again_at_its_address(api: Api) -> None:
    api.cluster.create(config())
    address = api.server.url
    api.server.stop()
    api.server.start()
    assert api.server.url == address
    assert api.cluster.get("ConfigMap", "c", "default") is not None
    assert api.send("GET", "/version")[1]["gitVersion"] == "v1.31.0+standin"


def test_a_namespace_goes_with_what_is_in_it(api: Api) -> None:
    api.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
    api.cluster.create(config(namespace="n"))
    api.cluster.delete("Namespace", "n")
    assert api.store.list("configmaps") == api.store.list("namespaces")[1:] == []


def test_a_pod_on_a_node_is_marked_with_the_grace_asked_for(api: Api) -> None:
    api.cluster.create({**pod(), "spec": {**pod()["spec"], "nodeName": "n"}})
    path = "/api/v1/namespaces/default/pods/p"
    code, marked = api.send("DELETE", path, {"gracePeriodSeconds": 7})
    assert (code, marked["kind"], marked["metadata"]["deletionGracePeriodSeconds"]) == (
        200,
        "Pod",
        7,
    )
    code, gone = api.send("DELETE", path, {"gracePeriodSeconds": 0})
    assert (code, gone["kind"], gone["status"]) == (200, "Status", "Success")
    assert gone["details"]["uid"] == marked["metadata"]["uid"]
    assert api.send("GET", path)[0] == 404


def test_a_service_keeps_its_address_over_updates(tmp_path: Path) -> None:
    def admit(plural: str, obj: dict, old: dict | None) -> dict:  # type: ignore[type-arg]
        return obj if old else {**obj, "spec": {**obj["spec"], "clusterIP": "127.1.0.1"}}

    with serving(tmp_path, admit=admit) as api:
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "s", "namespace": "default"},
            "spec": {"ports": [{"port": 80}]},
        }
        made = api.cluster.create(service)
        service["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"]  # type: ignore[index]
        service["spec"] = {"ports": [{"port": 81}]}
        spec = api.cluster.replace(service)["spec"]
        assert (spec["clusterIP"], spec["ports"][0]["port"]) == ("127.1.0.1", 81)
