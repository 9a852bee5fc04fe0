"""What steps hand on: small, frozen, and only what the next ones need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tasks.accelerators.profiles import Profile
from tasks.nodes.assess import ApiFacts, NodeVerdict, agree_on_resource, exporter_url
from tasks.nodes.facts import quantity
from tasks.nodes.host_memory import is_vllm, shm_reasons
from tasks.nodes.memory import (
    ModelShape,
    ShapeVerdict,
    estimate,
    shape_unknown,
    weigh,
    weights_unknown,
)
from tasks.nodes.reasons import Reason
from tasks.nodes.tools.cards import Card
from tasks.objects.labels import INSTANCE_LABEL, RELEASE_LABEL
from tasks.objects.pods import ReadObject
from tasks.release.moves import Observed, decide_resume
from tasks.release.plan import NodeSeat, Plan
from tasks.release.seats.crowd import Crowd, Granted, crowd_of, granted
from tasks.release.state import Release
from tasks.render.devices import pod_needs, probe_mounts, probe_root
from tasks.render.jobs import fetch_job, probe_job
from tasks.render.release import PodNeeds, deployment, release_of
from tasks.spec.policy import Policy, violations
from tasks.spec.rollout import Rollout
from tasks.weights.manifest import Manifest


@dataclass(frozen=True)
class Looked:
    """One node's verdict, the weights and the cards the probe saw there, and the logs of a probe
    that failed (text by file name)."""

    verdict: NodeVerdict
    bytes_present: int = 0
    bytes_missing: int | None = None
    logs: Mapping[str, str] = field(default_factory=dict)
    cards: tuple[Card, ...] = ()

    def seat(self) -> NodeSeat:
        """The node as the plan sees it."""
        item = self.verdict
        return NodeSeat(
            name=item.node,
            hostname=item.hostname,
            seats=item.seats,
            seats_without_stable=item.seats_without_stable,
            bytes_present=self.bytes_present,
            bytes_missing=self.bytes_missing,
            disk_free=item.disk_free,
            devices_free=item.free,
            seats_by_gone=item.seats_by_gone,
            lacks=item.lacks,
            lacks_without_stable=item.lacks_without_stable,
        )


def as_granted(
    seats: Sequence[NodeSeat],
    crowd: Crowd,
    nodes: Sequence[ReadObject],
    pods: Sequence[ReadObject],
    goes: Callable[[ReadObject], bool],
) -> list[NodeSeat]:
    """Seats, and no more than a scheduler would grant. pods: that stay, and of what serves; goes:
    tells these."""
    tables = {
        seat.name: Granted(seat.seats_by_gone or (seat.seats,), seat.seats_without_stable)
        for seat in seats
    }
    found, out = granted(crowd, tables, nodes, pods, goes), []
    why = crowd.said or ("a pod there keeps others away (anti-affinity)",)
    for seat in seats:
        now = found[seat.name]
        fewer, none_more = now.table[0] < seat.seats, now.instead < seat.seats_without_stable
        out.append(
            replace(
                seat,
                seats=now.table[0],
                seats_without_stable=now.instead,
                seats_by_gone=now.table if seat.seats_by_gone else (),
                lacks=why if fewer else seat.lacks,
                lacks_without_stable=why if none_more else seat.lacks_without_stable,
            )
        )
    return out


@dataclass(frozen=True)
class Survey:
    """Facts without a probe. endpoint: hub address from outside the spec, or None.

    resource, needs, release: by what most nodes offer; a probe may still say otherwise. queue: pods
    of others that wait for that resource. owed: to which other rollouts seats are that look free.
    amiss: what is wrong with what serves, though it answers. crowding: pods that keep replicas from
    a node whatever is free there.
    looked: what was found of each node, in the order of facts; empty before that. policy: the
    site's. files_outside: files that the spec names and that lie outside the working folder, by
    place. drift: in what the Deployment of what is wanted, which serves, is not as the spec says.
    unread: why there is no shape. not_now: why nobody but a person may start it now.
    not_again: why nobody but a person may start it once more.
    """

    spec: Rollout
    profile: Profile
    manifest: Manifest
    endpoint: str | None
    seen: Observed
    facts: tuple[ApiFacts, ...]
    resource: str
    needs: PodNeeds
    release: Release
    shape: ModelShape | None
    queue: tuple[str, ...] = ()
    owed: tuple[str, ...] = ()
    amiss: str = ""
    crowding: tuple[dict[str, Any], ...] = ()
    looked: tuple[Looked, ...] = ()
    policy: Policy = field(default_factory=Policy)
    files_outside: Mapping[str, str] = field(default_factory=dict)
    drift: tuple[str, ...] = ()
    unread: str = ""
    not_now: str = ""
    not_again: str = ""

    def fetch_job(self, node: str) -> dict[str, Any]:
        """The Job that brings the weights to one node."""
        found = self.manifest
        return fetch_job(
            self.spec, node, found.commit, found.digest, self.endpoint, found.fetch_ref
        )

    def probe_job(self, node: str, run: str, exporter: str | None = None) -> dict[str, Any]:
        """The Job that looks at one node. exporter: address of the vendor's, where there is one."""
        spec = self.spec
        volumes, mounts = probe_mounts(
            self.profile, spec.store.path, writable=spec.nodes.measure_disk
        )
        more = [f"--metrics={exporter}"] if exporter else []
        row = self.profile
        env, root, runtime = row.probe_env, probe_root(row), row.runtime_class
        return probe_job(spec, node, run, volumes, mounts, more, env, root, runtime)

    def refusals(self, objects: Sequence[Mapping[str, Any]]) -> list[str]:
        """Every reason of the site's policy against this rollout and what it would make."""
        return violations(
            self.policy,
            self.spec,
            objects,
            endpoint=self.endpoint,
            outside=self.files_outside,
        )

    def deployment(self, hostnames: Sequence[str], asked: int | None = None) -> dict[str, Any]:
        """The Deployment of the release, on nodes of these host names. asked: see `deployment`."""
        return deployment(self.spec, self.release, self.needs, hostnames, asked)

    def seats(self) -> list[NodeSeat]:
        """What the usable nodes offer, and no more than a scheduler would grant there."""
        spec, serving = self.spec, self.seen.serving
        mine = {INSTANCE_LABEL: spec.name, RELEASE_LABEL: serving}

        def goes(pod: Mapping[str, Any]) -> bool:
            meta = pod["metadata"]
            here = str(meta.get("namespace")) == spec.namespace
            return bool(here and mine.items() <= dict(meta.get("labels") or {}).items())

        nodes = [{"metadata": {"name": f.name, "labels": f.labels}} for f in self.facts]
        crowd = crowd_of(self.deployment([])["spec"]["template"], spec.namespace)
        found = [item.seat() for item in self.looked if item.verdict.usable]
        return as_granted(found, crowd, nodes, self.crowding, goes)

    @property
    def serves_already(self) -> bool:
        """Whether what is wanted is what serves."""
        return decide_resume(self.seen, self.release) == "done" and not self.drift

    @property
    def exporters(self) -> dict[str, str]:
        """Address of the vendor's exporter by node, where there is one."""
        found = {fact.name: exporter_url(self.profile, fact) for fact in self.facts}
        return {name: url for name, url in found.items() if url}


def with_resource(survey: Survey, resource: str) -> Survey:
    """The survey once the probes have settled which resource is asked for."""
    if resource == survey.resource:
        return survey
    needs = pod_needs(survey.profile, resource)
    release = release_of(survey.spec, survey.manifest.commit, survey.manifest.digest, needs)
    return replace(survey, resource=resource, needs=needs, release=release, drift=())


def settle_resource(survey: Survey, looked: Sequence[Looked]) -> Survey:
    """The survey with what was found of its nodes, and one resource for all of them; usable nodes
    that offer another are refused."""
    resource, verdicts = agree_on_resource([item.verdict for item in looked])
    out = tuple(replace(item, verdict=v) for v, item in zip(verdicts, looked, strict=True))
    usable = any(verdict.usable for verdict in verdicts)
    return replace(with_resource(survey, resource) if usable else survey, looked=out)


def smallest(looked: Sequence[Looked]) -> NodeVerdict | None:
    """The usable node with the least memory for the engine, which decides; None where unknown."""
    known = [v for item in looked if (v := item.verdict).usable and v.engine_memory_bytes]
    return min(known, key=lambda v: v.engine_memory_bytes or 0, default=None)


def fit(survey: Survey) -> ShapeVerdict | None:
    """Whether the model fits the smallest usable node; None where its shape is unknown.

    Without a probe only what the spec itself limits is known: on CPUs the pod's memory.
    """
    if survey.shape is None:
        return None
    least = smallest(survey.looked)
    sizes = [least.engine_memory_bytes] if least and least.engine_memory_bytes else []
    limit = survey.spec.serving.resources.memory
    if limit and not survey.profile.has_devices:
        sizes.append(int(quantity(limit)))
    return estimate(survey.spec, survey.shape, min(sizes, default=None))


def fit_reasons(survey: Survey, body: Mapping[str, Any]) -> list[Reason]:
    """What is wrong, or worth knowing, of model and pod whatever the node. body: the Deployment."""
    shape = fit(survey)
    found = weigh({entry.path: entry.size for entry in survey.manifest.files})
    reasons = shape.reasons if shape else ()
    if shape is None and is_vllm(survey.spec):
        none = found.bytes is None
        reasons = (weights_unknown(found.said) if none else shape_unknown(survey.unread),)
    return [*shm_reasons(survey.spec, body["spec"]["template"]["spec"]), *reasons]


@dataclass(frozen=True)
class Planned:
    """The plan, what it is made of, and the Deployment it would apply.

    warnings: what is worth knowing of model and pod, and refuses nothing.
    """

    plan: Plan
    survey: Survey
    body: dict[str, Any]
    warnings: tuple[str, ...] = ()

    @property
    def release(self) -> Release:
        """What is to be rolled out."""
        return self.survey.release

    @property
    def nodes(self) -> list[str]:
        """The nodes it goes to."""
        return [seat.name for seat in self.plan.nodes]

    def fetch_job(self, node: str) -> dict[str, Any]:
        """The Job that brings the weights to one of them."""
        return self.survey.fetch_job(node)


@dataclass(frozen=True)
class Candidate:
    """The release under test, ready. stable: what serves beside it, alive; None where nothing."""

    planned: Planned
    stable: Release | None

    @property
    def release(self) -> Release:
        """What is under test."""
        return self.planned.release

    @property
    def replicas(self) -> int:
        """With how many it is tested."""
        lend = self.planned.plan.lend
        return lend.tested if lend else self.release.replicas
