"""Judge what the probe saw on a host. Every rule returns all its reasons."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from tasks.accelerators.types import Labels, Profile
from tasks.nodes.compatibility import KNOWN_CARDS, compatible, driver_version
from tasks.nodes.document import ProbeDoc
from tasks.nodes.facts import ApiFacts
from tasks.nodes.reasons import Reason, error, warning
from tasks.nodes.tools.read import Inventory, read_inventory
from tasks.spec.rollout import Rollout

Make = Callable[[str, str, str, str], Reason]


@dataclass(frozen=True)
class Hardware:
    """What the probe proves: driver version ('' unknown), card models and counts."""

    driver: str
    loaded: bool
    inventory: Inventory
    models: tuple[str, ...]
    on_bus: int
    memory_mib: float | None  # of the smallest card


def read_hardware(profile: Profile, doc: ProbeDoc) -> Hardware:
    """Put the probe's facts together; the module's own version goes before the tool's."""
    # the row says how its tool is read; tools of several vendors may print alike
    parser = next((tool.parser for tool in profile.smi if tool.name == doc.smi.name), None)
    inventory = read_inventory(doc.smi, parser) if doc.smi.name else Inventory()
    version = next((v for v in doc.modules.values() if v), "")
    version = version or next(iter(doc.versions.values()), "") or inventory.driver
    models = tuple(card.model for card in inventory.cards if card.model)
    if not models:
        models = tuple(m for p in doc.pci if (m := profile.models.get(p.device, "")))
    memory = [size for c in inventory.cards if (size := c.memory_mib or c.available_mib)]
    return Hardware(
        version, bool(doc.modules), inventory, models, len(doc.pci), min(memory, default=None)
    )


def _plain(name: str) -> str:
    return re.sub(r"(shared|mig.*)$", "", re.sub(r"[^a-z0-9]", "", name.lower()))


def same_model(left: str, right: str) -> bool:
    """Whether two spellings mean one card: labels and tools differ in signs and suffixes."""
    a, b = _plain(left), _plain(right)
    if a == b:
        return True
    known = {_plain(card) for card in KNOWN_CARDS}
    if a in known and b in known:
        return False  # K100 and K100_AI are two cards
    return bool(a and b) and (a.startswith(b) or b.startswith(a))


def label_value(keys: tuple[str, ...], api: ApiFacts) -> tuple[str, str]:
    """First label present: (key, value), or ('', '')."""
    return next(((key, api.labels[key]) for key in keys if api.labels.get(key)), ("", ""))


def label_memory_mib(value: str) -> float | None:
    """'64G' -> 65536 (vendors round GiB up); a bare number is MiB."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(Gi?B?|Mi?B?)?", value, re.IGNORECASE)
    if match is None:
        return None
    return float(match[1]) * (1024 if (match[2] or "").upper().startswith("G") else 1)


def driver_reasons(profile: Profile, doc: ProbeDoc, hardware: Hardware) -> list[Reason]:
    """Module, version, device files and folders."""
    out: list[Reason] = []
    names = " or ".join(profile.modules)
    if profile.modules and "modules" in doc.errors:
        out.append(unknown("kernel modules", doc.errors["modules"]))
    elif profile.modules and not hardware.loaded:
        out.append(
            error(
                "DRIVER_MISSING",
                f"no module {names} in /proc/modules",
                f"the driver loaded ({names})",
                "install and load it; check dmesg, and that kernel and kernel-devel match",
            )
        )
    elif profile.modules and not hardware.driver:
        out.append(
            warning(
                "DRIVER_VERSION_UNKNOWN",
                f"{', '.join(doc.modules)} loaded, no version in sysfs or from the smi tool",
                "a version",
                "ask the smi tool on the host; compatibility was not judged",
            )
        )
    for rule in profile.devices:
        seen = doc.devices.get(rule.path)
        if seen is None:
            if "devices" not in doc.errors:
                out.append(unknown(rule.path, "not looked at"))
            continue
        good = {rule.kind} | (
            {"file"} if doc.allow_plain_devices and rule.kind == "char" else set()
        )
        found = "an empty folder" if seen.kind == "dir" and not seen.entries else seen.kind
        if found not in good:
            wanted = "a character device" if rule.kind == "char" else "a folder with devices"
            out.append(
                error(
                    "DEVICE_FILE_MISSING",
                    f"{rule.path}: {found}",
                    wanted,
                    "reload the driver (its service creates the files), then check again",
                )
            )
    if "devices" in doc.errors:
        out.append(unknown("device files", doc.errors["devices"]))
    out += [
        error(
            "HOST_PATH_MISSING",
            f"{path}: absent",
            "there: the driver brings it",
            "reinstall the driver package; the serving pod could not start without it",
        )
        for path, there in doc.paths.items()
        if not there
    ]
    if profile.builds_driver and doc.kernel.release and not doc.kernel.devel:
        out.append(
            warning(
                "KERNEL_DEVEL_MISSING",
                f"no /lib/modules/{doc.kernel.release}/build",
                f"kernel-devel-{doc.kernel.release}",
                "install it before the next driver update",
            )
        )
    return out


def unknown(what: str, why: str) -> Reason:
    return warning(
        "FACT_UNKNOWN", f"{what}: {why}", "a readable fact", "run `rollout job probe` on the node"
    )


def card_reasons(
    profile: Profile, api: ApiFacts, doc: ProbeDoc, hardware: Hardware, resource: str
) -> list[Reason]:
    """Counts and sameness of the cards; what the tool says of each stands in rules_cards."""
    out: list[Reason] = []
    if not profile.pci_vendor:
        return out
    if "metrics" in doc.errors:
        out.append(unknown("exporter", doc.errors["metrics"]))
    cards, tool = hardware.inventory.cards, doc.smi.name or "the smi tool"
    if "pci" in doc.errors:
        out.append(unknown("PCI devices", doc.errors["pci"]))
    counts = {}
    # a tool that lists cards knows their addresses: what the bus shows as another class is there
    if "pci" not in doc.errors and (hardware.on_bus or not cards):
        counts["on the PCI bus"] = hardware.on_bus
    if cards and hardware.inventory.whole:
        counts[f"in {tool}"] = len(cards)
    row = profile.resource_kind(resource) if resource else None
    _, replicas = label_value(profile.labels.replicas, api)
    capacity = int(api.capacity.get(resource, Decimal(0)))
    if row and row.kind in ("whole", "named") and replicas in ("", "1") and capacity:
        counts[f"in {resource}'s capacity"] = capacity
    if len(set(counts.values())) > 1 or hardware.on_bus == len(cards) == 0:
        out.append(
            error(
                "CARD_LOST",
                ", ".join(f"{n} {where}" for where, n in counts.items()),
                "the same number of cards everywhere",
                "a card has fallen off the bus or out of the driver: check dmesg, reset or replace "
                "it, then restart the device plugin",
            )
        )
    distinct = sorted(set(hardware.models))
    if len(distinct) > 1:
        out.append(
            warning(
                "CARDS_DIFFER",
                ", ".join(distinct),
                "one model a node",
                "the slowest card and the smallest memory decide",
            )
        )
    return out


def label_reasons(
    profile: Profile, api: ApiFacts, hardware: Hardware | None, resource: str
) -> list[Reason]:
    """Vendor labels against the hardware; a label alone proves nothing, a wrong one misleads."""
    labels: Labels = profile.labels
    out: list[Reason] = []
    key, value = label_value(labels.presence, api)
    if labels.presence and value in ("", "false") and resource:
        out.append(
            warning(
                "LABEL_MISSING",
                f"no label {' or '.join(labels.presence)}",
                "set by the vendor's label-node",
                "deploy label-node, or ignore it: the device plugin offers the cards",
            )
        )
    if hardware is None:
        return out
    key, value = label_value(labels.model, api)
    if value and hardware.models and not same_model(value, hardware.models[0]):
        out.append(_disagree(error, key, value, hardware.models[0]))
    key, value = label_value(labels.memory, api)
    told = label_memory_mib(value) if value else None
    cards = hardware.inventory.cards
    # labels describe card 0; vendors round up, and some memory is reserved
    seen = (cards[0].memory_mib or cards[0].available_mib) if cards else None
    if told and seen and abs(told - seen) > 0.06 * told:
        out.append(_disagree(error, key, value, f"{seen:.0f} MiB"))
    key, value = label_value(labels.driver, api)
    label, real = driver_version(value), driver_version(hardware.driver)
    shared = min(len(label), len(real))  # sysfs may leave the package version out
    if shared and label[:shared] != real[:shared]:
        out.append(_disagree(warning, key, value, hardware.driver))
    return out


def _disagree(make: Make, key: str, value: str, seen: str) -> Reason:
    return make(
        "LABEL_DISAGREES",
        f"label {key}={value}, the probe saw {seen}",
        "label and hardware say the same",
        "delete the label and restart label-node; check whether cards were swapped",
    )


def model_reasons(
    spec: Rollout, profile: Profile, api: ApiFacts, hardware: Hardware | None
) -> list[Reason]:
    """The card model the spec demands."""
    wanted = spec.nodes.model
    if not wanted or not profile.has_devices:
        return []
    models = sorted(set(hardware.models)) if hardware else []
    if not models:
        _, told = label_value(profile.labels.model, api)
        models = [told] if told else []
    if not models:
        return [unknown("card model", "neither the probe nor a label tells it")]
    wrong = [model for model in models if not same_model(wanted, model)]
    return [
        error(
            "CARD_MODEL",
            f"cards are {', '.join(models)}",
            f"{wanted}, as nodes.model asks",
            "choose other nodes, or change nodes.model",
        )
        for _ in wrong[:1]
    ]


def toolkit_reasons(spec: Rollout, profile: Profile, hardware: Hardware) -> list[Reason]:
    """Driver, cards and the image's toolkit against the compatibility data."""
    if not profile.toolkit_name:
        return []
    told = re.search(r"\d[\w.]*", spec.serving.toolkit or "")
    toolkit = told[0] if told else profile.toolkit_of(spec.serving.image)
    out = []
    if not toolkit:
        out.append(
            warning(
                "TOOLKIT_UNKNOWN",
                f"image {spec.serving.image}",
                f"a tag that names its {profile.toolkit_name}, or serving.toolkit",
                f"state serving.toolkit, such as '{profile.toolkit_example}'",
            )
        )
    if hardware.loaded:
        out += compatible(profile, hardware.driver, hardware.models, toolkit)
    return out
