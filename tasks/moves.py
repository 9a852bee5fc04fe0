"""Which moves lead from what the cluster holds to a settled state. PURE.

Promotion, roll-back, recovery after a crash and the operator's revert are all lists of the same
few moves, decided from an `Observed` cluster and never from a process's memory. Any prefix of a
list may have been executed when the process died: deciding anew from what is observed then leads
to a settled state, and no prefix leaves the Service without the release that served (proved by
tests/unit/test_moves.py, which cuts every list at every point).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tasks.errors import Refused
from tasks.state import Release, State, promoted


@dataclass(frozen=True)
class DeploymentView:
    """One of our Deployments: replicas asked now, replicas it serves with, replicas available."""

    name: str
    release: str
    replicas: int
    serves_with: int
    available: int


@dataclass(frozen=True)
class Observed:
    """What the cluster holds for one rollout. `serving` is the release in the Service's selector,
    None where there is no Service."""

    state: State
    serving: str | None
    deployments: dict[str, DeploymentView] = field(default_factory=dict)  # release id -> view

    def alive(self, release: str | None) -> bool:
        """At least one replica of the release is available."""
        return (
            release is not None
            and release in self.deployments
            and (self.deployments[release].available > 0)
        )


@dataclass(frozen=True)
class Save:
    """Write the state."""

    state: State


@dataclass(frozen=True)
class PointService:
    """Send the Service's traffic to a release: the one write of a promotion."""

    release: Release


@dataclass(frozen=True)
class Scale:
    """Set a Deployment's replicas, remembering on it what it serves with."""

    deployment: str
    replicas: int


@dataclass(frozen=True)
class AwaitReady:
    """Wait until a Deployment is ready."""

    deployment: str


@dataclass(frozen=True)
class Soak:
    """Watch the promoted release for a while; fails when it does."""

    release: Release


@dataclass(frozen=True)
class Remove:
    """Delete a Deployment and wait until its pods are gone."""

    deployment: str


@dataclass(frozen=True)
class RemoveCandidateService:
    """Delete the Service through which the candidate was reached."""


Move = Save | PointService | Scale | AwaitReady | Soak | Remove | RemoveCandidateService


@dataclass(frozen=True)
class Course:
    """Moves in order, and one sentence for a person."""

    moves: tuple[Move, ...]
    sentence: str


def _retire_old(seen: Observed, state: State, *, keep_previous: bool) -> list[Move]:
    """Stop everything that is neither stable nor kept as previous."""
    stable = state.stable.id if state.stable else None
    kept = state.previous.id if state.previous and keep_previous else None
    moves: list[Move] = []
    for release, view in sorted(seen.deployments.items()):
        if release in (stable, seen.serving):
            continue
        if release == kept:
            if view.replicas:
                moves.append(Scale(view.name, 0))
        else:
            moves.append(Remove(view.name))
    return moves


def decide_start(seen: Observed, candidate: Release, rollout: str, strategy: str) -> Course:
    """Announce the candidate; with `replace`, free the accelerators of stable first."""
    state = replace(
        seen.state,
        phase="testing",
        candidate=candidate,
        rollout=rollout,
        strategy=strategy,
        verdict="",
        approval="",
    )
    moves: list[Move] = [Save(state)]
    if strategy == "replace" and seen.serving in seen.deployments:
        moves.append(Scale(seen.deployments[seen.serving].name, 0))
    return Course(tuple(moves), f"testing candidate {candidate.deployment}")


def decide_promotion(seen: Observed, *, keep_previous: bool) -> Course:
    """The candidate passed: move the Service, soak, retire the old.

    Also finishes a promotion that died half-way. Raises Refused when there is nothing to promote.
    """
    state = seen.state
    moves: list[Move] = []
    if state.phase == "soaking" and state.stable and seen.serving == state.stable.id:
        after = state
    else:
        if state.candidate is None:
            raise Refused(
                f"rollout {state.name} has no candidate to promote; start one with `rollout run`"
            )
        after = replace(promoted(state), phase="soaking", verdict="pass")
        moves = [
            Save(replace(state, phase="promoting", verdict="pass")),
            PointService(state.candidate),
            Save(after),
        ]
    assert after.stable is not None
    settled = replace(
        after, phase="idle", previous=after.previous if keep_previous else None, strategy=""
    )
    now_serving = replace(seen, serving=after.stable.id)
    moves += [
        Soak(after.stable),
        RemoveCandidateService(),
        *_retire_old(now_serving, after, keep_previous=keep_previous),
        Save(settled),
    ]
    return Course(tuple(moves), f"promoting {after.stable.deployment}")


def decide_recovery(seen: Observed, *, keep_previous: bool = True) -> Course:
    """Settle what a failed, cancelled or dead rollout left behind. Idempotent.

    The release the Service points at stays. A promotion whose write has happened is finished when
    the new release is alive, taken back when only the old one is. Everything else: the candidate
    goes, and a stable release that was scaled down comes back.
    """
    state = seen.state
    if state.phase == "reverting":
        return decide_revert(seen)
    if state.phase == "promoting" and state.candidate and seen.serving == state.candidate.id:
        state = replace(promoted(state), phase="soaking")
        seen = replace(seen, state=state)
    if state.phase == "soaking" and state.stable and seen.serving == state.stable.id:
        previous = state.previous
        if seen.alive(state.stable.id) or not (previous and previous.id in seen.deployments):
            settled = replace(
                state, phase="idle", previous=previous if keep_previous else None, strategy=""
            )
            finish: list[Move] = [
                RemoveCandidateService(),
                *_retire_old(seen, state, keep_previous=keep_previous),
                Save(settled),
            ]
            return Course(tuple(finish), f"finished the promotion of {state.stable.deployment}")
        return decide_revert(seen)
    moves: list[Move] = [RemoveCandidateService()]
    gone = state.candidate
    keep = {seen.serving, state.stable.id if state.stable else None}
    if keep_previous and state.previous:
        keep.add(state.previous.id)
    moves += [
        Remove(view.name)
        for release, view in sorted(seen.deployments.items())
        if release not in keep
    ]
    # what served was scaled down for a replace: bring it back once the candidate's devices are free
    serving = seen.deployments.get(seen.serving or "")
    if serving is not None and serving.replicas < serving.serves_with:
        moves += [Scale(serving.name, serving.serves_with), AwaitReady(serving.name)]
    moves.append(Save(replace(state, phase="idle", candidate=None, strategy="", approval="")))
    return Course(
        tuple(moves),
        f"removed candidate {gone.deployment}" if gone else "nothing was under way",
    )


def decide_revert(seen: Observed, *, allow_interruption: bool = False) -> Course:
    """Go back from the serving release to the one before it.

    Raises Refused when there is none. The release that served badly is scaled down first only
    when it does not answer anyway, or an interruption is allowed.
    """
    state = seen.state
    if state.phase == "promoting" and state.candidate and seen.serving == state.candidate.id:
        state = promoted(state)
    target, bad = state.previous, state.stable
    if target is None or bad is None or target.id not in seen.deployments:
        raise Refused(
            f"rollout {state.name} has no previous release to go back to; "
            "roll a known good revision out with `rollout run`"
        )
    back = seen.deployments[target.id]
    bad_view = seen.deployments.get(bad.id)
    moves: list[Move] = [Save(replace(state, phase="reverting"))]
    if bad_view and bad_view.replicas and (allow_interruption or not seen.alive(bad.id)):
        moves.append(Scale(bad_view.name, 0))
    if back.replicas < back.serves_with:
        moves.append(Scale(back.name, back.serves_with))
    moves += [AwaitReady(back.name), PointService(target), RemoveCandidateService()]
    settled = replace(
        state, phase="idle", stable=target, previous=None, candidate=None, strategy="", approval=""
    )
    # announce the new stable before its predecessor goes, so a crash here finds the truth
    moves.append(Save(settled))
    moves += [
        Remove(view.name)
        for release, view in sorted(seen.deployments.items())
        if release != target.id
    ]
    return Course(tuple(moves), f"went back to {target.deployment}")


def decide_resume(seen: Observed, wanted: Release) -> str:
    """What a new run finds: 'fresh', 'done', 'promote', 'retest' or 'clear'.

    done: the wanted release serves already. promote: it passed and its promotion is unfinished.
    retest: it is the candidate under test. clear: another rollout's leftovers go first.
    """
    state = seen.state
    if state.phase == "soaking" and state.stable and state.stable.id == wanted.id:
        return "promote"
    if state.phase == "promoting" and state.candidate and state.candidate.id == wanted.id:
        return "promote" if seen.alive(wanted.id) else "retest"
    if state.phase == "idle":
        if seen.serving == wanted.id and seen.alive(wanted.id):
            return "done"
        return "fresh"
    if state.candidate and state.candidate.id == wanted.id:
        return "retest"
    return "clear"
