"""Every list of moves, cut at every point, then settled: the serving release is never lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.base.errors import Refused
from tasks.release import moves
from tasks.release.moves import Course, DeploymentView, Observed
from tasks.release.state import Release, State


def release(name: str, replicas: int = 2) -> Release:
    """A release called `name`."""
    return Release(
        name, f"m-{name}", "o/m", "master", f"c-{name}", "sha256:0", "img", "m", replicas
    )


OLD, NEW, OLDER = release("old"), release("new"), release("older")


class World:
    """A cluster that executes moves; `broken` releases never become available."""

    def __init__(self, seen: Observed, broken: frozenset[str] = frozenset()) -> None:
        self.seen, self.broken = seen, broken
        self.outages = 0

    def view(self, name: str) -> DeploymentView | None:
        return next((d for d in self.seen.deployments.values() if d.name == name), None)

    def deploy(self, item: Release) -> None:
        up = 0 if item.id in self.broken else item.replicas
        view = DeploymentView(item.deployment, item.id, item.replicas, item.replicas, up)
        self.seen = replace(self.seen, deployments={**self.seen.deployments, item.id: view})

    def apply(self, move: moves.Move) -> None:
        deployments = dict(self.seen.deployments)
        match move:
            case moves.Save(state):
                self.seen = replace(self.seen, state=state)
            case moves.PointService(item):
                self.seen = replace(self.seen, serving=item.id)
            case moves.Scale(name, replicas):
                view = self.view(name)
                assert view is not None
                up = 0 if view.release in self.broken else replicas
                deployments[view.release] = replace(view, replicas=replicas, available=up)
                self.seen = replace(self.seen, deployments=deployments)
            case moves.AwaitReady(name):
                view = self.view(name)
                assert view is not None and view.available > 0, f"{name} never becomes ready"
            case moves.Remove(name):
                self.seen = replace(
                    self.seen,
                    deployments={k: v for k, v in deployments.items() if v.name != name},
                )
            case _:
                pass
        if self.seen.serving is not None and not self.seen.alive(self.seen.serving):
            self.outages += 1

    def run(self, course: Course, upto: int | None = None) -> None:
        for move in course.moves[:upto]:
            self.apply(move)


def world(
    *, phase: str = "idle", candidate: bool = False, broken: frozenset[str] = frozenset()
) -> World:
    """`old` serves, `older` is kept at zero, `new` may be under test."""
    state = State(
        "m", phase=phase, stable=OLD, previous=OLDER, candidate=NEW if candidate else None
    )  # type: ignore[arg-type]
    seen = Observed(
        state,
        "old",
        {
            "old": DeploymentView("m-old", "old", 2, 2, 2),
            "older": DeploymentView("m-older", "older", 0, 2, 0),
        },
    )
    out = World(seen, broken)
    if candidate:
        out.deploy(NEW)
    return out


def assert_settled(at: World) -> None:
    """Idle, the stable release serves alive, nothing runs beside it."""
    state = at.seen.state
    assert state.phase == "idle" and state.candidate is None
    assert state.stable is not None and at.seen.serving == state.stable.id
    assert at.seen.alive(at.seen.serving)
    assert [d.release for d in at.seen.deployments.values() if d.replicas] == [state.stable.id]
    allowed = {state.stable.id, state.previous.id if state.previous else state.stable.id}
    assert set(at.seen.deployments) <= allowed


@given(cut=st.integers(0, 12), cut_again=st.integers(0, 12), keep=st.booleans())
@settings(max_examples=300)
def test_promotion_cut_anywhere_settles_without_an_outage(
    cut: int, cut_again: int, keep: bool
) -> None:
    at = world(phase="testing", candidate=True)
    at.run(moves.decide_promotion(at.seen, keep_previous=keep), cut)
    at.run(moves.decide_recovery(at.seen, keep_previous=keep), cut_again)
    at.run(moves.decide_recovery(at.seen, keep_previous=keep))
    assert at.outages == 0
    assert_settled(at)


@given(cut=st.integers(0, 12), keep=st.booleans())
def test_a_cut_promotion_run_again_ends_promoted(cut: int, keep: bool) -> None:
    at = world(phase="testing", candidate=True)
    at.run(moves.decide_promotion(at.seen, keep_previous=keep), cut)
    if moves.decide_resume(at.seen, NEW) == "promote":
        at.run(moves.decide_promotion(at.seen, keep_previous=keep))
        assert at.seen.serving == "new"
        assert_settled(at)
    else:
        assert cut == 0 or at.seen.state.phase == "idle"
    assert at.outages == 0


@given(cut=st.integers(0, 12), cut_again=st.integers(0, 12))
def test_replace_cut_anywhere_brings_stable_back(cut: int, cut_again: int) -> None:
    at = world()
    at.run(moves.decide_start(at.seen, NEW, "r", "replace"), cut)
    if cut > 1:
        at.deploy(NEW)
    at.run(moves.decide_recovery(at.seen), cut_again)
    at.run(moves.decide_recovery(at.seen))
    assert at.seen.serving == "old"
    assert_settled(at)


@given(cut=st.integers(0, 12), cut_again=st.integers(0, 12))
def test_revert_cut_anywhere_goes_back_without_an_outage(cut: int, cut_again: int) -> None:
    at = world()
    at.run(moves.decide_revert(at.seen), cut)
    started = cut > 0
    at.run(moves.decide_recovery(at.seen), cut_again)
    at.run(moves.decide_recovery(at.seen))
    assert at.outages == 0
    assert at.seen.serving == ("older" if started else "old")
    assert_settled(at)


def test_a_promoted_release_that_died_is_taken_back() -> None:
    at = world(phase="testing", candidate=True)
    at.run(moves.decide_promotion(at.seen, keep_previous=True), 3)
    at.broken = frozenset({"new"})
    view = at.seen.deployments["new"]
    at.seen = replace(
        at.seen, deployments={**at.seen.deployments, "new": replace(view, available=0)}
    )
    at.run(moves.decide_recovery(at.seen))
    assert at.seen.serving == "old"
    assert_settled(at)


def test_recovery_removes_the_candidate_and_strangers_but_not_what_serves() -> None:
    at = world(phase="testing", candidate=True)
    at.deploy(release("stray"))
    course = moves.decide_recovery(at.seen)
    at.run(course)
    assert "m-new" in course.sentence
    assert set(at.seen.deployments) == {"old", "older"}
    assert_settled(at)


def test_recovery_trusts_the_service_over_a_lost_state() -> None:
    at = world()
    at.seen = replace(at.seen, state=State("m"))
    at.run(moves.decide_recovery(at.seen))
    assert "old" in at.seen.deployments and at.outages == 0


def test_first_rollout_ever() -> None:
    at = World(Observed(State("m"), None))
    at.run(moves.decide_start(at.seen, NEW, "r", "parallel"))
    at.deploy(NEW)
    at.run(moves.decide_promotion(at.seen, keep_previous=True))
    assert at.seen.serving == "new" and at.seen.state.previous is None
    assert_settled(at)


def test_nothing_to_promote_or_go_back_to_is_refused() -> None:
    empty = Observed(State("m"), None)
    with pytest.raises(Refused, match="no candidate"):
        moves.decide_promotion(empty, keep_previous=True)
    with pytest.raises(Refused, match="no previous release"):
        moves.decide_revert(empty)


@pytest.mark.parametrize(
    ("phase", "candidate", "serving", "expected"),
    [
        ("idle", None, "old", "fresh"),
        ("idle", None, "new", "done"),
        ("testing", NEW, "old", "retest"),
        ("held", NEW, "old", "retest"),
        ("promoting", NEW, "old", "promote"),
        ("promoting", NEW, "new", "promote"),
        ("testing", OLDER, "old", "clear"),
    ],
)
def test_resume(phase: str, candidate: Release | None, serving: str, expected: str) -> None:
    at = world()
    at.deploy(NEW)
    state = replace(at.seen.state, phase=phase, candidate=candidate)  # type: ignore[arg-type]
    assert moves.decide_resume(replace(at.seen, state=state, serving=serving), NEW) == expected
