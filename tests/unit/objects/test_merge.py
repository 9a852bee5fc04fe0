"""The partial PodSpec of a site over what we render."""

from __future__ import annotations

import pytest

from tasks.objects.merge import merge_pod

BASE = {
    "nodeSelector": {"a": "1"},
    "tolerations": [{"key": "x"}],
    "containers": [
        {
            "name": "engine",
            "image": "vllm",
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            "volumeMounts": [{"name": "w", "mountPath": "/mnt/models"}],
        }
    ],
}


def test_maps_merge_and_null_deletes() -> None:
    out = merge_pod(BASE, {"nodeSelector": {"b": "2", "a": None}, "hostNetwork": True})
    assert out["nodeSelector"] == {"b": "2"}
    assert out["hostNetwork"] is True
    assert BASE["nodeSelector"] == {"a": "1"}


def test_lists_merge_by_their_key_and_are_replaced_without_one() -> None:
    patch = {
        "tolerations": [{"key": "y"}],
        "containers": [
            {"name": "engine", "env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]},
            {"name": "sidecar", "image": "s"},
        ],
    }
    out = merge_pod(BASE, patch)
    assert out["tolerations"] == [{"key": "y"}]
    assert [c["name"] for c in out["containers"]] == ["engine", "sidecar"]
    assert out["containers"][0]["image"] == "vllm"
    assert [(e["name"], e["value"]) for e in out["containers"][0]["env"]] == [
        ("A", "1"),
        ("B", "3"),
        ("C", "4"),
    ]


def test_patch_directives() -> None:
    deleted = merge_pod(
        BASE, {"containers": [{"name": "engine", "env": [{"name": "A", "$patch": "delete"}]}]}
    )
    assert [e["name"] for e in deleted["containers"][0]["env"]] == ["B"]
    replaced = merge_pod(BASE, {"nodeSelector": {"$patch": "replace", "z": "9"}})
    assert replaced["nodeSelector"] == {"z": "9"}
    emptied = merge_pod(
        BASE, {"containers": [{"name": "engine", "env": [{"$patch": "replace"}, {"name": "Q"}]}]}
    )
    assert emptied["containers"][0]["env"] == [{"name": "Q"}]


@pytest.mark.parametrize(
    ("patch", "place"),
    [
        ({"nodeSelector": "a"}, "pod.nodeSelector"),
        ({"containers": {"name": "x"}}, "pod.containers"),
        ({"containers": [{"image": "x"}]}, "needs 'name'"),
        ({"nodeSelector": []}, "pod.nodeSelector"),
    ],
)
def test_shapes_that_do_not_fit_are_named(patch: dict[str, object], place: str) -> None:
    with pytest.raises(ValueError, match=place.replace(".", r"\.")):
        merge_pod(BASE, patch)
