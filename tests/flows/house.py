"""A small world for flow tests: cluster, hub, Prefect, and an exact engine in place of vLLM."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from deployments.local import hub, stack
from deployments.local.kube.cluster import LocalCluster
from deployments.local.kube.serve import make
from deployments.local.kube.settings import Image, NodeDef
from deployments.local.model import tiny_model
from tasks.release.state import State, configmap_name, from_configmap
from tests.support.cluster.hand import Hand
from tests.support.places import ROOT
from tests.support.streams import NO_TLS, Broken, Kept, Seen

MODEL = "test/tiny"
IMAGE = "exact-engine:1"
RUNNER = "model-rollout:0.1.0"
NAMESPACE = "models"
# Known truth: TTFT 250 ms, 10 ms a token; slow enough that a busy test machine hardly bends it.
LAWS: dict[str, Any] = {"ttft": {"mean": 0.25}, "itl": {"mean": 0.01}}


def spec_data(**changes: Any) -> dict[str, Any]:
    """A spec with lenient targets for the exact engine; `a__b=1` changes one field."""
    data: dict[str, Any] = {
        "name": "tiny",
        "namespace": NAMESPACE,
        "model": {"id": MODEL},
        "nodes": {"accelerator": "cpu"},
        "store": {"keep_free_gib": 0.01, "eviction_percent": 0},
        "serving": {
            "image": IMAGE,
            "command": ["python3", "-m", "tests.exact_engine"],
            "served_model_name": "tiny",
            "max_model_len": 2048,
            "resources": {"cpu": "100m", "memory": "4Gi", "shm_gib": 0},
            "startup_timeout_s": 120,
            # many pods end in these tests: each pauses for a third of it
            "pod": {"terminationGracePeriodSeconds": 6},
        },
        "smoke": [{"prompt": "Say something.", "max_tokens": 8}],
        "benchmark": {
            "workload": {
                "profile": "custom",
                "input_tokens": {"mean": 20},
                "output_tokens": {"mean": 8},
            },
            "loads": [{"name": "c4", "concurrency": 4}],
            "requests_per_round": 32,
            "warmup_requests": 4,
            # more than decide it: those that a busy machine spoils do not count
            "max_rounds": 30,
        },
        "targets": {"ttft_mean_ms": 2000, "output_throughput_tok_s": 1, "success_rate_percent": 90},
        # the drain outlasts a short stream, also on a busy machine
        "promotion": {"soak": {"duration_s": 1}, "drain_s": 3},
    }
    for path, value in changes.items():
        node = data
        *heads, last = path.split("__")
        for head in heads:
            node = node.setdefault(head, {})
        node[last] = value
    return data


@dataclass
class Asked:
    """What a client of the stable Service saw."""

    answered: int = 0
    failed: list[str] = field(default_factory=list)


@dataclass
class House:
    """Everything a flow test needs; `folder` is its own.

    kubeconfig: of what is tested, the account with the roles we ship. What a test does itself, it
    does as the cluster's administrator.
    """

    folder: Path
    cluster: LocalCluster
    kubeconfig: Path
    hub: hub.LocalHub
    hub_folder: Path
    prefect_api: str
    code: Path
    # what blocks whoever comes after one that was killed; a busy machine misses a short one
    lease_s: int = 60

    @property
    def environment(self) -> dict[str, str]:
        """For a `rollout` command of its own process."""
        return {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "MODELSCOPE_ENDPOINT": self.hub.url,
            "PREFECT_API_URL": self.prefect_api,
            "PREFECT_HOME": str(self.folder / "prefect"),
            "MODEL_ROLLOUT_HOME": str(self.folder / "home"),
            "MODEL_ROLLOUT_LEASE_SECONDS": str(self.lease_s),
            "PYTHONPATH": str(self.code),
        }

    def publish(self, seed: int, laws: dict[str, Any] | None = None) -> str:
        """A new commit of the model; its engine follows `laws`."""
        source = tiny_model(self.folder / f"model-{seed}", size_bytes=1 << 20, shards=2, seed=seed)
        (source / "exact_engine.json").write_text(json.dumps({**LAWS, **(laws or {})}))
        return hub.publish(self.hub_folder, MODEL, "master", source, f"version {seed}")

    def spec(self, **changes: Any) -> Path:
        """A spec file."""
        path = self.folder / f"spec-{len(list(self.folder.glob('spec-*')))}.yaml"
        path.write_text(yaml.safe_dump(spec_data(**changes)))
        return path

    def start(self, *arguments: str, lease_s: int | None = None) -> subprocess.Popen[str]:
        """A `rollout` command; its output comes line by line. lease_s: of one that is killed."""
        env = self.environment
        if lease_s is not None:
            env["MODEL_ROLLOUT_LEASE_SECONDS"] = str(lease_s)
        return subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=env,
            cwd=self.folder,
        )

    def rollout(self, *arguments: str, expect: int) -> str:
        """Run a `rollout` command to its end; gives what it printed."""
        with self.start(*arguments) as process:
            assert process.stdout is not None
            said = process.stdout.read()
        assert process.returncode == expect, said
        return said

    def state(self, name: str = "tiny") -> State:
        """The rollout's state in the cluster."""
        with Hand.connect(str(self.cluster.kubeconfig)) as api:
            return from_configmap(name, api.get("ConfigMap", configmap_name(name), NAMESPACE))

    def objects(self, kind: str) -> list[str]:
        """Names of all objects of a kind in the namespace."""
        with Hand.connect(str(self.cluster.kubeconfig)) as api:
            return [item["metadata"]["name"] for item in api.list(kind, NAMESPACE)]

    def address(self, name: str = "tiny") -> str:
        """The stable Service's address."""
        with Hand.connect(str(self.cluster.kubeconfig)) as api:
            service = api.get("Service", name, NAMESPACE)
        assert service is not None
        return f"http://{service['spec']['clusterIP']}:{service['spec']['ports'][0]['port']}"

    @contextmanager
    def asking(self) -> Iterator[Asked]:
        """Three clients ask the stable Service all the while, and note what failed: one connects
        anew each time, one keeps its connection, one streams."""
        seen, stop, address = Asked(), threading.Event(), self.address()

        def one() -> None:
            models = f"{address}/v1/models"
            httpx.get(models, timeout=30, trust_env=False, verify=NO_TLS).raise_for_status()

        kept = Kept(Seen())

        def again() -> None:
            kept.post(f"{address}/tokenize", {"model": "tiny", "prompt": "Say something."})

        def streamed() -> None:
            body = {
                "model": "tiny",
                "messages": [{"role": "user", "content": "Say something."}],
                "max_tokens": 8,
                "stream": True,
            }
            url = f"{address}/v1/chat/completions"
            with httpx.stream(
                "POST", url, json=body, timeout=30, trust_env=False, verify=NO_TLS
            ) as answer:
                answer.raise_for_status()
                if "data: [DONE]" not in list(answer.iter_lines()):
                    raise httpx.ReadError("the stream ended before its end")

        def ask(client: Callable[[], None]) -> None:
            while not stop.is_set():
                try:
                    client()
                    seen.answered += 1
                except (httpx.HTTPError, Broken, OSError) as error:
                    seen.failed.append(f"{client.__name__}: {error!r}")
                stop.wait(0.1)

        clients = (one, again, streamed)
        threads = [threading.Thread(target=ask, args=(c,), daemon=True) for c in clients]
        for thread in threads:
            thread.start()
        try:
            yield seen
        finally:
            stop.set()
            for thread in threads:
                thread.join(35)
            kept.close()


def account(cluster: LocalCluster) -> Path:
    """A kubeconfig of the account that a cluster's administrator makes of deployments/cluster."""
    make(cluster, ROOT / "deployments/cluster/base/rbac.yaml")
    return cluster.kubeconfig_of(NAMESPACE, "model-rollout")


@contextmanager
def house(
    folder: Path,
    prefect_api: str,
    *,
    node: NodeDef | None = None,
    code: Path = ROOT,
    beside: Sequence[NodeDef] = (),
    hub_token: str | None = None,
) -> Iterator[House]:
    """Start cluster and hub below `folder`.

    node: another one than a plain CPU node. code: a copy of the product to be run in its place.
    beside: more nodes. hub_token: what the hub demands.
    """
    here = str(Path(sys.executable).parent)
    images = {
        IMAGE: Image(here, {"PYTHONPATH": str(ROOT)}),
        RUNNER: Image(here, {"PYTHONPATH": str(code)}),
    }
    if node is None:
        root = stack.make_host_root(folder / "node")
        node = NodeDef("node-a", capacity={"cpu": "4", "memory": "64Gi"}, host_root=root)
    hub_folder = folder / "hub"
    hub_folder.mkdir()
    with (
        LocalCluster(folder / "cluster", nodes=[node, *beside], images=images) as cluster,
        hub.LocalHub(hub_folder, token=hub_token) as server,
    ):
        with Hand.connect(str(cluster.kubeconfig)) as api:
            api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        yield House(folder, cluster, account(cluster), server, hub_folder, prefect_api, code)


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """Read its output up to a line that has these words."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if words in line:
            return "".join(said)
    raise AssertionError(f"'{words}' never came:\n{''.join(said)}")


def record_of(home: House, name: str = "tiny") -> dict[str, Any]:
    """The newest record of a rollout."""
    found = sorted((home.folder / "home" / "rollouts" / name).glob("*/record.json"))
    data: dict[str, Any] = json.loads(found[-1].read_text())
    return data


def record_named(said: str) -> dict[str, Any]:
    """The record that a run named at its end."""
    path = next(line for line in said.splitlines() if line.startswith("record: "))
    data: dict[str, Any] = json.loads(Path(path.removeprefix("record: ")).read_text())
    return data
