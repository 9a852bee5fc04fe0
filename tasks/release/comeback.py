"""Whether what serves could start again, and what takes its place could start: asked before a
replica of what serves is stopped.

Node and image by what the API shows; weights are hashed again by a Job on the node.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.nodes.facts import TERMINAL, api_facts
from tasks.objects.labels import ENGINE_CONTAINER
from tasks.objects.made import image_told
from tasks.objects.pods import ReadObject, ending, engine_container, is_true, statuses
from tasks.release.course import Course, Observed, PointService, Scale
from tasks.release.seats.room import takes
from tasks.release.state import Release

# What a kubelet lists at most (nodeStatusMaxImages), the largest first.
LISTED = 50
# how what is wrong with weights begins
WEIGHTS = "its weights on node"


@dataclass(frozen=True)
class Taking:
    """serving: id of the release that answers, and is to stop or to lend. starts: of the one that
    the Service is led to in its place; '' for none."""

    serving: str
    starts: str = ""


def takes_from(seen: Observed, course: Course) -> Taking | None:
    """What a course takes from what serves and answers, before anything else is led to; None where
    it takes nothing."""
    view, taken = seen.view(seen.serving), False
    for move in course.moves:
        match move:
            case PointService(release):
                if taken and view:
                    return Taking(view.release, release.id)
                view = seen.view(release.id)
            case Scale(name, replicas) if view and name == view.name and view.available:
                taken = taken or replicas < view.replicas
    return Taking(view.release) if taken and view else None


def stand_beside(seen: Observed, course: Course) -> tuple[tuple[int, int], ...]:
    """How many replicas of what starts, and of what serves, a course has side by side before the
    Service is moved; none where what serves is stopped first."""
    serving, pairs = seen.view(seen.serving), []
    led = next((m.release.id for m in course.moves if isinstance(m, PointService)), "")
    starts = seen.view(led)
    if serving is None or starts is None or starts == serving:
        return ()
    stays = serving.replicas
    for move in course.moves:
        match move:
            case PointService():
                break
            case Scale(name, replicas) if name == serving.name:
                stays = replicas
            case Scale(name, replicas) if name == starts.name and stays:
                pairs.append((replicas, stays))
    return tuple(pairs)


@dataclass(frozen=True)
class Comeback:
    """nodes: where its pods run, or may. wrong: why one could not start there. unknown: what nobody
    can say."""

    nodes: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def decide_comeback(
    deploy: ReadObject, pods: Iterable[ReadObject], nodes: Iterable[ReadObject]
) -> Comeback:
    """By what the API shows. pods: of the release. nodes: of the cluster."""
    there = {node["metadata"]["name"]: node for node in nodes}
    template = deploy["spec"]["template"]["spec"]
    used: list[str] = []
    wrong: list[str] = []
    unknown: list[str] = []
    for pod in pods:
        name = (pod.get("spec") or {}).get("nodeName")
        if not name or ending(pod) or (pod.get("status") or {}).get("phase") in TERMINAL:
            continue
        used.append(name)
        if name not in there:
            wrong.append(f"node {name} is gone")
            continue
        wrong += _of_node(template, there[name])
        said, sure = _of_image(template, _digest(pod), there[name])
        (wrong if sure else unknown).extend(said)
    if not used:
        unknown.append(f"no pod of {deploy['metadata']['name']} runs: nothing says where it would")
    return Comeback(*(tuple(dict.fromkeys(found)) for found in (used, wrong, unknown)))


def decide_placing(
    deploy: ReadObject, nodes: Iterable[ReadObject], ran: Iterable[str] = ()
) -> Comeback:
    """Of a release that stands at zero: any node that takes its pods may get them. ran: imageIDs
    that its pods had, where that is remembered."""
    template = deploy["spec"]["template"]["spec"]
    digest = next(filter(None, map(_registered, ran)), "")
    used: list[str] = []
    refusing: list[str] = []
    lacks: list[str] = []
    sure = True
    for node in nodes:
        if said := _of_node(template, node):
            refusing += said
            continue
        used.append(node["metadata"]["name"])
        found, certain = _of_image(template, digest, node)
        lacks += found
        sure = sure and bool(found) and certain
    if not used:
        why = "; ".join(refusing[:4]) or "the cluster has none"
        return Comeback(wrong=(f"no node takes its pods: {why}",))
    # where one of them has the image, the others may have to pull it
    wrong, unknown = (lacks, []) if sure else ([], lacks)
    return Comeback(tuple(used), tuple(wrong), tuple(unknown))


def digests_of(history: Iterable[Mapping[str, Any]], release: str) -> tuple[str, ...]:
    """The imageIDs that a release's pods had, by the newest entry that has them."""
    for entry in history:
        what, ran = entry.get("resolve_model"), entry.get("deploy")
        if not (isinstance(what, Mapping) and isinstance(ran, Mapping)):
            continue  # somebody else wrote it
        found = ran.get("image_digests")
        if what.get("release") == release and found and isinstance(found, list):
            return tuple(map(str, found))
    return ()


def _of_node(template: ReadObject, node: ReadObject) -> list[str]:
    name = node["metadata"]["name"]
    if not is_true(node, "Ready"):
        return [f"node {name} is not Ready"]
    if (node.get("spec") or {}).get("unschedulable"):
        return [f"node {name} is cordoned"]
    if not takes(template, api_facts(node)):
        return [f"node {name} takes no such pod any more (its taints or labels have changed)"]
    return []


def _of_image(template: ReadObject, digest: str, node: ReadObject) -> tuple[list[str], bool]:
    """What is to be said of the engine's image on the node, and whether it is sure to be wrong.
    digest: of what ran; '' where nobody knows."""
    engine = engine_container(template)
    image, where = str(engine.get("image", "")), node["metadata"]["name"]
    entries = (node.get("status") or {}).get("images") or []
    listed = {str(name) for entry in entries for name in entry.get("names") or []}
    if digest and any(name.endswith(f"@{digest}") for name in listed):
        return [], False
    tagged = [_plain(name) for name in listed]
    digests = any(
        "@" in name
        for entry in entries
        if _plain(image) in map(_plain, entry.get("names") or [])
        for name in entry.get("names") or []
    )
    if _plain(image) in tagged and not (digest and digests):
        return [], False  # by its name: one of the two says no digest
    if _plain(image) in tagged:
        return [f"{image} on node {where} is not what ran there ({digest}) any more"], True
    if not entries or len(entries) >= LISTED:
        return [f"image {image} is not among the {len(entries)} that node {where} lists"], False
    return [f"image {image} is no longer on node {where}, and would have to be pulled"], True


def _digest(pod: ReadObject) -> str:
    """Of what the engine runs, as a registry has it; '' where the node tells none."""
    found = next((e for e in statuses(pod) if e.get("name") == ENGINE_CONTAINER), None)
    return _registered(str((found or {}).get("imageID", "")))


def _registered(ident: str) -> str:
    """The digest in an imageID, as a registry has it; '' where it tells none."""
    pulled, digest = image_told(ident)
    return digest if pulled else ""


def _plain(image: str) -> str:
    """An image's name as a node lists it: with its registry and its tag."""
    name, at, digest = image.partition("@")
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif not ("." in first or ":" in first or first == "localhost"):
        name = f"docker.io/{name}"
    if at:
        return f"{name}@{digest}"
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def store_of(release: Release, template: ReadObject) -> str | None:
    """The host folder of the store that a release's weights lie in; None for what was adopted, or
    mounts them in another way."""
    end = f"/{release.model}/{release.commit}"
    for volume in template.get("volumes") or ():
        path = posixpath.normpath(str((volume.get("hostPath") or {}).get("path", "")))
        if path.endswith(end):
            return path.removesuffix(end) or "/"
    return None


def refusal(name: str, wrong: Sequence[str]) -> str:
    """Why nothing is taken from what serves."""
    said = f"{name} could not come back if it were stopped: {'; '.join(wrong)}. Nothing was taken"
    if any(item.startswith(WEIGHTS) for item in wrong):
        return (
            f"{said} from it: it serves on from what it has in memory, and would not start again. "
            f"{repair('what runs keeps it open')}, or free room beside it"
        )
    return f"{said} from it; mend that, or free room beside it"


def repair(why: str = "") -> str:
    """What to do about weights on a node that are not whole. why: their folder may be moved."""
    aside = f" ({why})" if why else ""
    return (
        f"To repair them move their folder aside on that node{aside}, and fetch that commit anew "
        "there: `rollout job fetch` in the runner image, as the fetch Job of a rollout does"
    )


def no_start(name: str, wrong: Sequence[str]) -> str:
    """Why nothing is taken from what serves, for a release that is to take its place."""
    said = f"{name} cannot be proven to start: {'; '.join(wrong)}"
    advice = f". {repair()}" if any(item.startswith(WEIGHTS) for item in wrong) else ""
    return f"{said}. Nothing was taken from what serves{advice}"


def not_known(name: str, unknown: Sequence[str]) -> str:
    """Why nothing is taken from what serves, where nobody could look at what takes its place, or at
    what serves."""
    return (
        f"whether {name} could start is not known: {'; '.join(unknown)}. Nothing was taken from "
        "what serves, and nothing is known against any weights: leave them as they are, mend what "
        "kept this from looking, and ask again: it goes on from what is hashed by then"
    )
