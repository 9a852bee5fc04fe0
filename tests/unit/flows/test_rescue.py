"""Whatever fails, what serves gets back what we took from it: by the guard and by a recovery, and
by nothing but its own Deployment."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flows.guard import Tended, tend
from flows.rollback import settle
from tasks.base.errors import Busy, LockLost, OutsideError, RolloutError, StepFailed
from tasks.objects.labels import EPOCH_ANNOTATION, REACHED_ANNOTATION
from tasks.objects.replicas import scaled_marks
from tasks.outside.kubernetes.actor import Actor
from tasks.release import moves
from tasks.release.lend import Lend
from tasks.release.state import Phase, from_configmap, to_configmap
from tests.support.cluster.actor_world import NAME, NEW, NS, OLD, World, deployment, world
from tests.support.cluster.by_hand import HAND, adopted
from tests.support.cluster.courses import at_rest, once

MEMORY, SERVICE = ("ConfigMap", f"rollout-{NAME}"), ("Service", NAME)


def begins(strategy: str) -> Callable[[Actor], None]:
    def go(actor: Actor) -> None:
        lend = Lend(1, 2, 1, 1, 1) if strategy == "lend" else None
        actor.run(moves.decide_start(actor.observe(), NEW, "r", strategy, 30.0, lend=lend))

    return go


def edited(at: World, key: tuple[str, str], change: Callable[[Any], object]) -> None:
    body = copy.deepcopy(at.objects[key])
    change(body)
    at.put(body)


# -- what may have failed: each keeps the ordinary way from doing anything ----------------------


def no_write(at: World) -> None:
    """`immutable: true`, a webhook, a quota, more than 1 MiB."""

    def meddle(verb: str, kind: str) -> None:
        if kind == "ConfigMap":
            raise OutsideError("ConfigMap rollout-m is invalid: field is immutable")

    at.meddle = meddle


def stripped(at: World) -> None:
    edited(at, MEMORY, lambda body: body["metadata"].update(labels={}))


def unreadable(at: World) -> None:
    edited(at, MEMORY, lambda body: body["data"].update(state="{"))


def of_another_version(at: World) -> None:
    edited(at, MEMORY, lambda body: body["data"].update(state='{"schema": 99}'))


def not_given(at: World) -> None:
    """The API server answers no question about it."""
    plain = at.get

    def get(kind: str, name: str, ns: str | None = None) -> Any:
        if kind == "ConfigMap":
            raise OutsideError("etcd: request timed out")
        return plain(kind, name, ns)

    vars(at).update(get=get)


def no_nodes(at: World) -> None:
    """One more look that fails, and of a kind that nobody expected."""
    plain = at.list

    def listed(kind: str, ns: str | None = None, label_selector: str = "", **more: Any) -> Any:
        if kind in ("Node", "Pod"):
            raise TypeError("'NoneType' object is not iterable")
        return plain(kind, ns, label_selector, **more)

    vars(at).update(list=listed)


def foreign_service(at: World) -> None:
    """Somebody's tool took our labels off the Service; its selector leads where it led."""
    edited(at, SERVICE, lambda body: body["metadata"].update(labels={"team": "a"}))


def narrowed(at: World) -> None:
    """One more label of the pods."""
    edited(at, SERVICE, lambda body: body["spec"]["selector"].update(extra="x"))


def strange(at: World) -> None:
    """One more label, which the pods do not carry."""
    edited(at, SERVICE, lambda body: body["spec"]["selector"].update(extra="y"))


def forgotten(at: World) -> None:
    """How it is reached was edited into nonsense, on both."""
    for key in (SERVICE, ("Deployment", HAND)):
        edited(
            at, key, lambda body: body["metadata"]["annotations"].update({REACHED_ANNOTATION: "{"})
        )


def unlabelled(at: World) -> None:
    """Its manifest was replaced: of our labels nothing is left on it."""
    stripped(at)
    name = HAND if ("Deployment", HAND) in at.objects else "m-old"
    edited(at, ("Deployment", name), lambda body: body["metadata"].update(labels={"team": "a"}))


ANY = [no_write, stripped, unreadable, of_another_version, not_given, no_nodes, foreign_service]
BY_HAND = [*ANY, forgotten, unlabelled]
CASES = [(False, fails) for fails in [*ANY, unlabelled]] + [(True, fails) for fails in BY_HAND]


def taken(by_hand: bool, strategy: str = "replace") -> tuple[World, str]:
    """What serves has two seats and was scaled down; its run is dead."""
    at = adopted(seats=2) if by_hand else world(seats=2)
    at.may_interrupt = True
    once(at, begins(strategy))
    name = HAND if by_hand else "m-old"
    assert asks(at, name) == (1 if strategy == "lend" else 0)
    return at, name


def asks(at: World, name: str) -> int:
    return int(at.objects["Deployment", name]["spec"]["replicas"])


def by_guard(at: World) -> str:
    found = tend((NS, NAME), None, None)
    assert found is not None
    return found.said


def by_recovery(at: World) -> str:
    try:
        return settle("recover", NAME, NS)
    except Exception as error:
        return str(error)


@pytest.mark.parametrize("by", [by_guard, by_recovery])
@pytest.mark.parametrize(("by_hand", "fails"), CASES, ids=lambda x: getattr(x, "__name__", x))
def test_what_serves_comes_back_whatever_fails(
    by_hand: bool,
    fails: Callable[[World], None],
    by: Callable[[World], str],
    reached: list[World],
) -> None:
    at, name = taken(by_hand)
    reached.append(at)
    fails(at)
    said = by(at)
    assert (
        asks(at, name) == 2 and at.objects["Deployment", name]["status"]["availableReplicas"] == 2
    )
    assert "and what failed is this" in said and f"{name} serves and was scaled down to 0" in said
    assert "was scaled down" not in by(at)  # once it is back, only what fails is told


@pytest.mark.parametrize("by", [by_guard, by_recovery])
@pytest.mark.parametrize(("edit", "extra"), [(narrowed, {"extra": "x"}), (strange, {})])
def test_a_selector_that_was_edited_fails_nothing(
    edit: Callable[[World], None],
    extra: dict[str, str],
    by: Callable[[World], str],
    reached: list[World],
) -> None:
    at, name = taken(True)
    reached.append(at)
    edit(at)
    assert by(at).startswith("removed candidate m-new") and asks(at, name) == 2
    # what the pods carry is the person's; what none carries is taken back
    assert at.objects[SERVICE]["spec"]["selector"] == {"app": "vllm", "tier": "chat", **extra}


def test_lent_seats_come_back_as_well(reached: list[World]) -> None:
    at, name = taken(False, "lend")
    reached.append(at)
    no_write(at)
    assert "m-old serves and was scaled down to 1: it is scaled up to 2" in by_guard(at)
    assert asks(at, name) == 2


def test_a_candidate_that_holds_its_seats_stops_whether_it_answers_or_not(
    reached: list[World],
) -> None:
    for answers in (True, False):
        at, name = taken(False)
        reached[:] = [at]
        at.put(deployment(NEW, 2))
        at.broken = set() if answers else {"new"}
        candidate = copy.deepcopy(at.objects[SERVICE])
        candidate["metadata"]["name"] = f"{NAME}-candidate"
        candidate["metadata"]["labels"] |= {
            "model-rollout/kind": "candidate",
            "model-rollout/release": "new",
        }
        at.put(candidate)
        unreadable(at)
        assert "m-new, which may hold its seats, is stopped" in by_guard(at)
        assert (asks(at, name), asks(at, "m-new")) == (2, 0)


def test_another_release_that_answers_is_not_stopped(reached: list[World]) -> None:
    """It may be the only one that does: nobody can read what it is."""
    at, name = taken(False)
    reached.append(at)
    at.put(deployment(NEW, 2))
    unreadable(at)
    assert "stopped" not in by_guard(at)
    assert (asks(at, name), asks(at, "m-new")) == (2, 2)


def test_what_a_person_scaled_is_theirs(reached: list[World]) -> None:
    at = world(seats=2)
    reached.append(at)
    edited(at, ("Deployment", "m-old"), lambda body: body["spec"].update(replicas=0))
    unreadable(at)
    by_guard(at)
    assert asks(at, "m-old") == 0


def test_what_the_service_does_not_lead_to_stays_down(reached: list[World]) -> None:
    """What served before has our mark as well."""
    at, _ = taken(False)
    reached.append(at)
    older = deployment(OLD, 0)
    older["metadata"]["name"] = older["metadata"]["labels"]["model-rollout/release"] = "m-older"
    older["spec"]["template"]["metadata"]["labels"] |= {"model-rollout/release": "older"}
    older["metadata"]["annotations"] |= scaled_marks(0, 2)
    at.put(older)
    unreadable(at)
    by_guard(at)
    assert asks(at, "m-older") == 0


def test_a_write_of_it_that_comes_late_changes_nothing(reached: list[World]) -> None:
    """The Deployment was made anew, or a newer run has it."""
    at, name = taken(False)
    reached.append(at)
    unreadable(at)
    epoch = {EPOCH_ANNOTATION: "1000", "model-rollout/writer": "newer"}
    at.meddle = lambda verb, kind: edited(
        at, ("Deployment", name), lambda body: body["metadata"]["annotations"].update(epoch)
    )
    said = by_guard(at)
    assert "could not be given back" in said and "belongs to a newer run" in said
    assert asks(at, name) == 0


def test_where_the_rescue_fails_too_both_errors_are_told(reached: list[World]) -> None:
    at, name = taken(False)
    reached.append(at)
    unreadable(at)

    def listed(*_: object, **__: object) -> None:
        raise TypeError("'NoneType' object is not iterable")

    vars(at).update(list=listed)
    said = by_guard(at)
    assert "could not be given back what was taken from it: TypeError" in said
    assert "and what failed is this: ConfigMap models/rollout-m does not hold" in said
    assert asks(at, name) == 0


@pytest.mark.parametrize("error", [Busy("alice has it"), LockLost("another has it")])
def test_somebody_alive_does_that_by_himself(
    error: RolloutError, reached: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    at, name = taken(False)
    reached.append(at)

    def held(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("flows.rollback.locked", held)
    with pytest.raises(type(error)):
        settle("recover", NAME, NS)
    assert asks(at, name) == 0


def test_where_nothing_was_taken_the_error_is_the_error(reached: list[World]) -> None:
    at = world(phase="testing")
    reached.append(at)
    unreadable(at)
    before = len(at.writes)
    with pytest.raises(StepFailed, match=r"^ConfigMap models/rollout-m does not hold"):
        settle("recover", NAME, NS)
    assert len(at.writes) == before


def test_once_the_memory_can_be_read_again_it_comes_to_rest(reached: list[World]) -> None:
    at, _ = taken(False)
    reached.append(at)
    kept = copy.deepcopy(at.objects[MEMORY])
    unreadable(at)
    by_guard(at)
    at.put(kept)
    by_guard(at)
    assert at_rest(at) == "old"


# -- what is lent on purpose --------------------------------------------------------------------


def lent(phase: Phase) -> World:
    """One of its two replicas is lent to a candidate; whoever did that is gone."""
    at, name = taken(False, "lend")
    state = from_configmap(NAME, at.objects[MEMORY])
    until = "2099-01-01T00:00:00+00:00"
    at.put(to_configmap(replace(state, phase=phase, verdict="pass", until=until), NS))
    assert asks(at, name) == 1 and at.available("old") == 1
    return at


@pytest.mark.parametrize(
    ("phase", "by", "fails", "back"),
    [
        # the next look may be taken
        ("testing", by_guard, no_nodes, False),
        ("testing", by_guard, not_given, False),
        ("held", by_guard, no_nodes, False),
        ("held", by_guard, not_given, False),
        # a person decides about it
        ("held", by_recovery, no_nodes, False),
        ("unproven", by_recovery, no_nodes, False),
        ("held", by_recovery, not_given, False),
        # nobody does
        ("testing", by_recovery, no_nodes, True),
        # and nobody could go on from it
        ("held", by_guard, unreadable, True),
        ("held", by_guard, of_another_version, True),
        ("held", by_recovery, stripped, True),
    ],
    ids=lambda it: getattr(it, "__name__", str(it)),
)
def test_what_is_lent_while_what_serves_answers(
    phase: Phase,
    by: Callable[[World], str],
    fails: Callable[[World], None],
    back: bool,
    reached: list[World],
) -> None:
    at = lent(phase)
    reached.append(at)
    fails(at)
    said = by(at)
    assert asks(at, "m-old") == (2 if back else 1)
    assert ("is scaled up to 2" in said) is back and "could not be given back" not in said


@pytest.mark.parametrize("phase", ["testing", "held"])
def test_where_nothing_of_it_answers_a_failed_look_is_enough(
    phase: Phase, reached: list[World]
) -> None:
    at = lent(phase)
    reached.append(at)
    at.broken.add("old")
    no_nodes(at)
    assert "is scaled up to 2" in by_guard(at) and asks(at, "m-old") == 2


def test_what_somebody_alive_has_is_left_alone_though_a_look_failed(
    reached: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    at, name = taken(False)
    reached.append(at)
    no_nodes(at)

    def held(*_: object, **__: object) -> None:
        raise Busy("alice has it")

    monkeypatch.setattr("tasks.run.rescue.LeaseLock", held)
    found = tend((NS, NAME), None, None)
    assert found == Tended((NS, NAME), "left alone", "alice has it") and asks(at, name) == 0
