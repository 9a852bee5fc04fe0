"""Lists, pages and watches: nothing lost, nothing twice, and 410 when the past is gone."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.support.cluster.api_fixture import CONFIGS, PODS, Api, config, pod, serving


def told(api: Api, query: str) -> list[tuple[str, str]]:
    """(what, name) of a watch of one second."""
    path = f"{CONFIGS}?watch=true&timeoutSeconds=1&{query}"
    return [(what, obj["metadata"].get("name", "")) for what, obj in api.events(path)]


def test_a_watch_resumes_right_after_a_version(api: Api) -> None:
    api.cluster.create(config("a"))
    version = api.cluster.snapshot("ConfigMap", "default")[1]
    api.cluster.create(config("b"))
    api.cluster.patch("ConfigMap", "a", "default", {"data": {"k": "v"}})
    api.cluster.delete("ConfigMap", "b", "default")
    api.cluster.create(pod())
    assert told(api, f"resourceVersion={version}") == [
        ("ADDED", "b"),
        ("MODIFIED", "a"),
        ("DELETED", "b"),
    ]
    assert told(api, f"resourceVersion={api.store.version}") == []


def test_a_watch_without_a_version_begins_with_what_is_there(api: Api) -> None:
    api.cluster.create(config("a"))
    assert told(api, "") == [("ADDED", "a")]
    assert told(api, "resourceVersion=0") == [("ADDED", "a")]


def test_an_object_that_leaves_the_selection_is_deleted_there(api: Api) -> None:
    version = api.store.version
    api.cluster.create(config("a", labels={"on": "yes"}))
    api.cluster.create(config("b"))
    for value in ("no", "no", "yes"):
        api.cluster.patch("ConfigMap", "a", "default", {"metadata": {"labels": {"on": value}}})
    api.cluster.patch("ConfigMap", "a", "default", {"metadata": {"labels": {"on": "no"}}})
    api.cluster.delete("ConfigMap", "a", "default")
    query = f"resourceVersion={version}&labelSelector=on%3Dyes"
    expected = [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "a"), ("DELETED", "a")]
    assert told(api, query) == expected
    later = list(api.events(f"{CONFIGS}?watch=1&timeoutSeconds=1&{query}"))
    versions = [int(obj["metadata"]["resourceVersion"]) for _, obj in later]
    assert versions == sorted(set(versions)), "a DELETED carries the version it happened at"


def test_a_past_that_is_gone_is_a_410_in_list_and_stream(tmp_path: Path) -> None:
    with serving(tmp_path, window=5) as api:
        for i in range(4):
            api.cluster.create(config(f"c{i}"))
        first = api.send("GET", f"{CONFIGS}?limit=2")[1]
        version = first["metadata"]["resourceVersion"]
        for i in range(8):
            api.cluster.patch("ConfigMap", "c0", "default", {"data": {"k": str(i)}})
        [(what, status)] = list(api.events(f"{CONFIGS}?watch=1&resourceVersion={version}"))
        assert (what, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
        token = first["metadata"]["continue"]
        code, body = api.send("GET", f"{CONFIGS}?limit=2&continue={token}")
        assert (code, body["reason"]) == (410, "Expired")
        # The client lists anew and goes on.
        start = ([], version)
        news = api.cluster.watch("ConfigMap", "default", start=start, timeout_s=120)
        assert {next(news)[1]["metadata"]["name"] for _ in range(4)} == {"c0", "c1", "c2", "c3"}


def test_a_version_from_the_future_is_refused(api: Api) -> None:
    for query in ("", "watch=1&"):
        code, body = api.send("GET", f"{CONFIGS}?{query}resourceVersion=999999")
        assert code == 504
        assert "Too large resource version" in body["message"]


def test_watchers_see_every_change_of_many_writers_once(api: Api) -> None:
    writers, each = 4, 40
    version = api.store.version
    seen: list[list[str]] = [[], []]

    def watch(into: list[str]) -> None:
        path = f"{CONFIGS}?watch=1&timeoutSeconds=300&resourceVersion={version}"
        for _, obj in api.events(path):
            into.append(obj["metadata"]["resourceVersion"])
            if len(into) == writers * each:
                return

    def write(writer: int) -> None:
        for i in range(each):
            api.store.create("configmaps", config(f"w{writer}-{i}"))

    threads = [threading.Thread(target=watch, args=(into,)) for into in seen]
    threads += [threading.Thread(target=write, args=(i,)) for i in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    expected = [str(version + 1 + i) for i in range(writers * each)]
    assert seen == [expected, expected]


def test_bookmarks_carry_on_the_version(api: Api) -> None:
    api.cluster.create(config("a"))
    version = api.store.version
    api.cluster.create(pod())
    path = f"{CONFIGS}?watch=1&timeoutSeconds=1&allowWatchBookmarks=true&resourceVersion={version}"
    [(what, obj)] = list(api.events(path))
    assert (what, obj["kind"]) == ("BOOKMARK", "ConfigMap")
    assert obj["metadata"]["resourceVersion"] == str(api.store.version)


def test_pages_are_of_one_instant(api: Api) -> None:
    for i in range(5):
        api.cluster.create(config(f"c{i}"))
    first = api.send("GET", f"{CONFIGS}?limit=2")[1]
    assert first["metadata"]["remainingItemCount"] == 3
    api.cluster.delete("ConfigMap", "c3", "default")
    api.cluster.create(config("c2x"))
    names = [obj["metadata"]["name"] for obj in first["items"]]
    page = first
    while token := page["metadata"].get("continue"):
        page = api.send("GET", f"{CONFIGS}?limit=2&continue={token}")[1]
        names += [obj["metadata"]["name"] for obj in page["items"]]
        assert page["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert names == ["c0", "c1", "c2", "c3", "c4"]
    assert api.send("GET", f"{CONFIGS}?continue=nonsense")[0] == 400
    assert api.send("GET", f"{CONFIGS}?limit=many")[0] == 400


def test_selectors_choose(api: Api) -> None:
    api.store.create("namespaces", {"metadata": {"name": "other"}})
    api.cluster.create(config("a", labels={"tier": "x", "on": "1"}))
    api.cluster.create(config("b", labels={"tier": "y"}))
    api.cluster.create(config("c", namespace="other", labels={"tier": "x"}))
    for labels, fields, names in (
        ("tier=x", None, ["a", "c"]),
        ("tier in (x,y),!on", None, ["b", "c"]),
        ("tier!=x", None, ["b"]),
        ("tier notin (y),on", None, ["a"]),
        (None, "metadata.name=b", ["b"]),
        (None, "metadata.namespace!=default", ["c"]),
    ):
        found = api.cluster.list("ConfigMap", None, labels, fields)
        assert [obj["metadata"]["name"] for obj in found] == names, (labels, fields)
    assert api.send("GET", f"{CONFIGS}?labelSelector=a%3D%3D%3Db")[0] == 400
    api.cluster.create(pod())
    assert api.send("GET", f"{PODS}?fieldSelector=status.phase%3DPending")[1]["items"]
    assert not api.send("GET", f"{PODS}?fieldSelector=status.phase%3DRunning")[1]["items"]
    code, body = api.send("GET", f"{CONFIGS}?fieldSelector=data.a%3D1")
    assert (code, body["message"]) == (400, "field label not supported: data.a")
    api.cluster.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})
    assert api.cluster.list("Node", None, None, "spec.unschedulable=false")
    api.cluster.patch("Node", "n", None, {"spec": {"unschedulable": True}})
    assert api.cluster.list("Node", None, None, "spec.unschedulable=true")
    assert not api.cluster.list("Node", None, None, "spec.unschedulable=false")


def test_a_watcher_that_does_not_read_holds_nobody_up_and_is_told_it_is_late(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, window=50) as api:
        path = f"{CONFIGS}?watch=1&resourceVersion={api.store.version}"
        idle = api.events(path)
        api.store.create("configmaps", config("first"))
        assert next(idle)[1]["metadata"]["name"] == "first"
        # Far more than the buffers of a connection hold.
        for i in range(400):
            api.store.create("configmaps", config(f"c{i}", {"text": "x" * 100_000}))
        assert len(api.cluster.list("ConfigMap", "default", "none")) == 0
        what, last = list(idle)[-1]
        assert (what, last["code"]) == ("ERROR", 410)


def test_a_client_that_leaves_is_forgotten_quietly(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    idle = api.events(f"{CONFIGS}?watch=1&resourceVersion={api.store.version}")
    api.cluster.create(config("a"))
    next(idle)
    idle.close()
    for i in range(3):
        api.cluster.create(config(f"b{i}"))
    assert told(api, f"resourceVersion={api.store.version}") == []
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
