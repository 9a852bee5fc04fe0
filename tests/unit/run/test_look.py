"""One look at a release that serves, and by which rules its soak goes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.base.errors import OutsideError
from tasks.measure.traffic import Counters, Traffic
from tasks.release.memory.terms import with_terms
from tasks.release.soaking import Look, SoakBounds
from tasks.run import look as module
from tasks.run.look import Watcher, watch
from tasks.run.run import ASK_S, Run
from tests.support.cluster.actor_world import NEW, world
from tests.support.cluster.runs import locked, run_of


def pod(name: str, *, restarts: int = 0, up: bool = True, going: bool = False) -> dict[str, Any]:
    ends = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if going else {}
    owners = [{"kind": "ReplicaSet", "name": "m-new-5d8"}]
    meta = {"name": name, "ownerReferences": owners, **ends}
    status = {
        "conditions": [{"type": "Ready", "status": str(up)}],
        "containerStatuses": [{"restartCount": restarts}],
    }
    return {"metadata": meta, "spec": {"nodeName": "n1"}, "status": status}


def seen(
    pods: list[Any],
    answer: Look | None = None,
    names: tuple[str, ...] = ("m",),
    *,
    leads_to: list[Any] | None = None,
) -> Run:
    """A Run whose cluster has these pods, whose Service leads to those, and answers so."""
    run: Any = run_of(world())

    def listed(kind: str, *_: Any, **__: Any) -> list[Any]:
        if kind == "Pod":
            return pods
        led = pods if leads_to is None else leads_to
        ends = [{"targetRef": {"name": item["metadata"]["name"]}} for item in led]
        return [{"ports": [{"port": 8000}], "endpoints": ends}]

    run.cluster.list = listed
    run.ask = lambda service, release: (answer or Look(), list(names))
    return run


def unread(pod: Any) -> Counters:
    raise OutsideError("no route")


def look(run: Run) -> Look:
    """What a first look sees of the pods and the Service."""
    return replace(Watcher(run, unread)(NEW), unread="")


A, B, SICK = pod("a"), pod("b"), pod("b", up=False)


def test_a_good_look() -> None:
    assert look(seen([A, B])) == Look()


@pytest.mark.parametrize(
    ("pods", "ready", "trouble"),
    [
        ([A, SICK], [A], ("1 of 2 replicas ready",)),
        ([A], [A], ("1 of 2 replicas ready",)),
        ([A, B, pod("c")], [A, B, pod("c")], ()),
    ],
)
def test_the_clusters_word_stands_beside_the_answer(
    pods: list[Any], ready: list[Any], trouble: tuple[str, ...]
) -> None:
    assert look(seen(pods, leads_to=ready)) == Look(trouble)


def test_restarts_count_from_the_first_look() -> None:
    """The ones before are no news of the soak, and what ends is no part of it."""
    pods = [pod("a", restarts=3), pod("b", restarts=1), pod("c", restarts=9, going=True)]
    run = seen(pods, leads_to=pods[:2])
    assert look(run).trouble == ()
    assert run.record.promote is not None and run.record.promote.restarts_before == 4
    pods[1] = pod("b", restarts=2)
    assert look(run).trouble == ("1 container restart(s)",)
    assert run.record.promote.restarts_before == 4


def test_a_pod_that_is_replaced_is_told_once() -> None:
    pods = [A, B]
    run = seen(pods)
    watcher = Watcher(run, unread)
    assert watcher(NEW).trouble == ()
    pods.append(pod("c"))  # more of them are no news
    assert watcher(NEW).trouble == ()
    pods.remove(B)
    assert watcher(NEW).trouble == ("1 of its pods replaced or gone",)
    assert watcher(NEW).trouble == ()


def test_a_cluster_that_does_not_answer_is_no_news() -> None:
    run: Any = seen([])

    def down(*_: Any, **__: Any) -> None:
        raise OutsideError("the API server does not answer")

    run.cluster.list = down
    assert look(run) == Look(None, "none", "the API server does not answer")
    assert run.record.promote is None


def test_a_service_that_leads_elsewhere_is_not_asked() -> None:
    run: Any = seen([A, B], leads_to=[A, pod("old")])
    run.ask = None
    assert look(run) == Look((), "none", "Service models/m: it does not lead to b yet")


@pytest.mark.parametrize(("names", "said"), [(("other", "old"), "other, old"), ((), "no model")])
def test_another_models_answer_is_the_ways_fault(names: tuple[str, ...], said: str) -> None:
    """Its own pods said the right name before."""
    found = look(seen([A, B], names=names))
    assert found == Look((), "none", f"Service models/m answers with {said}, not m")


@pytest.mark.parametrize(
    "answer",
    [
        Look(answer="bad", why="HTTP 500"),
        Look(answer="none", why="no route"),
        Look(tokens=4, ttft_s=0.2),
    ],
)
def test_what_it_answers_is_passed_on(answer: Look) -> None:
    names = ("m",) if answer.answer == "good" else ()
    assert look(seen([A, B], answer, names)) == answer


# -- the engines' own counters ----------------------------------------------------------------


def counts(begun: float, at: float) -> Counters:
    return Counters(at, begun, begun * 0.5, begun * 10, moved=at)


def test_engines_are_compared_from_look_to_look() -> None:
    run = seen([A, B], Look(tokens=4, ttft_s=0.2))
    counted: dict[str, Counters] = {"a": counts(10, 0), "b": counts(20, 0)}

    def read(pod: Any) -> Counters:
        found = counted.get(pod["metadata"]["name"])
        if found is None:
            raise OutsideError("no route")
        return found

    watcher = Watcher(run, read)
    first = watcher(NEW)
    assert (first.engines, first.unread) == (None, "")
    counted.update(a=counts(13, 2), b=counts(21, 2))
    assert watcher(NEW).engines == Traffic(begun=4, own=1, ttft_s=0.5, tokens=40)
    # one that cannot be read for a while is caught up with, and so are our own requests
    counted.clear()
    blind = watcher(NEW)
    assert (blind.engines, blind.unread, blind.answer) == (None, "a: no route", "good")
    counted.update(a=counts(15, 6), b=counts(21, 6))
    assert watcher(NEW).engines == Traffic(begun=2, own=2, ttft_s=0.5, tokens=20)
    counted["b"] = counts(1, 8)
    found = watcher(NEW).engines
    assert found is not None and found.again == ("b",)


def test_a_probe_that_was_not_answered_is_not_counted_as_ours() -> None:
    run: Any = seen([A, B], Look(answer="bad", why="HTTP 500"), ())
    counted = iter([counts(1, 0), counts(1, 0), counts(1, 2), counts(1, 2)])
    watcher = Watcher(run, lambda pod: next(counted))
    watcher(NEW)
    found = watcher(NEW).engines
    assert found is not None and (found.begun, found.own) == (0, 0)


# -- cards ------------------------------------------------------------------------------------

EXPORTER = {
    "metadata": {
        "name": "e",
        "namespace": "kube-system",
        "ownerReferences": [{"kind": "DaemonSet", "name": "dcgm-exporter"}],
    },
    "spec": {"nodeName": "n1", "containers": [{"name": "e", "image": "nvidia/dcgm-exporter:4"}]},
    "status": {"podIP": "10.0.0.9", "conditions": [{"type": "Ready", "status": "True"}]},
}
THROTTLED = 'DCGM_FI_DEV_THERMAL_VIOLATION{gpu="2"} '


def test_cards_are_watched_where_an_exporter_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    run: Any = seen([A, B])
    run.spec = run.spec.model_copy(
        update={"nodes": run.spec.nodes.model_copy(update={"accelerator": "nvidia-gpu"})}
    )
    pages: list[str | None] = [None, THROTTLED + "5", THROTTLED + "9"]
    asked: list[str] = []
    monkeypatch.setattr(module, "exporters_of", lambda *_: {"n1": "http://e"})
    monkeypatch.setattr(module.exporters, "read", lambda url: asked.append(url) or pages.pop(0))
    watcher = Watcher(run, unread)
    assert [watcher(NEW).cards for _ in range(3)] == [
        None,
        (),
        ("n1: card 2: was throttled, DCGM_FI_DEV_THERMAL_VIOLATION grew from 5 to 9",),
    ]
    assert asked == ["http://e"] * 3


def test_the_exporters_are_found_in_the_cluster() -> None:
    at: Any = world()
    spec = run_of(at).spec
    assert module.exporters_of(at, spec) == {}  # no cards, nobody is asked
    nvidia = spec.model_copy(
        update={"nodes": spec.nodes.model_copy(update={"accelerator": "nvidia-gpu"})}
    )
    node = {"metadata": {"name": "n1"}, "status": {}}
    found = {"Pod": [EXPORTER], "Node": [node], "DaemonSet": []}
    at.list = lambda kind, *_, **__: found[kind]
    assert module.exporters_of(at, nvidia) == {"n1": "http://10.0.0.9:9400/metrics"}

    def refused(kind: str, *_: Any, **__: Any) -> list[Any]:
        raise OutsideError("forbidden")

    at.list = refused
    assert module.exporters_of(at, nvidia) == {}


# -- the rules --------------------------------------------------------------------------------

TARGETS = {"ttft_p95_ms": 8000, "success_rate_percent": 90}


def test_a_soak_goes_by_the_spec_and_by_what_the_benchmark_saw() -> None:
    at = world(phase="testing", candidate=True)
    targets = [{"metric": "output_throughput_tok_s", "limit": 1}]
    run = run_of(at, targets=targets, promotion={"soak": {"failures": 4, "interval_s": 5}})
    run.measured = {"ttft_s": 7.5, "queue": 20.0}
    actor = locked(run).actor
    watch(run, actor, "new")
    assert (actor.rules.failures, actor.rules.interval_s) == (4, 5)
    assert actor.rules.bounds == SoakBounds(ttft_s=15.0, error_share=0.01, waiting=40.0)
    assert run.ask_s == 18.75 and isinstance(actor.look, Watcher)
    # whoever goes on with it has the same from the cluster
    state = replace(actor.read_state()[0], phase="promoting")
    actor.save(with_terms(state, "new", measured=run.measured))
    later = run_of(at, targets=targets, promotion={"soak": {"failures": 4, "interval_s": 5}})
    other = locked(later).actor
    watch(later, other, "new")
    assert other.rules == actor.rules


def test_where_nothing_bounds_ttft_a_probe_is_given_up_as_ever() -> None:
    at = world()
    run = run_of(at, targets=[{"metric": "output_throughput_tok_s", "limit": 1}])
    watch(run, locked(run).actor, None)
    assert run.ask_s == ASK_S
