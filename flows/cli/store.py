"""`rollout store gc`: the weights of a model that nobody names any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from rich.filesize import decimal

from flows.cli.output import document, show
from flows.cli.screen import Screen
from tasks.base.errors import Refused, StepFailed
from tasks.nodes.assess import is_candidate
from tasks.objects.labels import KIND_LABEL, MANAGED_LABEL, MANAGER
from tasks.outside.disk.site import site_policy
from tasks.outside.kubernetes.client import Cluster, Forbidden, NotFound
from tasks.outside.kubernetes.lease import new_run_id, who
from tasks.release.keep import Mount, kept_of, models_named, mounts_in
from tasks.release.state import State, from_configmap
from tasks.render.jobs import gc_job, on_host
from tasks.run.locked import Locked, locked
from tasks.spec.policy import violations
from tasks.spec.rollout import Rollout
from tasks.weights.messages import Cleared, Failed, Garbage, message_of

MOST_S = 3600.0
NAMED = 4  # of those who mount the whole, so many are named
Does = Literal["", "mark", "delete"]
Where = tuple[str, str]  # namespace, name


@dataclass(frozen=True)
class Swept:
    """What a node's Job said. unseen: kinds of objects that could not be listed, and may mount
    weights all the same."""

    node: str
    found: tuple[Garbage, ...]
    end: Cleared
    unseen: tuple[str, ...] = ()


def states_of(cluster: Cluster) -> Mapping[Where, State]:
    """The state of every rollout in the cluster.

    Raises Refused where they may not be listed, StepFailed for one that cannot be read: weights
    that an unknown state names must not go.
    """
    try:
        items = cluster.list(
            "ConfigMap", label_selector=f"{MANAGED_LABEL}={MANAGER},{KIND_LABEL}=state"
        )
    except Forbidden as error:
        raise Refused(
            f"the rollouts of all namespaces are not known ({error}), and any may use these "
            "weights; give a kubeconfig that may list ConfigMaps of the whole cluster"
        ) from error
    out = {}
    for item in items:
        name = item["metadata"]["name"].removeprefix("rollout-")
        out[item["metadata"]["namespace"], name] = from_configmap(name, item)
    return out


# what makes pods, now or later, whosever it is
MAKERS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "PersistentVolume")


@dataclass(frozen=True)
class Mounted:
    """What is mounted in the cluster. unseen: kinds of objects that may not be listed."""

    mounts: tuple[Mount, ...]
    unseen: tuple[str, ...] = ()


def mounted(cluster: Cluster) -> Mounted:
    """What pods mount, or would, and volumes lie on. Our own Deployments are listed in any case."""
    found = [mount for pod in cluster.list("Pod") for mount in mounts_in(pod, "Pod")]
    unseen: list[str] = []
    for kind in MAKERS:
        try:
            items = cluster.list(kind)
        except NotFound:
            continue  # this API server has no such thing
        except Forbidden:
            unseen.append(kind)
            items = []
            if kind == "Deployment":
                items = cluster.list(kind, label_selector=f"{MANAGED_LABEL}={MANAGER}")
        found += [mount for item in items for mount in mounts_in(item, kind)]
    return Mounted(tuple(found), tuple(unseen))


def commits_kept(cluster: Cluster, spec: Rollout) -> set[str]:
    """Commits of the spec's model that somebody in the cluster names or mounts.

    Raises Refused where somebody may need any of them.
    """
    model, states = spec.model.id, states_of(cluster).values()
    kept = kept_of(model, spec.store.path, states, mounted(cluster).mounts)
    if kept.whole:
        more = f"; and {len(kept.whole) - NAMED} more" if len(kept.whole) > NAMED else ""
        raise Refused(
            f"nothing of {model} goes: {'; '.join(kept.whole[:NAMED])}{more}. Whoever mounts a "
            "folder may read all below it: let them mount the folder of the commit that they need, "
            "or remove them"
        )
    return set(kept.commits)


def sweep(cluster: Cluster, held: Locked, spec: Rollout, node: str, *, delete: bool) -> Swept:
    """Run the Job on one node. What is removed is marked first, and who names what is listed anew
    after that: whoever finds it there later takes the mark off (tasks.outside.disk.doomed)."""
    run = new_run_id()
    if not delete:
        return _job(cluster, held, spec, node, run, "")
    _job(cluster, held, spec, node, run, "mark")
    return _job(cluster, held, spec, node, run, "delete")


def _job(cluster: Cluster, held: Locked, spec: Rollout, node: str, run: str, does: Does) -> Swept:
    """Run one Job, which keeps what is named now."""
    job = gc_job(spec, node, sorted(commits_kept(cluster, spec)), run, does=does)
    if reasons := violations(site_policy(), spec, [job]):
        raise Refused("the site's policy does not allow it: " + "; ".join(reasons))
    found: list[Garbage] = []
    end: Cleared | Failed | None = None

    def on_line(line: str) -> None:
        nonlocal end
        match message_of(line):
            case Garbage() as item:
                found.append(item)
            case Cleared() | Failed() as last:
                end = last

    result = held.run_job(job, timeout_s=MOST_S, on_line=on_line)
    if isinstance(end, Failed):
        raise StepFailed(f"the store on {node} could not be cleared: {on_host(job, end.message)}")
    if not result.succeeded or not isinstance(end, Cleared):
        why = result.why() or "it ended without saying that it is done"
        raise StepFailed(f"the Job on {node} failed: {why}", result.logs)
    return Swept(node, tuple(found), end)


def collect(
    spec: Rollout, kubeconfig: str | None, context: str | None, *, delete: bool
) -> list[Swept]:
    """On every node that the spec means. No rollout whose state names this model now runs
    meanwhile; one that names it since does so before its first Job (see sweep). Raises Refused
    where one runs, or where any of them may be needed."""
    with Cluster.connect(kubeconfig, context) as cluster, ExitStack() as locks:
        own = (spec.namespace, spec.name)
        identity = f"{who()}/store-gc-{new_run_id()}"
        held = locks.enter_context(locked(cluster, *own, identity))
        for where, state in sorted(states_of(cluster).items(), key=lambda item: item[0]):
            if where != own and spec.model.id in models_named(state):
                locks.enter_context(locked(cluster, *where, identity))
        nodes = [node["metadata"]["name"] for node in cluster.list("Node")
                 if is_candidate(spec, node)]  # fmt: skip
        unseen = mounted(cluster).unseen
        swept = [sweep(cluster, held, spec, node, delete=delete) for node in nodes]
        return [replace(item, unseen=unseen) for item in swept]


def swept_of(swept: Sequence[Swept], spec: Rollout) -> dict[str, Any]:
    """The document of `store gc`."""
    body = {
        "namespace": spec.namespace,
        "name": spec.name,
        "model": spec.model.id,
        "not_listed": list(swept[0].unseen) if swept else [],
        "nodes": [
            {
                "node": item.node,
                "deleted": item.end.deleted,
                "bytes": item.end.bytes,
                "kept": item.end.kept,
                "commits": [asdict(one) for one in item.found],
            }
            for item in swept
        ],
    }
    return document("store gc", body)


def show_swept(swept: Sequence[Swept], spec: Rollout, form: str = "table") -> int:
    """Print what was, or would be, removed."""
    if form != "table":
        show(swept_of(swept, spec), form)
        return 0
    console = Screen()
    for kind in swept[0].unseen if swept else ():
        console.print(f"{kind}s could not be listed: what they mount is not known", soft_wrap=True)
    for item in swept:
        for one in item.found:
            did = "removed" if one.deleted else "would be removed"
            console.print(
                f"{item.node}: {spec.model.id} @ {one.commit}: {decimal(one.bytes)} {did}",
                soft_wrap=True,
            )
        did = "freed" if item.end.deleted else "to be freed (--delete does it)"
        console.print(f"{item.node}: {decimal(item.end.bytes)} {did}, {item.end.kept} kept")
    return 0
