"""What each method asks of the API, and how it reads the answer."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.objects.kinds import KINDS
from tasks.outside.kubernetes.rest import Conflict, NotFound
from tests.support.cluster.cluster_script import Script, answer, status

LEASE = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"name": "rollout-m", "namespace": "llm"},
}


def test_absence_is_an_answer_to_get_and_delete() -> None:
    script = Script([status(404, "NotFound")], forever=True)
    assert script.api().get("Lease", "rollout-m", "llm") is None
    assert script.api().delete("Lease", "rollout-m", "llm") is False
    path = "/apis/coordination.k8s.io/v1/namespaces/llm/leases/rollout-m"
    assert [(r.method, r.path) for r in script.asked] == [("GET", path), ("DELETE", path)]


def test_a_list_is_read_page_by_page_and_its_items_are_whole() -> None:
    def page(names: list[str], more: str = "") -> Any:
        items = [{"metadata": {"name": n}} for n in names]
        return answer({"metadata": {"resourceVersion": "70", "continue": more}, "items": items})

    script = Script([page(["a", "b"], "next"), page(["c"])])
    items, version = script.api().snapshot("Deployment", "n", "app=x", "metadata.name=c")
    assert [i["metadata"]["name"] for i in items] == ["a", "b", "c"] and version == "70"
    assert {(i["apiVersion"], i["kind"]) for i in items} == {("apps/v1", "Deployment")}
    first, second = script.asked
    assert first.path == "/apis/apps/v1/namespaces/n/deployments"
    assert first.query["labelSelector"] == "app=x" and int(first.query["limit"]) >= 500
    assert first.query["fieldSelector"] == "metadata.name=c"
    assert second.query == {**first.query, "continue": "next"}


def test_a_list_whose_pages_expire_is_read_in_one_piece() -> None:
    script = Script(
        [
            answer({"metadata": {"continue": "next"}, "items": [{"metadata": {"name": "old"}}]}),
            status(410, "Expired", "The provided continue parameter is too old"),
            answer({"metadata": {"resourceVersion": "9"}, "items": [{"metadata": {"name": "a"}}]}),
        ]
    )
    items = script.api().list("Pod")
    assert [i["metadata"]["name"] for i in items] == ["a"]
    assert "limit" not in script.asked[-1].query and script.asked[-1].path == "/api/v1/pods"


def test_of_each_page_only_what_is_to_be_kept_is_kept() -> None:
    def page(name: str, more: str = "") -> Any:
        pod = {"metadata": {"name": name}, "spec": {"volumes": []}}
        return answer({"metadata": {"continue": more}, "items": [pod]})

    def keep(pod: dict[str, Any]) -> dict[str, Any]:
        return {"metadata": pod["metadata"]}

    gone = status(410, "Expired", "The provided continue parameter is too old")
    for script in ([page("a", "next"), page("b")], [page("o", "next"), gone, page("b")]):
        items = Script(script).api().list("Pod", keep=keep)
        assert items[-1] == {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "b"}}
        assert all("spec" not in item for item in items)


def test_apply_is_server_side_and_ours() -> None:
    script = Script([answer(LEASE)])
    script.api().apply(LEASE, force=False)
    asked = script.asked[0]
    assert asked.method == "PATCH" and asked.body == LEASE
    assert asked.headers["Content-Type"] == "application/apply-patch+yaml"
    assert asked.query == {"fieldManager": "model-rollout", "force": "false"}


def test_replace_never_overwrites_blindly() -> None:
    with pytest.raises(ValueError, match="resourceVersion"):
        Script([]).api().replace(LEASE)


def test_a_patch_is_a_merge_patch_and_carries_its_subresource() -> None:
    script = Script([answer({})], forever=True)
    script.api().patch("Deployment", "d", "n", {"spec": {"replicas": 0}}, sub="scale")
    script.api().patch("Node", "w1", None, {"metadata": {"labels": {"x": None}}})
    scale, node = script.asked
    assert scale.headers["Content-Type"] == "application/merge-patch+json"
    assert scale.path.endswith("/deployments/d/scale")
    assert node.path == "/api/v1/nodes/w1"


def test_delete_names_the_very_object() -> None:
    script = Script([status(409, "Conflict", "Precondition failed: UID in precondition")])
    with pytest.raises(Conflict):
        script.api().delete("Pod", "p", "n", uid="u1", propagation="Foreground")
    body = script.asked[0].body
    assert body["preconditions"] == {"uid": "u1"} and body["propagationPolicy"] == "Foreground"


def test_logs_of_what_has_not_started_are_empty() -> None:
    words = 'container "vllm" in pod "p" is waiting to start: ContainerCreating'
    script = Script([status(400, "BadRequest", words), status(404), answer("wörter\n".encode())])
    api = script.api()
    assert api.logs("p", "n") == "" and api.logs("p", "n", previous=True) == ""
    assert api.logs("p", "n", "vllm") == "wörter\n"
    assert script.asked[-1].query == {"container": "vllm"}


def test_a_kind_outside_the_table_is_asked_of_the_cluster_once() -> None:
    resources = {
        "resources": [
            {"name": "widgets/status", "kind": "Widget", "namespaced": True},
            {"name": "widgets", "kind": "Widget", "namespaced": True},
        ]
    }
    script = Script([answer(resources), answer({}), answer({})])
    api = script.api()
    widget = {
        "apiVersion": "example.com/v1beta1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": "n"},
    }
    api.apply(widget)
    api.get("example.com/v1beta1/Widget", "w", "n")
    assert [r.path for r in script.asked] == [
        "/apis/example.com/v1beta1",
        "/apis/example.com/v1beta1/namespaces/n/widgets/w",
        "/apis/example.com/v1beta1/namespaces/n/widgets/w",
    ]
    with pytest.raises(NotFound, match=r"serves no kind Gadget in example.com/v1"):
        Script([answer({"resources": []})]).api().resource("example.com/v1/Gadget")
    with pytest.raises(ValueError, match="group/version/Kind"):
        api.resource("Gadget")


def test_scopes_are_kept() -> None:
    assert KINDS["Node"].path("ignored", "w1") == "/api/v1/nodes/w1"
    with pytest.raises(ValueError, match="namespace"):
        KINDS["Pod"].path(None, "p")
