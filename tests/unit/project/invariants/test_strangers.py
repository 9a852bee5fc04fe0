"""What has the names of ours is ours by its labels alone: a stranger's is told, and left alone."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from tasks.base.errors import Refused
from tasks.objects.labels import INSTANCE_LABEL, KIND_LABEL, MANAGED_LABEL
from tasks.outside.kubernetes.lease import LeaseLock, ask_to_stop, holder_of
from tasks.run.locked import locked
from tests.support.cluster.actor_world import NAME, NS, Object, World, in_test

pytestmark = pytest.mark.usefixtures("quick")
STATE, LEASE = ("ConfigMap", f"rollout-{NAME}"), ("Lease", f"rollout-{NAME}")
Does = Callable[[World], object]


def lease(labels: dict[str, str]) -> Object:
    """Of another operator's, who elects a leader by it and holds it no more."""
    spec = {"holderIdentity": "", "leaseTransitions": 3, "renewTime": "2020-01-01T00:00:00.000Z"}
    meta = {"name": LEASE[1], "namespace": NS, "labels": labels}
    return {"kind": "Lease", "metadata": meta, "spec": spec}


def takes_the_lock(at: World) -> None:
    at.limited = lambda *_: at  # type: ignore[attr-defined]
    with locked(at, NS, NAME, "me"):  # type: ignore[arg-type]
        raise AssertionError("it was taken")


LOCKS: dict[str, Does] = {
    "the lock": takes_the_lock,
    "an abort": lambda at: ask_to_stop(at, NS, NAME, "me"),  # type: ignore[arg-type]
    "a look at its holder": lambda at: holder_of(at, NS, NAME),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("does", LOCKS.values(), ids=LOCKS)
@pytest.mark.parametrize(
    "labels", [{}, {"app": "theirs"}, {MANAGED_LABEL: "Helm", INSTANCE_LABEL: NAME}]
)
def test_a_lease_of_somebody_elses_is_refused_and_left_as_it_is(
    labels: dict[str, str], does: Does
) -> None:
    at = in_test()
    at.put(lease(labels))
    before = copy.deepcopy(at.objects)
    with pytest.raises(Refused, match=f"Lease {NS}/rollout-m exists and is not this rollout's"):
        does(at)
    assert at.objects == before


def test_a_lease_that_we_made_is_ours() -> None:
    at = World()
    at.limited = lambda *_: at  # type: ignore[attr-defined]
    for _ in range(2):
        with LeaseLock(at, NS, NAME, "me"):  # type: ignore[arg-type]
            assert holder_of(at, NS, NAME) == "me"  # type: ignore[arg-type]


MEMORIES: dict[str, Does] = {
    "a look": lambda at: at.actor().observe(),
    "a state that is saved": lambda at: at.actor().save(at.actor().read_state()[0]),
    "a process that takes over": lambda at: at.actor().take_over(),
    "the lock": takes_the_lock,
}


@pytest.mark.parametrize("does", MEMORIES.values(), ids=MEMORIES)
@pytest.mark.parametrize("label", [MANAGED_LABEL, INSTANCE_LABEL, KIND_LABEL])
def test_a_configmap_of_somebody_elses_is_refused_and_left_as_it_is(label: str, does: Does) -> None:
    """It may hold what looks like a state: a copy from another cluster, say."""
    at = in_test()
    body = at.objects[STATE]
    body["metadata"]["labels"][label] = "theirs"
    at.put(body)
    before = copy.deepcopy(at.objects)
    with pytest.raises(Refused, match=f"ConfigMap {NS}/rollout-m exists and is not this rollout's"):
        does(at)
    assert at.objects == before
