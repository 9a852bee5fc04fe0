"""What a rollout finds before it changes anything, for a spec, and plans of a small one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tasks.accelerators.profiles import profile
from tasks.release.moves import DeploymentView, Observed
from tasks.release.plan import NodeSeat, Plan, decide_plan
from tasks.release.state import Release, State
from tasks.render.devices import pod_needs
from tasks.render.release import release_of
from tasks.run.findings import Survey
from tasks.spec.file import build_spec
from tasks.spec.rollout import Rollout
from tasks.weights.manifest import FileEntry, build
from tests.support.update_golden import RESOURCES

FILES = [FileEntry("config.json", 2, "0" * 64)]


def survey(spec: Rollout) -> Survey:
    row = profile(spec.nodes.accelerator)
    needs, manifest = (
        pod_needs(row, RESOURCES[row.name]),
        build(spec.model.id, "master", "c" * 40, FILES),
    )
    release = release_of(spec, manifest.commit, manifest.digest, needs)
    seen = Observed(State(spec.name), None)
    return Survey(spec, row, manifest, None, seen, (), "", needs, release, None)


OLD = Release("old", "m-old", "o/n", "master", "c1", "sha256:1", "i:1", "n")
NEW = replace(OLD, id="new", deployment="m-new", commit="c2", digest="sha256:2", image="i:2")
SERVING = Observed(State("m", stable=OLD), "old", {"old": DeploymentView("m-old", "old", 1, 1, 1)})


def spec(replicas: int = 1, **promotion: Any) -> Rollout:
    return build_spec(
        {
            "name": "m",
            "model": {"id": "o/n"},
            "nodes": {"accelerator": "hygon-dcu"},
            "serving": {"image": "i", "tensor_parallel_size": 4, "replicas": replicas},
            "targets": {"ttft_p95_ms": 1},
            "promotion": promotion,
        },
        "f",
    )


def seat(name: str, seats: int, without: int | None = None, missing: int = 0) -> NodeSeat:
    alone = seats if without is None else without
    return NodeSeat(name, name, seats, alone, 0, missing, 10**12, seats * 4)


def plan(what: Rollout, seats: list[NodeSeat], seen: Observed = SERVING, **more: Any) -> Plan:
    return decide_plan(what, NEW, seen, seats, resource="hygon.com/dcu", **more)
