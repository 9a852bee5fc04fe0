"""The columns of the accelerator table. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

ResourceKind = Literal["whole", "named", "split", "dynamic"]
DeviceKind = Literal["char", "dir"]


@dataclass(frozen=True)
class ResourcePattern:
    """Extended resource names of one kind.

    whole: one unit is one card. named: the same, under the card model's name (a plugin policy).
    split: a fixed slice of a card. dynamic: slices asked for by number, cores and memory.
    generation groups names of one plugin generation, such as 'dcu' and 'hcu'.
    """

    kind: ResourceKind
    pattern: str
    generation: str = ""


@dataclass(frozen=True)
class Labels:
    """Node label keys, newest generation first."""

    presence: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    memory: tuple[str, ...] = ()
    compute_units: tuple[str, ...] = ()
    driver: tuple[str, ...] = ()
    replicas: tuple[str, ...] = ()  # how often one card is offered (time slicing)


@dataclass(frozen=True)
class DeviceFile:
    """A device the engine opens: a character device, or a folder with at least one entry."""

    path: str
    kind: DeviceKind
    entries: str = ""  # regex of the entries that count, for a folder


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
    """A DaemonSet of the vendor, recognised by its name or an image (regex, case-insensitive)."""

    role: Literal["device-plugin", "virtual-plugin", "label-node", "exporter"]
    pattern: str


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
class ToolkitMinimum:
    """Toolkit releases from `toolkit` on need this driver. refuse: below it nothing runs."""

    toolkit: tuple[int, ...]
    driver: str
    refuse: bool
    source: str


@dataclass(frozen=True)
class Profile:
    """One accelerator.

    modules: kernel modules of which one must be loaded, newest first. version_files: other host
    files that tell the driver version, as (path, regex with one group). pci_vendor: hex id without
    0x; pci_also: further ones of the vendor; pci_classes: prefixes of the PCI class. sys_paths: paths that exist when the driver works.
    models: PCI device id -> card model. temperature_limit_c: above it a card is unhealthy.
    runtime_class: RuntimeClass whose hook brings devices and driver into the pod, where the device
    plugin alone brings none; the spec's own goes before it.
    smi: inventory tools, the preferred first; none: API and device files decide. toolkit: regex with one group over an image tag.
    toolkit_example: how serving.toolkit may read. minimums: the least driver of toolkit releases,
    the newest first; where that is not all, compatibility is a name in
    tasks.nodes.compatibility.CHECKS. builds_driver: the driver is compiled on the node, so
    kernel-devel matters.
    pod_security, container_security: Kubernetes objects merged over our restrictive defaults,
    with `security_reasons` beside.
    probe_paths: host paths the probe needs besides the common ones; each exists on every Linux
    or may be absent safely. probe_env: environment of the probe's container.
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
    minimums: tuple[ToolkitMinimum, ...] = ()
    compatibility: str = ""
    toolkit: str = ""
    builds_driver: bool = False
    temperature_limit_c: float = 95.0
    cpu_flags: dict[str, CpuFlags] = field(default_factory=dict)
    probe_paths: tuple[str, ...] = ()
    probe_env: dict[str, str] = field(default_factory=dict)

    @property
    def has_devices(self) -> bool:
        """Whether pods ask for an extended resource."""
        return bool(self.resources)

    def resource_kind(self, name: str) -> ResourcePattern | None:
        """The row that matches a resource name, or None for another vendor's resource."""
        return next((r for r in self.resources if re.fullmatch(r.pattern, name)), None)

    def component_role(self, name: str, images: tuple[str, ...]) -> str:
        """The role of a DaemonSet by its name or images, '' when it is none of this vendor's."""
        for component in self.components:
            rule = re.compile(component.pattern, re.IGNORECASE)
            # the registry's path may carry a vendor's name: match the image's own
            if rule.search(name) or any(rule.search(i.rsplit("/", 1)[-1]) for i in images):
                return component.role
        return ""

    def toolkit_of(self, image: str) -> str:
        """The toolkit version an image's tag tells, such as '25.04.1', or ''."""
        tag = image.rsplit("/", 1)[-1].partition(":")[2].split("@")[0]
        match = re.search(self.toolkit, tag, re.IGNORECASE) if self.toolkit else None
        return normal_toolkit(match[1]) if match else ""


def normal_toolkit(version: str) -> str:
    """'2604' -> '26.04', '25.04.1' stays: both spellings occur in the vendor's image tags."""
    digits = re.fullmatch(r"(\d{2})(\d{2})(\d?)", version)
    if digits:
        return ".".join(part for part in digits.groups() if part)
    return version
