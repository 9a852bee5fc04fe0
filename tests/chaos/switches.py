"""Many switches and ways back under load: nothing is lost, nothing is cut.

`python -m tests.chaos.switches --switches 20 --rollbacks 5 --seed N` moves a Service from release
to release with the product's own moves and as the account we ship, on the stand-in or, with
--kubeconfig, on a real cluster whose nodes have the image and see --store. Exit 1 where one request
was lost or cut.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deployments.local import stack
from deployments.local.kube.cluster import LocalCluster
from deployments.local.kube.settings import Image, NodeDef
from tasks.outside.kubernetes.access import rollout_pods
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.waits import until_ready
from tasks.release.moves import decide_promotion, decide_revert, decide_start
from tasks.release.soaking import Look
from tasks.release.state import Release
from tasks.render.release import PodNeeds, deployment, release_of
from tasks.render.services import service
from tasks.run.locked import Locked, locked
from tasks.spec.file import build_spec
from tasks.spec.rollout import Rollout
from tests.flows.house import IMAGE, NAMESPACE, account, spec_data
from tests.support.cluster.hand import Hand
from tests.support.places import ROOT
from tests.support.streams import Seen, clients

LAWS = {"ttft": {"mean": 0.25}, "itl": {"mean": 0.05}}
DRAIN_S, TOKENS = 25, (40, 200)


@dataclass(frozen=True)
class Ground:
    """Where it happens. kubeconfig: of its administrator; account: of what moves the Service.
    store: the folder that is the spec's store on the node."""

    kubeconfig: str
    account: str
    namespace: str
    image: str
    path: str
    store: Path
    node: str


@dataclass
class Sum:
    """All that was asked over the whole run."""

    requests: int = 0
    reopened: int = 0
    longest_s: float = 0.0
    broken: list[str] = field(default_factory=list)

    def add(self, what: str, took_s: float, seen: Seen) -> None:
        """Count one switch, and say it."""
        self.requests += seen.requests
        self.reopened += seen.reopened
        self.longest_s = max(self.longest_s, seen.longest_s)
        self.broken += [f"{what}: {text}" for text in seen.broken]
        print(
            f"{what}: {took_s:.0f} s, {seen.requests} requests, {seen.answered['stream']} streams, "
            f"{seen.reopened} reopened, {len(seen.broken)} broken",
            flush=True,
        )


@contextmanager
def stand_in() -> Iterator[Ground]:
    """A cluster of our own."""
    with tempfile.TemporaryDirectory(prefix="switches-") as name:
        folder = Path(name)
        root = stack.make_host_root(folder / "node")
        images = {IMAGE: Image(str(Path(sys.executable).parent), {"PYTHONPATH": str(ROOT)})}
        node = NodeDef("node-a", capacity={"cpu": "8", "memory": "64Gi"}, host_root=root)
        with LocalCluster(folder / "cluster", nodes=[node], images=images) as cluster:
            path = "/var/lib/model-rollout/models"
            store = root / path.lstrip("/")
            with Hand.connect(str(cluster.kubeconfig)) as api:
                space(api, NAMESPACE)
            shipped = str(account(cluster))
            yield Ground(str(cluster.kubeconfig), shipped, NAMESPACE, IMAGE, path, store, "node-a")


def space(api: Hand, name: str) -> None:
    """Make the namespace, where there is none."""
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def release(ground: Ground, seed: int, more: dict[str, Any]) -> tuple[Rollout, Release, Any]:
    """A release like no other: its spec, its name and its Deployment; its weights are there."""
    data = spec_data(
        namespace=ground.namespace,
        store__path=ground.path,
        serving__image=ground.image,
        serving__extra_args=["--shutdown-timeout=30"],
        serving__resources={"cpu": "50m", "memory": "300Mi", "shm_gib": 0},
        promotion={"soak": {"duration_s": 0}, "drain_s": DRAIN_S},
        **more,
    )
    spec = build_spec(data, "switches")
    commit = f"{seed:040x}"
    folder = ground.store / spec.model.id / commit
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "exact_engine.json").write_text(json.dumps(LAWS))
    made = release_of(spec, commit, f"sha256:{seed}", PodNeeds())
    return spec, made, deployment(spec, made, PodNeeds(), [ground.node])


class Switches:
    """The run: `forward` promotes a new release, `back` goes back to the one before."""

    def __init__(self, ground: Ground, api: Hand, cluster: Cluster, held: Locked, seed: int):
        self.ground, self.api, self.cluster, self.held = ground, api, cluster, held
        self.chance = random.Random(seed)
        # of each release: fewer than answer are not switched to
        self.replicas = self.chance.randint(1, 2)
        self.made, self.address, self.sum = 0, "", Sum()

    def begin(self) -> None:
        """The first release serves."""
        spec, first = self._deploy()
        self.held.actor.run(decide_promotion(self.held.actor.observe(), keep_previous=True))
        found = self.api.get("Service", spec.name, self.ground.namespace)
        assert found is not None and first
        self.address = f"http://{found['spec']['clusterIP']}:{found['spec']['ports'][0]['port']}"
        time.sleep(3)  # its rules come

    def _deploy(self) -> tuple[Rollout, Release]:
        self.made += 1
        pod = {"terminationGracePeriodSeconds": self.chance.choice([45, 60])}
        more = {"serving__replicas": self.replicas, "serving__pod": pod}
        spec, new, body = release(self.ground, self.made, more)
        actor, ns = self.held.actor, self.ground.namespace
        actor.run(decide_start(actor.observe(), new, f"run-{self.made}", "parallel", DRAIN_S))
        self.held.actor.apply(service(spec, new, candidate=True))
        self.held.actor.apply(body)
        until_ready(self.cluster, ns, spec.name, new.deployment, timeout_s=120)
        return spec, new

    def forward(self) -> None:
        """Promote a new release under load."""
        _, new = self._deploy()
        course = decide_promotion(self.held.actor.observe(), keep_previous=True)
        self._under_load(f"switch to {new.deployment}", course)

    def back(self) -> None:
        """Go back under load."""
        self._under_load("way back", decide_revert(self.held.actor.observe()))

    def _under_load(self, what: str, course: Any) -> None:
        begun, chats = time.monotonic(), self.chance.randint(0, 1)
        tokens = self.chance.randint(*TOKENS)
        with clients(self.address, streams=3, tokens=tokens, kept_chats=chats) as seen:
            time.sleep(self.chance.uniform(0.5, 4))
            self.held.actor.run(course)
            self._settled()
        self.sum.add(what, time.monotonic() - begun, seen)

    def _settled(self) -> None:
        """Wait until only the pods of what serves are left, which they hear of all the while."""
        serving = self.held.actor.observe().serving
        ns = self.ground.namespace
        deadline = time.monotonic() + 180
        while any(
            pod["metadata"]["labels"]["model-rollout/release"] != serving
            for pod in rollout_pods(self.cluster, ns, "tiny")
        ):
            assert time.monotonic() < deadline, "pods of a release that serves no longer are left"
            time.sleep(0.5)


def run(ground: Ground, switches: int, rollbacks: int, seed: int) -> Sum:
    """All of it; gives what the clients saw."""
    with (
        Hand.connect(ground.kubeconfig) as api,
        Cluster.connect(ground.account) as cluster,
    ):
        space(api, ground.namespace)
        with locked(cluster, ground.namespace, "tiny", "chaos") as held:
            held.actor.look = lambda _: Look()  # the clients look
            it = Switches(ground, api, cluster, held, seed)
            it.begin()
            # a way back needs a switch before it
            back = set(it.chance.sample(range(1, switches + 1), min(rollbacks, switches)))
            for number in range(1, switches + 1):
                it.forward()
                if number in back:
                    it.back()
    return it.sum


def main(argv: list[str] | None = None) -> int:
    """Run; 1 where a request was lost or cut."""
    parser = argparse.ArgumentParser("tests.chaos.switches", description=__doc__)
    parser.add_argument("--switches", type=int, default=20)
    parser.add_argument("--rollbacks", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kubeconfig", help="of a real cluster")
    parser.add_argument(
        "--account",
        help="kubeconfig there of the account that deployments/cluster makes, which moves the "
        "Service; default: --kubeconfig",
    )
    parser.add_argument("--namespace", default=NAMESPACE, help="there, to be made and left to you")
    parser.add_argument("--image", default=IMAGE, help="there")
    parser.add_argument("--store", type=Path, default=Path("/tmp/switches"), help="there")
    parser.add_argument("--node", default="node1", help="there")
    args = parser.parse_args(argv)
    begun = time.monotonic()
    if args.kubeconfig:
        found = Ground(
            args.kubeconfig,
            args.account or args.kubeconfig,
            args.namespace,
            args.image,
            str(args.store),
            args.store,
            args.node,
        )
        total = run(found, args.switches, args.rollbacks, args.seed)
    else:
        with stand_in() as found:
            total = run(found, args.switches, args.rollbacks, args.seed)
    print(
        f"seed {args.seed}: {args.switches} switches and {args.rollbacks} ways back in "
        f"{time.monotonic() - begun:.0f} s; {total.requests} requests, longest "
        f"{total.longest_s:.1f} s, {total.reopened} kept connections reopened, "
        f"{len(total.broken)} broken"
    )
    for text in total.broken:
        print(text)
    return 1 if total.broken else 0


if __name__ == "__main__":
    sys.exit(main())
