"""Resolve the revision to a commit with the digest of every file, and see the nodes by the API."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tasks.accelerators.profiles import profile
from tasks.base.errors import Refused, StepFailed
from tasks.nodes.assess import (
    agree_on_resource,
    api_facts,
    group_pods,
    is_candidate,
    judge_node,
    unknown_nodes,
)
from tasks.nodes.memory import INDICES, NATIVE, ModelShape, as_config, weigh
from tasks.nodes.rules_api import waited_for
from tasks.objects.labels import INSTANCE_LABEL, RELEASE_LABEL
from tasks.outside.disk.site import files_outside, site_policy
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Cluster, Object
from tasks.outside.modelscope.hub import Hub
from tasks.outside.modelscope.place import hub_endpoint
from tasks.release.seats.crowd import crowd_of, matter
from tasks.release.seats.room import waiting
from tasks.release.state import OPEN, judged_before, stands
from tasks.release.versions.decide import closed, not_newer, served_before, went_back
from tasks.render.devices import pod_needs
from tasks.render.live import engine_differences
from tasks.render.release import release_of
from tasks.run.findings import Survey
from tasks.run.locked import not_held
from tasks.run.making import images_made
from tasks.run.nodes.placing import amiss
from tasks.run.run import Run
from tasks.run.seats import taken
from tasks.run.step import step
from tasks.run.versions.follow import followed, hub_of, pinned, standing
from tasks.run.versions.remember import recall_watch
from tasks.spec.rollout import Rollout
from tasks.verdict.decide import asked_of
from tasks.weights.manifest import HUB_COMMIT, Manifest

CONFIG = "config.json"
CONFIG_BYTES = 16 << 20
INDEX_BYTES = 64 << 20


@step
def resolve_model(run: Run) -> Survey:
    """What is rolled out, and where it may run: facts without a probe."""
    found = look_around(run.cluster, run.spec, run.commit, run.by_itself)
    run.spec = found.spec  # what follows is about the revision and the image that were found
    manifest = found.manifest
    run.note_release(found.release, manifest)
    if again := _judged(run, found):
        if not run.by_itself:
            raise Refused(
                f"{again}. Change what is rolled out or asked of it, or say that it is to be tried "
                "once more: `rollout run`, in Prefect `again`"
            )
        found = replace(found, not_again=f"{again}. It is not started again by itself")
    elif run.by_itself and not found.serves_already:
        found = _by_itself(run, found)
    run.say(
        f"{manifest.model} @ {manifest.revision} is {manifest.commit[:12]}, "
        f"{len(manifest.files)} files, {manifest.total_bytes:,} bytes; "
        f"{len(found.facts)} candidate node(s)"
    )
    return found


def _judged(run: Run, found: Survey) -> str:
    """What came of this release when it was tried before, under the same targets; '' where it may
    be tried."""
    old = judged_before(found.seen.state, found.release.id, asked_of(run.spec))
    if old is None or run.again or not stands(old, run.spec.promotion.tries):
        return ""
    often = f" {old.tries} time(s), last" if old.verdict in OPEN else ""
    return (
        f"{found.release.deployment} was judged before, under the same targets: {old.verdict}"
        f"{often} at {old.at} (rollout {old.rollout})"
    )


def _by_itself(run: Run, found: Survey) -> Survey:
    """With why it does not start now. Raises Refused where only a person may start it."""
    spec, manifest = found.spec, found.manifest
    memory, _ = recall_watch(run.cluster, spec)
    hub = hub_of(spec, found.policy)
    stable = found.seen.state.stable
    elsewhere = stable is None or stable.id != found.release.id
    if elsewhere and served_before(found.seen.state, memory, found.release):
        return replace(found, not_again=went_back(found.seen.state, found.release))
    order = standing(hub, spec, found.seen.state, memory, manifest.commit)
    if order.age not in ("newer", "same"):
        raise Refused(f"{manifest.model} at {manifest.commit}: {not_newer(order)}")
    return replace(found, not_now=closed(spec, run.cluster.now()))


def look_around(
    cluster: Cluster, spec: Rollout, commit: str | None = None, by_itself: bool = False
) -> Survey:
    """Resolve the model and read the API's view of the nodes.

    commit: roll exactly this one out (see `resolve`). by_itself: the revision is the one that the
    spec follows, where nobody named another. Raises OutsideError, StepFailed, Refused.
    """
    endpoint, policy = hub_endpoint(), site_policy()
    hub = hub_of(spec, policy)
    spec = pinned(policy, followed(hub, spec) if by_itself else spec, cluster)
    manifest = resolve(hub, spec, commit)
    actor = Actor(cluster, spec.namespace, spec.name, fence=not_held, epoch=0)
    seen = actor.observe()
    row = profile(spec.nodes.accelerator)
    nodes = cluster.list("Node")
    unknown = unknown_nodes(spec, [node["metadata"]["name"] for node in nodes])
    if unknown:
        raise StepFailed("; ".join(str(reason) for reason in unknown))
    held = taken(actor, nodes)
    every = held.pods
    staying = [pod for pod in every if not _passing(pod, spec, seen.serving)]
    pods = group_pods(staying)
    daemonsets = cluster.list("DaemonSet")
    facts = tuple(
        api_facts(node, pods.get(node["metadata"]["name"], ()), daemonsets)
        for node in nodes
        if is_candidate(spec, node)
    )
    quick = [judge_node(spec, row, fact, None, stable_release=seen.serving) for fact in facts]
    resource, _ = agree_on_resource(quick)
    needs = pod_needs(row, resource)
    shape, unread = shape_of(hub, spec, manifest)
    found = Survey(
        spec=spec,
        profile=row,
        manifest=manifest,
        endpoint=endpoint,
        seen=seen,
        facts=facts,
        resource=resource,
        needs=needs,
        release=release_of(spec, manifest.commit, manifest.digest, needs),
        shape=shape,
        unread=unread,
        queue=waiting(
            every,
            nodes,
            waited_for(spec, resource),
            (spec.namespace, spec.name),
            seen.serving,
        ),
        owed=tuple(map(str, held.owed)),
        amiss=amiss(cluster, spec.namespace, seen),
        policy=policy,
        files_outside=files_outside(spec),
    )
    # before the first Job: the same for every node and resource
    template = found.deployment([])
    crowd = crowd_of(template["spec"]["template"], spec.namespace)
    found = replace(found, crowding=matter(crowd, staying))
    made = [template, found.fetch_job("node"), found.probe_job("node", "run")]
    if reasons := found.refusals(made):
        raise Refused("the site's policy does not allow it: " + "; ".join(reasons))
    return replace(found, drift=drift(cluster, found))


def drift(cluster: Cluster, found: Survey) -> tuple[str, ...]:
    """In what the Deployment of what is wanted is not as the spec says, where that serves."""
    view = found.seen.view(found.release.id)
    serves = view is not None and found.seen.serving == view.release
    there = cluster.get("Deployment", view.name, found.spec.namespace) if view and serves else None
    if there is None:
        return ()
    planned, runs = found.deployment([]), there["spec"]["template"]["spec"]
    return tuple(engine_differences(planned, runs, images_made(cluster, planned, runs)))


def resolve(hub: Hub, spec: Rollout, commit: str | None = None) -> Manifest:
    """What is rolled out: what the spec's revision is now, or exactly `commit`.

    commit: as an event names it (see manifest.build), or the hub's own id of it. The manifest's
    revision stays the spec's. Raises OutsideError, and Refused when the commit cannot be had.
    """
    model = spec.model
    manifest = hub.resolve(model.id, model.revision, model.exclude)
    if commit is None or _same(manifest.commit, commit):
        return manifest
    now, hub_commit = manifest.commit, commit.split("-", 1)[0]
    if HUB_COMMIT.match(hub_commit):
        manifest = hub.resolve(model.id, hub_commit, model.exclude)
        if _same(manifest.commit, commit):
            return replace(manifest, revision=model.revision)
    raise Refused(
        f"{model.id} at commit {commit} was asked for; {model.revision} is {now} by now, and hub "
        f"{hub.endpoint} and model.exclude of the spec no longer make the former; the next event "
        "names the newest"
    )


def _same(found: str, asked: str) -> bool:
    """Whether a manifest's commit is the one that was asked for."""
    return found == asked or (bool(HUB_COMMIT.match(asked)) and found.split("-", 1)[0] == asked)


def shape_of(hub: Hub, spec: Rollout, manifest: Manifest) -> tuple[ModelShape | None, str]:
    """The model's shape from its config.json or params.json; None, and why, where it has none."""
    name = next((name for name in (CONFIG, NATIVE) if manifest.entry(name) is not None), "")
    if not name:
        return None, f"the repository has no {CONFIG}"
    data = hub.read_small(spec.model.id, manifest, name, CONFIG_BYTES)
    try:
        config: dict[str, Any] = json.loads(data)
    except ValueError as error:
        raise StepFailed(
            f"{name} of {spec.model.id} at {manifest.commit} is not JSON ({error}); "
            "choose another revision"
        ) from error
    if not isinstance(config, dict):
        return None, f"{name} is no object"
    found = weigh(
        {entry.path: entry.size for entry in manifest.files}, _indices(hub, spec, manifest)
    )
    try:
        config = as_config(config) if name == NATIVE else config
        return ModelShape.from_files(config, found), ""
    except ValueError as error:
        return None, f"{name}: {error}"


def _indices(hub: Hub, spec: Rollout, manifest: Manifest) -> dict[str, Any]:
    """The index files of the root folder that are there, small enough and JSON."""
    out = {}
    for name in INDICES:
        entry = manifest.entry(name)
        if entry is None or entry.size > INDEX_BYTES:
            continue
        with suppress(ValueError):
            out[name] = json.loads(hub.read_small(spec.model.id, manifest, name, INDEX_BYTES))
    return out


def _passing(pod: Object, spec: Rollout, serving: str | None) -> bool:
    """A pod of this rollout that will be gone or used again: its seat is ours."""
    labels = pod["metadata"].get("labels") or {}
    ours = (
        pod["metadata"].get("namespace") == spec.namespace
        and labels.get(INSTANCE_LABEL) == spec.name
        and RELEASE_LABEL in labels
    )
    return ours and labels[RELEASE_LABEL] != serving
