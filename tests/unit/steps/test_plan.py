"""What speaks against a plan, and when a plan does not hold."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tasks.base.errors import OutsideError, Refused
from tasks.nodes.assess import NodeVerdict, api_facts
from tasks.nodes.memory import GIB
from tasks.nodes.reasons import Reason
from tasks.release.course import DeploymentView, Observed
from tasks.release.plan import NodeSeat
from tasks.release.state import State
from tasks.run.findings import Looked, Planned, Survey
from tasks.spec.policy import Policy
from tasks.steps.plan import (
    Objections,
    interrupts,
    make_plan,
    must_hold,
    objections,
    plan_rows,
    priority_refusals,
)
from tests.support.nodedata import make_spec
from tests.support.shapes import SMOLLM2, shape
from tests.support.surveys import survey

SMOLLM2_BYTES = 269_060_552
LOST = Reason("CARD_LOST", "error", "7 cards", "8 cards", "look at the card")
WARM = Reason("CARD_UNHEALTHY", "warning", "80 degrees", "less", "look at the fans")


def on_cpu(memory: str = "6Gi", **serving: Any) -> Survey:
    """A small model on CPUs, its shape known."""
    given = {
        "max_model_len": 1024,
        "max_num_seqs": 16,
        "dtype": "float32",
        "resources": {"memory": memory, "shm_gib": 0.25},
    }
    found = survey(make_spec({"serving": {**given, **serving}}))
    return replace(found, shape=shape(SMOLLM2, SMOLLM2_BYTES, vocab_size=49152))


def node(name: str = "node-a", *reasons: Reason, memory: int | None = None) -> Looked:
    usable = not any(reason.severity == "error" for reason in reasons)
    return Looked(NodeVerdict(name, name, usable, reasons, engine_memory_bytes=memory))


def said_of(found: Survey) -> Objections:
    return objections(found, found.deployment([]))


@pytest.mark.parametrize("memory", [None, 20 * GIB])
def test_what_cannot_start_is_refused_also_without_a_probe(memory: int | None) -> None:
    """The example as it was: 64 MiB of /dev/shm, 0.2 of 6 GiB."""
    starved = on_cpu(gpu_memory_utilization=0.2, resources={"memory": "6Gi", "shm_gib": 0})
    said = said_of(replace(starved, looked=(node(memory=memory),))).refused
    assert [line.split(":")[0] for line in said] == ["SHM_TOO_SMALL", "WEIGHTS_TOO_LARGE"]
    assert "shm_gib to 0.25" in said[0] and "between 0.25 and 0.7" in said[1]


def test_what_is_tight_is_said_and_refuses_nothing() -> None:
    said = said_of(replace(on_cpu(gpu_memory_utilization=0.24), looked=(node(),)))
    assert said.refused == []
    assert [line.split(":")[0] for line in said.warnings] == ["KV_CACHE_TIGHT"]


def test_nothing_speaks_against_what_fits() -> None:
    assert said_of(replace(on_cpu(gpu_memory_utilization=0.5), looked=(node(),))) == Objections(
        [], ()
    )


def test_what_does_not_fit_names_the_smallest_usable_node() -> None:
    """What a node does not decide names none."""
    starved = on_cpu("20Gi", gpu_memory_utilization=0.2, resources={"memory": "20Gi", "shm_gib": 0})
    nodes = (
        node("large", memory=20 * GIB),
        node("small", memory=6 * GIB),
        node("broken", LOST, memory=GIB),
    )
    shm, weights = said_of(replace(starved, looked=nodes)).refused
    assert shm.startswith("SHM_TOO_SMALL") and "(on " not in shm
    assert weights.startswith("WEIGHTS_TOO_LARGE") and weights.endswith("(on small)")


def test_too_few_nodes_are_all_there_is_to_say() -> None:
    """Each with its reasons; the model's own come once there is a node for it."""
    found = replace(on_cpu(gpu_memory_utilization=0.2), looked=(node("a", LOST, WARM), node("b")))
    two = replace(found, spec=make_spec({"nodes": {"minimum": 2}}))
    assert said_of(two).refused == ["1 of 2 node(s) usable, at least 2 needed", f"a: {LOST}"]


def test_no_node_at_all_is_the_specs_fault() -> None:
    assert said_of(on_cpu()).refused == [
        "0 of 0 node(s) usable, at least 1 needed",
        "no node matches nodes.names and nodes.selector; correct them",
    ]


def test_a_way_of_asking_that_bends_figures_is_refused_first() -> None:
    bent = survey(make_spec({"access": {"mode": "port-forward"}}))
    first, *_ = said_of(replace(bent, looked=(node(),))).refused
    assert "bends TTFT" in first


class Ranks:
    """A cluster with one PriorityClass."""

    def get(self, kind: str, name: str, ns: str | None = None) -> Any:
        return {"value": 1} if (kind, name) == ("PriorityClass", "serving") else None


@pytest.mark.parametrize(
    ("serving", "refused"),
    [
        ({}, 0),
        ({"priority_class": "serving"}, 0),
        ({"priority_class": "nobodys"}, 1),
        ({"pod": {"priorityClassName": "nobodys"}}, 1),
    ],
)
def test_a_priority_class_that_is_not_there_is_refused(serving: Any, refused: int) -> None:
    found = survey(make_spec({"serving": serving}))
    said = priority_refusals(cast(Any, Ranks()), found.deployment([]))
    assert len(said) == refused
    assert all("nobodys is no PriorityClass of this cluster" in line for line in said)


# -- whether it holds -------------------------------------------------------------------------


class Cluster:
    """Takes what is tried, or raises."""

    def __init__(self, error: OutsideError | None = None, at: str = "") -> None:
        self.error, self.at = error, at
        self.tried: list[str] = []

    def trial(self) -> Cluster:
        return self

    @property
    def owned(self) -> Cluster:
        return self

    def apply(self, body: Any) -> None:
        self._try(body["kind"])

    def try_switch(self, body: Any) -> None:
        self._try("switch")

    def _try(self, what: str) -> None:
        self.tried.append(what)
        if self.error is not None and what == self.at:
            raise self.error


def holding(
    cluster: Cluster,
    strategy: str = "parallel",
    digest: str | None = None,
    policy: Policy = Policy(),  # noqa: B008 - frozen in effect
    *,
    may_interrupt: bool = False,
    seen: Observed | None = None,
) -> None:
    found = survey(make_spec())
    run: Any = SimpleNamespace(
        spec=found.spec,
        cluster=cluster,
        observer=lambda: cluster,
        may_interrupt=may_interrupt,
    )
    made = SimpleNamespace(
        strategy=strategy,
        sentence="no node is usable",
        digest="d1g35t",
        nodes=(),
        cut=(),
        evicts="",
    )
    found = replace(found, policy=policy, seen=seen or found.seen)
    planned: Any = Planned(cast(Any, made), found, found.deployment([]))
    must_hold(run, planned, digest)


def test_what_nobody_has_agreed_to_is_not_interrupted() -> None:
    cluster = Cluster()
    view = DeploymentView("m-old", "old", 1, 1, 1)
    seen = Observed(State("m"), "old", {"old": view})
    with pytest.raises(Refused, match=r"m-old serves now.*nobody has agreed to that.*--yes"):
        holding(cluster, "replace", seen=seen)
    assert cluster.tried == []


@pytest.mark.parametrize(
    ("strategy", "available", "stops"),
    [("replace", 1, True), ("replace", 0, False), ("lend", 1, False)],
)
def test_what_a_plan_interrupts(strategy: str, available: int, stops: bool) -> None:
    made = SimpleNamespace(strategy=strategy, sentence="no room beside", cut=(), evicts="")
    seen = Observed(State("m"), "old", {"old": DeploymentView("m-old", "old", 1, 1, available)})
    found = replace(survey(make_spec()), seen=seen)
    said = interrupts(Planned(cast(Any, made), found, {}))
    assert said == ("no room beside; m-old serves now and is scaled down first" if stops else "")


@pytest.mark.parametrize("strategy", ["parallel", "lend", "replace", "refused", "unchanged"])
def test_what_a_plan_cuts_off_is_an_interruption_whatever_its_strategy(strategy: str) -> None:
    cut = ("Service m-internal leads to pods of m-old, and nowhere once they stop",)
    made = SimpleNamespace(
        strategy=strategy,
        sentence="beside it",
        cut=cut,
        evicts="",
        release=survey(make_spec()).release,
    )
    seen = Observed(State("m"), "old", {"old": DeploymentView("m-old", "old", 1, 1, 1)})
    said = interrupts(Planned(cast(Any, made), replace(survey(make_spec()), seen=seen), {}))
    assert (cut[0] in said) == (strategy not in ("refused", "unchanged"))


def test_what_the_site_does_not_allow_is_refused_with_every_reason() -> None:
    cluster = Cluster()
    with pytest.raises(Refused, match=r"site's policy.*store\.path.*image vllm:x is not allowed"):
        holding(cluster, policy=Policy(stores=["/data"], images=["only/*"]))
    assert cluster.tried == []


@pytest.mark.parametrize("digest", [None, "d1g35t"])
def test_a_plan_that_holds_is_tried_whole_and_changes_nothing(digest: str | None) -> None:
    cluster = Cluster()
    holding(cluster, digest=digest)
    assert cluster.tried == ["Deployment", "Service", "switch"]


@pytest.mark.parametrize(
    ("strategy", "digest", "why"),
    [
        ("refused", None, "no node is usable"),
        ("parallel", "0ther", "the plan is now d1g35t, not 0ther: the world has changed since"),
    ],
)
def test_a_plan_that_is_refused_is_not_tried(strategy: str, digest: str | None, why: str) -> None:
    cluster = Cluster()
    with pytest.raises(Refused, match=why):
        holding(cluster, strategy, digest)
    assert cluster.tried == []


def answer(status: int) -> OutsideError:
    error = OutsideError(f"HTTP {status}")
    error.status = status  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize("at", ["Deployment", "Service", "switch"])
@pytest.mark.parametrize("status", [400, 403, 422])
def test_what_the_api_server_would_not_take_is_refused(at: str, status: int) -> None:
    with pytest.raises(Refused, match=f"the cluster would not take it: HTTP {status}"):
        holding(Cluster(answer(status), at))


@pytest.mark.parametrize("error", [answer(500), answer(409), OutsideError("no answer")])
def test_a_server_in_trouble_is_no_refusal(error: OutsideError) -> None:
    with pytest.raises(OutsideError) as caught:
        holding(Cluster(error, "switch"))
    assert caught.value is error


def test_a_plans_nodes_as_a_table() -> None:
    seat = NodeSeat("a", "host-a", 2, 3, bytes_present=5, bytes_missing=None, disk_free=7)
    assert plan_rows([seat]) == [
        {
            "node": "a",
            "replicas that fit": 2,
            "bytes to fetch": None,
            "bytes present": 5,
            "disk free": 7,
        }
    ]


SERVES = Observed(State("r1"), "old", {"old": DeploymentView("r1-old", "old", 1, 1, 1)})


class Ranked:
    """A cluster in which what serves has pods of this priority, and there is a class `high`."""

    def __init__(self, priority: int, **klass: Any) -> None:
        self.klass = {"metadata": {"name": "high"}, "value": 1000, **klass}
        owner = {"kind": "ReplicaSet", "name": "r1-old-5d8"}
        meta = {"name": "p", "namespace": "default", "labels": {}, "ownerReferences": [owner]}
        self.pod = {"metadata": meta, "spec": {"priority": priority}, "status": {}}

    def get(self, kind: str, name: str, ns: str | None = None) -> Any:
        return self.klass if (kind, name) == ("PriorityClass", "high") else None

    def list(self, kind: str, *_: Any, **__: Any) -> list[Any]:
        return [self.pod] if kind == "Pod" else []


def ranked(cluster: Ranked, allow: bool = False, **serving: Any) -> Any:
    """The plan of a release with seats of its own beside what serves."""
    promotion = {"allow_interruption": allow}
    given = {"resources": {"memory": "6Gi", "shm_gib": 0.25}, "gpu_memory_utilization": 0.5}
    serving = {"priority_class": "high", **given, **serving}
    found = survey(make_spec({"serving": serving, "promotion": promotion}))
    usable = Looked(NodeVerdict("a", "a", True, (), seats=1, seats_without_stable=2))
    facts = (api_facts({"metadata": {"name": "a"}}),)
    found = replace(found, seen=SERVES, looked=(usable,), facts=facts)
    return make_plan(cast(Any, cluster), found)


def test_what_outranks_what_serves_may_evict_it_and_that_is_an_interruption() -> None:
    """Though there is room beside it: a seat is lost sooner than one thinks."""
    refused = ranked(Ranked(0)).plan
    assert refused.strategy == "refused" and "high (1000) outranks what serves (0)" in (
        refused.sentence
    )
    planned = ranked(Ranked(0), allow=True)
    assert planned.plan.strategy == "parallel"
    assert "may evict pods that serve" in planned.plan.interruption
    assert "may evict pods that serve" in interrupts(planned)
    assert planned.plan.digest != ranked(Ranked(1000), allow=True).plan.digest


@pytest.mark.parametrize(
    "cluster", [Ranked(1000), Ranked(2000), Ranked(0, preemptionPolicy="Never")]
)
def test_what_cannot_evict_what_serves_interrupts_nothing(cluster: Ranked) -> None:
    planned = ranked(cluster)
    assert (planned.plan.strategy, planned.plan.interruption) == ("parallel", "none")
    assert interrupts(planned) == ""


def test_a_plan_counts_what_a_scheduler_would_grant() -> None:
    """On one node with room for many: a port of the host is there once."""
    cluster = Ranked(1000)
    port = {
        "containers": [{"name": "engine", "ports": [{"containerPort": 8000, "hostPort": 8000}]}]
    }
    other = {
        "metadata": {"name": "x", "namespace": "elsewhere", "labels": {}},
        "spec": {**port, "nodeName": "a"},
        "status": {"phase": "Running"},
    }
    assert ranked(cluster, pod=port, replicas=1).plan.strategy == "parallel"
    found = ranked(cluster, pod=port).survey
    again = make_plan(cast(Any, cluster), replace(found, crowding=(other,))).plan
    assert again.strategy == "refused" and "host port 8000: one replica a node" in again.sentence
