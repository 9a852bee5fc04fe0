"""Where a Service leads, and how the pods of an adopted release are told: they carry no label of
ours, the selector by which they were reached before is all there is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tasks.base.errors import Refused, StepFailed
from tasks.objects.labels import (
    ADOPTED,
    INSTANCE_LABEL,
    KIND_LABEL,
    REACHED_ANNOTATION,
    RELEASE_LABEL,
    SWITCHED_ANNOTATION,
)
from tasks.objects.pods import Object, ReadObject


@dataclass(frozen=True)
class Reached:
    """An adopted release: the selector and the ports of the Service in front of it, as found."""

    release: str
    selector: dict[str, str]
    ports: list[dict[str, Any]]

    def text(self) -> str:
        """As it stands in the annotation."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True)
class Switched:
    """How a Service came to lead to a release: which one is gone back to from there ('' none), and
    whether it has passed its soak."""

    release: str
    previous: str = ""
    proven: bool = True

    def text(self) -> str:
        """As it stands in the annotation."""
        return json.dumps(asdict(self), sort_keys=True)


def switched_of(service: ReadObject | None) -> Switched | None:
    """What a Service says of the switch to the release it leads to; None where it says nothing, or
    speaks of another one: somebody moved it by hand."""
    marks = ((service or {}).get("metadata") or {}).get("annotations") or {}
    try:
        found = Switched(**json.loads(marks[SWITCHED_ANNOTATION]))
    except (KeyError, ValueError, TypeError):
        return None
    return found if found.release == leads_to(service) else None


def reached_of(item: ReadObject) -> Reached | None:
    """What a Deployment or Service remembers; None where it was not adopted.

    Raises StepFailed where that cannot be read: guessing could lead clients astray.
    """
    meta = item["metadata"]
    text = (meta.get("annotations") or {}).get(REACHED_ANNOTATION)
    if text is None:
        return None
    try:
        found = json.loads(text)
        return Reached(str(found["release"]), dict(found["selector"]), list(found["ports"]))
    except (KeyError, ValueError, TypeError) as error:
        raise StepFailed(
            f"{item.get('kind', 'object')} {meta.get('namespace')}/{meta['name']}: annotation "
            f"{REACHED_ANNOTATION} is not what `rollout adopt` wrote ({error!r}): it says how the "
            "pods are reached that were adopted; write it again as Service or Deployment has it"
        ) from error


def adopted_as(selector: Mapping[str, str], uid: str) -> str:
    """The release id of what is adopted: of this very Deployment, as it is reached."""
    body = json.dumps([selector, uid], sort_keys=True)
    return ADOPTED + hashlib.sha256(body.encode()).hexdigest()[:8]


def told_apart(name: str, deployments: Iterable[Object]) -> tuple[list[Object], list[Object]]:
    """The Deployments of rollout `name`, and those that carry its labels and are not: a release has
    one Deployment, whose name is derived from it; an adopted one is the very one that was adopted,
    or the only one that says so."""
    ours: list[Object] = []
    strangers: list[Object] = []
    claims = list(deployments)
    for item in claims:
        release = release_labelled(item)
        found = reached_of(item)
        if found is None:
            its = item["metadata"]["name"] == deployment_name(name, release)
        else:
            same = [o for o in claims if reached_of(o) == found]
            mine = adopted_as(found.selector, item["metadata"].get("uid", "")) == release
            its = found.release == release and (mine or len(same) == 1)
        (ours if its else strangers).append(item)
    return ours, strangers


def release_labelled(item: ReadObject) -> str:
    """The release that an object's label names, '' for none."""
    return str((item["metadata"].get("labels") or {}).get(RELEASE_LABEL, ""))


def deployment_name(name: str, release: str) -> str:
    """What the Deployment of a release is called."""
    return f"{name}-{release}"


def belongs_to(pod: ReadObject, deployment: str) -> bool:
    """Whether a Deployment made a pod: its ReplicaSets are called by it and a template's hash."""
    owners = pod["metadata"].get("ownerReferences") or []
    return any(
        owner.get("kind") == "ReplicaSet" and owner["name"].rpartition("-")[0] == deployment
        for owner in owners
    )


def leads_to(service: ReadObject | None) -> str | None:
    """The release that a Service's selector leads to; None where it leads to none of ours, as to
    another rollout's: two that roll the same out have releases of one id.

    Raises Refused where it led to an adopted release and was changed by hand: it may well lead to
    those pods still, and nobody is to stop them.
    """
    if service is None:
        return None
    chosen = service["spec"].get("selector") or {}
    if RELEASE_LABEL in chosen:
        meta = service["metadata"]
        own = (meta.get("labels") or {}).get(INSTANCE_LABEL, meta.get("name"))
        here = chosen.get(INSTANCE_LABEL, own) == own
        return str(chosen[RELEASE_LABEL]) if here else None
    reached = reached_of(service)
    if reached is None:
        return None
    if not reached.selector.items() <= chosen.items():
        meta = service["metadata"]
        raise Refused(
            f"the selector of Service {meta.get('namespace')}/{meta['name']} is "
            f"{json.dumps(chosen)}, and was {json.dumps(reached.selector)} when it was adopted: "
            "somebody changed it, and which release serves cannot be told; put it back"
        )
    return reached.release


def labelled(pods: Iterable[Object], deployments: Iterable[ReadObject]) -> list[Object]:
    """Pods, those of adopted releases with the labels that ours have and what their Deployment
    remembers: for whoever counts them or asks them. What carries the labels of a release and was
    not made by its Deployment is without them: a copy's pods, and bare ones."""
    adopted = []
    for item in deployments:
        if reached := reached_of(item):
            meta = item["metadata"]
            marks = {key: meta["labels"][key] for key in (INSTANCE_LABEL, RELEASE_LABEL)}
            adopted.append((meta["namespace"], meta["name"], reached, marks))
    return [_labelled(_unless_a_strangers(pod), adopted) for pod in pods]


def _unless_a_strangers(pod: Object) -> Object:
    meta = pod["metadata"]
    marks = meta.get("labels") or {}
    name, release = marks.get(INSTANCE_LABEL), marks.get(RELEASE_LABEL)
    engine = marks.get(KIND_LABEL) in (None, "engine")
    if not (name and release and engine) or belongs_to(pod, deployment_name(name, release)):
        return pod
    kept = {k: v for k, v in marks.items() if k not in (INSTANCE_LABEL, RELEASE_LABEL)}
    return {**pod, "metadata": {**meta, "labels": kept}}


def _labelled(pod: Object, adopted: list[tuple[str, str, Reached, dict[str, str]]]) -> Object:
    meta = pod["metadata"]
    for namespace, deployment, reached, marks in adopted:
        its = meta.get("namespace") == namespace and belongs_to(pod, deployment)
        if its and chooses(reached.selector, meta.get("labels")):
            noted = {**(meta.get("annotations") or {}), REACHED_ANNOTATION: reached.text()}
            labels = {**meta["labels"], **marks}
            return {**pod, "metadata": {**meta, "labels": labels, "annotations": noted}}
    return pod


def chooses(selector: Mapping[str, str], labels: Mapping[str, str] | None) -> bool:
    """Whether a Service's selector chooses a pod with these labels; an empty one chooses none."""
    return bool(selector) and selector.items() <= (labels or {}).items()
