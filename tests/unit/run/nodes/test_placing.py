"""The nodes that a release may run on are gone: it is placed again where its weights are, and what
answers, and be it with one pod, stays where it is."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.base.errors import Refused, RolloutError, StepFailed
from tasks.outside.kubernetes.client import ApiError
from tasks.outside.kubernetes.jobs import JobResult
from tasks.record.outcome import unchanged
from tasks.release.moves import decide_resume
from tasks.release.seats import pins
from tasks.release.state import Release
from tasks.release.wish import decide_wish
from tasks.render.release import node_affinity
from tasks.run import proofs, seats
from tasks.run.carry_out import carry_out
from tasks.run.nodes import placing
from tests.support.cluster.actor_world import NS, OLD, OLDER, Killed
from tests.support.cluster.pool import AFTER, BEFORE, Pool, pool
from tests.support.cluster.runs import run_of
from tests.support.cluster.tight import BAD, WHOLE

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the Job says of the weights on a node."""
    says: dict[str, str] = {}

    def run_job(
        cluster: Any, job: Any, *, timeout_s: float, on_line: Any, fence: Any, **_: Any
    ) -> JobResult:
        said = says.get(job["metadata"]["annotations"]["model-rollout/node"], WHOLE)
        on_line(said)
        return JobResult(said == WHOLE, 0 if said == WHOLE else 1, (), None)

    monkeypatch.setattr(proofs, "run_job", run_job)
    return says


def run(at: Pool, names: tuple[str, ...] = AFTER) -> str:
    """As `rollout run` of the same spec does, once the weights are there."""
    actor = at.actor()
    actor.take_over()
    planned: Any = SimpleNamespace(release=OLD, nodes=list(names))
    held: Any = SimpleNamespace(actor=actor)
    return placing.place(run_of(at), held, planned)


def hosts(at: Pool, release: Release) -> tuple[str, ...]:
    return pins.pinned(at.objects["Deployment", release.deployment])


def test_a_run_of_the_same_spec_places_it_again() -> None:
    at = pool()
    before = at.actor().observe()
    assert decide_resume(before, OLD) != "done" and not before.alive("old")
    assert run(at) == "m-old was placed again, on pool-v2-a, pool-v2-b"
    seen = at.actor().observe()
    assert hosts(at, OLD) == AFTER and at.available("old") == 2
    # it is the release that was judged: a way back leads to it as before
    assert decide_resume(seen, OLD) == "done" and not seen.changed("old")
    assert at.harm == []


@pytest.mark.parametrize("cut", range(12))
def test_cut_anywhere_it_is_placed_by_whoever_comes_next(cut: int, jobs: dict[str, str]) -> None:
    at = pool()
    at.left = cut
    try:
        run(at)
    except Killed:
        pass
    finally:
        at.left = None
    actor = at.actor()
    actor.take_over()
    placing.by_itself(actor, "recover")
    carry_out(actor, decide_wish("recover", actor.observe()))
    assert at.available("old") == 2 and hosts(at, OLD) == AFTER
    assert not at.actor().observe().changed("old") and at.harm == []


def test_the_guard_places_nothing_as_long_as_it_may_be_a_start_up(jobs: dict[str, str]) -> None:
    at = pool()
    assert placing.by_itself(at.actor(), "guard") == ("", "")


@pytest.mark.parametrize("what", ["recover", "abort"])
def test_whoever_settles_places_it_where_the_weights_are(what: str, jobs: dict[str, str]) -> None:
    at = pool()
    actor = at.actor()
    actor.take_over()
    done, advice = placing.by_itself(actor, what)
    assert "m-old may run on pool-v1-a, pool-v1-b alone" in done and not advice
    assert "m-old was placed again" in done and at.available("old") == 2


def test_where_weights_are_missing_a_person_is_told_to_run_it(jobs: dict[str, str]) -> None:
    at = pool(names=("pool-v2-a",))
    jobs["pool-v2-a"] = BAD
    actor = at.actor()
    actor.take_over()
    done, advice = placing.by_itself(actor, "recover")
    assert not done and "`rollout run` with its spec brings its weights" in advice
    assert hosts(at, OLD) == BEFORE


def test_weights_on_one_of_two_nodes_are_enough_where_it_has_the_room(
    jobs: dict[str, str],
) -> None:
    at = pool()
    jobs["pool-v2-a"] = BAD
    actor = at.actor()
    actor.take_over()
    placing.by_itself(actor, "recover")
    assert hosts(at, OLD) == ("pool-v2-b",) and at.available("old") == 2


def test_a_way_back_is_placed_before_it_is_gone(jobs: dict[str, str]) -> None:
    """Both are held to nodes that are gone; the one that a person goes back to gets others."""
    at = pool()
    actor = at.actor()
    actor.take_over()
    done, _ = placing.by_itself(actor, "rollback")
    assert "m-older was placed again" in done and at.available("older") == 0
    seen = actor.observe()
    course = decide_wish("rollback", seen, room=seats.room(actor, OLDER, seen.serving))
    carry_out(actor, course, unchecked=True)
    assert at.leads_to() == "older" and at.available("older") == 2 and at.harm == []
    assert actor.observe().state.phase == "idle"


def test_what_answers_is_left_where_it_is() -> None:
    at = pool(names=("pool-v1-a", *AFTER))
    with pytest.raises(Refused, match="can be placed where it is"):
        run(at)
    with pytest.raises(StepFailed, match="answers by now and is left"):
        placing.again(at.actor(), run_of(at).spec, "old", AFTER)
    assert [kind for _, kind, _ in at.writes if kind == "Deployment"] == ["Deployment"] * 2
    seen = at.actor().observe()
    said = placing.amiss(at, NS, seen)  # type: ignore[arg-type]
    assert "pool-v1-b is gone" in said and "What answers is left as it is" in said
    assert said in unchanged("m-old", said).sentence  # a run of the same spec ends with it


@pytest.mark.parametrize(
    ("nodes", "closed", "why"),
    [
        (AFTER, (), "pool-v1-a, pool-v1-b are gone"),
        (("pool-v1-a", *AFTER), ("pool-v1-a",), "pool-v1-b is gone and pool-v1-a takes no more"),
        (BEFORE, BEFORE, "pool-v1-a, pool-v1-b take no more of its pods"),
        (("pool-v1-a", *AFTER), (), ""),
    ],
)
def test_why_none_of_its_pods_can_be_placed(
    nodes: tuple[str, ...], closed: tuple[str, ...], why: str
) -> None:
    at = pool(names=nodes)
    at.closed = closed
    found = pins.why_stranded(at.objects["Deployment", "m-old"], at._nodes(), at._pods())
    assert why in found and bool(found) == bool(why)


def test_a_template_that_a_person_changes_is_told_after_it_was_placed() -> None:
    at = pool()
    run(at)
    found = copy.deepcopy(at.objects["Deployment", "m-old"])
    found["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
    at.put(found)
    assert "somebody changed it" in at.actor().observe().changed("old", which=False)


def test_it_is_not_placed_over_the_head_of_who_scales_it() -> None:
    """Fenced by the object and its version: pods that are asked for meanwhile are left."""
    at = pool()
    found = at.objects["Deployment", "m-old"]
    with pytest.raises(StepFailed, match="asks for 2"):
        pins.held_to(found, found["metadata"]["uid"], at._nodes())
    zero = {**found, "spec": {**found["spec"], "replicas": 0}, "status": {}}
    with pytest.raises(StepFailed, match="made it anew"):
        pins.held_to(zero, "another", at._nodes())
    assert pins.held_to(zero, found["metadata"]["uid"], at._nodes())


def test_nodes_that_a_site_names_are_its_own_to_change(jobs: dict[str, str]) -> None:
    at = pool()
    affinity = node_affinity(BEFORE)
    spec = run_of(at, serving={"image": "i", "pod": {"affinity": affinity}}).spec
    with pytest.raises(RolloutError, match=r"serving\.pod names"):
        placing.again(at.actor(), spec, "old", AFTER)
    assert hosts(at, OLD) == BEFORE


class Tightened(Pool):
    """A site whose policy takes no new pod template any more."""

    status = 403
    said = "admission webhook denied the request"

    def patch(self, kind: str, name: str, ns: str, body: Any, **more: Any) -> Any:
        if "template" in (body.get("spec") or {}) and (more.get("dry_run") or self.status == 403):
            raise ApiError(self.said, self.status)
        return super().patch(kind, name, ns, body, **more)


def test_a_template_that_is_refused_is_said_before_anything_stops(jobs: dict[str, str]) -> None:
    at = pool()
    at.__class__ = Tightened
    with pytest.raises(StepFailed, match=r"nothing was moved: .* is refused: admission webhook"):
        run(at)
    actor = at.actor()
    actor.take_over()
    done, advice = placing.by_itself(actor, "recover")
    assert not done and "admission webhook denied" in advice
    body = at.objects["Deployment", "m-old"]
    assert body["spec"]["replicas"] == 2 and hosts(at, OLD) == BEFORE


def test_what_cannot_be_tried_is_placed_untried() -> None:
    at = pool()
    at.__class__ = Tightened
    vars(at).update(status=400, said="admission webhook x does not support dry run")
    run(at)
    assert hosts(at, OLD) == AFTER and at.available("old") == 2


def test_where_nobody_answers_nothing_stops() -> None:
    at = pool()
    at.__class__ = Tightened
    vars(at).update(status=500, said="etcd is away")
    with pytest.raises(ApiError, match="etcd"):
        run(at)
    assert at.objects["Deployment", "m-old"]["spec"]["replicas"] == 2
