"""Why a node, or a model's shape, can or cannot serve: one form and one table of codes.

Codes are stable: tests, automations and operators' notes may rely on them. The severity is the
caller's, since the same finding may forbid one rollout and merely be worth knowing in another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

Severity = Literal["error", "warning"]

CODES: dict[str, str] = {
    # what the API says
    "NODE_UNKNOWN": "the spec names a node the cluster does not have",
    "NODE_NOT_READY": "the kubelet does not report Ready",
    "NODE_PRESSURE": "the kubelet reports pressure on memory, disk, processes or the network",
    "NODE_CORDONED": "the node is marked unschedulable",
    "TAINT_NOT_TOLERATED": "a taint keeps the spec's pods away",
    "SELECTOR_MISMATCH": "the node lacks a label the spec selects on, or is not among its names",
    "LABEL_MISSING": "the vendor's label is absent although the cards are there",
    "LABEL_DISAGREES": "a vendor label says something else than the hardware",
    "RESOURCE_ABSENT": "the node offers none of the accelerator's resources",
    "RESOURCE_RENAMED": "the spec asks for one generation's resource name, the node offers another",
    "RESOURCE_UNKNOWN": "no row knows the resource that the node offers; taken for whole cards",
    "RESOURCE_INSUFFICIENT": "fewer devices are allocatable than one replica needs",
    "RESOURCE_BUSY": "enough devices exist, but other pods hold them",
    "PLUGIN_UNHEALTHY": "the device plugin is not running well on the node",
    "PLUGINS_CONFLICT": "two device plugins serve the node at once",
    "COMPONENT_UNHEALTHY": "label-node or the exporter is not running well on the node",
    "CPU_TOO_SMALL": "the node has fewer allocatable cores than one replica requests",
    "MEMORY_TOO_SMALL": "the node has less allocatable memory than one replica needs",
    "HOST_BUSY": "cores, memory or pod slots suffice, but other pods hold them",
    # what the probe says
    "NOT_PROBED": "the hardware was not looked at; only the API's facts were judged",
    "PROBE_FAILED": "the probe did not deliver a document",
    "FACT_UNKNOWN": "a fact could not be read on the node",
    "DRIVER_MISSING": "the kernel driver is not loaded",
    "DRIVER_VERSION_UNKNOWN": "the driver is loaded, but nothing tells its version",
    "DRIVER_TOO_OLD": "the driver does not support these cards",
    "DRIVER_TOO_NEW": "the driver leaves these cards out",
    "DRIVER_TOOLKIT_MISMATCH": "driver, or a card, and the image's toolkit are no supported pair",
    "COMPATIBILITY_DISPUTED": "the sources disagree whether driver and toolkit fit",
    "TOOLKIT_UNKNOWN": "the toolkit in the image is not known, so the driver cannot be matched",
    "CARD_UNKNOWN": "a card model no compatibility source knows",
    "CARD_MODEL": "the cards are not the model the spec demands",
    "CARD_LOST": "bus, smi tool and plugin do not see the same cards, and no sharing explains it",
    "CARDS_NOT_OFFERED": "the device plugin offers fewer cards than bus and smi tool see",
    "CARD_UNHEALTHY": "a card reports errors, bad health or a temperature out of range",
    "CARD_IN_USE": "memory of a card is in use that no pod of the node explains",
    "CARD_PARTITIONED": "a card is divided into parts, so that it cannot be had whole",
    "UNIT_NOT_A_CARD": "a unit of the resource is a share, a slice or a board, not one card",
    "CARDS_DIFFER": "cards of different models on one node",
    "DEVICE_FILE_MISSING": "a device file the engine needs is absent or of the wrong kind",
    "HOST_PATH_MISSING": "a host folder the serving pod mounts is absent",
    "SMI_FAILED": "the vendor's smi tool is absent, failed or printed what nobody can read",
    "KERNEL_DEVEL_MISSING": "no kernel-devel of the running kernel: the driver cannot be rebuilt",
    "CPU_FLAGS_MISSING": "the CPU lacks an instruction set the engine needs",
    "DISK_FULL": "the store's file system has no room for the weights",
    # what the model's shape says
    "TENSOR_PARALLEL": "vLLM cannot divide the model by the tensor parallel size",
    "CONTEXT_TOO_LONG": "the context asked for is longer than the model's own limit",
    "SHAPE_UNKNOWN": "the model's shape, or what its layers cache, could not be read: not judged",
    "WEIGHTS_UNKNOWN": "no weights that vLLM would load are found, or not all of them",
    "WEIGHTS_TOO_LARGE": "the weights do not fit the devices",
    "KV_CACHE_TOO_SMALL": "what is left cannot hold one sequence of the length asked for",
    "KV_CACHE_TIGHT": "with a typical runtime's need, one full sequence may not fit",
    # what the engine needs of its pod
    "SHM_TOO_SMALL": "the pod's /dev/shm is smaller than the engine's queues need",
    "MEMORY_SHARE_TOO_LARGE": "the workers' share of the memory leaves vLLM's other processes none",
}


@dataclass(frozen=True)
class Reason:
    """One finding.

    code: a key of CODES. severity: 'error' makes a node unusable, 'warning' does not.
    found, expected: what is, and what should be. action: what a person can do.
    """

    code: str
    severity: Severity
    found: str
    expected: str
    action: str

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"unknown reason code '{self.code}'; add it to CODES")

    def __str__(self) -> str:
        return f"{self.code}: {self.found}; expected {self.expected}; {self.action}"

    def as_dict(self) -> dict[str, str]:
        """Plain data for JSON."""
        return asdict(self)


def error(code: str, found: str, expected: str, action: str) -> Reason:
    """A finding that makes the node unusable."""
    return Reason(code, "error", found, expected, action)


def warning(code: str, found: str, expected: str, action: str) -> Reason:
    """A finding worth knowing."""
    return Reason(code, "warning", found, expected, action)


def errors(reasons: Iterable[Reason]) -> list[Reason]:
    """Only the findings that make a node unusable."""
    return [reason for reason in reasons if reason.severity == "error"]
