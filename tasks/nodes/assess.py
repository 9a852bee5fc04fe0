"""Which nodes can serve a rollout: facts in, every reason out.

`judge_node` is the whole verdict on one node; `preselect` are those of its reasons that make a
probe pointless. The rules stand in rules_api, rules_host and rules_machine, the codes in reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from tasks.accelerators.types import Profile
from tasks.nodes.document import ProbeDoc
from tasks.nodes.facts import Amounts, ApiFacts, api_facts, group_pods, quantity
from tasks.nodes.metrics import exporter_url, metrics_reasons
from tasks.nodes.reasons import CODES, Reason, error, errors, warning
from tasks.nodes.rules_api import (
    replica_needs,
    room_of,
    room_reasons,
    state_reasons,
)
from tasks.nodes.rules_cards import tool_reasons
from tasks.nodes.rules_host import (
    Hardware,
    card_reasons,
    driver_reasons,
    image_toolkit,
    label_reasons,
    model_reasons,
    read_hardware,
    toolkit_reasons,
)
from tasks.nodes.rules_machine import GIB, cpu_reasons, disk_reasons, engine_memory
from tasks.nodes.units.choice import choose_resource
from tasks.nodes.units.form import SeenCards, Units
from tasks.nodes.units.plugins import component_reasons
from tasks.nodes.units.reading import read_units
from tasks.nodes.units.reasons import unit_reasons
from tasks.spec.rollout import Rollout

__all__ = [
    "CODES",
    "ApiFacts",
    "NodeVerdict",
    "Reason",
    "agree_on_resource",
    "api_facts",
    "as_rows",
    "choose_resource",
    "exporter_url",
    "group_pods",
    "is_candidate",
    "judge_node",
    "metrics_reasons",
    "preselect",
    "quantity",
    "unknown_nodes",
    "weights_on",
]


@dataclass(frozen=True)
class NodeVerdict:
    """One node's verdict and what led to it.

    usable: no reason is an error. resource: extended resource to ask for, '' for none.
    allocatable, free, held_by_stable: devices of it (held_by_stable: by this rollout's own
    release). seats: replicas that fit now; seats_without_stable: with that release scaled down;
    seats_by_gone: with none of its pods here gone, with one, and so on; claims: replicas that its
    devices make, where they are asked for by claim and the probe saw them; lacks,
    lacks_without_stable: what keeps one more from fitting.
    driver, toolkit (in the image), cards, cpu: words for a person, '' unknown. unit: what one
    device of the resource is, '' for a card; ranks_per_unit: devices an engine finds in one.
    engine_memory_bytes: what vLLM's share of memory is taken of: the smallest unit's, or on the
    cpu profile one NUMA node's, or the pod's limit if that is less; None unknown. disk_free,
    disk_total: bytes at the store, None unknown.
    """

    node: str
    hostname: str
    usable: bool
    reasons: tuple[Reason, ...]
    resource: str = ""
    allocatable: int = 0
    free: int = 0
    held_by_stable: int = 0
    seats: int = 0
    seats_without_stable: int = 0
    seats_by_gone: tuple[int, ...] = ()
    claims: int | None = None
    lacks: tuple[str, ...] = ()
    lacks_without_stable: tuple[str, ...] = ()
    probed: bool = False
    driver: str = ""
    toolkit: str = ""
    cards: str = ""
    cpu: str = ""
    unit: str = ""
    ranks_per_unit: int = 1
    engine_memory_bytes: int | None = None
    disk_free: int | None = None
    disk_total: int | None = None
    write_bytes_per_s: float | None = None

    @property
    def errors(self) -> list[Reason]:
        """The reasons that make it unusable."""
        return errors(self.reasons)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON and records."""
        return asdict(self)

    def with_reason(self, reason: Reason) -> NodeVerdict:
        """The verdict with one more reason."""
        usable = self.usable and reason.severity != "error"
        return replace(self, reasons=(*self.reasons, reason), usable=usable)


def is_candidate(spec: Rollout, node: dict[str, Any]) -> bool:
    """Whether the spec's names and selector mean this Node at all."""
    meta = node["metadata"]
    labels = meta.get("labels") or {}
    named = not spec.nodes.names or meta["name"] in spec.nodes.names
    return named and all(labels.get(k) == v for k, v in spec.nodes.selector.items())


def unknown_nodes(spec: Rollout, names: Iterable[str]) -> list[Reason]:
    """Nodes the spec names and the cluster does not have."""
    known = set(names)
    return [
        error(
            "NODE_UNKNOWN",
            f"no node '{name}' in the cluster",
            "a node's name, as kubectl get nodes prints it",
            "mend nodes.names",
        )
        for name in spec.nodes.names
        if name not in known
    ]


def preselect(spec: Rollout, profile: Profile, api: ApiFacts) -> list[Reason]:
    """The API's reasons that make a probe pointless: a pod could not run there, or no device is.

    All of them are errors; [] means the node is worth a probe.
    """
    _, resource = choose_resource(spec, profile, api)
    return errors([*state_reasons(spec, api), *resource])


def judge_node(
    spec: Rollout,
    profile: Profile,
    api: ApiFacts,
    probe: ProbeDoc | None,
    bytes_needed: int | None = None,
    *,
    probe_error: str = "",
    probe_action: str = "",
    stable_release: str | None = None,
    metrics: str = "",
) -> NodeVerdict:
    """Every reason for and against one node.

    probe: None when it was not probed (a warning) or its probe failed (probe_error, an error;
    probe_action: what to do about it, where that is known).
    bytes_needed: weights still to fetch there; 0: all are there; None: unknown, so only the
    spec's keep_free is demanded. stable_release: id of the release that may be scaled down;
    None: any of this rollout's. metrics: the exporter's text where the probe did not read it.
    """
    if probe is not None and probe.profile != profile.name:
        probe_error = f"its document is of profile {probe.profile}"
        probe = None
    stated = spec.nodes.device_memory_gib
    hardware = read_hardware(profile, probe).stated(stated) if probe else None
    seen = hardware.seen("pci" not in probe.errors) if hardware and probe else None
    on_bus = (seen.on_bus if seen else None) or 0
    resource, reasons = choose_resource(spec, profile, api, on_bus)
    reasons = [*state_reasons(spec, api), *reasons]
    blocked = bool(errors(reasons))
    claims = _claims(spec, seen)
    room = room_of(spec, api, resource, stable_release, claims)
    reasons += component_reasons(profile, api, resource)
    reasons += room_reasons(spec, api, resource, room)
    if probe is not None and hardware is not None:
        reasons += driver_reasons(profile, probe, hardware)
        reasons += card_reasons(profile, probe, hardware)
        reasons += toolkit_reasons(spec, profile, hardware)
        reasons += cpu_reasons(spec, profile, probe, hardware)
        reasons += disk_reasons(spec, probe, bytes_needed)
    elif probe_error:
        reasons.append(
            error(
                "PROBE_FAILED",
                probe_error,
                "a document from the probe Job",
                probe_action or f"check runner.image and runner.pod, and the runtime on {api.name}",
            )
        )
    elif not blocked:
        reasons.append(
            warning(
                "NOT_PROBED",
                "the API's facts alone",
                "a probe of the host",
                "run rollout check-nodes to look at the hardware, too",
            )
        )
    units = read_units(profile, api, resource, seen or SeenCards(), _asked(spec, resource))
    reasons += unit_reasons(spec, profile, seen, units, probe.smi.name if probe else "")
    if probe is not None and hardware is not None:
        reasons += tool_reasons(spec, profile, api, probe, hardware.inventory, units)
    reasons += label_reasons(profile, api, hardware, resource, units)
    reasons += model_reasons(spec, profile, api, hardware)
    text = metrics or (probe.metrics if probe else "")
    reasons += metrics_reasons(text, profile) if text else []
    return NodeVerdict(
        node=api.name,
        hostname=api.hostname,
        usable=not errors(reasons),
        reasons=tuple(dict.fromkeys(reasons)),
        resource=resource,
        allocatable=int(api.allocatable.get(resource, 0)),
        free=max(0, int(api.free(resource))) if resource else 0,
        held_by_stable=int(room.held_by_stable),
        seats=room.seats,
        seats_without_stable=room.seats_without_stable,
        seats_by_gone=room.by_gone,
        claims=claims,
        lacks=room.lacks,
        lacks_without_stable=room.lacks_without_stable,
        unit="" if units.kind == "card" else str(units),
        ranks_per_unit=units.ranks_per_unit,
        **_summary(spec, profile, probe, hardware, units),
    )


def _claims(spec: Rollout, seen: SeenCards | None) -> int | None:
    """Replicas that the cards make, where they are asked for by claim; None unknown."""
    count = max(seen.rows, seen.cards or 0) if seen else 0
    return count // spec.devices if spec.nodes.claim_template and spec.devices and count else None


def _asked(spec: Rollout, resource: str) -> Amounts:
    """What one replica asks for; a sharing plugin may go by it."""
    return replica_needs(spec, resource) if resource else {}


def _summary(
    spec: Rollout,
    profile: Profile,
    probe: ProbeDoc | None,
    hardware: Hardware | None,
    units: Units,
) -> dict[str, Any]:
    if probe is None or hardware is None:
        return {}
    names = sorted(set(hardware.models))
    count = len(hardware.inventory.cards) or hardware.on_bus
    memory = hardware.memory_mib
    cards = f"{count} x {'/'.join(names) or 'card'}" if count else ""
    if cards and memory:
        cards += f" {memory / 1024:.0f} GiB"
    build = profile.cpu_flags.get(probe.kernel.machine or "x86_64")
    sets = [f for f in (*build.required, *build.better) if f in probe.cpu.flags] if build else []
    cpu = f"{probe.cpu.cores} cores, {probe.cpu.memory_bytes / GIB:.0f} GiB"
    known = "store" not in probe.errors
    toolkit = image_toolkit(spec, profile)
    return {
        "probed": True,
        "driver": hardware.driver,
        "toolkit": f"{profile.toolkit_name} {toolkit}" if toolkit else "",
        "cards": cards,
        "cpu": ", ".join([cpu, *sets]) if "cpu" not in probe.errors else "",
        "engine_memory_bytes": engine_memory(spec, profile, probe, hardware, units),
        "disk_free": probe.store.free_bytes if known else None,
        "disk_total": probe.store.total_bytes if known else None,
        "write_bytes_per_s": probe.store.write_bytes_per_s,
    }


def agree_on_resource(verdicts: Sequence[NodeVerdict]) -> tuple[str, list[NodeVerdict]]:
    """One resource name for all nodes, since a rollout has one Deployment.

    The name with most seats wins; usable nodes that offer another one become unusable with
    RESOURCE_RENAMED. Returns the name ('' for none) and the verdicts.
    """
    seats: dict[str, int] = {}
    for verdict in verdicts:
        if verdict.usable:
            weight = max(verdict.seats, verdict.seats_without_stable)
            seats[verdict.resource] = seats.get(verdict.resource, 0) + weight
    if len(seats) < 2:
        return next(iter(seats), ""), list(verdicts)
    chosen = max(sorted(seats), key=lambda name: seats[name])
    reason = f"{chosen}, which most nodes of this rollout offer"
    return chosen, [
        verdict.with_reason(
            error(
                "RESOURCE_RENAMED",
                f"the node offers {verdict.resource}",
                reason,
                "update its device plugin, or roll out to these nodes with a spec of their own",
            )
        )
        if verdict.usable and verdict.resource != chosen
        else verdict
        for verdict in verdicts
    ]


def weights_on(probe: ProbeDoc, model: str, commit: str, total: int) -> tuple[int, int]:
    """(bytes there, bytes to fetch) of one commit's weights by what the probe saw in the store."""
    if commit in probe.store.published.get(model, ()):
        return total, 0
    staged = probe.store.staged.get(f"{model.replace('/', '--')}--{commit}", 0)
    there = min(staged, total)
    return there, total - there


def as_rows(verdicts: Sequence[NodeVerdict]) -> list[dict[str, str]]:
    """One row a node for a table: node, usable, devices, cards, driver, disk, reasons."""
    rows = []
    for verdict in verdicts:
        devices = f"{verdict.free}/{verdict.allocatable} {verdict.resource}"
        rows.append(
            {
                "node": verdict.node,
                "usable": "yes" if verdict.usable else "no",
                "devices free": devices if verdict.resource else "",
                "replicas": str(verdict.seats),
                "cards": "; ".join(filter(None, (verdict.cards or verdict.cpu, verdict.unit))),
                "driver": "; ".join(filter(None, (verdict.driver, verdict.toolkit))),
                "disk free": f"{verdict.disk_free / GIB:.1f} GiB"
                if verdict.disk_free is not None
                else "",
                "reasons": "\n".join(f"{r.severity} {r}" for r in verdict.reasons),
            }
        )
    return rows
