"""Look at the host of one node and print what is there. The entry of the probe Job.

    rollout job probe --profile NAME --root /host --store PATH [--write-rate] [--metrics URL]

Reads only below --root, where the Job mounts parts of the host, and the exporter at --metrics;
writes nothing, except that --write-rate writes and removes one file in the store. A file or
device that is missing, or a tool that fails, is a fact in the document, never a crash: the last
line of stdout is always one JSON document (see tasks.nodes.document). Standard library only, so
that it starts fast.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from tasks.accelerators.profiles import PROFILES, Profile, profile
from tasks.accelerators.types import Smi
from tasks.base import clock
from tasks.nodes.document import SCHEMA

OUTPUT_LIMIT = 131_072  # bytes kept of each stream of the smi tool
SMI_TIMEOUT_S = 20.0
METRICS_TIMEOUT_S = 5.0
METRICS_LIMIT = 8 * 1024 * 1024  # bytes read; a node's exporter prints far less
WRITE_BYTES = 256 * 1024 * 1024
BLOCK = 4 * 1024 * 1024
PLAIN_DEVICES_ENV = "MODEL_ROLLOUT_PLAIN_DEVICES"
MAX_LINKS = 40


class Host:
    """The host's files below a root folder; links are followed as the host would follow them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, host_path: str) -> Path:
        """Where a host path lies here. An absolute link starts again at the root, because the
        host's /opt/hyhal may point to /usr/local/hyhal; one that leads nowhere there is followed
        as it stands."""
        parts = list(reversed(PurePosixPath(host_path).parts[1:]))
        at, links = self.root, 0
        while parts:
            part = parts.pop()
            if part == "..":
                at = at if at == self.root else at.parent
                continue
            step = at / part
            if not step.is_symlink() or links >= MAX_LINKS:
                at = step
                continue
            links += 1
            target = PurePosixPath(step.readlink())
            if not target.is_absolute():
                parts.extend(reversed(target.parts))
            elif os.path.lexists(self.root.joinpath(*target.parts[1:])):
                at = self.root
                parts.extend(reversed(target.parts[1:]))
            else:
                at = step
        return at

    def text(self, host_path: str) -> str:
        """A small file's text."""
        return self.path(host_path).read_text(errors="replace")

    def kernel_text(self, host_path: str) -> str:
        """A /proc file about the machine; where none is mounted, our own says the same."""
        try:
            return self.text(host_path)
        except FileNotFoundError:
            return Path(host_path).read_text(errors="replace")


def kernel(host: Host) -> dict[str, Any]:
    """Running kernel and its headers' folder."""
    release = host.kernel_text("/proc/sys/kernel/osrelease").strip()
    build = f"/lib/modules/{release}/build"
    found = host.path(build).exists()
    return {
        "release": release,
        "machine": os.uname().machine,
        "devel": build if found else None,
    }


def cpu(host: Host) -> dict[str, Any]:
    """Cores, instruction sets, memory in bytes."""
    if not host.path("/proc/meminfo").exists():
        host = Host(Path("/"))  # not mounted: the container's own /proc and /sys say the same
    model, flags, cores = "", "", 0
    for line in host.text("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        key = key.strip()
        cores += key == "processor"
        model = model or (value.strip() if key == "model name" else "")
        flags = flags or (value if key in ("flags", "Features") else "")
    memory = {}
    for line in host.text("/proc/meminfo").splitlines():
        key, _, value = line.partition(":")
        memory[key] = int(value.split()[0]) * 1024 if value.split() else 0
    nodes = host.path("/sys/devices/system/node")
    numa = []
    for place in sorted(nodes.glob("node[0-9]*/meminfo")):
        match = re.search(r"MemTotal:\s+(\d+) kB", place.read_text())
        numa += [int(match[1]) * 1024] if match else []
    return {
        "model": model,
        "numa_bytes": numa,
        "cores": cores,
        "flags": sorted(flags.split()),
        "memory_bytes": memory["MemTotal"],
        "memory_available_bytes": memory.get("MemAvailable", memory.get("MemFree", 0)),
    }


def modules(host: Host, prof: Profile) -> dict[str, Any]:
    """The profile's kernel modules that are loaded, with the version sysfs tells, or null."""
    loaded = {line.split(" ", 1)[0] for line in host.kernel_text("/proc/modules").splitlines()}
    out: dict[str, Any] = {}
    for name in prof.modules:
        # a driver built into the kernel has a folder in /sys and no line in /proc/modules; the
        # kernel's own amdgpu tells no version there
        places = (f"/sys/module/{name}", f"/sys/bus/pci/drivers/{name}")
        if name not in loaded and not any(host.path(place).is_dir() for place in places):
            continue
        try:
            version: str | None = host.text(f"/sys/module/{name}/version").strip() or None
        except OSError:
            version = None
        out[name] = {"version": version}
    return out


def versions(host: Host, prof: Profile) -> dict[str, Any]:
    """What the profile's version files say."""
    out: dict[str, Any] = {}
    for path, rule in prof.version_files:
        try:
            match = re.search(rule, host.text(path))
            out[path] = match[1] if match else {"error": f"no version matching {rule}"}
        except OSError as error:
            out[path] = {"error": str(error)}
    return out


def pci(host: Host, prof: Profile) -> list[dict[str, str]]:
    """The vendor's accelerators on the PCI bus, by vendor id and class prefix."""
    out = []
    folder = host.path("/sys/bus/pci/devices")
    for name in sorted(entry.name for entry in folder.iterdir()):

        def read(what: str, name: str = name) -> str:
            return host.text(f"/sys/bus/pci/devices/{name}/{what}").strip().removeprefix("0x")

        try:
            row = {"address": name, **{key: read(key) for key in ("vendor", "device", "class")}}
        except OSError:
            continue
        ours = row["vendor"] in (prof.pci_vendor, *prof.pci_also)
        if ours and row["class"].startswith(prof.pci_classes):
            bound = folder / name / "driver"  # a link whose name is the driver's
            out.append({**row, "driver": bound.readlink().name if bound.is_symlink() else ""})
    return out


def device(host: Host, path: str, entries: str) -> dict[str, Any]:
    """What lies at a device path."""
    where = host.path(path)
    try:
        mode = where.stat().st_mode
    except OSError:
        return {"kind": "missing"}
    if stat.S_ISDIR(mode):
        names = sorted(entry.name for entry in where.iterdir())
        return {"kind": "dir", "entries": [n for n in names if re.fullmatch(entries, n)]}
    kind = "char" if stat.S_ISCHR(mode) else "block" if stat.S_ISBLK(mode) else "file"
    return {"kind": kind}


def _streams(out: bytes, err: bytes) -> dict[str, Any]:
    """Both streams, and whether more was printed than is kept."""
    kept = {"stdout": out[:OUTPUT_LIMIT], "stderr": err[:OUTPUT_LIMIT]}
    told: dict[str, Any] = {name: raw.decode(errors="replace") for name, raw in kept.items()}
    return {**told, "cut": True} if max(len(out), len(err)) > OUTPUT_LIMIT else told


def run_tool(command: Sequence[str], env: dict[str, str], timeout_s: float) -> dict[str, Any]:
    """Run a tool; on time-out its whole process group ends, since a child may hold the pipe."""
    try:
        process = subprocess.Popen(
            list(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env=env,
            start_new_session=True,
        )
    except OSError as error:
        return {"error": f"{error}"}
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        return {"error": f"no end after {timeout_s:g} s", **_streams(out, err)}
    return {"status": process.returncode, **_streams(out, err)}


def find_tool(host: Host, tool: Smi) -> str | None:
    """The tool's path: below the root, or in this container where a runtime hook may bring it."""
    for candidate in tool.candidates:
        path = host.path(candidate)
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
    return shutil.which(tool.name) if tool.in_container else None


def smi(host: Host, prof: Profile, timeout_s: float) -> dict[str, Any]:
    """What the vendor's tool prints, unparsed: the judge knows every format. One of which every run
    failed gives way to the next that is there."""
    failed: dict[str, Any] = {}
    for tool in prof.smi:
        path = find_tool(host, tool)
        if path is None:
            continue
        libraries = [str(p) for lib in tool.libraries if (p := host.path(lib)).is_dir()]
        env = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "TMPDIR")}
        if libraries:
            env["LD_LIBRARY_PATH"] = ":".join(libraries)
        runs = [
            {"args": list(args), **run_tool([path, *args], env, timeout_s)} for args in tool.runs
        ]
        found = {"name": tool.name, "path": path, "runs": runs}
        if any(run.get("status") == 0 for run in runs):
            return found
        failed = failed or found
    if failed:
        return failed
    looked = ", ".join(candidate for tool in prof.smi for candidate in tool.candidates)
    return {"error": f"no smi tool at {looked}"}


def _staged_bytes(folder: Path) -> int:
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            info = (Path(base) / name).lstat()
            total += min(info.st_size, info.st_blocks * 512)  # not yet written: preallocated
    return total


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not p.is_symlink())
    except FileNotFoundError:
        return []


def write_rate(folder: Path) -> float:
    """Bytes per second of a durable sequential write of 256 MiB; the file is removed."""
    target = folder / f".probe-{os.getpid()}"
    block = os.urandom(BLOCK)
    started = clock.monotonic()
    try:
        with target.open("wb") as out:
            for _ in range(WRITE_BYTES // BLOCK):
                out.write(block)
            out.flush()
            os.fsync(out.fileno())
        return WRITE_BYTES / max(clock.monotonic() - started, 1e-9)
    finally:
        target.unlink(missing_ok=True)


def store(host: Host, path: str, measure: bool) -> dict[str, Any]:
    """Space of the store's file system and what the store holds already."""
    folder = host.path(path)
    nearest = folder
    while not nearest.exists() and nearest not in (host.root, nearest.parent):
        nearest = nearest.parent
    space = os.statvfs(nearest)
    published = {
        f"{owner.name}/{model.name}": [commit.name for commit in _children(model)]
        for owner in _children(folder)
        if not owner.name.startswith(".")
        for model in _children(owner)
    }
    rate: Any = None
    if measure:
        try:
            rate = write_rate(folder)
        except OSError as error:
            rate = None
            print(f"write rate not measured: {error}", file=sys.stderr)
    return {
        "path": path,
        "exists": folder.exists(),
        "total_bytes": space.f_blocks * space.f_frsize,
        "free_bytes": space.f_bavail * space.f_frsize,
        "published": {model: commits for model, commits in published.items() if commits},
        "staged": {part.name: _staged_bytes(part) for part in _children(folder / ".staging")},
        "write_bytes_per_s": rate,
    }


def metrics(prof: Profile, url: str) -> str:
    """The exporter's lines that the profile judges; the rest would only fill the log."""
    exporter = prof.exporter
    if exporter is None:
        return ""
    if not url.startswith("http://"):
        raise ValueError(f"'{url}' is no http:// address")
    with urllib.request.urlopen(url, timeout=METRICS_TIMEOUT_S) as answer:  # noqa: S310
        text = answer.read(METRICS_LIMIT).decode(errors="replace")
    names = [n for n in (exporter.temperature, exporter.uncorrectable, exporter.health) if n]
    wanted = re.compile(rf"(?:{'|'.join(names)})[ {{]")
    return "\n".join(line for line in text.splitlines() if wanted.match(line))


def _fact(read: Callable[[], Any]) -> Any:
    """A fact, or why it could not be read."""
    try:
        return read()
    except (OSError, ValueError, KeyError, IndexError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


def look(
    prof: Profile,
    host: Host,
    store_path: str,
    *,
    measure: bool = False,
    metrics_url: str = "",
    plain_devices: bool = False,
    smi_timeout_s: float = SMI_TIMEOUT_S,
) -> dict[str, Any]:
    """The whole document."""
    # what the serving pod mounts must be there, or its containers are never created
    folders = [m.path for m in prof.mounts if m.type in ("", "Directory")]
    paths = [*prof.sys_paths, *folders]
    return {
        "schema": SCHEMA,
        "profile": prof.name,
        "allow_plain_devices": plain_devices,
        "kernel": _fact(lambda: kernel(host)),
        "cpu": _fact(lambda: cpu(host)),
        "modules": _fact(lambda: modules(host, prof)),
        "versions": _fact(lambda: versions(host, prof)),
        "pci": _fact(lambda: pci(host, prof)) if prof.pci_vendor else [],
        "devices": _fact(lambda: {p: device(host, p, of) for p, of in prof.device_paths}),
        "paths": _fact(lambda: {path: host.path(path).exists() for path in paths}),
        "smi": _fact(lambda: smi(host, prof, smi_timeout_s)) if prof.smi else {},
        "store": _fact(lambda: store(host, store_path, measure)),
        "metrics": _fact(lambda: metrics(prof, metrics_url)) if metrics_url else "",
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Print the document; the exit status is 0 unless the arguments are wrong."""
    parser = argparse.ArgumentParser(
        prog="rollout job probe", description="look at one node's host"
    )
    parser.add_argument("--profile", required=True, choices=sorted(PROFILES))
    parser.add_argument(
        "--root", type=Path, default=Path("/host"), help="where the host is mounted"
    )
    parser.add_argument("--store", required=True, help="the store's path on the host")
    parser.add_argument("--write-rate", action="store_true", help="also measure the disk")
    parser.add_argument("--metrics", default="", help="the vendor's exporter: http://...")
    parser.add_argument(
        "--allow-plain-devices",
        action="store_true",
        default=os.environ.get(PLAIN_DEVICES_ENV) == "1",
        help="accept plain files as devices: for stand-in clusters only",
    )
    args = parser.parse_args(argv)
    document = look(
        profile(args.profile),
        Host(args.root),
        args.store,
        measure=args.write_rate,
        metrics_url=args.metrics,
        plain_devices=args.allow_plain_devices,
    )
    print(json.dumps(document, separators=(",", ":")), flush=True)
    return 0
