"""The embedded default: a hub, a cluster and a Prefect server on this machine.

A stand-in for trying model-rollout and for its tests; not a Kubernetes.
"""

from __future__ import annotations

import json
import os
import random
import socket
import sys
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from deployments.local import daemons, hub
from deployments.local.errors import StandInError
from deployments.local.model import ensure_model

ROOT = Path(__file__).resolve().parents[2]
PORTS = range(10_000, 30_000)  # below a cluster's node ports
MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
BRANCH = "master"
NODE = "laptop"
CLUSTER = ROOT / "deployments" / "cluster" / "base"
SHIPPED = tuple(CLUSTER / f"{name}.yaml" for name in ("namespace", "rbac"))
ACCOUNT = ("models", "model-rollout")
ENGINE_IMAGE = "vllm-cpu:0.32.0"
RUNNER_IMAGE = "model-rollout:0.1.0"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Stack:
    """Where everything is while it runs. kubeconfig: of the cluster's administrator; account: of
    the account that deployments/cluster makes, as which rollouts run. prefect_url: '' where Prefect
    is somebody else's."""

    kubeconfig: str
    account: str
    cluster_url: str
    hub_url: str
    prefect_url: str
    prefect_home: str
    records: str

    def environment(self) -> dict[str, str]:
        """What a process needs to use it."""
        out = {
            "KUBECONFIG": self.account,
            "MODELSCOPE_ENDPOINT": self.hub_url,
            "MODEL_ROLLOUT_HOME": self.records,
        }
        if self.prefect_url:
            out |= {
                "PREFECT_API_URL": f"{self.prefect_url}/api",
                "PREFECT_HOME": self.prefect_home,
            }
        return out


def engine_python(root: Path = ROOT) -> Path:
    """The engine environment's Python; StandInError when `make setup` has not built it."""
    path = root / ".engine" / "bin" / "python"
    if not path.exists():
        raise StandInError(f"{path} is missing: run `make setup`, which builds the engine")
    return path


def free_port() -> int:
    """A port nobody listens on right now, nor will by chance: none of those that the kernel gives
    to whoever asks for any, since a server takes seconds to listen."""
    ports = list(PORTS)
    random.Random(os.urandom(8)).shuffle(ports)
    for port in ports:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise StandInError(f"no port of {PORTS.start} to {PORTS.stop - 1} is free here")


def publish_model(folder: Path, model: Path, note: str) -> str:
    """Publish the model's files as a new commit of its branch; gives the commit."""
    files: dict[str, Path | bytes] = {
        str(path.relative_to(model)): path for path in sorted(model.rglob("*")) if path.is_file()
    }
    files["README.md"] = f"# SmolLM2-135M-Instruct\n\n{note}\n".encode()
    return hub.publish(folder, MODEL, BRANCH, files, note)


def cluster_config(data: Path, *, images: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The embedded cluster's configuration: one node with this machine's cores and memory, and the
    account that we ship."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1 << 20)
    return {
        "nodes": [
            {
                "name": NODE,
                "labels": {"kubernetes.io/hostname": NODE},
                "capacity": {"cpu": str(max(2, os.cpu_count() or 2)), "memory": f"{memory}Mi"},
                "host_root": str(make_host_root(data / "nodes" / NODE)),
            }
        ],
        "manifests": [str(path) for path in SHIPPED],
        "account": ACCOUNT,
        "images": images
        or {
            ENGINE_IMAGE: {"path_prepend": str(engine_python().parent), "env": machine_env()},
            RUNNER_IMAGE: {"path_prepend": str(Path(sys.executable).parent)},
        },
    }


def machine_env() -> dict[str, str]:
    """What numerical libraries are told about this machine: an image built for it would say so."""
    return {k: v for k, v in os.environ.items() if k.startswith(("OMP_", "OPENBLAS_"))}


def make_host_root(root: Path) -> Path:
    """A folder that stands for a node's file system: the hardware is this machine's own, what a
    rollout writes stays below the folder."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("proc", "sys", "dev"):
        link = root / name
        if not link.is_symlink():
            link.symlink_to(f"/{name}")
    return root


def _clean_environment() -> dict[str, str]:
    """Ours, without what would point a daemon at another cluster, hub or server."""
    drop = ("KUBECONFIG", "MODELSCOPE_", "PREFECT_")
    return {key: value for key, value in os.environ.items() if not key.startswith(drop)}


def running(local: Path, *, prefect: bool = True) -> Stack | None:
    """The stack that was left running under `local`, if all of it still does."""
    known, facts = daemons.read(local / "stack.json")
    if len(known) < 2 + prefect or not all(daemons.alive(item) for item in known):
        return None
    # one that another version left lacks what this one needs
    return Stack(**facts) if {item.name for item in fields(Stack)} <= {*facts} else None


def up(local: Path, say: Say, *, model: Path | None = None, prefect: bool = True) -> Stack:
    """Start everything, or find it running. prefect: a server, too. Raises StandInError."""
    found, more = running(local, prefect=prefect), " and Prefect server" if prefect else ""
    if found is not None:
        say(f"the embedded hub, cluster{more} are running already")
        return found
    down(local)
    local.mkdir(parents=True, exist_ok=True)
    weights = model or ensure_model(engine_python(), local / "models", say)
    folder = local / "hub"
    if hub.head(folder, MODEL, BRANCH) is None:
        publish_model(folder, weights, "first version")
    env, started = _clean_environment(), []
    try:
        say(f"starting the embedded hub, cluster{more} (stand-ins on this machine)")
        ready = local / "hub.ready"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "deployments.local.hub", "--root", str(folder)]
        started.append(
            daemons.launch(
                "hub",
                [*command, "--ready", str(ready)],
                log=local / "logs" / "hub.log",
                env=env,
                ready=ready.exists,
            )
        )
        hub_url = str(json.loads(ready.read_text())["url"])
        cluster = start_cluster(local, env, started)
        for note in cluster["notes"]:
            say(f"note: {note}")
        prefect_url = start_prefect(local, env, started) if prefect else ""
    except BaseException:
        for item in started:
            daemons.stop(item)
        raise
    stack = Stack(
        kubeconfig=str(cluster["kubeconfig"]),
        account=str(cluster["account"]),
        cluster_url=str(cluster["url"]),
        hub_url=hub_url,
        prefect_url=prefect_url,
        prefect_home=str(local / "prefect"),
        records=str(local),
    )
    daemons.save(local / "stack.json", started, vars(stack))
    return stack


def start_cluster(
    local: Path, env: Mapping[str, str], started: list[daemons.Daemon]
) -> dict[str, Any]:
    """Start the embedded cluster, with its data below `local`; gives what it says of itself."""
    data = local / "cluster"
    data.mkdir(parents=True, exist_ok=True)
    config, ready = data / "config.json", data / "ready.json"
    config.write_text(json.dumps(cluster_config(data), indent=1))
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "deployments.local.kube.serve"]
    started.append(
        daemons.launch(
            "cluster",
            [*command, "--data", str(data), "--config", str(config)],
            log=local / "logs" / "cluster.log",
            env=env,
            ready=ready.exists,
        )
    )
    answer: dict[str, Any] = json.loads(ready.read_text())
    return answer


def start_prefect(local: Path, env: Mapping[str, str], started: list[daemons.Daemon]) -> str:
    """Start a Prefect server that keeps its data below `local`; gives its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    # one server process: its triggers, schedules and UI are all in it
    prefect_env = {
        **env,
        "PREFECT_HOME": str(local / "prefect"),
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    command = [str(Path(sys.executable).with_name("prefect")), "server", "start"]

    def healthy() -> bool:
        try:
            with urllib.request.urlopen(f"{url}/api/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    started.append(
        daemons.launch(
            "Prefect server",
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            log=local / "logs" / "prefect.log",
            env=prefect_env,
            ready=healthy,
        )
    )
    return url


def down(local: Path) -> list[str]:
    """End what runs; gives the names of what was ended. What it holds on disk stays."""
    known, _ = daemons.read(local / "stack.json")
    ended = []
    for item in reversed(known):
        if daemons.alive(item):
            daemons.stop(item)
            ended.append(item.name)
    (local / "stack.json").unlink(missing_ok=True)
    return ended
