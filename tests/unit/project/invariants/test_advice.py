"""What an error advises about our ConfigMap or Lease leads on: each is followed to its end."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from flows.rollback import decide
from tasks.base.errors import Refused, RolloutError, StepFailed
from tasks.run.carry_out import carry_out
from tasks.run.locked import Locked, locked
from tests.support.cluster.actor_world import NAME, NS, World, world

pytestmark = pytest.mark.usefixtures("quick")
STATE, LEASE = ("ConfigMap", f"rollout-{NAME}"), ("Lease", f"rollout-{NAME}")
Follows = Callable[[World], object]


@contextmanager
def taken(at: World) -> Iterator[Locked]:
    """The lock of whoever comes next, and the Lease it needs."""
    at.limited = lambda *_: at  # type: ignore[attr-defined]
    with locked(at, NS, NAME, "me") as held:  # type: ignore[arg-type]
        yield held


def recovers(at: World) -> None:
    with taken(at) as held:
        carry_out(held.actor, decide("recover", held.actor)[1])
    state = at.actor().observe().state
    assert (state.phase, state.stable and state.stable.id) == ("idle", "old")
    assert at.leads_to() == "old" and at.harm == []


def of_epoch(at: World, epoch: int) -> None:
    """Somebody puts another ConfigMap back."""
    body = copy.deepcopy(at.objects[STATE])
    state = {**json.loads(body["data"]["state"]), "epoch": epoch, "writer": "another"}
    at.put({**body, "data": {**body["data"], "state": json.dumps(state)}})


def test_a_state_of_a_later_epoch_than_the_lock() -> None:
    """It comes while the lock is taken: before that, the lock is taken above it."""
    at = world()

    def restored(verb: str, kind: str) -> None:
        if (verb, kind) == ("create", "Lease"):
            of_epoch(at, 40)

    at.meddle = restored
    before = copy.deepcopy(at.objects["Service", NAME])
    with pytest.raises(StepFailed, match="run this again, it takes an epoch above"), taken(at):
        pass
    assert at.objects["Service", NAME] == before
    at.meddle = lambda *_: None
    recovers(at)
    assert at.actor().observe().state.epoch > 40


def goes(at: World) -> None:
    """Somebody deletes it, or moves it away."""
    del at.objects[STATE]


def test_a_state_that_cannot_be_read_is_put_back() -> None:
    at = world()
    whole = copy.deepcopy(at.objects[STATE])
    unreadable(at)
    with pytest.raises(StepFailed, match="restore it from a backup"):
        recovers(at)
    at.put(whole)
    recovers(at)


def unreadable(at: World) -> None:
    state = json.loads(at.objects[STATE]["data"]["state"])
    del state["epoch"]
    at.objects[STATE]["data"]["state"] = json.dumps(state)


def anothers(at: World) -> None:
    at.objects[STATE]["metadata"]["labels"] = {"app": "theirs"}


@pytest.mark.parametrize(
    ("happens", "advice"),
    [
        (unreadable, "or delete it to start without history"),
        (anothers, "or move that object away"),
    ],
)
def test_a_configmap_that_stands_in_the_way_goes(happens: Follows, advice: str) -> None:
    at = world()
    happens(at)
    with pytest.raises(RolloutError, match=advice):
        recovers(at)
    goes(at)
    recovers(at)


def test_a_lease_that_stands_in_the_way_goes() -> None:
    at = world()
    meta = {"name": LEASE[1], "namespace": NS, "labels": {"app": "theirs"}}
    at.put({"kind": "Lease", "metadata": meta, "spec": {}})
    with pytest.raises(Refused, match="or move that object away"):
        recovers(at)
    del at.objects[LEASE]
    recovers(at)
