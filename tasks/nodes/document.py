"""The document a probe prints: what one node's host says of itself. Standard library only.

Schema 1. A fact that could not be read is not left out: its place holds {"error": "..."}, and
`ProbeDoc` carries the text in `errors` under the fact's name.

    {"schema": 1, "profile": "hygon-dcu", "allow_plain_devices": false,
     "kernel":  {"release": "4.19.90", "machine": "x86_64",
                 "devel": "/lib/modules/4.19.90/build"},        null: absent
     "cpu":     {"model": "...", "cores": 2, "flags": ["avx2"],
                 "memory_bytes": 1, "memory_available_bytes": 1,
                 "numa_bytes": [1]},
     "modules": {"hycu": {"version": "6.3.27-V1.2.5"}},         loaded ones; null: none told
     "versions": {"/proc/driver/nvidia/version": "550.54.15"},  version files of the profile
     "pci":     [{"address": "0000:07:00.0", "vendor": "1d94",
                  "device": "6210", "class": "0b4000",
                  "driver": "hycu"}],                           bound to it; absent: not told
     "devices": {"/dev/kfd": {"kind": "char"},
                 "/dev/dri": {"kind": "dir", "entries": ["card1"]}},
     "paths":   {"/sys/class/kfd": true},
     "smi":     {"name": "hy-smi", "path": "/opt/hyhal/bin/hy-smi",
                 "runs": [{"args": [], "status": 0, "stdout": "...", "stderr": ""}]},
                                                            "cut": true: more was printed
     "store":   {"path": "/models", "exists": true, "total_bytes": 1, "free_bytes": 1,
                 "published": {"owner/name": ["commit"]},
                 "staged": {"owner--name--commit": 123}, "write_bytes_per_s": null},
     "metrics": "hcu_temp 46"}                                  the exporter's lines that count

devices kinds: char, block, file, dir, missing. A run of the smi tool that failed to start or
timed out has "error" instead of "status".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.base.errors import OutsideError

SCHEMA = 1
# drivers that keep a device for virtual machines: vfio-pci and its variants (nvgrace-gpu-vfio-pci,
# nvidia-vgpu-vfio), the older pci-stub, Xen's pciback; Linux, Documentation/driver-api/vfio.rst and
# the "Kernel driver in use" of NVIDIA/kubevirt-gpu-device-plugin#123
PASSED = re.compile(r".*vfio.*|pci-stub|(xen-)?pciback")


@dataclass(frozen=True)
class Kernel:
    """release as uname prints it; devel: the headers' folder, None when absent."""

    release: str = ""
    machine: str = ""
    devel: str | None = None


@dataclass(frozen=True)
class Cpu:
    """cores: logical CPUs. flags: /proc/cpuinfo's. Memory in bytes; numa_bytes: of each node."""

    model: str = ""
    cores: int = 0
    flags: frozenset[str] = frozenset()
    memory_bytes: int = 0
    memory_available_bytes: int = 0
    numa_bytes: tuple[int, ...] = ()


@dataclass(frozen=True)
class PciDevice:
    """Hex ids without 0x; class_id has six digits. driver: bound to it, '' none, None not told."""

    address: str
    vendor: str
    device: str
    class_id: str
    driver: str | None = None

    @property
    def passed(self) -> bool:
        """Whether a virtual machine may have it, so that no process of this host does."""
        return PASSED.fullmatch(self.driver or "") is not None


@dataclass(frozen=True)
class Device:
    """kind: char, block, file, dir or missing; entries: names in a dir."""

    kind: str
    entries: tuple[str, ...] = ()


@dataclass(frozen=True)
class SmiRun:
    """One run of the smi tool; error is '' when it ran to its end. cut: it printed more."""

    args: tuple[str, ...] = ()
    status: int | None = None
    stdout: str = ""
    stderr: str = ""
    error: str = ""
    cut: bool = False


@dataclass(frozen=True)
class SmiRuns:
    """Which tool ran, and what it printed."""

    name: str = ""
    path: str = ""
    runs: tuple[SmiRun, ...] = ()


@dataclass(frozen=True)
class StoreFacts:
    """The store's file system (bytes) and content: commits by model id, staged bytes by folder."""

    path: str = ""
    exists: bool = False
    total_bytes: int = 0
    free_bytes: int = 0
    published: dict[str, tuple[str, ...]] = field(default_factory=dict)
    staged: dict[str, int] = field(default_factory=dict)
    write_bytes_per_s: float | None = None


@dataclass(frozen=True)
class ProbeDoc:
    """A probe's document, typed. errors: fact name -> why it could not be read. pci: cards that
    processes of this host may have; passed: those kept for virtual machines."""

    profile: str
    kernel: Kernel = Kernel()
    cpu: Cpu = Cpu()
    modules: dict[str, str | None] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    pci: tuple[PciDevice, ...] = ()
    passed: tuple[PciDevice, ...] = ()
    devices: dict[str, Device] = field(default_factory=dict)
    paths: dict[str, bool] = field(default_factory=dict)
    smi: SmiRuns = SmiRuns()
    store: StoreFacts = StoreFacts()
    metrics: str = ""
    allow_plain_devices: bool = False
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ProbeDoc:
        """Read a document; OutsideError says what is wrong with it (schema, shape)."""
        if data.get("schema") != SCHEMA:
            raise OutsideError(
                f"the probe's document has schema {data.get('schema')!r}, expected {SCHEMA}; "
                "use a runner image of the same model-rollout version as the flow"
            )
        try:
            return _read(data)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise OutsideError(
                f"the probe's document cannot be read ({error!r}); expected schema {SCHEMA} as "
                "`rollout job probe` prints it; use a runner image of the same version as the flow"
            ) from error


def last_document(log: str) -> str:
    """The last line of a probe's log that looks like its document; OutsideError when none does."""
    for line in reversed(log.splitlines()):
        if line.startswith("{") and '"schema"' in line:
            return line
    tail = log.strip().splitlines()[-1:] or ["an empty log"]
    raise OutsideError(
        f"the probe printed no document; its log ends with: {tail[0][:300]}; "
        "look at the Job's pod, or run `rollout job probe` on the node"
    )


def _read(data: Mapping[str, Any]) -> ProbeDoc:
    errors: dict[str, str] = {}

    def fact(name: str) -> Any:
        """The fact, or None when it is missing or failed."""
        value = data.get(name)
        if isinstance(value, Mapping) and isinstance(value.get("error"), str):
            errors[name] = value["error"]
            return None
        return value

    kernel = fact("kernel") or {}
    cpu = fact("cpu") or {}
    smi = fact("smi") or {}
    store = fact("store") or {}
    bus = [
        PciDevice(p["address"], p["vendor"], p["device"], p["class"], p.get("driver"))
        for p in fact("pci") or ()
    ]
    return ProbeDoc(
        profile=str(data["profile"]),
        kernel=Kernel(
            str(kernel.get("release", "")), str(kernel.get("machine", "")), kernel.get("devel")
        ),
        cpu=Cpu(
            model=str(cpu.get("model", "")),
            cores=int(cpu.get("cores", 0)),
            flags=frozenset(cpu.get("flags", ())),
            memory_bytes=int(cpu.get("memory_bytes", 0)),
            memory_available_bytes=int(cpu.get("memory_available_bytes", 0)),
            numa_bytes=tuple(int(n) for n in cpu.get("numa_bytes", ())),
        ),
        modules={name: m.get("version") for name, m in (fact("modules") or {}).items()},
        versions={k: str(v) for k, v in (fact("versions") or {}).items() if isinstance(v, str)},
        pci=tuple(device for device in bus if not device.passed),
        passed=tuple(device for device in bus if device.passed),
        devices={
            path: Device(d["kind"], tuple(d.get("entries", ())))
            for path, d in (fact("devices") or {}).items()
        },
        paths={path: bool(there) for path, there in (fact("paths") or {}).items()},
        smi=SmiRuns(
            name=str(smi.get("name", "")),
            path=str(smi.get("path", "")),
            runs=tuple(
                SmiRun(
                    args=tuple(run.get("args", ())),
                    status=run.get("status"),
                    stdout=run.get("stdout", ""),
                    stderr=run.get("stderr", ""),
                    error=run.get("error", ""),
                    cut=bool(run.get("cut", False)),
                )
                for run in smi.get("runs", ())
            ),
        ),
        store=StoreFacts(
            path=str(store.get("path", "")),
            exists=bool(store.get("exists", False)),
            total_bytes=int(store.get("total_bytes", 0)),
            free_bytes=int(store.get("free_bytes", 0)),
            published={k: tuple(v) for k, v in (store.get("published") or {}).items()},
            staged={k: int(v) for k, v in (store.get("staged") or {}).items()},
            write_bytes_per_s=store.get("write_bytes_per_s"),
        ),
        metrics=str(fact("metrics") or ""),
        allow_plain_devices=bool(data.get("allow_plain_devices", False)),
        errors=errors,
    )
