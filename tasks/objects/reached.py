"""Where a Service leads, and how the pods of an adopted release are told: they carry no label of
ours, the selector by which they were reached before is all there is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tasks.base.errors import Refused, StepFailed
from tasks.objects.labels import (
    INSTANCE_LABEL,
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


def leads_to(service: ReadObject | None) -> str | None:
    """The release that a Service's selector leads to; None where it leads to none of ours.

    Raises Refused where it led to an adopted release and was changed by hand: it may well lead to
    those pods still, and nobody is to stop them.
    """
    if service is None:
        return None
    chosen = service["spec"].get("selector") or {}
    if RELEASE_LABEL in chosen:
        return str(chosen[RELEASE_LABEL])
    reached = reached_of(service)
    if reached is None:
        return None
    if reached.selector != chosen:
        meta = service["metadata"]
        raise Refused(
            f"the selector of Service {meta.get('namespace')}/{meta['name']} is "
            f"{json.dumps(chosen)}, and was {json.dumps(reached.selector)} when it was adopted: "
            "somebody changed it, and which release serves cannot be told; put it back"
        )
    return reached.release


def bent(service: ReadObject | None, deployments: Iterable[ReadObject]) -> bool:
    """Whether a Service that leads to one of these Deployments asks for more than its pods carry:
    an applied manifest brings a former selector back beside the one it has."""
    leads = leads_to(service)
    if service is None or leads is None:
        return False
    chosen = service["spec"].get("selector") or {}
    return any(
        item["metadata"]["labels"].get(RELEASE_LABEL) == leads
        and not chooses(chosen, item["spec"]["template"].get("metadata", {}).get("labels"))
        for item in deployments
    )


def labelled(pods: Iterable[Object], deployments: Iterable[ReadObject]) -> list[Object]:
    """Pods, those of adopted releases with the labels that ours have and what their Deployment
    remembers: for whoever counts them or asks them."""
    adopted = []
    for item in deployments:
        if reached := reached_of(item):
            meta = item["metadata"]
            marks = {key: meta["labels"][key] for key in (INSTANCE_LABEL, RELEASE_LABEL)}
            adopted.append((meta["namespace"], reached, marks))
    return [_labelled(pod, adopted) for pod in pods] if adopted else list(pods)


def _labelled(pod: Object, adopted: list[tuple[str, Reached, dict[str, str]]]) -> Object:
    meta = pod["metadata"]
    for namespace, reached, marks in adopted:
        if meta.get("namespace") == namespace and chooses(reached.selector, meta.get("labels")):
            noted = {**(meta.get("annotations") or {}), REACHED_ANNOTATION: reached.text()}
            labels = {**meta["labels"], **marks}
            return {**pod, "metadata": {**meta, "labels": labels, "annotations": noted}}
    return pod


def chooses(selector: Mapping[str, str], labels: Mapping[str, str] | None) -> bool:
    """Whether a Service's selector chooses a pod with these labels; an empty one chooses none."""
    return bool(selector) and selector.items() <= (labels or {}).items()
