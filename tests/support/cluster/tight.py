"""Two seats, and what serves has both: a way back takes them, once it is proven. An API server that
takes no Pod, in its own words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.outside.kubernetes.client import Forbidden
from tasks.outside.kubernetes.jobs import JobResult
from tasks.release.course import Course
from tasks.release.memory.terms import with_terms
from tasks.release.state import Release, to_configmap
from tasks.release.wish import decide_wish
from tasks.run import proofs, seats
from tasks.run.carry_out import settled
from tasks.run.run import Run
from tasks.weights.messages import Done, Failed, line_of
from tests.support.cluster.actor_world import NS, OLD, OLDER, World, deployment, world
from tests.support.cluster.runs import locked
from tests.support.nodedata import make_spec

WHOLE = line_of(Done("/store/x"))
Object = dict[str, Any]
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


def back(at: World, *, interrupt: bool = True) -> tuple[Any, Callable[[], Course]]:
    """A way back to `older`, and how it is decided. interrupt: no seat is lent."""
    actor = at.actor()

    def decided() -> Course:
        seen = actor.observe()
        room = seats.room(actor, OLDER, seen.serving)
        assert room is not None
        if interrupt:
            room = replace(room, tables=((0, 0, 0),))
        return decide_wish("rollback", seen, allow_interruption=interrupt, room=room)

    return actor, decided


QUOTA = "exceeded quota: q, requested: cpu=1, used: cpu={used}, limited: cpu={most}"


def refusing(error: Exception, *deployments: str) -> Callable[[Object], None]:
    """An API server that takes no Pod of these."""

    def admit(body: Object) -> None:
        its = body["metadata"].get("generateName", "")
        if body["kind"] == "Pod" and its.removesuffix("-") in deployments:
            raise error

    return admit


def forbidden(said: str) -> Forbidden:
    return Forbidden(f'POST pods is forbidden (403): pods "x" is forbidden: {said}', 403)


def goes_back(at: World, monkeypatch: pytest.MonkeyPatch) -> str:
    def run_job(*_: Any, on_line: Any, **__: Any) -> JobResult:
        on_line(WHOLE)
        return JobResult(True, 0, (), None)

    monkeypatch.setattr(proofs, "run_job", run_job)
    actor, decided = back(at)
    return settled(actor, decided(), decided)


def ends(result: JobResult, jobs: list[Object]) -> Callable[..., JobResult]:
    """Jobs that hash end well, and the one that names Secrets so."""

    def run_job(*given: Any, on_line: Any, **__: Any) -> JobResult:
        job = given[-1]
        if "-named-" in job["metadata"]["name"]:
            jobs.append(job)
            return result
        on_line(WHOLE)
        return JobResult(True, 0, (), None)

    return run_job


def hashes_well(run: Run) -> Any:
    """What writes for a run, whose Jobs find all weights whole."""
    return SimpleNamespace(actor=locked(run).actor, run_job=ends(JobResult(True, 0, (), None), []))
