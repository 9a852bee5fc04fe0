"""A way back takes nothing from what answers before what it leads to is proven to start."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.base.errors import Refused, StepFailed
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.jobs import JobResult
from tasks.release import moves
from tasks.release.memory.terms import with_terms
from tasks.release.state import Release, to_configmap
from tasks.release.wish import decide_abort, decide_wish
from tasks.run import proofs, seats
from tasks.run.carry_out import carry_out
from tasks.weights.messages import Done, Failed, line_of
from tests.support.cluster.actor_world import NS, OLD, OLDER, World, deployment, world
from tests.support.cluster.courses import at_rest
from tests.support.nodedata import make_spec

pytestmark = pytest.mark.usefixtures("quick")
WHOLE = line_of(Done("/store/x"))
BAD = line_of(Failed("damaged", "/store/o/m: sha256 differs"))


def known(release: Release, replicas: int) -> Any:
    """A Deployment that says where its weights lie."""
    body = deployment(release, replicas)
    body["metadata"]["annotations"].update(
        {
            "model-rollout/model": release.model,
            "model-rollout/commit": release.commit,
            "model-rollout/manifest": release.digest,
        }
    )
    where = {"path": f"/data/{release.model}/{release.commit}"}
    body["spec"]["template"]["spec"]["volumes"] = [{"name": "weights", "hostPath": where}]
    return body


def tight(phase: str = "idle", *, alive: bool = True, **more: Any) -> World:
    """Two seats, and `old` has both; `older` has none."""
    at = world(seats=2, phase=phase)
    at.put(known(OLD, 2))
    at.put(known(OLDER, 0))
    if not alive:
        at.broken.add("old")
    spec = make_spec({"name": "m", "namespace": NS}).model_dump(mode="json", exclude_defaults=True)
    state = with_terms(at.actor().observe().state, "old", spec=spec)
    at.put(to_configmap(replace(state, **more), NS))
    at.may_interrupt = True
    at.writes.clear()
    return at


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the Job says of the weights of a commit; those that ran have a '!' in front."""
    says: dict[str, str] = {}

    def run_job(cluster: Any, job: Any, *, timeout_s: float, on_line: Any, fence: Any) -> JobResult:
        command = job["spec"]["template"]["spec"]["containers"][0]["command"]
        commit = next(a.partition("=")[2] for a in command if a.startswith("--commit="))
        said = says.get(commit, WHOLE)
        says[f"!{commit}"] = said
        on_line(said)
        return JobResult(said == WHOLE, 0 if said == WHOLE else 1, (), None)

    monkeypatch.setattr(proofs, "run_job", run_job)
    return says


def interrupting(actor: Actor) -> moves.Course:
    """No seat is lent: what serves stops first."""
    seen = actor.observe()
    room = seats.room(actor, OLDER, seen.serving)
    assert room is not None
    return decide_wish(
        "rollback", seen, allow_interruption=True, room=replace(room, tables=((0, 0, 2),))
    )


def test_both_are_proven_and_then_it_goes_back(jobs: dict[str, str]) -> None:
    at = tight()
    actor = at.actor()
    assert carry_out(actor, interrupting(actor)) == "went back to m-older"
    assert {f"!{OLD.commit}", f"!{OLDER.commit}"} <= set(jobs) and at_rest(at) == "older"


@pytest.mark.parametrize(
    ("release", "said"),
    [(OLDER, "m-older cannot be proven to start"), (OLD, "m-old could not come back")],
)
def test_weights_that_are_not_whole_refuse(
    jobs: dict[str, str], release: Release, said: str
) -> None:
    jobs[release.commit] = BAD
    at = tight()
    actor = at.actor()
    with pytest.raises(Refused, match=f"{said}.*node n: /data/o/m: sha256 differs.*--unchecked"):
        carry_out(actor, interrupting(actor))
    assert at.writes == [] and at.available("old") == 2


def test_a_person_may_go_unchecked(jobs: dict[str, str]) -> None:
    jobs[OLDER.commit] = BAD
    at = tight()
    actor = at.actor()
    carry_out(actor, interrupting(actor), unchecked=True)
    assert at_rest(at) == "older" and set(jobs) == {OLDER.commit}


def test_seats_that_are_lent_are_taken_too(jobs: dict[str, str]) -> None:
    jobs[OLDER.commit] = BAD
    at = tight()
    actor = at.actor()
    seen = actor.observe()
    course = decide_wish("rollback", seen, room=seats.room(actor, OLDER, seen.serving))
    with pytest.raises(Refused, match="m-older cannot be proven to start"):
        carry_out(actor, course)
    assert at.writes == []


@pytest.mark.parametrize("seats_there", [2, 4])
def test_where_nothing_is_taken_from_what_answers_nothing_is_proven(
    jobs: dict[str, str], seats_there: int
) -> None:
    at = tight(alive=seats_there == 4)
    at.seats = seats_there
    actor = at.actor()
    seen = actor.observe()
    carry_out(actor, decide_wish("rollback", seen, room=seats.room(actor, OLDER, seen.serving)))
    assert at.leads_to() == "older" and jobs == {}


def test_no_node_takes_it(jobs: dict[str, str]) -> None:
    at = tight()
    body = known(OLDER, 0)
    body["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "gone"}
    at.put(body)
    actor = at.actor()
    course = moves.decide_revert(actor.observe(), allow_interruption=True)
    with pytest.raises(Refused, match="m-older cannot be proven to start: no node takes its pods"):
        carry_out(actor, course)


def test_what_failed_its_soak_serves_on_unproven_where_nothing_better_is_proven(
    jobs: dict[str, str],
) -> None:
    jobs[OLDER.commit] = BAD
    at = tight("soaking", strategy="replace", breach="HTTP 500")
    actor = at.actor()
    said = carry_out(actor, moves.decide_recovery(actor.observe()))
    state = actor.read_state()[0]
    assert (state.phase, state.verdict) == ("unproven", "fail") and "m-older cannot" in said
    assert at.available("old") == 2 and f"!{OLD.commit}" not in jobs  # it is no home any more


def test_who_is_stopped_in_a_soak_stays_where_nothing_else_is_proven(jobs: dict[str, str]) -> None:
    jobs[OLDER.commit] = BAD
    at = tight("soaking", strategy="replace")
    actor = at.actor()
    carry_out(actor, decide_abort(actor.observe()))
    state = actor.read_state()[0]
    assert (state.phase, state.verdict) == ("unproven", "inconclusive")
    assert at.available("old") == 2


def test_a_way_back_that_was_begun_is_given_up(jobs: dict[str, str]) -> None:
    jobs[OLDER.commit] = BAD
    at = tight("reverting", strategy="replace")
    actor = at.actor()
    with pytest.raises(StepFailed, match=r"m-older cannot be proven to start.*m-old serves on"):
        carry_out(actor, moves.decide_recovery(actor.observe()))
    assert at_rest(at) == "old" and at.available("old") == 2


def test_a_neighbour_that_came_while_it_was_hashed_refuses(
    jobs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = tight()
    actor = at.actor()
    course = interrupting(actor)
    room = seats.room(actor, OLDER, "old")
    assert room is not None
    monkeypatch.setattr(seats, "room", lambda *_: replace(room, queue=("jobs/train-1",)))
    with pytest.raises(Refused, match="jobs/train-1 waits for"):
        carry_out(actor, course)
    assert at.writes == []
