"""What a run may write, and when; and that every ending goes on record, once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.base.errors import LockLost, OutsideError, Refused, StepFailed
from tasks.base.progress import Progress, emit
from tasks.outside.disk import records
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.prefect import told
from tasks.record.outcome import ENDINGS, OF_WHAT_SERVES, Kind, Outcome
from tasks.report.page import FILES
from tasks.run.locked import Locked
from tasks.run.run import Run
from tests.support.cluster.actor_world import NAME, World, world
from tests.support.cluster.runs import run_of

pytestmark = pytest.mark.usefixtures("home", "lease")
FAILED = Outcome("failed", "ttft_mean_ms: its bound shows it is not at most 5 ms")


def kept(run: Run, cluster: Locked, error: BaseException) -> BaseException:
    """Cleans nothing up."""
    return error


def history(at: World) -> list[str]:
    found = at.get("ConfigMap", f"rollout-{NAME}")
    assert found is not None
    return [entry["outcome"] for entry in json.loads(found["data"]["history"])]


def on_disk(run: Run) -> dict[str, Any]:
    return records.read(run.folder / records.FILE)


def test_after_the_lock_nothing_can_be_written() -> None:
    at = world()
    run = run_of(at)
    with run.locked(kept) as cluster:
        actor = cluster.actor
        actor.save(actor.read_state()[0])
    before = list(at.writes)
    labels = {"model-rollout/kind": "stable"}
    body = {"kind": "Service", "metadata": {"name": "x", "labels": labels}}
    for write in (
        lambda: cluster.actor,
        cluster.fence,
        lambda: actor.apply(body),
        lambda: actor.save(replace(actor.read_state()[0], verdict="fail")),
        lambda: run.observer().apply(body),
    ):
        with pytest.raises(LockLost, match="writes inside locked"):
            write()
    assert at.writes == before


def test_an_ending_is_put_on_record_once_and_in_the_cluster_under_the_lock() -> None:
    at = world()
    run = run_of(at)
    with run.locked(kept):
        assert run.finish(FAILED) is FAILED
        with pytest.raises(RuntimeError, match="has ended already"):
            run.finish(FAILED)
    assert history(at) == ["failed"] and on_disk(run)["outcome"] == "failed"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (StepFailed("the disk is full"), "the disk is full"),
        (KeyboardInterrupt(), "interrupted"),
        (SystemExit(3), "interrupted: SystemExit"),
    ],
)
def test_what_ends_by_force_is_cleaned_up_and_stands_in_the_history(
    error: BaseException, said: str
) -> None:
    at = world()
    run, cleaned = run_of(at), []

    def clean_up(mine: Run, cluster: Locked, why: BaseException) -> BaseException:
        assert isinstance(cluster.actor, Actor)  # still under the lock
        cleaned.append(why)
        return why

    def pipeline() -> Outcome:
        with run.locked(clean_up):
            raise error

    if isinstance(error, StepFailed):
        assert run.conduct(pipeline) == Outcome("error", said)
    else:
        with pytest.raises(type(error)):
            run.conduct(pipeline)
    assert cleaned == [error] and history(at) == ["error"]
    assert on_disk(run)["sentence"] == said


@pytest.mark.parametrize("kind", [kind for kind in ENDINGS if kind not in OF_WHAT_SERVES])
def test_an_ending_leaves_an_event_and_a_line_of_history_where_the_lock_was_had(kind: Kind) -> None:
    """As docs/notifications.md says; before that nothing is written."""
    at, outcome = world(), Outcome(kind, "so it ended")
    run = run_of(at)
    assert run.conduct(lambda: run.finish(outcome)) is outcome
    assert at.writes == []
    run = run_of(at)
    with run.locked(kept):
        run.finish(outcome)
    events = [body for (what, _), body in at.objects.items() if what == "Event"]
    assert history(at) == [kind]
    assert {(body["reason"], body["message"]) for body in events} == {
        (ENDINGS[kind].state, "so it ended")
    }


def test_what_its_steps_are_doing_is_told_by_the_step_that_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.setattr(told, "say", said.append)
    run = run_of(world())

    def pipeline() -> Outcome:
        with run.step("roll_back"):
            for step in ("promote", "deploy"):  # rooms below, which know no other name
                emit(Progress(step, "running", "m-new", "waiting for its pods to end"))
        return run.finish(FAILED)

    assert run.conduct(pipeline) is FAILED
    assert said[0] == "m-new: waiting for its pods to end"
    assert [line.partition(" after ")[0] for line in said[1:]] == ["roll_back done"]


def test_what_cleaning_up_leaves_behind_is_the_error() -> None:
    at = world()
    run = run_of(at)
    left = StepFailed("the disk is full; m-new may still exist")

    def pipeline() -> Outcome:
        with run.locked(lambda *_: left):
            raise StepFailed("the disk is full")

    assert run.conduct(pipeline).sentence == str(left)
    assert history(at) == ["error"]


def test_what_cleaning_up_came_to_stands_beside_the_error() -> None:
    """A soak that is cut short may end with the promotion finished."""
    at = world()
    run = run_of(at)

    def clean_up(mine: Run, cluster: Locked, why: BaseException) -> BaseException:
        mine.settled = "finished the promotion of m-new"
        return why

    def pipeline() -> Outcome:
        with run.locked(clean_up):
            raise StepFailed("no answer")

    assert run.conduct(pipeline).sentence == "no answer; finished the promotion of m-new"
    assert history(at) == ["error"]


def test_a_lock_that_cannot_be_used_is_not_cleaned_up_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing began: there is nothing to settle, and the reason stays the reason."""
    at = world()
    run = run_of(at)

    def refuse(_: Actor) -> None:
        raise StepFailed("the state was written under lease epoch 120, ours is 99")

    def clean_up(*_: object) -> BaseException:
        raise AssertionError("nothing began")

    def pipeline() -> Outcome:
        with run.locked(clean_up):
            raise AssertionError("no lock was had")

    monkeypatch.setattr(Actor, "take_over", refuse)
    assert run.conduct(pipeline).sentence.startswith("the state was written under lease epoch 120")


def test_a_record_that_cannot_be_written_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was decided: who reads exit 0 expects a record."""
    at = world()
    run = run_of(at)

    def full(*_: object) -> None:
        raise OutsideError("record.json cannot be written (No space left on device)")

    def pipeline() -> Outcome:
        with run.locked(kept):
            return run.finish(Outcome("promoted", "m-new promoted"))

    monkeypatch.setattr(records, "write", full)
    ended = run.conduct(pipeline)
    assert ended.kind == "error" and "cannot be written" in ended.sentence
    assert (run.record.outcome, run.record.exit_code) == ("error", 1)


def test_a_refusal_before_the_lock_touches_nothing() -> None:
    at = world()
    run, before = run_of(at), list(at.writes)

    def pipeline() -> Outcome:
        raise Refused("no node is usable")

    assert run.conduct(pipeline) == Outcome("refused", "no node is usable")
    assert at.writes == before and on_disk(run)["exit_code"] == 5


def test_an_error_in_telling_the_cluster_changes_no_outcome(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = world()
    run = run_of(at)

    def refuse(*_: object) -> None:
        raise StepFailed("a newer run drives it")

    with run.locked(kept):
        monkeypatch.setattr(Actor, "change_state", refuse)
        run.finish(FAILED)
    assert on_disk(run)["outcome"] == "failed"
    assert on_disk(run)["history_error"] == "a newer run drives it"


def test_a_step_that_goes_its_course_and_finds_something_wrong_has_failed() -> None:
    run = run_of(world())
    with run.step("smoke"):
        run.say("found Atlantis", well=False)
    with run.step("judge"):
        run.say("fail")
    with pytest.raises(ValueError, match="odd"), run.step("benchmark"):
        raise ValueError("odd\nand more")
    steps = [(s.step, s.state, s.sentence) for s in run.record.steps]
    assert steps == [
        ("smoke", "failed", "found Atlantis"),
        ("judge", "done", "fail"),
        ("benchmark", "failed", "odd"),
    ]


def _full(*_: object, **__: object) -> None:
    raise OutsideError("record.json cannot be written (No space left on device)")


def _interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def _odd(*_: object, **__: object) -> None:
    raise ValueError("said something unexpected")


PROMOTED = Outcome("promoted", "m-new is promoted")


def conducted(
    run: Run, end: Callable[[], Outcome], broken: Callable[[], None] = lambda: None
) -> Outcome:
    """A run that takes the lock, finds something broken, and ends."""

    def pipeline() -> Outcome:
        with run.locked(kept):
            broken()
            return end()

    return run.conduct(pipeline)


def raising(error: BaseException) -> Callable[[], Outcome]:
    def end() -> Outcome:
        raise error

    return end


def test_a_full_disk_keeps_nothing_from_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    at = world()
    run = run_of(at)
    full = lambda: monkeypatch.setattr(records, "write", _full)  # noqa: E731
    ended = conducted(run, lambda: run.finish(PROMOTED), full)
    assert ended.kind == "error"
    assert ended.sentence.startswith("m-new is promoted, but record.json cannot be written")
    assert history(at) == ["promoted"] and run.record.exit_code == 1


def test_a_folder_that_cannot_be_made_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    at = world()
    run = run_of(at)
    full = lambda: monkeypatch.setattr(records, "folder", _full)  # noqa: E731
    ended = conducted(run, lambda: run.finish(PROMOTED), full)
    assert ended.kind == "error" and ended.sentence.startswith("m-new is promoted, but record.json")
    assert history(at) == ["promoted"] and run.record.exit_code == 1


def test_a_full_disk_hides_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    at = world()
    run = run_of(at)
    full = lambda: monkeypatch.setattr(records, "write", _full)  # noqa: E731
    ended = conducted(run, raising(StepFailed("OOM on node-a")), full)
    assert ended.sentence.startswith("OOM on node-a, but record.json cannot be written")
    assert history(at) == ["error"]


def test_a_full_disk_stops_no_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    at = world()
    run = run_of(at)
    full = lambda: monkeypatch.setattr(records, "write", _full)  # noqa: E731
    with pytest.raises(KeyboardInterrupt):
        conducted(run, raising(KeyboardInterrupt()), full)
    assert history(at) == ["error"]


@pytest.mark.parametrize("place", ["_mirror", "_tell_cluster"])
def test_an_interruption_while_it_is_put_on_record(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = world()
    run = run_of(at)
    monkeypatch.setattr(Run, place, _interrupt)
    with pytest.raises(KeyboardInterrupt):
        conducted(run, lambda: run.finish(PROMOTED))
    assert on_disk(run)["outcome"] == run.record.outcome == "promoted"


def test_a_library_that_fails_oddly_costs_its_own_place_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = world()
    run = run_of(at)
    bucket = SimpleNamespace(put_json=_odd)
    monkeypatch.setattr("tasks.run.measuring.sitting.bucket_of", lambda _: bucket)
    assert conducted(run, lambda: run.finish(PROMOTED)) == PROMOTED
    assert history(at) == ["promoted"] and on_disk(run)["mirror_error"] != ""


def test_half_a_surrogate_is_kept() -> None:
    at = world()
    run = run_of(at)
    run.record.why = "caf\ud83d"
    assert conducted(run, lambda: run.finish(PROMOTED)) == PROMOTED
    assert on_disk(run)["why"] == "caf?"


def test_every_language_s_page_is_in_the_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    at, names = world(), []
    run = run_of(at)
    bucket = SimpleNamespace(
        put_json=lambda key, _: f"s3://{key}", put_file=lambda key, *_: names.append(key)
    )
    monkeypatch.setattr("tasks.run.measuring.sitting.bucket_of", lambda _: bucket)
    assert conducted(run, lambda: run.finish(PROMOTED)) == PROMOTED
    assert [name.rpartition("/")[2] for name in names] == list(FILES.values())
