"""How a proof ends: what it says, what it says nothing of, and what follows from either."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flows import guard
from flows.rollback import decide
from tasks.base import clock
from tasks.base.errors import Aborted, LockLost, OutsideError, Refused, RolloutError
from tasks.base.halt import Halt, heed, heeding
from tasks.diagnose.pods import Diagnosis
from tasks.outside.kubernetes.client import Forbidden
from tasks.outside.kubernetes.jobs import JobResult
from tasks.release import moves
from tasks.release.course import Course
from tasks.release.wish import decide_abort
from tasks.run import proofs
from tasks.run.carry_out import carry_out, settled
from tasks.weights.messages import Failed, line_of
from tests.support.cluster.actor_world import OLDER, World
from tests.support.cluster.courses import at_rest
from tests.support.cluster.tight import BAD, WHOLE, back, known, tight

pytestmark = pytest.mark.usefixtures("quick")
Job = Callable[..., JobResult]
NO_IMAGE = Diagnosis("image-pull", "the runner image cannot be pulled", "", "mend it", fatal=True)
BREACHED = {"strategy": "replace", "breach": "HTTP 500", "rollout": "r"}


def ends(result: JobResult, line: str = "") -> Job:
    def run_job(cluster: Any, job: Any, *, on_line: Any, **_: Any) -> JobResult:
        on_line(line)
        return result

    return run_job


def raises(error: BaseException) -> Job:
    def run_job(*_: Any, **__: Any) -> JobResult:
        raise error

    return run_job


# nobody has looked at any weights
UNSEEN = [
    pytest.param(raises(Forbidden("exceeded quota: count/jobs.batch", 403)), id="no Job"),
    pytest.param(raises(OutsideError("the cluster does not answer")), id="no answer"),
    pytest.param(raises(KeyError("status")), id="a fault of ours"),
    pytest.param(ends(JobResult(False, None, (), NO_IMAGE)), id="no runner"),
    pytest.param(ends(JobResult(False, 137, (), None)), id="killed"),
    pytest.param(ends(JobResult(True, 0, (), None)), id="no word"),
    pytest.param(ends(JobResult(False, 1, (), None), line_of(Failed("disk", "full"))), id="disk"),
]


@pytest.mark.parametrize("run_job", UNSEEN)
def test_who_has_not_looked_says_nothing_of_weights(
    run_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "run_job", run_job)
    at = tight()
    actor, decided = back(at)
    with pytest.raises(Refused, match=r"(?s)not known.*node n.*leave them as they are") as caught:
        settled(actor, decided(), decided)
    assert "aside" not in str(caught.value) and at.writes == []


@pytest.mark.parametrize("what", ["guard", "recover"])
@pytest.mark.parametrize("run_job", UNSEEN)
def test_what_fails_is_left_at_once_where_nobody_can_look(
    run_job: Job, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "run_job", run_job)
    at = tight("soaking", **BREACHED)
    actor = at.actor()
    said = settled(actor, decide(what, actor)[1], lambda: decide(what, actor)[1])
    assert "went back to m-older; not proven beforehand: nobody could hash" in said
    assert at_rest(at) == "older" and at.available("older") == 2


@pytest.mark.parametrize("what", ["guard", "recover"])
def test_damaged_weights_keep_what_fails_unproven(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "run_job", ends(JobResult(False, 1, (), None), BAD))
    at = tight("soaking", **BREACHED)
    actor = at.actor()
    settled(actor, decide(what, actor)[1], lambda: decide(what, actor)[1])
    state = actor.read_state()[0]
    assert (state.phase, state.verdict, at.leads_to()) == ("unproven", "fail", "old")
    assert "sha256 differs" in state.why and at.available("old") == 2


@pytest.mark.parametrize("run_job", UNSEEN)
def test_what_is_not_known_to_fail_stays_where_nobody_can_look(
    run_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "run_job", run_job)
    at = tight("soaking", strategy="replace", rollout="r")
    actor = at.actor()
    carry_out(actor, decide_abort(actor.observe()))
    state = actor.read_state()[0]
    assert (state.phase, state.verdict, at.leads_to()) == ("unproven", "inconclusive", "old")
    assert "nobody could hash" in state.why


@pytest.mark.parametrize("error", [LockLost("another has it"), Aborted("by a person")])
def test_who_lost_the_lease_or_is_stopped_decides_nothing(
    error: RolloutError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "run_job", raises(error))
    at = tight("soaking", **BREACHED)
    actor = at.actor()
    with pytest.raises(type(error)):
        carry_out(actor, decide("guard", actor)[1])
    assert at.writes == []


class Slow:
    """Jobs that hash for so long, whoever asks; one that is over and well is not made anew."""

    def __init__(self, minutes: float) -> None:
        self.minutes, self.nodes = minutes, set[str]()
        self.ends: dict[str, float] = {}

    def __call__(self, cluster: Any, job: Any, *, timeout_s: float, **more: Any) -> JobResult:
        name = job["metadata"]["name"]
        self.nodes.add(job["metadata"]["annotations"]["model-rollout/node"])
        end = self.ends.setdefault(name, clock.monotonic() + 60 * self.minutes)
        clock.sleep(min(timeout_s, max(0.0, end - clock.monotonic())))
        if end > clock.monotonic() + 1e-6:  # sums of pauses
            return JobResult(False, None, (), NO_IMAGE)
        more["on_line"](WHOLE)
        return JobResult(True, 0, (), None)


def three_nodes(at: World) -> None:
    """Only the first one has seats."""
    (node,) = at._nodes()
    full = {**node["status"], "allocatable": {"cpu": "0", "pods": "110"}}
    more = [{**node, "metadata": {"name": f"n{i}", "labels": {}}, "status": full} for i in (1, 2)]
    at._nodes = lambda: [node, *more]  # type: ignore[method-assign]


def test_what_fails_waits_for_no_long_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "run_job", slow := Slow(500))
    at = tight("soaking", **BREACHED)
    three_nodes(at)
    actor = at.actor()
    carry_out(actor, decide("guard", actor)[1], decide=lambda: decide("guard", actor)[1])
    assert at.leads_to() == "older" and slow.nodes


def test_a_long_hash_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "run_job", slow := Slow(50))
    at = tight()
    actor, decided = back(at)
    with pytest.raises(Refused, match="it goes on from what is hashed by then"):
        settled(actor, decided(), decided)
    assert at.writes == []
    settled(actor, decided(), decided)
    assert at_rest(at) == "older" and slow.nodes == {"n"}


@pytest.mark.parametrize("breached", [True, False])
def test_only_after_a_breach_what_a_job_said_is_believed(
    breached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks without need has the weights hashed anew: they may have changed since."""
    believed = []

    def run(*_: Any, on_line: Any, fresh_s: float, **more: Any) -> JobResult:
        believed.append(fresh_s)
        on_line(WHOLE)
        return JobResult(True, 0, (), None)

    monkeypatch.setattr(proofs, "run_job", run)
    at = tight("soaking", **BREACHED) if breached else tight()
    actor = at.actor()
    course = decide("guard", actor)[1] if breached else back(at)[1]()
    carry_out(actor, course)
    assert believed and all((seconds > 0) is breached for seconds in believed)


def test_a_proof_leaves_the_guard_time_to_go_back() -> None:
    assert proofs.BAD_S < proofs.PROOF_S <= guard.LIMIT_S / 2


@pytest.mark.parametrize("anew", [True, False])
def test_room_that_is_gone_since_is_no_room(anew: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    at = tight()
    at.seats = 3
    at.put(known(replace(OLDER, replicas=3), 0))

    def run_job(cluster: Any, job: Any, *, on_line: Any, **_: Any) -> JobResult:
        at.seats = 2  # a neighbour was placed while this hashed
        on_line(WHOLE)
        return JobResult(True, 0, (), None)

    monkeypatch.setattr(proofs, "run_job", run_job)
    actor, decided = back(at)
    with pytest.raises(Refused, match="room for 2"):
        carry_out(actor, decided(), decide=decided if anew else None)
    assert at.writes == [] and at.available("old") == 2


def test_a_course_is_decided_anew_once_it_is_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seats came free while it hashed: nothing has to stop any more."""
    at = tight()

    def run_job(cluster: Any, job: Any, *, on_line: Any, **_: Any) -> JobResult:
        at.seats = 4
        on_line(WHOLE)
        return JobResult(True, 0, (), None)

    monkeypatch.setattr(proofs, "run_job", run_job)
    actor, decided = back(at)
    at.may_interrupt = False
    settled(actor, decided(), decided)
    assert at.leads_to() == "older" and at.fewest == 2 and at.harm == []


@pytest.mark.parametrize("anew", [True, False])
def test_what_changed_while_it_hashed_is_heard(anew: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    at = tight()

    def run_job(cluster: Any, job: Any, *, on_line: Any, **_: Any) -> JobResult:
        body = at.get("Deployment", "m-older")
        assert body is not None
        body["spec"]["replicas"] = 1
        at.seats = 3
        at.put(body)
        on_line(WHOLE)
        return JobResult(True, 0, (), None)

    monkeypatch.setattr(proofs, "run_job", run_job)
    actor = at.actor()
    course = moves.decide_revert(actor.observe(), allow_interruption=True)

    def again() -> Course:
        return moves.decide_revert(actor.observe(), allow_interruption=True)

    if anew:
        settled(actor, course, again)
        assert at.leads_to() == "older"
    else:
        with pytest.raises(Refused, match="has changed while it was proven"):
            carry_out(actor, course)
        assert at.writes == []


def test_who_is_stopped_while_nodes_are_hashed_at_once_cleans_up_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thread hears it for all of them."""

    def run_job(*_: Any, **__: Any) -> JobResult:
        heed()
        raise AssertionError("not stopped")

    monkeypatch.setattr(proofs, "run_job", run_job)
    at = tight()
    three_nodes(at)
    actor, decided = back(at)
    with heeding(Halt(lambda: "a person")):
        with pytest.raises(Aborted):
            settled(actor, decided(), decided)
        heed()  # heard once
    assert at.writes == []
