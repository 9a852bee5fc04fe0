"""Before anything is taken from what serves every quota of its namespace is asked, not the first
alone that the API server names."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tasks.base.errors import Refused
from tasks.outside.kubernetes.client import Forbidden
from tasks.outside.kubernetes.jobs import JobResult
from tasks.release.comeback import Comeback
from tasks.release.lend import Lend
from tasks.release.wish import decide_wish
from tasks.run import proofs, seats
from tasks.run.carry_out import carry_out
from tasks.run.comeback import must_come_back
from tasks.run.findings import Planned
from tasks.run.making import with_made
from tests.support.cluster.actor_world import NAME, NS, OLDER, World
from tests.support.cluster.courses import at_rest
from tests.support.cluster.runs import run_of
from tests.support.cluster.tight import (
    QUOTA,
    ends,
    forbidden,
    goes_back,
    hashes_well,
    known,
    refusing,
    tight,
)
from tests.support.surveys import survey

pytestmark = pytest.mark.usefixtures("quick")
Object = dict[str, Any]


def quota(
    at: World, name: str, hard: str, used: str, of: str = "limits.memory", **spec: Any
) -> None:
    at.put(
        {
            "kind": "ResourceQuota",
            "metadata": {"name": name, "namespace": NS},
            "spec": {"hard": {of: hard}, **spec},
            "status": {"hard": {of: hard}, "used": {of: used}},
        }
    )
    at.writes.clear()


def asks_memory(at: World, deployment: str) -> str:
    """Each pod of it up to 1Gi; gives what its pods have now."""
    body = at.objects["Deployment", deployment]
    (engine,) = body["spec"]["template"]["spec"]["containers"]
    # the node of these tests has no memory to give
    requests = {"cpu": "1", "memory": "0"}
    engine["resources"] = {"requests": requests, "limits": {"memory": "1Gi"}}
    return f"{body['spec']['replicas']}Gi"


@pytest.mark.parametrize("full", [True, False], ids=["q is full of ourselves", "q has room"])
@pytest.mark.parametrize("which", ["m-old", "m-older"])
@pytest.mark.parametrize(("lowered", "scope"), [(True, ""), (True, "Terminating"), (False, "")])
def test_the_second_quota_is_asked_as_the_first(
    full: bool, which: str, lowered: bool, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For what starts and for what is to come home. One of other pods is none of ours."""
    at = tight()
    used = asks_memory(at, which)
    quota(at, "q", "2" if full else "9", "2", "cpu")
    quota(at, "m", "512Mi" if lowered else "2Gi", used, scopes=[scope] if scope else [])
    if full:
        at.admit = refusing(forbidden(QUOTA.format(used=2, most=2)), "m-old", "m-older")
    if not lowered or scope:
        goes_back(at, monkeypatch)
        assert at_rest(at) == "older"
        return
    with pytest.raises(Refused, match=f"{which} .*quota m would be exceeded: limits.memory"):
        goes_back(at, monkeypatch)
    assert at.writes == [] and at.available("old") == 2


def test_what_others_filled_is_not_given_back_by_pods_that_it_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = tight()
    wanted = [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]
    quota(at, "q", "2", "2", "cpu", scopeSelector={"matchExpressions": wanted})
    at.objects["Deployment", "m-older"]["spec"]["template"]["spec"]["priorityClassName"] = "high"
    at.admit = refusing(forbidden(QUOTA.format(used=2, most=2)), "m-older")
    with pytest.raises(Refused, match=r"m-older .*exceeded quota: q"):
        goes_back(at, monkeypatch)
    assert at.writes == [] and at.available("old") == 2


def test_quotas_that_may_not_be_listed_are_told_and_refuse_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = tight()
    asks_memory(at, "m-older")
    quota(at, "m", "512Mi", "0")
    whole = at.list

    def mine(kind: str, *rest: Any, **more: Any) -> list[Object]:
        if kind == "ResourceQuota":
            raise Forbidden("no right", 403)
        return whole(kind, *rest, **more)

    monkeypatch.setattr(at, "list", mine)
    found = with_made(cast(Any, at), NAME, at.objects["Deployment", "m-older"], Comeback(), 2)
    assert found.wrong == ()
    assert found.unknown == (f"whether each quota of namespace {NS} has room: none may be listed",)
    goes_back(at, monkeypatch)
    assert at_rest(at) == "older"


# -- one beside the other -----------------------------------------------------------------------

# more than one of the two pods that serve gives back, and no more than both do
LARGER = forbidden("exceeded quota: q, requested: cpu=2, used: cpu=2, limited: cpu=2")


@pytest.mark.parametrize("named", [True, False], ids=["the first", "another"])
@pytest.mark.parametrize(
    ("lend", "refused"), [(Lend(1, 2, 1, 1, 1), True), (None, False)], ids=["lend", "replace"]
)
def test_a_candidate_is_tried_beside_what_serves_on(
    lend: Lend | None, refused: bool, named: bool
) -> None:
    at = tight()
    run = run_of(at)
    found = replace(survey(run.spec), seen=at.actor().observe())
    body = found.deployment([])
    body["spec"]["replicas"] = 1
    plan: Any = SimpleNamespace(strategy="lend" if lend else "replace", lend=lend)
    if named:
        at.admit = refusing(LARGER, body["metadata"]["name"])
    else:
        body["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "2"}}
        quota(at, "exceeded", "2", "2", "cpu")
    cluster = hashes_well(run)
    if not refused:
        must_come_back(run, cluster, Planned(plan, found, body))
        return
    with pytest.raises(Refused, match=r"no 1 Pod.s. of it beside 1 of what serves: .*exceeded"):
        must_come_back(run, cluster, Planned(plan, found, body))
    assert at.writes == [] and at.available("old") == 2


@pytest.mark.parametrize("strategy", ["lend", "replace"])
@pytest.mark.parametrize("of", ["count/deployments.apps", "count/replicasets.apps", "services"])
def test_a_candidate_that_is_one_object_too_many_makes_no_room(of: str, strategy: str) -> None:
    at = tight()
    run = run_of(at)
    found = replace(survey(run.spec), seen=at.actor().observe())
    body = found.deployment([])
    plan: Any = SimpleNamespace(strategy=strategy, lend=None)
    quota(at, "objects", "2", "2", of)
    cluster = hashes_well(run)
    with pytest.raises(Refused, match=f"quota objects would be exceeded: {of}"):
        must_come_back(run, cluster, Planned(plan, found, body))
    assert at.writes == [] and at.available("old") == 2


@pytest.mark.parametrize("interrupt", [False, True], ids=["lend", "replace"])
def test_so_is_what_is_gone_back_to(interrupt: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "run_job", ends(JobResult(True, 0, (), None), []))
    at = tight()
    at.put(known(replace(OLDER, replicas=1), 0))
    at.writes.clear()
    at.admit = refusing(LARGER, "m-older")
    actor = at.actor()
    seen = actor.observe()
    room = seats.room(actor, OLDER, seen.serving)
    assert room is not None
    # one of its pods takes both seats, or, as far as nodes go, either of them
    room = replace(room, tables=((0, 0, 1) if interrupt else (0, 1, 2),))
    course = decide_wish("rollback", seen, allow_interruption=True, room=room)
    if interrupt:
        carry_out(actor, course)
        assert at.leads_to() == "older"
        return
    with pytest.raises(Refused, match=r"no 1 Pod.s. of it beside 1 of what serves"):
        carry_out(actor, course)
    assert at.writes == [] and at.available("old") == 2
