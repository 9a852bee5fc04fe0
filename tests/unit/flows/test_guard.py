"""The guard: each rollout apart, side by side, and what it did is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import pytest

from flows import guard as flow
from flows.guard import Key, Tended, guard, rollouts, settle_parameters, stand, tend, watch
from flows.rollback import settle
from tasks.base.clock import FakeClock
from tasks.base.errors import Busy, OutsideError, RolloutError, StepFailed
from tasks.objects.down import Down
from tasks.release.course import NOTHING
from tasks.release.state import State, to_configmap
from tests.support.cluster.actor_world import NAME, NS, World, deployment, in_test, release, world
from tests.support.cluster.courses import at_rest

A, B, C = (NS, "a"), (NS, "b"), (NS, "c")


# -- the watch --------------------------------------------------------------------------------


def settled(key: Key) -> Tended:
    return Tended(key, "settled", "done")


def test_one_that_fails_or_hangs_stops_no_other(time: FakeClock) -> None:
    hangs, others = threading.Event(), threading.Semaphore(0)

    def tend(key: Key) -> Tended | None:
        if key == A:
            assert others.acquire(timeout=60) and others.acquire(timeout=60)
            time.sleep(1e9)
            hangs.wait(60)
        others.release()
        return Tended(key, "failed", "no") if key == B else settled(key)

    found = list(watch(lambda: [A, B, C], tend, once=True, limit_s=1e8))
    hangs.set()
    assert {str(item) for item in found} == {
        "models/a: failed: not settled in 100000000 s; the next round goes on",
        "models/b: failed: no",
        "models/c: settled: done",
    }


def test_no_more_than_its_width_at_once_and_all_of_them() -> None:
    most, now, lock = 0, 0, threading.Lock()
    together = threading.Barrier(flow.WIDTH)

    def tend(key: Key) -> Tended | None:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        together.wait(60)
        with lock:
            now -= 1
        return None

    keys = [(NS, str(number)) for number in range(2 * flow.WIDTH)]
    assert list(watch(lambda: keys, tend, once=True)) == [] and most == flow.WIDTH


def test_one_that_takes_long_does_not_blind_it(time: FakeClock) -> None:
    """What dies meanwhile is found and settled, once; it is looked at again and is at rest."""
    looks: Iterator[list[Key]] = iter([[A]])
    over = threading.Event()
    ends = {A: [settled(A)], B: [settled(B)]}

    def find() -> list[Key]:
        return next(looks, [A, B])

    def tend(key: Key) -> Tended | None:
        if key == A:
            over.wait(60)
        else:
            over.set()
        return ends[key].pop() if ends[key] else None

    found = [item.key for item in watch(find, tend, once=True, limit_s=1e9)]
    assert sorted(found) == [A, B] and found.count(B) == 1


@pytest.mark.parametrize("first", ["at rest", "left alone"])
def test_what_dies_after_the_first_look_is_tended_to(first: str, time: FakeClock) -> None:
    """At rest at the first look, or in the hands of somebody alive, and broken at the third."""
    over, looks = threading.Event(), iter(range(3))
    alone = Tended(B, "left alone", "its holder renews the lease")

    def tend(key: Key) -> Tended | None:
        if key == A:
            assert over.wait(60)  # in work until B is settled
            return settled(key)
        look = next(looks, 3)
        if look < 2:
            return alone if first == "left alone" else None
        over.set()
        return settled(key) if look == 2 else None

    found = list(watch(lambda: [A, B], tend, once=True, limit_s=1e9))
    assert sorted(f.key for f in found if f.end == "settled") == [A, B]
    assert [f for f in found if f.end != "settled"] == [alone] * (first == "left alone")


@pytest.mark.parametrize("first", ["failed", "settled"])
def test_what_failed_or_was_settled_is_looked_at_again_while_another_takes_long(
    first: Literal["failed", "settled"], time: FakeClock
) -> None:
    """A takes as long as B needs: B is tended to at each look, and once it is at rest, that is
    told, too."""
    over, looks = threading.Event(), iter(range(12))

    def tend(key: Key) -> Tended | None:
        if key == A:
            assert over.wait(60)
            return settled(key)
        look = next(looks, 12)
        if look < 11:
            return Tended(key, first, "the API server answered 503")
        over.set()
        return None

    found = [str(item) for item in watch(lambda: [A, B], tend, once=True, limit_s=1e9)]
    again = [item for item in found if "503" in item]
    assert len(again) == (1 if first == "failed" else 11) and next(looks, 12) == 12
    rest = ["models/a: settled: done"]
    if first == "failed":  # the last word of it
        rest.append("models/b: settled: it is at rest by now")
    assert sorted(set(found) - set(again)) == rest


def test_two_that_fail_by_turns_do_not_keep_one_round_for_ever(time: FakeClock) -> None:
    """While one is in hand the other is looked at again, and the other way round: each ends only
    once the other has begun anew, and no look begins one after limit_s."""
    begun = {A: threading.Semaphore(0), B: threading.Semaphore(0)}

    def tend(key: Key) -> Tended | None:
        begun[key].release()
        while not begun[B if key == A else A].acquire(timeout=0.01):
            if time.monotonic() > 1000:
                break
        return Tended(key, "failed", "no")

    found = list(watch(lambda: [A, B], tend, once=True, limit_s=600))
    assert {(item.key, item.end) for item in found} == {(A, "failed"), (B, "failed")}


def test_a_cluster_that_does_not_answer_ends_one_look_and_not_a_watch(time: FakeClock) -> None:
    def down() -> list[Key]:
        raise OutsideError("no answer")

    with pytest.raises(OutsideError):
        list(watch(down, settled, once=True))
    answers = iter([OutsideError("no answer"), [A]])

    def find() -> list[Key]:
        found = next(answers)
        if isinstance(found, OutsideError):
            raise found
        return found  # type: ignore[return-value]

    assert next(watch(find, settled, once=False)).key == A


# -- one rollout ------------------------------------------------------------------------------


def told(at: World) -> list[tuple[str, str]]:
    found = at.get("ConfigMap", f"rollout-{NAME}")
    assert found is not None
    return [(e["outcome"], e["sentence"]) for e in json.loads(found["data"]["history"])]


def stood(at: World) -> list[str]:
    return [str(item) for item in stand(NS, None, None, once=True)]


def test_what_died_half_way_is_settled_and_noted(reached: list[World]) -> None:
    at = in_test()
    reached.append(at)
    said = "removed candidate m-new"
    assert stood(at) == [f"models/m: settled: {said}"]
    assert told(at) == [("guard", said)] and at.harm == []
    before = len(at.writes)
    assert stood(at) == [] and len(at.writes) == before  # at rest: nothing is written
    assert at_rest(at) == "old"


def test_a_state_nobody_can_read_is_told_and_the_others_are_settled(reached: list[World]) -> None:
    at = in_test()
    reached.append(at)
    broken = to_configmap(State("other"), NS)
    broken["data"]["state"] = "{"
    at.put(broken)
    found = stood(at)
    assert found[0] == "models/m: settled: removed candidate m-new"
    assert found[1].startswith("models/other: failed: ConfigMap models/rollout-other does not hold")


def test_who_renews_the_lease_is_left_alone(
    reached: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = in_test()
    reached.append(at)

    def held(*_: object, **__: object) -> None:
        raise Busy("rollout-m is held by 'alice'")

    monkeypatch.setattr("flows.guard.settle", held)
    assert stood(at) == ["models/m: left alone: rollout-m is held by 'alice'"]


def test_the_same_failure_again_is_noted_once(
    reached: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every two minutes, it would push everything else out of the history."""
    at = in_test()
    reached.append(at)

    def fails(*_: object, **__: object) -> None:
        raise StepFailed("m-old never becomes ready")

    monkeypatch.setattr("flows.rollback.settled", fails)
    for _ in range(3):
        assert stood(at) == ["models/m: failed: m-old never becomes ready"]
    assert told(at) == [("error", "guard: m-old never becomes ready")]


def test_what_serves_and_does_not_answer_is_told_and_noted_once(
    reached: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = world()
    reached.append(at)
    at.broken = {"old"}
    why = "m-old serves and none of its replicas answers"
    monkeypatch.setattr("tasks.outside.kubernetes.actor.down", lambda *_: Down(why))
    for _ in range(2):
        (said,) = stood(at)
        assert said.startswith(f"models/m: failed: {why}; look at its pods")
    ((outcome, sentence),) = told(at)
    assert outcome == "error" and sentence.startswith(f"guard: {why}")
    before = len(at.writes)
    assert stood(at) and len(at.writes) == before  # told, and nothing is written


def test_a_rollout_whose_state_is_lost_is_found_by_its_engines(reached: list[World]) -> None:
    at = world()
    reached.append(at)
    del at.objects["ConfigMap", f"rollout-{NAME}"]
    assert rollouts(at, NS) == [(NS, NAME)]  # type: ignore[arg-type]
    assert stood(at)[0].startswith("models/m: settled: m-old serves and is remembered again")
    assert at_rest(at) == "old"


def test_what_somebody_settled_meanwhile_is_not_noted(reached: list[World]) -> None:
    at = world()
    reached.append(at)
    assert settle("guard", NAME, NS) == "nothing was under way" and told(at) == []


@pytest.mark.parametrize(("holder", "rollout"), [("host-1/ann/r-7", "r-7"), ("", "")])
def test_the_run_of_the_rollout_that_held_the_lease_is_ended(
    holder: str, rollout: str, reached: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[tuple[str, str]] = []
    monkeypatch.setattr("flows.guard.holder_of", lambda *_: holder)
    monkeypatch.setattr("flows.guard.others.end_dead", lambda *given: ended.append(given))
    reached.append(in_test())
    assert [item.end for item in stand(NS, None, None, once=True)] == ["settled"]
    assert ended == [(rollout, "removed candidate m-new")]


def test_a_rollout_that_ended_by_itself_meanwhile_keeps_its_run(
    reached: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.guard.settle", lambda *_, **__: NOTHING)
    monkeypatch.setattr("flows.guard.others.end_dead", lambda *given: pytest.fail(str(given)))
    reached.append(in_test())
    assert tend((NS, NAME), None, None) == Tended((NS, NAME), "settled", NOTHING)


def test_the_flow_says_what_it_did_and_fails_where_something_is_left(
    reached: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables: list[Any] = []
    monkeypatch.setattr("flows.guard.artifacts.table", lambda *given: tables.append(given))
    at = in_test()
    reached.append(at)
    assert guard.fn(NS) == ["models/m: settled: removed candidate m-new"]
    row = {"rollout": "models/m", "what": "settled", "": "removed candidate m-new"}
    assert tables[0][:2] == ("guard", [row])
    assert guard.fn(NS) == [] and len(tables) == 1
    broken = to_configmap(State("other"), NS)
    broken["data"]["state"] = "{"
    at.put(broken)
    with pytest.raises(RolloutError, match="models/other: failed"):
        guard.fn(NS)


def test_a_hook_settles_what_its_run_named(reached: list[World]) -> None:
    at = in_test()
    reached.append(at)
    settle_parameters({"spec": {"name": NAME, "namespace": NS}})
    assert at_rest(at) == "old"
    settle_parameters({})
    settle_parameters({"spec": {"name": "never-ran"}})


def test_recover_rebuilds_the_memory_too(reached: list[World]) -> None:
    at = world()
    reached.append(at)
    actor = at.actor()
    actor.save(replace(actor.read_state()[0], stable=None, previous=None))
    at.put(deployment(release("older"), 0))
    settle("recover", NAME, NS)
    assert at_rest(at) == "old"


def test_each_look_of_the_flow_sees_that_a_person_is_asked_about_what_is_held(
    reached: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("flows.guard.approvals.close", lambda read: asked.append("close"))
    monkeypatch.setattr(
        "flows.guard.approvals.tend", lambda model, read, said: asked.append((model, said))
    )
    at = world(phase="held", candidate=True)
    reached.append(at)
    assert guard.fn(NS) == []
    assert asked == ["close", ((NS, NAME), "")]
