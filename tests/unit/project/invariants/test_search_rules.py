"""The search's table of preconditions says what the real Actor does: each is tried on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import pytest

from tasks.base.errors import RolloutError
from tasks.objects.labels import EPOCH_ANNOTATION, MANAGED_LABEL, RELEASE_LABEL
from tasks.outside.kubernetes.waits import NotProven
from tasks.release import moves
from tasks.release.state import State, to_configmap
from tests.support.cluster.actor_world import (
    NAME,
    NEW,
    NS,
    OLD,
    OLDER,
    Object,
    World,
    deployment,
    in_test,
    stable_service,
)
from tests.support.cluster.edits import half_updated
from tests.support.search.rules import AT_HAND, Rules

pytestmark = pytest.mark.usefixtures("quick")
SERVICE, MEMORY = ("Service", NAME), ("ConfigMap", f"rollout-{NAME}")
OLDS, NEWS = ("Deployment", "m-old"), ("Deployment", "m-new")
CANDIDATE = ("Service", f"{NAME}-candidate")
IDLE = State(NAME, stable=OLD)


def refuses(does: Callable[[], object]) -> bool:
    """It raises."""
    try:
        does()
    except RolloutError:
        return True
    return False


def meets(at: World, key: tuple[str, str], verb: str, change: Callable[[], None]) -> None:
    """Somebody else is quicker, once, than the first such write."""
    left = [1]

    def meddle(done: str, kind: str) -> None:
        if left and (done, kind) == (verb, key[0]):
            left.clear()
            change()

    at.meddle = meddle


def again(at: World, key: tuple[str, str]) -> Callable[[], None]:
    """The same object, at another version."""
    return lambda: at.put(at.objects[key])


def newer(at: World, key: tuple[str, str]) -> None:
    """A newer run has written it."""
    body = at.objects[key]
    body["metadata"].setdefault("annotations", {})[EPOCH_ANNOTATION] = "99"
    at.put(body)


def not_ours(body: Object) -> Object:
    """The same, by somebody else."""
    labels = {k: v for k, v in body["metadata"]["labels"].items() if k != MANAGED_LABEL}
    return {**body, "metadata": {**body["metadata"], "labels": labels}}


def patches(at: World, key: tuple[str, str]) -> int:
    return sum(write == ("patch", *key) for write in at.writes)


def conditional(move: moves.Move, key: tuple[str, str]) -> bool:
    """A patch meets a conflict, and is made of what is there then."""
    at = in_test()
    meets(at, key, "patch", again(at, key))
    at.actor().move(move)
    return patches(at, key) == 2


def stopped_by_newer(move: moves.Move, key: tuple[str, str]) -> bool:
    at = in_test()
    newer(at, key)
    return refuses(lambda: at.actor().move(move))


def save_version() -> bool:
    at = in_test()
    meets(at, MEMORY, "replace", again(at, MEMORY))
    refused = refuses(lambda: at.actor().save(IDLE))
    return refused or sum(write == ("replace", *MEMORY) for write in at.writes) == 2


def save_again() -> bool:
    at = in_test()
    meets(at, MEMORY, "replace", again(at, MEMORY))
    return not refuses(lambda: at.actor().save(IDLE))


def save_epoch() -> bool:
    at = in_test()
    at.put(to_configmap(State(NAME, epoch=99), NS))
    return refuses(lambda: at.actor().save(IDLE))


def idle_if_whole() -> bool:
    at = in_test()
    at.broken = {"old"}
    return refuses(lambda: at.actor().move(moves.Save(IDLE)))


def point_ours() -> bool:
    at = in_test()
    at.put(not_ours(stable_service(OLD)))
    return refuses(lambda: at.actor().move(moves.PointService(NEW)))


def stamp_ours() -> bool:
    at = in_test()
    at.put(not_ours(stable_service(OLD)))
    refuses(at.actor().take_over)
    return patches(at, SERVICE) == 0


def point_at_what_is_broken(at: World) -> bool:
    at.broken = {"new"}
    return refuses(lambda: at.actor().move(moves.PointService(NEW)))


def led_by_hand() -> World:
    """A person's own pods have the Service."""
    at = in_test()
    service = at.objects[SERVICE]
    service["spec"]["selector"] = {"app": "mine"}
    service["metadata"]["labels"].pop(RELEASE_LABEL)
    at.put(service)
    return at


def point_hand() -> bool:
    return point_at_what_is_broken(led_by_hand())


def point_judged() -> bool:
    at = in_test()
    return refuses(lambda: at.actor().move(moves.PointService(NEW, made="another/template")))


def point_alone() -> bool:
    """Where what serves answers, or a person's own pods may; and not where nothing does."""
    alone = moves.PointService(NEW, alone=True)
    at, elsewhere = in_test(), led_by_hand()
    refused = [refuses(lambda to=to: to.actor().move(alone)) for to in (at, elsewhere)]  # type: ignore[misc]
    at.broken.add("old")
    at.put(at.objects[OLDS])
    at.actor().move(alone)
    return all(refused) and at.leads_to() == "new"


def point_fewer() -> bool:
    """To no fewer than answer, unless that was decided."""
    at = in_test()
    at.put(deployment(OLD, 3))
    refused = refuses(lambda: at.actor().move(moves.PointService(NEW, least=3)))
    at.actor().move(moves.PointService(NEW, least=2))
    return refused and at.leads_to() == "new"


def scale_edited() -> bool:
    """Also where it may be interrupted; what is more is given all the same."""
    at = half_updated(in_test())
    less = (moves.Scale("m-old", 0, interrupts=True), moves.Scale("m-old", 1, lends=2))
    refused = [refuses(lambda move=move: at.actor().move(move)) for move in less]  # type: ignore[misc]
    at.actor().move(moves.Scale("m-old", 3, of=3))
    return all(refused) and at.objects[OLDS]["spec"]["replicas"] == 3


def scale_serving() -> bool:
    at = in_test()
    return refuses(lambda: at.actor().move(moves.Scale("m-old", 0)))


def scale_by_hand() -> bool:
    at = in_test()
    at.put(deployment(OLD, 3))
    seen = at.actor().observe().view("old")
    return seen is not None and seen.serves_with == 3


def take_over_deployments() -> bool:
    at = in_test()
    at.actor().take_over()
    return patches(at, OLDS) > 0


def delete_meets(change: Callable[[World], Callable[[], None]]) -> bool:
    """Another one of that name, or another version of it, is looked at anew."""
    at = in_test()
    meets(at, NEWS, "delete", change(at))
    at.actor().move(moves.Remove("m-new"))
    return at.writes.count(("delete", *NEWS)) == 2


def another(at: World) -> Callable[[], None]:
    version = at.objects[NEWS]["metadata"]["resourceVersion"]

    def made_anew() -> None:
        del at.objects[NEWS]
        at.put(deployment(NEW, 2))
        at.objects[NEWS]["metadata"]["resourceVersion"] = version

    return made_anew


def delete_serving() -> bool:
    at = in_test()
    return refuses(lambda: at.actor().move(moves.Remove("m-old")))


def candidate_ours() -> bool:
    at = in_test()
    body = stable_service(NEW)
    at.put(not_ours({**body, "metadata": {**body["metadata"], "name": CANDIDATE[1]}}))
    refuses(lambda: at.actor().move(moves.RemoveCandidateService()))
    return CANDIDATE in at.objects


def makes_missing() -> bool:
    """It leads nowhere, and what comes late finds it."""
    at = in_test()
    del at.objects[SERVICE]
    late = at.actor()
    meets(at, SERVICE, "create", lambda: at.actor().take_over())
    refused = refuses(lambda: late.move(moves.PointService(NEW)))
    return refused and not at.objects[SERVICE]["spec"].get("selector")


def twins_apart() -> bool:
    """A Lease that was deleted gave one epoch out twice."""
    at = in_test()
    first = at.actor()
    at.epoch -= 1
    second = at.actor()
    second.owned.writer = "another"
    first.take_over()
    assert (first.epoch, at.leads_to()) == (second.epoch, "old")
    return refuses(second.take_over) and refuses(lambda: second.move(POINT))


def stop_missed() -> bool:
    """What served before answers, what serves does not."""
    at = in_test()
    at.put(to_configmap(State(NAME, "soaking", stable=OLD, previous=OLDER), NS))
    at.broken.add("old")
    at.put(at.objects["Deployment", "m-old"])
    at.put(deployment(OLDER, 2))
    stops = refuses(lambda: at.actor().move(moves.Scale("m-older", 0)))
    return stops and refuses(lambda: at.actor().move(moves.Remove("m-older")))


def soak_by_anybody() -> bool:
    try:
        in_test().actor().move(moves.Soak(OLD))
    except NotProven:
        return True
    return False


def apply_version() -> bool:
    at = in_test()
    meets(at, NEWS, "apply", again(at, NEWS))
    at.actor().apply(deployment(NEW, 2))
    return at.writes.count(("apply", *NEWS)) == 2


def apply_epoch() -> bool:
    at = in_test()
    newer(at, NEWS)
    return refuses(lambda: at.actor().apply(deployment(NEW, 2)))


POINT, SCALE = moves.PointService(NEW), moves.Scale("m-new", 1)
PROBES: dict[str, Callable[[], bool]] = {
    "save_version": save_version,
    "save_again": save_again,
    "save_epoch": save_epoch,
    "idle_if_whole": idle_if_whole,
    "point_version": lambda: conditional(POINT, SERVICE),
    "point_epoch": lambda: stopped_by_newer(POINT, SERVICE),
    "point_ours": point_ours,
    "point_answers": lambda: point_at_what_is_broken(in_test()),
    "point_hand": point_hand,
    "point_judged": point_judged,
    "point_alone": point_alone,
    "point_fewer": point_fewer,
    "stamp_ours": stamp_ours,
    "makes_missing": makes_missing,
    "scale_version": lambda: conditional(SCALE, NEWS),
    "scale_epoch": lambda: stopped_by_newer(SCALE, NEWS),
    "scale_edited": scale_edited,
    "scale_serving": scale_serving,
    "scale_by_hand": scale_by_hand,
    "stop_missed": stop_missed,
    "take_over_deployments": take_over_deployments,
    "delete_uid": lambda: delete_meets(another),
    "delete_version": lambda: delete_meets(lambda at: again(at, NEWS)),
    "delete_epoch": lambda: stopped_by_newer(moves.Remove("m-new"), NEWS),
    "delete_serving": delete_serving,
    "apply_version": apply_version,
    "apply_serving": lambda: refuses(lambda: in_test().actor().apply(deployment(OLD, 2))),
    "apply_epoch": apply_epoch,
    "candidate_ours": candidate_ours,
    "twins_apart": twins_apart,
    "soak_by_anybody": soak_by_anybody,
}
NOT_THE_ACTORS = {"epoch_above_all"}  # the Lease's


def test_every_switch_is_tried() -> None:
    assert {item.name for item in fields(Rules)} == PROBES.keys() | NOT_THE_ACTORS


@pytest.mark.parametrize("switch", PROBES)
def test_the_table_says_what_the_actor_does(switch: str) -> None:
    assert PROBES[switch]() == getattr(AT_HAND, switch), "set it in tests/support/search/rules.py"
