"""Which extended resource a rollout asks for on a node, and what is wrong about it."""

from __future__ import annotations

import re
from decimal import Decimal

from tasks.accelerators.profiles import PROFILES
from tasks.accelerators.types import Profile
from tasks.nodes.facts import ApiFacts, DaemonPod
from tasks.nodes.reasons import Reason, error, warning
from tasks.nodes.units.reading import PARTS
from tasks.spec.rollout import Rollout

ZERO = Decimal(0)
# extended resources that are no accelerators: networks, machines, helpers of other plugins
OTHERS = re.compile(
    r"kubernetes\.io/|rdma|roce|infiniband|hca|hostdev|sriov|nic\b|eni|vfio|kvm|/tun|vhost|fuse|qat|"
    r"fpga|sgx|visibility|storage",
    re.IGNORECASE,
)


def offered(profile: Profile, api: ApiFacts) -> dict[str, str]:
    """Resources of this profile the node knows, some with 0: name -> kind."""
    rows = {name: profile.resource_kind(name) for name in api.capacity}
    return {name: row.kind for name, row in rows.items() if row is not None}


def strangers(api: ApiFacts) -> list[str]:
    """Living extended resources that no vendor's row knows and that may be accelerators."""
    return [
        name
        for name, amount in sorted(api.allocatable.items())
        if "/" in name and amount > 0 and not OTHERS.search(name)
        if not any(row.resource_kind(name) for row in PROFILES.values())
    ]


def _own(profile: Profile, names: list[str]) -> list[str]:
    """Those under the vendor's own domain that say no part of a card."""
    whole = [row.pattern for row in profile.resources if row.kind == "whole"]
    domains = {pattern.partition("/")[0].replace("\\.", ".") for pattern in whole}
    return [n for n in names if n.partition("/")[0] in domains and not PARTS.search(n)]


def plugin_pods(profile: Profile, api: ApiFacts, *roles: str) -> list[DaemonPod]:
    """Pods on the node that play one of these roles."""
    return [p for p in api.daemons if profile.component_role(p.daemonset, p.images) in roles]


def choose_resource(
    spec: Rollout, profile: Profile, api: ApiFacts, cards: int = 0
) -> tuple[str, list[Reason]]:
    """The extended resource to ask for on this node, '' for none, with what is wrong about it.

    The name is what the node offers, since the vendor renamed it between plugin generations.
    A spec may name another (a split or dynamic one, too); asking for a generation the node does
    not offer is refused with the one it offers. cards: on the bus, where the host was probed.
    """
    if not profile.has_devices:
        return "", []
    if spec.nodes.claim_template:
        return "", _claimed(profile, api)
    kinds = offered(profile, api)
    # a removed plugin leaves its name behind: allocatable 0 at first, capacity 0 in the end
    known = [name for name in kinds if api.capacity[name] > 0]
    counted = sorted(name for name in known if kinds[name] in ("whole", "named"))
    living = [name for name in counted if api.allocatable.get(name, ZERO) > 0]
    wanted = spec.nodes.resource
    if wanted and api.capacity.get(wanted, ZERO) > 0:
        return wanted, []
    if not living:
        whole = wanted if wanted and kinds.get(wanted) in ("whole", "named") else None
        if not wanted or whole:
            if parted := _parted(profile, api, kinds, whole):
                return "", [parted]
            own = [] if wanted else _own(profile, strangers(api))
            if len(own) == 1:
                return own[0], [_taken(profile, api, own[0])]
            silent = _silent(profile, api, kinds, cards)
            silent = _told(profile, api, kinds, silent)
            if silent:
                return wanted or next(iter(sorted(kinds)), ""), [silent]
    if wanted:
        return wanted, [_not_there(wanted, living, _amounts(api, [*known, *strangers(api)]))]
    if len(living) > 1:
        return living[0], [
            error(
                "PLUGINS_CONFLICT",
                f"{' and '.join(living)} are allocatable at once",
                "one whole-card resource on a node",
                "remove one of the device plugins: both would hand out the same cards; where the "
                "cards are of two kinds, set nodes.resource",
            )
        ]
    if living or counted:
        return (living or counted)[0], []
    return "", [_absent(profile, api, known)]


def _claimed(profile: Profile, api: ApiFacts) -> list[Reason]:
    """Devices asked for by claim: what speaks against the driver that should offer them."""
    drivers = plugin_pods(profile, api, "dra-driver")
    sick = [pod for pod in drivers if not pod.ready]
    if sick and len(sick) == len(drivers):
        return [
            error(
                "PLUGIN_UNHEALTHY",
                f"pod of DaemonSet {pod.namespace}/{pod.daemonset}: {pod.note}",
                "a Ready driver of dynamic resource allocation",
                "look at its log: it cannot prepare claimed devices",
            )
            for pod in sick
        ]
    if drivers:
        return []
    living = [n for n in offered(profile, api) if api.allocatable.get(n, ZERO) > 0]
    return [
        warning(
            "RESOURCE_ABSENT",
            f"no pod of a DRA driver known for {profile.name} runs here; resources offered: "
            f"{_amounts(api, living)}",
            "a driver that publishes devices for nodes.claim_template",
            "deploy the vendor's DRA driver, or leave nodes.claim_template out where an extended "
            "resource is offered; kubectl get resourceslices shows what drivers publish",
        )
    ]


def _amounts(api: ApiFacts, names: list[str]) -> str:
    return ", ".join(f"{n}: {api.allocatable.get(n, ZERO)}" for n in sorted(names)) or "none"


def _not_there(wanted: str, living: list[str], names: str) -> Reason:
    """nodes.resource names what the node does not offer."""
    if living:
        return error(
            "RESOURCE_RENAMED",
            f"the node offers {living[0]}",
            f"{wanted}, as nodes.resource asks",
            f"set nodes.resource to {living[0]}, or leave it out to take what nodes offer",
        )
    return error(
        "RESOURCE_ABSENT",
        f"resources offered: {names}",
        f"{wanted}, as nodes.resource asks",
        "check the device plugin on the node, or change nodes.resource",
    )


def _parted(
    profile: Profile, api: ApiFacts, kinds: dict[str, str], wanted: str | None
) -> Reason | None:
    """Whole cards read 0 because the node's cards are offered in parts; None where they are not."""
    parts = [
        name
        for name, kind in kinds.items()
        if kind in ("split", "dynamic") and api.allocatable.get(name, ZERO) > 0
    ]
    if not parts:
        return None
    whole = wanted or next((n for n, k in sorted(kinds.items()) if k in ("whole", "named")), "")
    reads = f"{whole} reads 0" if whole else "no whole card is offered"
    asked = sorted(n for n in parts if kinds[n] == "split" or _counts(profile, n))
    asked = asked or sorted(n for n in parts if _memory(profile, n))
    return error(
        "RESOURCE_ABSENT",
        f"{reads}: the node is partitioned, only parts of cards are offered: "
        f"{_amounts(api, parts)}",
        "whole cards",
        f"set nodes.resource to one of {', '.join(asked or sorted(parts))}, or end the "
        "partitioning (MIG, shares, slices) on the node",
    )


def _counts(profile: Profile, name: str) -> bool:
    row = profile.resource_kind(name)
    return row is not None and row.counts


def _memory(profile: Profile, name: str) -> bool:
    row = profile.resource_kind(name)
    return row is not None and row.mib > 0


def _told(
    profile: Profile, api: ApiFacts, kinds: dict[str, str], silent: Reason | None
) -> Reason | None:
    """What a label says of why there is no card to offer; silent: what is said without one."""
    amounts = _amounts(api, list(kinds))
    for row in profile.labels.no_cards:
        value = api.labels.get(row.key, "")
        if re.search(row.rule, value):
            found = f"resources offered: {amounts}; {row.key}={value}: {row.says} ({row.source})"
            found += _by_claims(profile, api)
            code = silent.code if silent else "RESOURCE_ABSENT"
            return error(code, found, "whole cards", row.action)
    return silent


def _silent(profile: Profile, api: ApiFacts, kinds: dict[str, str], cards: int) -> Reason | None:
    """A plugin that is Ready and offers nothing; None where there is none, or no sign of cards."""
    told = profile.labels
    keys = (*told.presence, *told.signs, *told.model, *told.memory)
    signs = cards > 0 or any(api.labels.get(key) not in (None, "", "false") for key in keys)
    pods = plugin_pods(profile, api, "device-plugin", "virtual-plugin")
    lingering = any(api.capacity[name] > 0 for name in kinds)
    if lingering or not (kinds or signs) or not pods or not all(pod.ready for pod in pods):
        return None
    names = ", ".join(f"{pod.namespace}/{pod.daemonset}".strip("/") for pod in pods)
    zero = ", ".join(f"{name}: 0" for name in sorted(kinds)) or "no resource of its own"
    return error(
        "PLUGIN_UNHEALTHY",
        f"the pod of DaemonSet {names} is Ready, and the node has {zero}",
        "devices registered with the kubelet",
        "restart the plugin's pod, then the kubelet if that does not help: a plugin registers when "
        "it starts; its log says whether it finds cards",
    )


def _taken(profile: Profile, api: ApiFacts, name: str) -> Reason:
    return warning(
        "RESOURCE_UNKNOWN",
        f"the node offers {_amounts(api, [name])}, which no row of {profile.name} knows",
        "a name whose units are known",
        f"its units are taken for cards; set nodes.resource to {name}, and this is said no more",
    )


def _by_claims(profile: Profile, api: ApiFacts) -> str:
    """Who offers the node's devices by claim, '' for nobody."""
    return "".join(
        f"; DaemonSet {pod.namespace}/{pod.daemonset} offers its devices by dynamic resource "
        f"allocation (DeviceClass {profile.device_class or 'of the vendor'})"
        for pod in plugin_pods(profile, api, "dra-driver")[:1]
    )


def _absent(profile: Profile, api: ApiFacts, known: list[str]) -> Reason:
    """Nothing offers whole cards."""
    action = "deploy the vendor's device plugin on the node"
    found = f"resources offered: {_amounts(api, known)}"
    unknown = strangers(api)
    machines = [n for n, kind in offered(profile, api).items() if kind == "vm"]
    claims = _by_claims(profile, api)
    if machines:
        found = f"only for virtual machines: {_amounts(api, machines)}"
        action = (
            "choose a node whose cards containers get (GPU operator: workload.config=container)"
        )
    elif claims:
        found += claims
        action = (
            "name a ResourceClaimTemplate of that class in nodes.claim_template, or deploy the "
            "vendor's device plugin in place of the driver"
        )
    elif unknown:
        found += f"; no row knows {_amounts(api, unknown)}"
        whole = [name for name in unknown if not PARTS.search(name)]
        action = (
            f"set nodes.resource to {' or '.join(whole)} where its units are the cards"
            if whole
            else "these names count parts of cards: set nodes.resource to the one that the plugin "
            "hands a part out by, and nodes.device_memory_gib to that part's memory"
        )
    elif plugin_pods(profile, api, "device-plugin", "virtual-plugin"):
        action = (
            "mend the vendor's device plugin on the node: its pod is there; where it is Ready, "
            "restart it, then the kubelet"
        )
    elif known:
        action = f"only parts of cards are known: set nodes.resource to one of {', '.join(known)}"
    return error("RESOURCE_ABSENT", found, "whole cards", action)
