"""Nothing is taken from what serves before it is proven that it can come back."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tasks.base.errors import Refused
from tasks.outside.kubernetes.jobs import JobResult
from tasks.run.comeback import look_back, must_come_back
from tasks.run.findings import Planned
from tasks.weights.messages import Done, Failed, line_of
from tests.support.cluster.actor_world import NS, OLD, World, deployment, world
from tests.support.cluster.runs import locked, run_of
from tests.support.surveys import survey

pytestmark = pytest.mark.usefixtures("quick")
WEIGHTS = {"name": "weights", "hostPath": {"path": f"/data/{OLD.model}/{OLD.commit}"}}
DONE = JobResult(True, 0, (), None)
BAD = JobResult(False, 1, (), None)


def serving() -> World:
    """`old` serves, from weights whose place is known."""
    at = world(seats=2)
    body = deployment(OLD, 2)
    body["metadata"]["annotations"].update(
        {
            "model-rollout/model": OLD.model,
            "model-rollout/commit": OLD.commit,
            "model-rollout/manifest": OLD.digest,
        }
    )
    body["spec"]["template"]["spec"]["volumes"] = [WEIGHTS]
    at.put(body)
    return at


def planned(at: World, strategy: str = "lend") -> tuple[Any, Planned]:
    run = run_of(at)
    found = replace(survey(run.spec), seen=at.actor().observe())
    plan: Any = SimpleNamespace(strategy=strategy, lend=None)
    return run, Planned(plan, found, found.deployment([]))


def asked(at: World, says: str, result: JobResult = DONE) -> tuple[tuple[str, ...], list[Any]]:
    """What is not known, and the Jobs that ran."""
    run, plan = planned(at)
    jobs: list[Any] = []

    def run_job(job: Any, *, timeout_s: float, on_line: Any) -> JobResult:
        jobs.append(job)
        on_line(says)
        return result

    cluster: Any = SimpleNamespace(actor=locked(run).actor, run_job=run_job)
    return must_come_back(run, cluster, plan), jobs


def test_weights_are_hashed_again_on_each_node() -> None:
    unknown, (job,) = asked(serving(), line_of(Done("/store/x")))
    command = job["spec"]["template"]["spec"]["containers"][0]["command"]
    assert f"--commit={OLD.commit}" in command and f"--digest={OLD.digest}" in command
    assert job["metadata"]["annotations"]["model-rollout/node"] == "n"
    # nodes in memory list no image
    assert len(unknown) == 1 and "image img is not among the 0" in unknown[0]


def test_what_is_not_whole_refuses() -> None:
    at = serving()
    then = "serves on from what it has in memory, and would not start again.*`rollout job fetch`"
    why = "/data/o/m/c: sha256 differs"
    with pytest.raises(Refused, match=f"m-old could not come back.*node n: .*{why}.*{then}"):
        asked(at, line_of(Failed("damaged", "/store/o/m/c: sha256 differs")), BAD)
    assert at.writes == [] and at.available("old") == 2


@pytest.mark.parametrize(
    ("says", "result", "why"),
    [
        ("nothing", BAD, "exit code 1"),
        (line_of(Failed("disk", "/store: full")), BAD, "/data: full"),
        ("nothing", DONE, "ended without saying that it is done"),
    ],
)
def test_what_nobody_looked_at_refuses_and_says_nothing_of_weights(
    says: str, result: JobResult, why: str
) -> None:
    at = serving()
    with pytest.raises(Refused, match=f"m-old could start is not known.*node n: .*{why}") as caught:
        asked(at, says, result)
    assert "aside" not in str(caught.value) and at.writes == [] and at.available("old") == 2


def test_a_neighbour_that_came_since_the_plan_refuses() -> None:
    at = serving()
    other: Any = {
        "metadata": {"name": "train-1", "namespace": "jobs"},
        "spec": {"containers": [{"resources": {"requests": {"cpu": "1"}}}]},
        "status": {"phase": "Pending"},
    }
    real = at.list

    def with_another(
        kind: str, ns: str | None = None, label_selector: str = "", **more: Any
    ) -> list[Any]:
        every = kind == "Pod" and ns is None
        return [*real(kind, ns, label_selector, **more), *([other] if every else [])]

    at.list = with_another  # type: ignore[method-assign]
    with pytest.raises(Refused, match="jobs/train-1 waits for what the serving release would free"):
        asked(at, line_of(Done()))
    assert at.writes == []


def test_weights_that_nobody_knows_are_said_to_be_unknown() -> None:
    at = world(seats=2)
    unknown, jobs = asked(at, "")
    assert jobs == [] and "where the weights of m-old come from" in unknown[-1]


def test_a_node_that_would_not_take_it_refuses_before_the_lock() -> None:
    at = serving()
    real = at._nodes
    at._nodes = lambda: [{**node, "spec": {"unschedulable": True}} for node in real()]  # type: ignore[method-assign]
    run, plan = planned(at, "replace")
    with pytest.raises(Refused, match=r"m-old could not come back.*node n is cordoned"):
        look_back(run, plan)
    assert at.writes == []


@pytest.mark.parametrize("strategy", ["parallel", "unchanged"])
def test_where_nothing_is_taken_nothing_is_asked(strategy: str) -> None:
    run, plan = planned(serving(), strategy)
    assert look_back(run, plan) is None
    assert must_come_back(run, cast(Any, None), plan) == ()


def test_what_is_gone_cannot_come_back() -> None:
    at = serving()
    run, plan = planned(at)
    del at.objects["Deployment", "m-old"]
    with pytest.raises(Refused, match=f"Deployment {NS}/m-old is gone"):
        look_back(run, plan)
