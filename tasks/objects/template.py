"""What a Deployment's pod template makes: the Pod, and what that names and cannot start without."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.objects.pods import Object, ReadObject

REVISION = "deployment.kubernetes.io/revision"
# in a volume of whichever kind: a Secret by its name
_SECRET_REFS = ("secretRef", "nodePublishSecretRef")
_OF_ENV = (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap"))
_OF_ENV_FROM = (("secretRef", "Secret"), ("configMapRef", "ConfigMap"))


@dataclass(frozen=True, order=True)
class Named:
    """kind: Secret, ConfigMap or PersistentVolumeClaim. key: of its data; '' for the whole."""

    kind: str
    name: str
    key: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f" with key {self.key}" if self.key else "")


def named_by(pod: ReadObject) -> tuple[Named, ...]:
    """What a PodSpec names and a kubelet has to find, sorted; without what is optional."""
    found: list[Named] = []
    for container in (*(pod.get("initContainers") or ()), *(pod.get("containers") or ())):
        for item in container.get("env") or ():
            found += _refs(item.get("valueFrom") or {}, _OF_ENV)
        for item in container.get("envFrom") or ():
            found += _refs(item, _OF_ENV_FROM)
    for volume in pod.get("volumes") or ():
        found += _of_volume(volume)
    return tuple(sorted(set(found)))


def _refs(item: ReadObject, fields: Iterable[tuple[str, str]]) -> Iterator[Named]:
    for field, kind in fields:
        ref = item.get(field) or {}
        if ref.get("name") and not ref.get("optional"):
            yield Named(kind, ref["name"], ref.get("key") or "")


def _of_volume(volume: ReadObject) -> Iterator[Named]:
    for field, source in volume.items():
        if not isinstance(source, Mapping):
            continue
        if field == "projected":
            for part in source.get("sources") or ():
                yield from _data("Secret", part.get("secret"), "name")
                yield from _data("ConfigMap", part.get("configMap"), "name")
        elif field == "configMap":
            yield from _data("ConfigMap", source, "name")
        elif field == "persistentVolumeClaim":
            yield from _data("PersistentVolumeClaim", source, "claimName")
        else:
            yield from _data("Secret", source, "secretName")
            for ref in _SECRET_REFS:
                yield from _data("Secret", source.get(ref), "name")


def _data(kind: str, source: Any, name: str) -> Iterator[Named]:
    """source: what names it, with the keys that are asked for; None where nothing does."""
    if not source or not source.get(name) or source.get("optional"):
        return
    items = source.get("items") or ()
    yield from (Named(kind, source[name], item["key"]) for item in items)
    if not items:
        yield Named(kind, source[name])


def pod_of(deploy: ReadObject, replicasets: Iterable[ReadObject]) -> Object:
    """A Pod of its template, as its ReplicaSet asks the API server for one. replicasets: of its
    namespace; where its own is not among them the Pod has no owner."""
    meta, template = deploy["metadata"], deploy["spec"]["template"]
    noted = template.get("metadata") or {}
    own = max((item for item in replicasets if _made(item, meta)), key=_revision, default=None)
    its = own["metadata"] if own else {"name": meta["name"]}
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{its['name']}-",
            "namespace": meta["namespace"],
            "labels": dict(noted.get("labels") or {}),
            "annotations": dict(noted.get("annotations") or {}),
        },
        "spec": template["spec"],
    }
    if own:  # some clusters take no pod that nothing owns
        labels = (own["spec"].get("template") or {}).get("metadata") or {}
        pod["metadata"]["labels"] |= labels.get("labels") or {}
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": True}
        pod["metadata"]["ownerReferences"] = [{**owner, "name": its["name"], "uid": its["uid"]}]
    return pod


def _made(replicaset: ReadObject, deployment: ReadObject) -> bool:
    owners, uid = replicaset["metadata"].get("ownerReferences") or (), deployment.get("uid")
    return bool(uid) and any(owner.get("uid") == uid for owner in owners)


def _revision(replicaset: ReadObject) -> int:
    text = str((replicaset["metadata"].get("annotations") or {}).get(REVISION, "0"))
    return int(text) if text.isdigit() else 0
