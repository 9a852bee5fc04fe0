"""Nodes at scale: verdict and plan of 1,000 nodes with 20,000 pods, and the fan-out of probes.

`python -m tests.bench.nodes [--quick]` prints two tables that docs/nodes.md quotes. The cluster is
the embedded one, on the same cores as its client, so wall time is of both; the client's own CPU
time and memory stand beside it. What must hold on any machine: the number of API calls does not
grow with the nodes beyond the pages of the two lists, and no more probes run at once than allowed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.local import hub
from deployments.local.kube.cluster import LocalCluster
from deployments.local.kube.settings import Image, NodeDef
from flows.cli.look import probe_all
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.objects import PAGE
from tasks.spec.file import read_spec
from tasks.spec.rollout import Rollout
from tasks.steps.resolve_model import look_around
from tests.cluster.deepseek import SPEC, publish
from tests.support import hostroot

DCU = "hygon.com/dcu"
RUNNER = "model-rollout:0.1.0"
LABELS = {DCU: "true", f"{DCU}.name": "K100_AI", f"{DCU}.cu-count": "120", f"{DCU}.vram": "64G"}
CAPACITY = {"cpu": "128", "memory": "512Gi", DCU: "8"}
PODS_A_NODE = 20
SMI_CALL_S = 0.5

# The client, in a process of its own: imports are not measured.
CLIENT = """
import json, os, pathlib, resource, sys, time
from flows.cli.look import _look
from tasks.steps.plan import make_plan
from tasks.run.run import Run
from tasks.outside.kubernetes.client import Cluster
from tasks.spec.file import read_spec
spec = read_spec(sys.argv[2])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
before = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
with Cluster.connect(sys.argv[1]) as cluster:
    wall, cpu = time.monotonic(), time.process_time()
    found = _look(cluster, spec, Run(spec, cluster), probe=False)
    looked = found.looked
    verdict_wall, verdict_cpu = time.monotonic() - wall, time.process_time() - cpu
    plan = make_plan(cluster, found).plan
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
print(json.dumps({
    "verdict_s": verdict_wall, "wall_s": wall, "verdict_cpu_s": verdict_cpu, "cpu_s": cpu,
    "peak_mib": peak(), "before_mib": before, "judged": len(looked),
    "usable": sum(item.verdict.usable for item in looked), "strategy": plan.strategy,
}))
"""


@dataclass(frozen=True)
class Scale:
    """One size of cluster and what looking at it took."""

    nodes: int
    pods: int
    calls: int
    found: dict[str, Any]

    @property
    def paging(self) -> int:
        """Calls that are pages of the two lists that grow, beyond their first pages."""
        return sum(math.ceil(count / PAGE) - 1 for count in (self.nodes, self.pods))


def pod(node: str, index: int) -> dict[str, Any]:
    """A running pod; two of each node's twenty hold two cards each."""
    requests = {"cpu": "1", "memory": "2Gi", **({DCU: "2"} if index < 2 else {})}
    return {
        "metadata": {"name": f"{node}-{index}", "namespace": "default"},
        "spec": {
            "nodeName": node,
            "containers": [{"name": "c", "image": "x:1", "resources": {"requests": requests}}],
        },
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


@contextmanager
def world(folder: Path, nodes: Sequence[NodeDef]) -> Iterator[LocalCluster]:
    """Cluster and hub; the environment points at them."""
    (folder / "hub").mkdir(parents=True)
    publish(folder / "hub")
    image = Image(str(Path(sys.executable).parent), {"MODEL_ROLLOUT_PLAIN_DEVICES": "1"})
    with (
        LocalCluster(folder / "cluster", nodes, {RUNNER: image}) as cluster,
        hub.LocalHub(folder / "hub") as server,
        Cluster.connect(str(cluster.kubeconfig)) as api,
    ):
        os.environ["MODELSCOPE_ENDPOINT"] = server.url
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "models"}})
        yield cluster


def look_at(folder: Path, count: int) -> Scale:
    """Verdict and plan of `count` nodes without probes."""
    names = [f"node-{i:04d}" for i in range(count)]
    nodes = [NodeDef(n, labels=LABELS, capacity=CAPACITY, kubelet=False) for n in names]
    with world(folder, nodes) as cluster:
        for name in names:
            for index in range(PODS_A_NODE):
                cluster.store.create("pods", pod(name, index))
        before = len(cluster.audit)
        # four of eight cards are free on each node: ask for four
        spec = folder / "spec.yaml"
        spec.write_text(SPEC.read_text().replace("parallel_size: 8", "parallel_size: 4"))
        done = subprocess.run(
            [sys.executable, "-c", CLIENT, str(cluster.kubeconfig), str(spec)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        found = json.loads(done.stdout.splitlines()[-1])
        return Scale(count, count * PODS_A_NODE, len(cluster.audit) - before, found)


@dataclass(frozen=True)
class FanOut:
    """Probing all nodes with so many at once: seconds, and the most Jobs that lived at once."""

    width: int
    seconds: float
    most: int
    usable: int


def slow_tool(root: Path) -> None:
    """Make the smi script take its time, as a tool that asks eight cards does."""
    script = root / "usr/local/hyhal/bin/hy-smi"
    text = script.read_text()
    script.write_text(text.replace("#!/bin/sh\n", f"#!/bin/sh\nsleep {SMI_CALL_S}\n", 1))


def fan_out(folder: Path, count: int, widths: Sequence[int]) -> list[FanOut]:
    """Real probe Jobs on `count` nodes for each width."""
    nodes = []
    for index in range(count):
        root = hostroot.build(folder / f"root-{index}")
        slow_tool(root)
        nodes.append(NodeDef(f"dcu-{index}", labels=LABELS, capacity=CAPACITY, host_root=root))
    out = []
    with world(folder, nodes) as cluster, Cluster.connect(str(cluster.kubeconfig)) as api:
        alive: set[str] = set()
        most = [0]

        def hear(event: tuple[int, str, str, Any]) -> None:
            _, plural, what, obj = event
            if plural == "jobs":
                (alive.discard if what == "DELETED" else alive.add)(obj["metadata"]["uid"])
                most[0] = max(most[0], len(alive))

        cluster.store.listen(hear)
        for width in widths:
            found = look_around(api, probing(width))
            most[0], started = 0, time.monotonic()
            looked = probe_all(api, found, f"width-{width}")
            seconds = time.monotonic() - started
            usable = sum(item.verdict.usable for item in looked)
            out.append(FanOut(width, seconds, most[0], usable))
    return out


def probing(width: int) -> Rollout:
    """The example; this machine's disk need not hold the weights."""
    data = read_spec(SPEC).model_dump(mode="json", exclude_unset=True)
    data["nodes"]["probe_parallelism"] = width
    return Rollout.model_validate(data)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables; 1 when calls grow with the nodes or the bound on probes does not hold."""
    parser = argparse.ArgumentParser(description="nodes at scale")
    parser.add_argument("--quick", action="store_true", help="fewer nodes")
    quick = parser.parse_args(argv).quick
    sizes, width_nodes, widths = ((10, 100), 4, (1, 4)) if quick else ((100, 1000), 8, (1, 2, 4, 8))
    with tempfile.TemporaryDirectory(prefix="nodes-") as name:
        folder = Path(name)
        os.environ["MODEL_ROLLOUT_HOME"] = str(folder / "records")
        scales = [look_at(folder / str(size), size) for size in sizes]
        fans = fan_out(folder / "fan", width_nodes, widths)
    print(
        f"{'nodes':>6}{'pods':>8}{'calls':>7}{'paging':>8}{'verdict s':>11}{'+ plan s':>10}"
        f"{'client CPU s':>14}{'client MiB':>12}{'of it data':>12}  plan"
    )
    for item in scales:
        got = item.found
        print(
            f"{item.nodes:>6}{item.pods:>8}{item.calls:>7}{item.paging:>8}"
            f"{got['verdict_s']:>11.2f}{got['wall_s']:>10.2f}{got['cpu_s']:>14.2f}"
            f"{got['peak_mib']:>12.0f}{got['peak_mib'] - got['before_mib']:>12.0f}"
            f"  {got['strategy']}, {got['usable']} of {got['judged']} usable"
        )
    fixed = {item.calls - item.paging for item in scales}
    print(f"calls besides paging: {sorted(fixed)}")
    print(f"\n{'probes at once':>14}{'seconds':>9}{'ratio':>7}{'most seen':>11}")
    for fan in fans:
        ratio = fans[0].seconds / fan.seconds
        print(f"{fan.width:>14}{fan.seconds:>9.1f}{ratio:>7.2f}{fan.most:>11}")
    bounded = all(fan.most <= fan.width for fan in fans)
    print(f"{width_nodes} nodes, hy-smi made to take {SMI_CALL_S} s a call, {os.cpu_count()} cores")
    return 0 if len(fixed) == 1 and bounded else 1


if __name__ == "__main__":
    raise SystemExit(main())
