"""What has the names of ours is ours by its labels alone: a stranger's is told, and left alone."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from flows.rollback import decide
from tasks.base.errors import Refused, RolloutError
from tasks.objects.labels import INSTANCE_LABEL, KIND_LABEL, MANAGED_LABEL
from tasks.outside.kubernetes.access import release_pods
from tasks.outside.kubernetes.lease import LeaseLock, ask_to_stop, holder_of
from tasks.release import moves
from tasks.release.soaking import Look
from tasks.release.words import in_words
from tasks.run import seats
from tasks.run.carry_out import carry_out
from tasks.run.locked import locked
from tests.support.cluster.actor_world import NAME, NEW, NS, OLDER, Object, World, in_test, world
from tests.support.cluster.by_hand import HAND, adopted, ident

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


# -- what carries the labels of a release --------------------------------------------------------


def copied(at: World, name: str) -> str:
    """`kubectl get -o yaml | sed | kubectl create`: the same labels, another name."""
    body = copy.deepcopy(at.objects["Deployment", name])
    body["metadata"] = {**body["metadata"], "name": f"{name}-copy"}
    body["metadata"].pop("uid")
    at.put(body)
    return f"{name}-copy"


def bare(at: World, ident: str) -> None:
    """A pod with the labels of a release that nobody keeps."""
    labels = at.objects["Deployment", f"m-{ident}"]["spec"]["template"]["metadata"]["labels"]
    pod = at._pod(at.objects["Deployment", f"m-{ident}"], "bare", "True")
    pod["metadata"] = {"name": "bare", "namespace": NS, "labels": dict(labels)}
    at.bare.append(pod)


@pytest.mark.parametrize("first", [True, False])
def test_a_copy_does_not_hide_the_release_that_it_was_made_of(first: bool) -> None:
    at = in_test()
    copied(at, "m-old")
    if first:  # whatever the API server lists first
        at.objects = dict(reversed(list(at.objects.items())))
    at.broken.add("new")
    seen = at.actor().observe()
    view = seen.view("old")
    assert view is not None and (view.name, view.available) == ("m-old", 2)
    assert seen.strangers == {"old": "Deployment m-old-copy, pod m-old-copy-0, pod m-old-copy-1"}
    said = in_words(seen)
    assert "m-old serves, 2 of 2 replica(s)" in said and "m-old-copy, pod m-old-copy-0" in said


def test_a_copy_is_no_capacity_of_what_it_was_made_of() -> None:
    """Scaled to zero, and gone: what a copy has is not the release's."""
    at = in_test()
    copied(at, "m-new")
    del at.objects["Deployment", "m-new"]
    seen = at.actor().observe()
    assert seen.view("new") is None and not seen.alive("new")
    assert release_pods(at, NS, NAME, "new") == []  # type: ignore[arg-type]
    with pytest.raises(RolloutError):
        at.actor().move(moves.PointService(NEW))
    assert at.leads_to() == "old"


@pytest.mark.parametrize("kind", ["copy", "bare"])
def test_what_shares_the_labels_of_a_candidate_bars_its_promotion(kind: str) -> None:
    at = in_test()
    named = "pod bare" if kind == "bare" else copied(at, "m-new")
    if kind == "bare":
        bare(at, "new")
    with pytest.raises(Refused, match=rf"m-new is not promoted: .*{named}.* carries its labels"):
        moves.decide_promotion(at.actor().observe(), keep_previous=True)


@pytest.mark.parametrize("what", ["guard", "recover"])
def test_strangers_are_neither_moved_nor_removed_nor_waited_for(what: str) -> None:
    at = in_test()
    names = [copied(at, "m-old"), copied(at, "m-new")]
    bare(at, "new")
    before = {name: copy.deepcopy(at.objects["Deployment", name]) for name in names}
    actor = at.actor(lambda _: Look())
    actor.take_over()
    carry_out(actor, decide(what, actor)[1])
    assert ("Deployment", "m-new") not in at.objects  # the candidate is gone
    assert {name: at.objects["Deployment", name] for name in names} == before
    assert at.leads_to() == "old" and at.available("old") == 2


def test_a_strangers_pods_free_no_seat_for_a_way_back() -> None:
    """Four seats: `old` has two, its copy has two, and stays."""
    at = world(seats=4)
    copied(at, "m-old")
    room = seats.room(at.actor(), OLDER, "old")
    assert room is not None and (room.beside, room.instead) == (0, 2)


def test_a_copy_of_an_adopted_release_is_not_that() -> None:
    at = adopted()
    copied(at, HAND)
    seen = at.actor().observe()
    view = seen.view(ident(at))
    assert view is not None and view.name == HAND
    assert "Deployment vllm-copy" in seen.strangers[ident(at)]
