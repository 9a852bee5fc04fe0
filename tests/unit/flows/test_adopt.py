"""An adoption, and what follows from it, by the real Actor: cut before every write, and late."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from flows.adopt import allowed, decide
from tasks.base.errors import LockLost, OutsideError, Refused, RolloutError
from tasks.objects.labels import (
    ADOPTED,
    FORMER_ANNOTATION,
    INSTANCE_LABEL,
    MANAGED_LABEL,
    REACHED_ANNOTATION,
    RELEASE_LABEL,
)
from tasks.objects.reached import labelled, leads_to, reached_of
from tasks.outside.kubernetes.actor import Actor
from tasks.release import moves
from tasks.release.soaking import Look
from tasks.release.wish import decide_wish
from tasks.run import seats
from tasks.run.carry_out import carry_out
from tests.support.cluster.actor_world import NAME, NEW, Killed, World, deployment
from tests.support.cluster.by_hand import (
    HAND,
    PORTS,
    SELECTOR,
    adopted,
    adopts,
    by_hand,
    ident,
    plain_deployment,
    promoted,
    puts_new,
    specs,
)
from tests.support.cluster.by_hand import plain_service as service
from tests.support.cluster.courses import at_every_cut, at_rest, once, promotes, recovers, settle

pytestmark = pytest.mark.usefixtures("quick")
SERVICE, HANDS = ("Service", NAME), ("Deployment", HAND)


def untouched(at: World) -> None:
    """Its pods and where the Service leads are as they were."""
    assert at.objects[HANDS]["spec"] == plain_deployment()["spec"]
    assert at.objects[SERVICE]["spec"] == service()["spec"]
    assert at.harm == [] and at.available(at.leads_to()) == 2


def test_an_adoption() -> None:
    at = adopted()
    untouched(at)
    seen = at.actor().observe()
    stable = seen.state.stable
    assert stable is not None and stable.id == seen.serving == ident(at)
    assert stable.id.startswith(ADOPTED) and seen.state.phase == "idle"
    assert (stable.deployment, stable.image, stable.served_name) == (HAND, "vllm:1", "qwen")
    assert (stable.model, stable.replicas) == ("/m/qwen", 2)
    view = seen.view(stable.id)
    assert view is not None and view.whole
    for key in (SERVICE, HANDS):
        meta = at.objects[key]["metadata"]
        assert meta["labels"]["team"] == "a" and meta["labels"][INSTANCE_LABEL] == NAME
        reached = reached_of(at.objects[key])
        assert reached is not None and (reached.selector, reached.ports) == (SELECTOR, PORTS)
        assert INSTANCE_LABEL in meta["annotations"][FORMER_ANNOTATION]
    settle(at)
    untouched(at)


def test_an_adoption_cut_anywhere_harms_nothing_and_is_completed() -> None:
    whole = adopted()

    def then(at: World, through: bool) -> None:
        untouched(at)
        try:  # the janitor, or an operator, comes first
            settle(at)
        except Refused as error:
            assert "rollout adopt m --service m" in str(error) and not through
        untouched(at)
        for _ in range(2):
            once(at, adopts)
            untouched(at)
            assert at_rest(at) == ident(at)
        for key in (SERVICE, HANDS):
            ours, theirs = (w.objects[key]["metadata"] for w in (at, whole))
            assert ours["labels"].keys() == theirs["labels"].keys()
            notes = FORMER_ANNOTATION
            assert ours["annotations"][notes] == theirs["annotations"][notes]

    at_every_cut(by_hand, adopts, then)


def test_a_rollout_after_an_adoption_that_was_cut_is_refused_or_can_go_back() -> None:
    def then(at: World, whole: bool) -> None:
        try:
            puts_new()(at.actor())
        except Refused:
            assert not whole
            untouched(at)
            return
        assert at.harm == [] and at_rest(at) == "new"
        once(at, goes_back)
        as_before(at)

    at_every_cut(by_hand, adopts, then)


def test_a_look_before_it_changes_nothing_and_asks_the_api_server() -> None:
    at = by_hand()
    before = copy.deepcopy(at.objects)
    allowed(at.actor(), decide(at.actor(), None, force=False))
    assert at.writes == [] and at.objects == before


# -- what follows -----------------------------------------------------------------------------


def goes_back(actor: Actor) -> None:
    seen = actor.observe()
    room = seats.room(actor, seen.state.previous, seen.serving)
    carry_out(actor, decide_wish("rollback", seen, allow_interruption=True, room=room))


def as_before(at: World) -> None:
    """Selector, ports, replicas and template are what somebody made by hand."""
    untouched(at)
    assert at_rest(at) == ident(at)


def test_a_new_version_takes_its_place_and_makes_way_again() -> None:
    at = promoted()
    assert at.objects[SERVICE]["spec"]["selector"] == {INSTANCE_LABEL: NAME, RELEASE_LABEL: "new"}
    assert at.objects[SERVICE]["spec"]["ports"] == [{**PORTS[0], "targetPort": "http"}]
    assert at.objects[HANDS]["spec"]["replicas"] == 0
    state = at.actor().observe().state
    assert state.previous is not None and state.previous.id == ident(at)
    once(at, goes_back)
    as_before(at)
    assert ("Deployment", "m-new") not in at.objects
    once(at, adopts)  # the command once more finds nothing to do
    as_before(at)


def test_a_promotion_from_it_cut_anywhere() -> None:
    def then(at: World, whole: bool) -> None:
        settle(at)
        assert at.harm == []
        if at_rest(at) != "new":
            as_before(at)

    at_every_cut(adopted_up, puts_new(), then)


def adopted_up() -> World:
    at = adopted()
    at.writes.clear()
    return at


def promoted_up() -> World:
    at = promoted()
    at.writes.clear()
    return at


def test_a_way_back_to_it_cut_anywhere() -> None:
    def then(at: World, whole: bool) -> None:
        once(at, recovers())
        settle(at)
        assert at.harm == []
        if at_rest(at) == "new":  # cut before it was on record
            assert not whole
        else:
            as_before(at)

    at_every_cut(promoted_up, goes_back, then)


@pytest.mark.parametrize("seats", [2, 3])
def test_a_replacement_of_it_cut_anywhere(seats: int) -> None:
    def begin() -> World:
        at = adopted(seats)
        at.may_interrupt = True
        at.writes.clear()
        return at

    def then(at: World, whole: bool) -> None:
        settle(at)
        assert at.harm == []
        if at_rest(at) != "new":
            as_before(at)
        elif whole:
            once(at, goes_back)
            as_before(at)

    at_every_cut(begin, puts_new("replace"), then)


def test_a_soak_that_fails_goes_back_to_it() -> None:
    at = adopted()
    actor = at.actor(lambda _: Look())
    actor.take_over()
    actor.run(moves.decide_start(actor.observe(), NEW, "r", "parallel", 30.0))
    actor.apply(deployment(NEW, 2))
    promotes(True, "bad")(actor)
    as_before(at)


def test_its_service_deleted_by_hand_is_made_again_as_it_was() -> None:
    at = promoted()
    del at.objects[SERVICE]
    once(at, goes_back)
    found = at.objects[SERVICE]
    assert found["spec"] == service()["spec"] and leads_to(found) == ident(at)


def test_room_for_it_is_counted_by_its_own_pods() -> None:
    """They carry no label of ours; what it holds while it serves is what it would give up."""
    at = adopted(seats=3)
    at.put(deployment(NEW, 0))
    actor = at.actor()
    room = seats.room(actor, NEW, actor.observe().serving)
    assert room is not None and (room.beside, room.instead) == (1, 3)
    (one, *_) = seats.taken(actor, []).pods
    assert one["metadata"]["labels"][RELEASE_LABEL] == ident(at)
    elsewhere = {**one, "metadata": {**one["metadata"], "namespace": "x", "labels": SELECTOR}}
    assert labelled([elsewhere], [at.objects[HANDS]]) == [elsewhere]


# -- late writes ------------------------------------------------------------------------------


def test_an_adoption_that_stands_still_before_a_write() -> None:
    """Another one is through meanwhile, rolled a version out and went back: what the first one
    still sends is refused."""
    whole = adopted()
    for late in range(len(whole.writes)):
        at, left = by_hand(), [{}]

        def meddle(
            verb: str, kind: str, at: World = at, left: Any = left, late: int = late
        ) -> None:
            if len(at.writes) == late and not left[0]:
                left[0] = {"done": True}
                for does in (adopts, puts_new(), goes_back):
                    once(at, does)
                left[0] = marked(at)

        at.meddle = meddle
        actor = at.actor()
        with pytest.raises(RolloutError):
            actor.take_over()
            adopts(actor)
            raise OutsideError("it was refused nothing")
        assert marked(at) == left[0]
        as_before(at)


def marked(at: World) -> Any:
    """What is asked for, and what the objects are marked with."""
    found = [
        (o["metadata"].get("labels"), o["metadata"].get("annotations")) for o in at.objects.values()
    ]
    return specs(at), copy.deepcopy(found)


def test_what_changes_between_look_and_write_is_looked_at_anew() -> None:
    at = by_hand()
    actor = at.actor()
    found = decide(actor, None, force=False)
    at.objects[SERVICE]["spec"]["selector"] = {"app": "other"}
    with pytest.raises(Refused, match="was changed meanwhile"):
        actor.adopt(found)
    del at.objects[HANDS]
    at.put(plain_deployment())
    at.objects[HANDS]["metadata"]["uid"] = "another"
    with pytest.raises(Refused, match="made anew meanwhile"):
        actor.adopt(found)
    assert MANAGED_LABEL not in at.objects[SERVICE]["metadata"]["labels"]


def test_no_write_without_the_lease() -> None:
    at = by_hand()
    actor = at.actor()

    def lost() -> None:
        raise LockLost("the lease is another's")

    actor.owned.write = at.writer(lost)
    with pytest.raises(LockLost):
        adopts(actor)
    at.left = 0
    with pytest.raises(Killed):
        adopts(at.actor())
    assert at.writes == []


def test_an_annotation_that_cannot_be_read_stops_it() -> None:
    at = adopted()
    at.objects[SERVICE]["metadata"]["annotations"][REACHED_ANNOTATION] = "{"
    with pytest.raises(RolloutError, match="is not what `rollout adopt` wrote"):
        at.actor().observe()


def test_its_service_changed_by_hand_stops_nothing() -> None:
    """It may still lead to the same pods."""
    at = adopted()
    at.objects[SERVICE]["spec"]["selector"].pop("tier")
    with pytest.raises(Refused, match="put it back"):
        settle(at)
    assert at.objects[HANDS]["spec"]["replicas"] == 2 and at.harm == []
    at.objects[SERVICE]["spec"]["selector"] = dict(SELECTOR)
    settle(at)
    as_before(at)
