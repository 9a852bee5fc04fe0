"""The columns of the accelerator table. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from tasks.accelerators.toolkits import (
    CompatLibraries,
    Generation,
    ToolkitMinimum,
    normal_toolkit,
)

ResourceKind = Literal["whole", "named", "split", "dynamic", "vm"]
DeviceKind = Literal["char", "dir"]


@dataclass(frozen=True)
class ResourcePattern:
    """Extended resource names of one kind.

    whole: one unit is one card. named: the same, under the card model's name (a plugin policy).
    split: a fixed slice of a card. dynamic: slices asked for by number, cores and memory. vm:
    cards, or parts of them, for virtual machines only.
    generation groups names of one plugin generation, such as 'dcu' and 'hcu'.
    Named groups of the pattern say what the name tells: gb or share_gb, a unit's memory; part, how
    much of a card's compute it takes (of `whole`); mode, a partition mode (Profile.partitions).
    counts: the amount is a number of shares of cards (a dynamic name), or of shares whose memory
    nobody divides (a split one). per_card: units one card makes at
    most, 0 unknown. overlay: another view of cards that other names of the node may offer, too.
    apart: two units of a pod lie on two cards. single: a pod gets one unit at most.
    mib: MiB of memory that an amount of 1 of a dynamic name asks for; of_card: or the part of a
    card's. core_mib: (cards of up to so many MiB, least and most MiB of one core) where the name
    tells `cores`. unsized: a part of a card, of which neither name nor asking tells the size.
    slicings: (units a card, 0 any; what makes so many of one) in place of Profile.slicing.
    """

    kind: ResourceKind
    pattern: str
    generation: str = ""
    whole: int = 0
    per_card: int = 0
    counts: bool = False
    overlay: bool = False
    apart: bool = False
    single: bool = False
    mib: float = 0
    of_card: float = 0
    core_mib: tuple[tuple[float, float, float], ...] = ()
    unsized: bool = False
    slicings: tuple[tuple[int, str], ...] = ()

    def told(self, name: str) -> dict[str, str]:
        """The named groups of a resource name, those that say something."""
        match = re.fullmatch(self.pattern, name)
        groups = match.groupdict() if match else {}
        return {key: value for key, value in groups.items() if value}


ShareMemory = Literal["card", "divided", "label", "asked", "unknown"]


@dataclass(frozen=True)
class Sharing:
    """A way in which a unit of a whole-card resource is not a card, and what on a node says so.

    name: for reasons, with `source` beside. labels: (key, regex) of which every one must be
    found; named groups as in ResourcePattern, and `per`, units a card. register: regex over the
    key of the annotation in which the plugin registers its cards. virtual: a virtual plugin's pod
    on the node says it, too. memory: a unit's is the card's (`card`: not divided, nobody keeps
    another from it), the card's over the units of a card (`divided`), what the memory label says
    (`label`), what the pod asks for (`asked`), or a part that nothing tells (`unknown`), unless
    there are as many cards as units, which are whole then. apart: two units of a pod lie on two
    cards. single: a pod gets one unit at most. whole: what `part` is a part of.
    """

    name: str
    source: str
    memory: ShareMemory
    labels: tuple[tuple[str, str], ...] = ()
    register: str = ""
    virtual: bool = False
    whole: int = 0
    apart: bool = False
    single: bool = False


@dataclass(frozen=True)
class NoCards:
    """A label that says why a node offers no card. rule: regex over its value; says: what that
    means; action: what to do. source: where that stands, and its date."""

    key: str
    rule: str
    says: str
    action: str
    source: str


@dataclass(frozen=True)
class Labels:
    """Node label keys, newest generation first."""

    presence: tuple[str, ...] = ()
    signs: tuple[str, ...] = ()  # of cards, too, and missed by nobody: set by hand or an installer
    model: tuple[str, ...] = ()
    memory: tuple[str, ...] = ()
    compute_units: tuple[str, ...] = ()
    driver: tuple[str, ...] = ()
    count: tuple[str, ...] = ()  # cards, whatever the plugin makes of them
    replicas: tuple[str, ...] = ()  # how often one card is offered (time slicing)
    # of a split resource; {name}: what follows the slash
    slice_memory: tuple[str, ...] = ()
    slice_replicas: tuple[str, ...] = ()
    no_cards: tuple[NoCards, ...] = ()


@dataclass(frozen=True)
class DeviceFile:
    """A device the engine opens: a character device, or a folder with at least one entry.

    entries: regex of the entries that count, for a folder. instead: files of which one stands in
    its place on some models, of whichever kind.
    """

    path: str
    kind: DeviceKind
    entries: str = ""
    instead: tuple[str, ...] = ()


@dataclass(frozen=True)
class HostMount:
    """A host path in the serving pod. `type` is the hostPath type Kubernetes checks."""

    name: str
    path: str
    type: str
    read_only: bool
    reason: str


@dataclass(frozen=True)
class Smi:
    """The vendor's inventory tool.

    candidates: paths below the host root, first found wins. in_container: also look on the
    probe container's own PATH (a container runtime hook may bring the tool). runs: argument
    lists, each a separate run. parser: a name in tasks.nodes.tools.read.PARSERS. libraries: host
    folders for LD_LIBRARY_PATH.
    """

    name: str
    candidates: tuple[str, ...]
    runs: tuple[tuple[str, ...], ...]
    parser: str
    in_container: bool = False
    libraries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Component:
    """A DaemonSet of the vendor, recognised by its name or an image (regex, case-insensitive).

    image: a second regex, over the whole path of an image: operators name their DaemonSets after
    their own objects, so that only the image's owner tells the vendor.
    """

    role: Literal["device-plugin", "virtual-plugin", "dra-driver", "label-node", "exporter"]
    pattern: str
    image: str = ""


@dataclass(frozen=True)
class Exporter:
    """The vendor's Prometheus exporter: port, path and metric names (regex).

    throttled: counters that grow while a card runs below its clock because of heat or power.
    reasons: a gauge whose bits say why it does so right now; those in reasons_bits are meant.
    pod_labels: where a sample names the pod that holds the card.
    index_labels: where it names the card.
    """

    port: int
    path: str = "/metrics"
    temperature: str = ""
    uncorrectable: str = ""
    health: str = ""
    healthy_value: float = 1.0
    throttled: str = ""
    reasons: str = ""
    reasons_bits: int = 0
    pod_labels: tuple[str, ...] = ("exported_pod", "pod")
    index_labels: tuple[str, ...] = ("id",)


@dataclass(frozen=True)
class CpuFlags:
    """Instruction sets the engine needs, and those that make it faster (as in /proc/cpuinfo)."""

    required: tuple[str, ...]
    better: tuple[str, ...]


@dataclass(frozen=True)
class Profile:
    """One accelerator.

    modules: kernel modules of which one must be loaded, newest first. version_files: other host
    files that tell the driver version, as (path, regex with one group). pci_vendor: hex id without
    0x; pci_also: further ones of the vendor; pci_classes: prefixes of the PCI class. sys_paths:
    paths that exist when the driver works.
    models: PCI device id -> card model. aliases: spelling of a card -> its name in `models` and the
    compatibility data; model_noise: regex of what a spelling may add to it. boards: (regex over
    models, devices) of boards that are several devices. partitions: mode -> devices a card becomes,
    0 unknown. sharings: ways in which a unit is less than a card, the surer first; slicing: what a
    multiple of the cards is where nothing says why, '' where no plugin of the vendor does so.
    device_class: DeviceClass of the vendor's DRA driver. idle_mib: memory that a card holds though
    nobody uses it. temperature_limit_c: above it a card is
    unhealthy; temperature_limits: (regex over the sensor's name, limit) of sensors with their own,
    which hold where the tool tells none. runtime_class: RuntimeClass whose hook brings devices and
    driver into the pod, where the device plugin alone brings none; the spec's own goes before it.
    smi: inventory tools, the preferred first; none: API and device files decide. toolkit: regex
    with one group over an image tag. toolkit_example: how serving.toolkit may read. toolkit_digits:
    regex that cuts a
    version without dots. toolkit_of_image: (regex over the image, toolkit) where no tag says it.
    toolkit_table: the vendor says which driver a release needs, so that an image which tells none
    is spoken of. minimums: the least driver of toolkit releases, the newest first; compat: what
    goes round them; generations: what its cards need, the narrower first; where that is not all,
    compatibility is a name in tasks.nodes.compatibility.CHECKS.
    builds_driver: the driver is compiled on the node, so kernel-devel matters.
    pod_security, container_security: Kubernetes objects merged over our restrictive defaults,
    with `security_reasons` beside.
    probe_paths: host paths the probe needs besides the common ones; each exists on every Linux
    or may be absent safely. probe_env: environment of the probe's container.
    sources: field -> where its data stands, each with a month (2026-08): its own, or when it was
    read where it has none. Rows with a `source` of their own are not in it.
    """

    name: str
    resources: tuple[ResourcePattern, ...] = ()
    labels: Labels = Labels()
    modules: tuple[str, ...] = ()
    version_files: tuple[tuple[str, str], ...] = ()
    pci_vendor: str = ""
    pci_also: tuple[str, ...] = ()
    pci_classes: tuple[str, ...] = ()
    models: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    model_noise: str = ""
    boards: tuple[tuple[str, int], ...] = ()
    partitions: dict[str, int] = field(default_factory=dict)
    sharings: tuple[Sharing, ...] = ()
    slicing: str = ""
    device_class: str = ""
    devices: tuple[DeviceFile, ...] = ()
    sys_paths: tuple[str, ...] = ()
    mounts: tuple[HostMount, ...] = ()
    pod_security: dict[str, Any] = field(default_factory=dict)
    container_security: dict[str, Any] = field(default_factory=dict)
    security_reasons: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    runtime_class: str = ""
    smi: tuple[Smi, ...] = ()
    components: tuple[Component, ...] = ()
    exporter: Exporter | None = None
    toolkit_name: str = ""
    toolkit_example: str = ""
    toolkit_digits: str = r"(\d{2})(\d{2})\.?(\d?)"
    toolkit_of_image: tuple[tuple[str, str], ...] = ()
    toolkit_of_engine: tuple[tuple[str, dict[tuple[int, int], str]], ...] = ()
    toolkit_table: bool = True
    generations: tuple[Generation, ...] = ()
    minimums: tuple[ToolkitMinimum, ...] = ()
    compat: CompatLibraries | None = None
    compatibility: str = ""
    toolkit: str = ""
    builds_driver: bool = False
    temperature_limit_c: float = 95.0
    temperature_limits: tuple[tuple[str, float], ...] = ()
    idle_mib: float = 1024.0
    cpu_flags: dict[str, CpuFlags] = field(default_factory=dict)
    probe_paths: tuple[str, ...] = ()
    probe_env: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    @property
    def has_devices(self) -> bool:
        """Whether pods ask for an extended resource."""
        return bool(self.resources)

    @property
    def device_paths(self) -> tuple[tuple[str, str], ...]:
        """Every device file to look at, with the regex of entries that count."""
        return tuple((p, d.entries) for d in self.devices for p in (d.path, *d.instead))

    @property
    def unit_devices(self) -> tuple[int, ...]:
        """Devices that a unit of whole cards may bring: one, or those of the vendor's boards."""
        return tuple(sorted({1, *(devices for _, devices in self.boards)}))

    def heat_limit(self, sensor: str) -> float:
        """Degrees Celsius above which what this sensor tells is too much; '' for a card's."""
        own = (limit for rule, limit in self.temperature_limits if re.search(rule, sensor, re.I))
        return next(own, self.temperature_limit_c)

    def resource_kind(self, name: str) -> ResourcePattern | None:
        """The row that matches a resource name, or None for another vendor's resource."""
        return next((r for r in self.resources if re.fullmatch(r.pattern, name)), None)

    def component_role(self, name: str, images: tuple[str, ...]) -> str:
        """The role of a DaemonSet by its name or images, '' when it is none of this vendor's."""
        for component in self.components:
            if re.search(component.pattern, name, re.IGNORECASE):
                return component.role
        # several DaemonSets may share an image, so the name goes first
        for component in self.components:
            rule = re.compile(component.pattern, re.IGNORECASE)
            own = re.compile(component.image or "(?!)", re.IGNORECASE)
            # the registry's path may carry a vendor's name: match the image's own
            if any(rule.search(i.rsplit("/", 1)[-1]) or own.search(i) for i in images):
                return component.role
        return ""

    def model_of(self, name: str) -> str:
        """A card's name as the vendor normalises it: cut at the first comma, without noise such
        as a memory size, by its usual spelling."""
        plain = name.partition(",")[0].strip()
        if self.model_noise:
            plain = re.sub(self.model_noise, "", plain, flags=re.IGNORECASE).strip() or plain
        return self.aliases.get(plain, plain)

    def toolkit_of(self, image: str, engine: tuple[int, int] | None = None) -> str:
        """The toolkit version an image tells, such as '25.04.1', or ''. engine: vLLM's release."""
        name, _, tag = image.rsplit("/", 1)[-1].partition("@")[0].partition(":")
        if not self.toolkit:
            return ""
        match = re.search(self.toolkit, tag, re.IGNORECASE)
        # 'nvidia/cuda:12.8.1-devel', 'cann:8.2.rc1-910b': the tag starts with its own version
        match = match or re.search(self.toolkit, f"{name}:{tag}" if tag else "", re.IGNORECASE)
        if match:
            return normal_toolkit(match[1], self.toolkit_digits)
        known = (t for rule, t in self.toolkit_of_image if re.search(rule, image))
        by_release = (rows for rule, rows in self.toolkit_of_engine if re.search(rule, image))
        return next(known, "") or next((r.get(engine, "") for r in by_release if engine), "")
