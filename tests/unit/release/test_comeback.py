"""Whether what serves could start again where it runs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from tasks.release.comeback import LISTED, decide_comeback, refusal, store_of
from tests.support.cluster.actor_world import OLD, deployment

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
READY = [{"type": "Ready", "status": "True"}]


def node(names: list[str] | None = None, *, spec: Any = None, ready: str = "True") -> Any:
    listed = ["docker.io/library/img:latest", f"docker.io/library/img@{DIGEST}"]
    return {
        "metadata": {"name": "n", "labels": {}},
        "spec": spec or {},
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "images": [{"names": listed if names is None else names}],
        },
    }


def pod(image_id: str = f"docker.io/library/img@{DIGEST}", where: str | None = "n") -> Any:
    entry = {"name": "engine", "imageID": image_id}
    return {
        "metadata": {"name": "p"},
        "spec": {"nodeName": where},
        "status": {"phase": "Running", "containerStatuses": [entry]},
    }


def asked(nodes: list[Any], pods: list[Any] | None = None) -> Any:
    return decide_comeback(deployment(OLD, 2), [pod()] if pods is None else pods, nodes)


def test_a_node_that_is_ready_and_has_the_image() -> None:
    found = asked([node()], [pod(), pod()])
    assert (found.nodes, found.wrong, found.unknown) == (("n",), (), ())


TAINT = {"taints": [{"key": "down", "effect": "NoSchedule"}]}


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        ([], "node n is gone"),
        ([node(ready="Unknown")], "node n is not Ready"),
        ([node(spec={"unschedulable": True})], "node n is cordoned"),
        ([node(spec=TAINT)], "node n takes no such pod any more"),
        ([node(["docker.io/library/other:1"])], "image img is no longer on node n"),
        (
            [node(["docker.io/library/img:latest", f"docker.io/library/img@{OTHER}"])],
            f"img on node n is not what ran there \\({DIGEST}\\) any more",
        ),
    ],
)
def test_what_keeps_it_from_coming_back(nodes: list[Any], why: str) -> None:
    found = asked(nodes)
    assert len(found.wrong) == 1 and found.unknown == ()
    assert re.search(f"m-old could not come back.*: {why}", refusal("m-old", found.wrong))


@pytest.mark.parametrize(
    "image_id",
    [f"docker-pullable://docker.io/library/img@{DIGEST}", "sha256:" + "c" * 64, "local://x", ""],
)
def test_an_image_is_known_by_its_digest_or_its_name(image_id: str) -> None:
    found = asked([node()], [pod(image_id)])
    assert found.wrong == () and found.unknown == ()


def test_a_list_that_is_cut_off_says_nothing() -> None:
    full = node()
    full["status"]["images"] = [{"names": [f"docker.io/o/{at}:1"]} for at in range(LISTED)]
    none = node()
    none["status"].pop("images")
    for found in (asked([full]), asked([none])):
        assert found.wrong == () and "image img is not among the" in found.unknown[0]


@pytest.mark.parametrize("gone", [pod(where=None), {**pod(), "status": {"phase": "Failed"}}])
def test_pods_that_do_not_run_say_nothing(gone: Any) -> None:
    found = asked([node()], [gone])
    assert found.nodes == () and "no pod of m-old runs" in found.unknown[0]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/models/o/m/c-old", "/data/models"),
        ("/data/models/o/m/c-old/", "/data/models"),
        ("/data/models/o/m/c-other", None),
        ("/somewhere", None),
    ],
)
def test_where_its_weights_lie(path: str, expected: str | None) -> None:
    template = {"volumes": [{"name": "w", "hostPath": {"path": path}}, {"name": "e"}]}
    assert store_of(OLD, template) == expected
    assert store_of(replace(OLD, commit="unknown"), template) is None
