"""Server-side apply: ownership, conflicts, giving fields up."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.local.kube.api.apply import apply, decode, encode, owned
from deployments.local.kube.objects.status import StatusError
from tests.support.cluster.api_fixture import CONFIGS, DEPLOYMENTS, Api, config, deployment

APPLY = "application/apply-patch+yaml"


def put(api: Api, obj: dict[str, Any], manager: str, force: bool = False) -> tuple[int, Any]:
    where = DEPLOYMENTS if obj["kind"] == "Deployment" else CONFIGS
    name = obj["metadata"]["name"]
    query = f"fieldManager={manager}&force={str(force).lower()}"
    return api.send("PATCH", f"{where}/{name}?{query}", obj, APPLY)


def test_an_apply_creates_then_changes_nothing_twice(api: Api) -> None:
    code, made = put(api, deployment(), "one")
    assert code == 201
    code, again = put(api, deployment(), "one")
    assert code == 200
    assert again == made, "an apply of the same is no change"


def test_a_field_no_longer_given_is_removed_unless_another_owns_it(api: Api) -> None:
    put(api, config(data={"mine": "1", "shared": "2"}), "one")
    put(api, config(data={"shared": "2", "theirs": "3"}), "two")
    _, left = put(api, config(data={}), "one")
    assert left["data"] == {"shared": "2", "theirs": "3"}
    _, left = put(api, config(data={"theirs": "3"}), "two")
    assert left["data"] == {"theirs": "3"}


def test_another_managers_value_is_a_conflict_that_force_takes(api: Api) -> None:
    put(api, config(data={"a": "1", "b": "1"}), "one")
    code, body = put(api, config(data={"a": "2", "b": "1"}), "two")
    assert (code, body["reason"]) == (409, "Conflict")
    assert body["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "one"',
            "field": ".data.a",
        }
    ]
    code, forced = put(api, config(data={"a": "2", "b": "1"}), "two", force=True)
    assert (code, forced["data"]) == (200, {"a": "2", "b": "1"})
    fields = {e["manager"]: e["fieldsV1"] for e in forced["metadata"]["managedFields"]}
    assert fields == {
        "one": {"f:data": {"f:b": {}}},
        "two": {"f:data": {"f:a": {}, "f:b": {}}},
    }
    # What was taken from "one" is not removed when it stops giving it.
    _, left = put(api, config(data={"b": "1"}), "one")
    assert left["data"] == {"a": "2", "b": "1"}


def test_an_update_owns_what_it_changed(api: Api) -> None:
    put(api, deployment(replicas=1), "one")
    patch = {"spec": {"replicas": 3}}
    api.cluster.patch("Deployment", "web", "default", patch)
    code, body = put(api, deployment(replicas=1), "one")
    assert code == 409
    assert [cause["field"] for cause in body["details"]["causes"]] == [".spec.replicas"]
    code, left = put(api, deployment(), "one")
    assert (code, left["spec"]["replicas"]) == (200, 3)


def test_keyed_lists_merge_by_key_and_lose_only_ones_own_items(api: Api) -> None:
    def web(*names: str) -> dict[str, Any]:
        obj = deployment()
        items = [{"name": name, "value": name} for name in names]
        obj["spec"]["template"]["spec"]["containers"][0]["env"] = items
        return obj

    put(api, web("A", "B"), "one")
    sidecar = deployment()
    sidecar["spec"]["template"]["spec"]["containers"] = [{"name": "side", "image": "image:2"}]
    code, both = put(api, sidecar, "two")
    assert code == 200
    assert [c["name"] for c in both["spec"]["template"]["spec"]["containers"]] == ["side", "main"]
    _, left = put(api, web("B"), "one")
    containers = {c["name"]: c for c in left["spec"]["template"]["spec"]["containers"]}
    assert containers["main"]["env"] == [{"name": "B", "value": "B"}]
    assert containers["side"]["image"] == "image:2"
    gone = deployment()
    gone["spec"]["template"]["spec"]["containers"] = [{"name": "side", "image": "image:2"}]
    _, left = put(api, gone, "one")
    assert [c["name"] for c in left["spec"]["template"]["spec"]["containers"]] == ["side"]


def test_ports_of_a_service_merge_by_port(api: Api) -> None:
    def service(*ports: int) -> dict[str, Any]:
        given = [{"port": port, "name": f"p{port}"} for port in ports]
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "s"},
            "spec": {"ports": given},
        }

    where = "/api/v1/namespaces/default/services/s?fieldManager="
    api.send("PATCH", where + "one", service(80, 81), APPLY)
    api.send("PATCH", where + "two", service(82), APPLY)
    _, left = api.send("PATCH", where + "one", service(80), APPLY)
    assert sorted(port["port"] for port in left["spec"]["ports"]) == [80, 82]


def test_an_apply_needs_a_manager_and_leaves_managed_fields_alone(api: Api) -> None:
    code, body = api.send("PATCH", f"{CONFIGS}/c", config(), APPLY)
    assert (code, "fieldManager" in body["message"]) == (400, True)
    code, body = put(api, config(managedFields=[{"manager": "x"}]), "one")
    assert (code, "managedFields" in body["message"]) == (400, True)


def test_an_apply_with_a_version_is_conditional(api: Api) -> None:
    _, made = put(api, config(data={"a": "1"}), "one")
    version = made["metadata"]["resourceVersion"]
    code, _ = put(api, config(data={"a": "2"}, resourceVersion=version), "one")
    assert code == 200
    code, body = put(api, config(data={"a": "3"}, resourceVersion=version), "one")
    assert (code, body["reason"]) == (409, "Conflict")
    code, _ = put(api, config("absent", resourceVersion=version), "one")
    assert code == 409


def test_a_partial_apply_of_a_present_object_is_complete_after_the_merge(api: Api) -> None:
    part = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": 7},
    }
    code, body = put(api, part, "scaler")
    assert (code, body["reason"]) == (422, "Invalid")
    put(api, deployment(), "one")
    code, left = put(api, part, "scaler")
    assert (code, left["spec"]["replicas"]) == (200, 7)


_DATA = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"), max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), _DATA), min_size=1, max_size=6))
def test_after_forced_applies_the_object_is_what_its_owners_gave(
    steps: list[tuple[str, dict[str, str]]],
) -> None:
    live: dict[str, Any] | None = None
    owners: dict[str, set[str]] = {"one": set(), "two": set()}
    model: dict[str, str] = {}
    for manager, data in steps:
        other = "two" if manager == "one" else "one"
        live = apply(live, config(data=data), manager, force=True)
        dropped = owners[manager] - set(data) - owners[other]
        for key in data:
            if key in owners[other] and model[key] != data[key]:
                owners[other].discard(key)
        owners[manager] = set(data)
        model = {k: v for k, v in {**model, **data}.items() if k not in dropped}
        assert (live.get("data") or {}) == model
        again = apply(live, config(data=data), manager, force=False)
        assert again == live


@given(
    st.sets(
        st.lists(
            st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"']), min_size=1, max_size=4
        ).map(tuple),
        min_size=1,
        max_size=8,
    )
)
def test_field_sets_survive_their_encoding(paths: set[tuple[str, ...]]) -> None:
    assert decode(encode(paths)) == paths


def test_apply_changes_neither_argument() -> None:
    live = apply(None, deployment(replicas=1), "one", force=False)
    wanted = deployment(replicas=2)
    kept = copy.deepcopy((live, wanted))
    apply(live, wanted, "one", force=False)
    assert (live, wanted) == kept
    with pytest.raises(StatusError, match=r"\.spec\.replicas"):
        apply(live, wanted, "two", force=False)
    assert ("f:spec", "f:replicas") in owned(wanted)


def owners(api: Api, name: str = "web") -> set[tuple[str, str, str]]:
    """Who owns the replicas of a Deployment."""
    _, found = api.send("GET", f"{DEPLOYMENTS}/{name}")
    return {
        (entry["manager"], entry["operation"], entry.get("subresource", ""))
        for entry in found["metadata"]["managedFields"]
        if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
    }


MERGE = "application/merge-patch+json"


def test_who_changes_the_replicas_owns_them_and_who_leaves_them_does_not(api: Api) -> None:
    """As Kubernetes 1.36 answered, write by write."""

    def patch(manager: str, body: dict[str, Any], sub: str = "") -> None:
        code, _ = api.send("PATCH", f"{DEPLOYMENTS}/web{sub}?fieldManager={manager}", body, MERGE)
        assert code == 200

    api.send("POST", f"{DEPLOYMENTS}?fieldManager=us", deployment(replicas=2))
    patch("us", {"spec": {"replicas": 1}})
    assert owners(api) == {("us", "Update", "")}
    for body in ({"paused": True}, {"paused": None}, {"replicas": 1}, {"minReadySeconds": 2}):
        patch("person", {"spec": body})
        assert owners(api) == {("us", "Update", "")}
    patch("kubectl", {"spec": {"replicas": 1}}, "/scale")
    assert owners(api) == {("us", "Update", "")}
    for count in (2, 1):
        patch("kubectl", {"spec": {"replicas": count}}, "/scale")
        assert owners(api) == {("kubectl", "Update", "scale")}
    patch("us", {"metadata": {"annotations": {"mark": "1"}}, "spec": {"replicas": 1}})
    assert owners(api) == {("kubectl", "Update", "scale")}
    put(api, deployment(replicas=1), "us", force=True)
    assert owners(api) == {("kubectl", "Update", "scale"), ("us", "Apply", "")}
    patch("us", {"spec": {"replicas": 2}})
    assert owners(api) == {("us", "Update", "")}
    put(api, deployment(replicas=2), "argo")
    assert owners(api) == {("us", "Update", ""), ("argo", "Apply", "")}
    put(api, deployment(replicas=3), "argo", force=True)
    assert owners(api) == {("argo", "Apply", "")}


def test_fields_that_were_stripped_are_nobodys_until_something_is_applied(api: Api) -> None:
    api.send("POST", f"{DEPLOYMENTS}?fieldManager=us", deployment(replicas=2))
    strip = [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]
    api.send("PATCH", f"{DEPLOYMENTS}/web", strip, "application/json-patch+json")
    assert owners(api) == set()
    api.send("PATCH", f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 1}}, MERGE)
    assert owners(api) == set()
    put(api, deployment(), "argo", force=True)
    assert owners(api) == {("before-first-apply", "Update", "")}


def test_annotations_raise_the_generation_of_a_deployment(api: Api) -> None:
    note = {"metadata": {"annotations": {"a": "1"}}}
    api.cluster.create(deployment())
    _, before = api.send("GET", f"{DEPLOYMENTS}/web")
    _, after = api.send("PATCH", f"{DEPLOYMENTS}/web", note, MERGE)
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
