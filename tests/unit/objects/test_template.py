"""What a pod template names, and the Pod it makes."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.objects.template import Named, named_by, pod_of

SECRET, CONFIG = {"name": "s", "key": "k"}, {"name": "c", "key": "k"}
ITEMS = {"items": [{"key": "k", "path": "p"}]}


def env(**source: Any) -> dict[str, Any]:
    return {"env": [{"name": "X", "valueFrom": source}]}


def volume(**source: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "v", **source}]}


WAYS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, env(secretKeyRef=SECRET), "Secret s with key k"),
    ({}, env(configMapKeyRef=CONFIG), "ConfigMap c with key k"),
    ({}, {"envFrom": [{"secretRef": {"name": "s"}}]}, "Secret s"),
    ({}, {"envFrom": [{"prefix": "P_", "configMapRef": {"name": "c"}}]}, "ConfigMap c"),
    (volume(secret={"secretName": "s"}), {}, "Secret s"),
    (volume(secret={"secretName": "s", **ITEMS}), {}, "Secret s with key k"),
    (volume(configMap={"name": "c", **ITEMS}), {}, "ConfigMap c with key k"),
    (volume(projected={"sources": [{"secret": {"name": "s"}}]}), {}, "Secret s"),
    (volume(projected={"sources": [{"configMap": {"name": "c"}}]}), {}, "ConfigMap c"),
    (volume(persistentVolumeClaim={"claimName": "d"}), {}, "PersistentVolumeClaim d"),
    (volume(csi={"driver": "x", "nodePublishSecretRef": {"name": "s"}}), {}, "Secret s"),
    (volume(cephfs={"monitors": [], "secretRef": {"name": "s"}}), {}, "Secret s"),
    (volume(azureFile={"shareName": "x", "secretName": "s"}), {}, "Secret s"),
    ({}, env(secretKeyRef={**SECRET, "optional": True}), ""),
    ({}, {"envFrom": [{"secretRef": {"name": "s", "optional": True}}]}, ""),
    (volume(configMap={"name": "c", "optional": True}), {}, ""),
    (volume(projected={"sources": [{"secret": {"name": "s", "optional": True}}]}), {}, ""),
    ({}, env(fieldRef={"fieldPath": "metadata.name"}), ""),
    (volume(emptyDir={}), {}, ""),
    (volume(projected={"sources": [{"serviceAccountToken": {"path": "t"}}]}), {}, ""),
]


@pytest.mark.parametrize("group", ["containers", "initContainers"])
@pytest.mark.parametrize(("pod", "container", "named"), WAYS)
def test_whatever_a_kubelet_must_find_is_named(
    pod: dict[str, Any], container: dict[str, Any], named: str, group: str
) -> None:
    found = named_by({**pod, group: [{"name": "c", **container}]})
    assert [str(item) for item in found] == ([named] if named else [])


def test_what_is_named_twice_is_one() -> None:
    container = {"env": 2 * env(secretKeyRef=SECRET)["env"]}
    assert named_by({"containers": [container, container]}) == (Named("Secret", "s", "k"),)


DEPLOY = {
    "metadata": {"name": "m-old", "namespace": "n", "uid": "d"},
    "spec": {
        "template": {
            "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
            "spec": {"containers": [{"name": "engine"}]},
        }
    },
}


def replicaset(name: str, revision: str, owner: str = "d") -> dict[str, Any]:
    marks = {"deployment.kubernetes.io/revision": revision}
    labels = {"a": "b", "pod-template-hash": name}
    return {
        "metadata": {
            "name": f"m-old-{name}",
            "uid": name,
            "annotations": marks,
            "ownerReferences": [{"uid": owner}],
        },
        "spec": {"template": {"metadata": {"labels": labels}}},
    }


def test_the_pod_is_the_one_its_newest_replicaset_would_ask_for() -> None:
    every = [replicaset("x", "9"), replicaset("y", "10"), replicaset("z", "11", "another")]
    pod = pod_of(DEPLOY, every)
    meta = pod["metadata"]
    assert meta["generateName"] == "m-old-y-" and meta["namespace"] == "n" and "name" not in meta
    assert meta["labels"] == {"a": "b", "pod-template-hash": "y"}
    assert meta["annotations"] == {"c": "d"}
    (owner,) = meta["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == ("y", True)
    assert pod["spec"] == DEPLOY["spec"]["template"]["spec"]  # type: ignore[index]


def test_without_a_replicaset_the_pod_has_no_owner() -> None:
    meta = pod_of(DEPLOY, [replicaset("z", "1", "another")])["metadata"]
    assert meta["generateName"] == "m-old-" and "ownerReferences" not in meta
    fresh = {**DEPLOY, "metadata": {"name": "m-new", "namespace": "n"}}
    ownerless = {**replicaset("z", "1"), "metadata": {"name": "z", "ownerReferences": [{}]}}
    assert "ownerReferences" not in pod_of(fresh, [ownerless])["metadata"]
