"""Judge what the probe saw on a host. Every rule returns all its reasons."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from tasks.accelerators.tiers import driver_version
from tasks.accelerators.toolkits import normal_toolkit
from tasks.accelerators.types import Labels, Profile
from tasks.nodes.compatibility import EngineImage, compatible
from tasks.nodes.document import Device, ProbeDoc
from tasks.nodes.facts import ApiFacts
from tasks.nodes.reasons import Reason, error, warning
from tasks.nodes.tools.names import likeness, parts
from tasks.nodes.tools.read import Inventory, read_inventory
from tasks.nodes.tools.text import silent
from tasks.nodes.units.form import SeenCards, Units
from tasks.nodes.units.size import memory_mib
from tasks.spec.images import vllm_release
from tasks.spec.rollout import Rollout

ABSENT = Device("missing")
Make = Callable[[str, str, str, str], Reason]


@dataclass(frozen=True)
class Hardware:
    """What the probe proves: driver version ('' unknown), card models and counts."""

    driver: str
    loaded: bool
    inventory: Inventory
    models: tuple[str, ...]
    on_bus: int
    memory_mib: float | None  # of the smallest card, or what the spec says where no tool tells it
    passed: int = 0  # cards kept for virtual machines
    ids: tuple[str, ...] = ()  # vendor:device of the cards on the bus
    answering: frozenset[str] = frozenset()  # models that the tool lists, and calls well

    def stated(self, memory_gib: float | None) -> Hardware:
        """With the memory that the spec states, where no tool tells it."""
        if self.memory_mib is not None or memory_gib is None:
            return self
        return replace(self, memory_mib=memory_gib * 1024)

    def seen(self, bus_known: bool) -> SeenCards:
        """Its cards, for what a node's units are. A list that was cut proves no number; a tool that
        lists cards knows their addresses, so that a bus without one has them in another class."""
        cards = self.inventory.cards
        listed = cards if self.inventory.whole else ()
        buses = Counter(card.bus.rpartition(".")[0] for card in listed if card.bus)
        return SeenCards(
            on_bus=self.on_bus if bus_known and (self.on_bus or not cards) else None,
            rows=len(listed),
            addresses=len(buses) if all(card.bus for card in listed) else 0,
            memory_mib=self.memory_mib,
            models=self.models,
            divided=sum(card.divided for card in listed),
            passed=self.passed,
            per_address=tuple(sorted(set(buses.values()))),
        )


def read_hardware(profile: Profile, doc: ProbeDoc) -> Hardware:
    """Put the probe's facts together; the module's own version goes before the tool's."""
    # the row says how its tool is read; tools of several vendors may print alike
    parser = next((tool.parser for tool in profile.smi if tool.name == doc.smi.name), None)
    inventory = read_inventory(doc.smi, parser) if doc.smi.name else Inventory()
    version = next((v for v in doc.modules.values() if v), "")
    version = version or next(iter(doc.versions.values()), "") or inventory.driver
    named = _named(profile, doc, inventory)
    models = tuple(model for model in named if model)
    memory = [size for c in inventory.cards if (size := c.memory_mib or c.available_mib)]
    return Hardware(
        version,
        bool(doc.modules),
        inventory,
        models,
        len(doc.pci),
        min(memory, default=None),
        len(doc.passed),
        tuple(sorted({f"{p.vendor}:{p.device}".lower() for p in doc.pci})),
        frozenset(m for m, c in zip(named, inventory.cards, strict=False) if m and c.answers),
    )


def _named(profile: Profile, doc: ProbeDoc, inventory: Inventory) -> tuple[str, ...]:
    """Card models as the vendor normalises them; where the tool leaves one empty, the PCI id, and
    '' where that is not known either. One a card that the tool lists; where it lists none, on the
    bus."""
    by_id = {p.address.lower().lstrip("0:"): profile.models.get(p.device, "") for p in doc.pci}
    known = set(by_id.values())
    only = next(iter(known)) if len(known) == 1 else ""
    told = [
        profile.model_of(card.model) or by_id.get(card.bus.lower().lstrip("0:"), "") or only
        for card in inventory.cards
    ]
    told = told or [profile.models.get(p.device, "") for p in doc.pci]
    return tuple(profile.model_of(model) for model in told)


def label_value(keys: tuple[str, ...], api: ApiFacts) -> tuple[str, str]:
    """First label that says something: (key, value), or ('', '')."""
    told = ((key, api.labels[key]) for key in keys if not silent(api.labels.get(key, "")))
    return next(told, ("", ""))


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
        others = [doc.devices.get(path, ABSENT).kind for path in rule.instead]
        if found not in good and all(kind == ABSENT.kind for kind in others):
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


def card_reasons(profile: Profile, doc: ProbeDoc, hardware: Hardware) -> list[Reason]:
    """Sameness of the cards; what the tool says of each stands in rules_cards."""
    out: list[Reason] = []
    if not profile.pci_vendor:
        return out
    if "metrics" in doc.errors:
        out.append(unknown("exporter", doc.errors["metrics"]))
    if "pci" in doc.errors:
        out.append(unknown("PCI devices", doc.errors["pci"]))
    if doc.passed:
        names = ", ".join(f"{item.address} ({item.driver})" for item in doc.passed)
        out.append(
            warning(
                "CARDS_NOT_OFFERED",
                f"{len(doc.passed)} card(s) kept for virtual machines: {names}",
                "the vendor's driver, where containers are to have them",
                "nothing to do where that is meant; they are not counted here",
            )
        )
    if profile.models and not hardware.models:
        # neither a name nor a known id: what is there is told, so that a row can be added
        ids = sorted({f"{p.vendor}:{p.device}" for p in doc.pci})
        if ids:
            out.append(
                warning(
                    "CARD_UNKNOWN",
                    f"PCI id {', '.join(ids)}, and no name from the smi tool",
                    "an id that the vendor's row knows, or a name",
                    "driver and toolkit were not judged for it: the smoke test decides",
                )
            )
    cards = hardware.inventory.cards
    dumb = all(card.total is None and card.used_share is None for card in cards)
    if cards and dumb and hardware.memory_mib is None and hardware.inventory.whole:
        shared = any(card.unified for card in cards)
        why = "it takes of the host's" if shared else f"{doc.smi.name} tells none"
        out.append(
            warning(
                "FACT_UNKNOWN",
                f"memory of a device: {why}",
                "the memory of one device",
                "set nodes.device_memory_gib: without it nothing says whether the model fits",
            )
        )
    spelled = {"".join(parts(name).words): name for name in sorted(hardware.models)}
    distinct = sorted(spelled.values())
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
    profile: Profile,
    api: ApiFacts,
    hardware: Hardware | None,
    resource: str,
    units: Units | None = None,
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
    alike = likeness(value, hardware.models[0], profile) if value and hardware.models else "same"
    if alike != "same":
        make = warning if alike == "spelling" else error
        out.append(_disagree(make, key, value, hardware.models[0]))
    key, value = label_value(labels.memory, api)
    # of a slice or a partition the label tells the unit's memory, the tool the card's
    parted = units is not None and units.kind in ("slice", "partition")
    told = memory_mib(value) if value and not parted else None
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
    alike = {likeness(wanted, model, profile) for model in models} - {"same"}
    if not alike:
        return []
    make = error if "other" in alike else warning
    return [
        make(
            "CARD_MODEL",
            f"cards are {', '.join(models)}",
            f"{wanted}, as nodes.model asks",
            f"choose other nodes, or set nodes.model to '{models[0]}'",
        )
    ]


def image_toolkit(spec: Rollout, profile: Profile) -> str:
    """The version of the toolkit in the image: what the spec states, else its tag; '' unknown."""
    told = re.search(r"\d[\w.]*", spec.serving.toolkit or "")
    if told and profile.toolkit_name:
        return normal_toolkit(told[0], profile.toolkit_digits)
    image = spec.serving.image
    return profile.toolkit_of(image, vllm_release(image))


def toolkit_reasons(spec: Rollout, profile: Profile, hardware: Hardware) -> list[Reason]:
    """Driver, cards and the image's toolkit against the compatibility data."""
    if not profile.toolkit_name:
        return []
    toolkit = image_toolkit(spec, profile)
    out = []
    if not toolkit and profile.toolkit_table:
        out.append(
            warning(
                "TOOLKIT_UNKNOWN",
                f"image {spec.serving.image}",
                f"a tag that names its {profile.toolkit_name}, or serving.toolkit",
                f"state serving.toolkit, such as '{profile.toolkit_example}'",
            )
        )
    if hardware.loaded:
        out += compatible(
            profile,
            hardware.driver,
            hardware.models,
            toolkit,
            EngineImage(spec.serving.image, spec.serving.env),
            spec.nodes.model,
            hardware.ids,
            hardware.answering,
        )
    return out
