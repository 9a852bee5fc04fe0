"""Commands by name: asked first where they interrupt, and what the cluster shows is said last."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest

from flows.cli.main import main
from flows.cli.named import agree
from flows.rollback import settle, shown
from tasks.base.errors import Refused, SpecError, StepFailed
from tasks.release import moves
from tasks.release.course import Course, Observed, PointService
from tasks.release.state import State
from tasks.release.wish import Meant, consequences
from tasks.release.words import in_words
from tests.support.cluster.actor_world import (
    NAME,
    NEW,
    NS,
    World,
    deployment,
    in_test,
    release,
    world,
)
from tests.support.cluster.courses import narrow
from tests.support.places import ROOT

HERE = ["-n", NS]
SPEC = str(ROOT / "deployments" / "models" / "smollm2-135m-cpu.yaml")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def at(
    reached: list[World], monkeypatch: pytest.MonkeyPatch
) -> Callable[[World, str | None], None]:
    """Sets the cluster that is reached, and what a person types; None: there is no terminal."""

    def put(found: World, typed: str | None = None) -> None:
        reached[:] = [found]
        given = io.StringIO() if typed is None else Terminal(typed)
        monkeypatch.setattr("sys.stdin", given)
        # nobody has taken the lease of a World
        monkeypatch.setattr("flows.cli.named.holder_of", lambda *_: "")
        monkeypatch.setattr("flows.rollback.ask_to_stop", lambda *_: "")

    return put


Put = Callable[..., None]


def test_what_it_says_at_the_end_is_what_the_cluster_shows(
    at: Put, capsys: pytest.CaptureFixture[str]
) -> None:
    at(in_test())
    assert main(["recover", NAME, *HERE]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "removed candidate m-new",
        "models/m: m-old serves, 2 of 2 replica(s) available; idle",
    ]


def test_also_where_it_fails(
    at: Put, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise StepFailed("m-older never becomes ready")

    at(in_test())
    monkeypatch.setattr("flows.rollback.settled", fails)
    assert main(["recover", NAME, *HERE]) == 1
    said = capsys.readouterr()
    assert said.out == (
        "models/m: m-old serves, 2 of 2 replica(s) available; testing, candidate m-new\n"
    )
    assert said.err == "rollout: m-older never becomes ready\n"


def single() -> World:
    """One seat, and one replica that has it: nothing can be lent."""
    found = narrow(1)
    found.put(deployment(release("old", 1), 1))
    found.put(deployment(release("older", 1), 0))
    return found


BACK = ["rollback", NAME, *HERE, "--allow-interruption"]


def test_without_a_terminal_what_interrupts_wants_yes(
    at: Put, capsys: pytest.CaptureFixture[str]
) -> None:
    found = single()
    at(found)
    before = len(found.writes)
    assert main(BACK) == 2 and len(found.writes) == before
    said = capsys.readouterr().err
    assert "m-old serves now; m-old is scaled down first" in said and "pass --yes" in said
    assert main([*BACK, "--yes"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "models/m: m-older serves, 1 of 1 replica(s) available; idle"
    )


@pytest.mark.parametrize("typed", ["", "\n", "n\n", "yess\n"])
def test_at_a_terminal_it_asks_and_no_answer_is_no(
    at: Put, capsys: pytest.CaptureFixture[str], typed: str
) -> None:
    found = single()
    at(found, typed)
    before = len(found.writes)
    assert main(BACK) == 5 and len(found.writes) == before
    assert capsys.readouterr().err == (
        "m-old serves now; m-old is scaled down first, and nothing answers until another does; "
        "m-older starts with 1 replica(s); the Service is moved to m-older; m-old is removed; "
        "go on? [y/N] rollout: not confirmed; nothing was changed\n"
    )


def test_yes_is_yes(at: Put) -> None:
    found = single()
    at(found, "y\n")
    assert main(BACK) == 0 and found.leads_to() == "older"


def test_where_there_is_room_nothing_is_interrupted_and_nobody_needs_to_agree(at: Put) -> None:
    found = world()
    at(found)
    assert main(BACK) == 0 and found.leads_to() == "older" and found.harm == []


def test_a_way_back_that_may_not_interrupt_is_not_asked_about(at: Put) -> None:
    at(world(), "")
    assert main(BACK[:-1]) == 0


def test_undo_is_a_way_back_that_asks_where_it_interrupts(
    at: Put, capsys: pytest.CaptureFixture[str]
) -> None:
    undo = ["undo", NAME, *HERE]
    beside, tight = world(), single()
    at(beside)
    assert main(undo) == 0 and beside.leads_to() == "older" and beside.harm == []
    at(tight)
    assert main(undo) == 2 and tight.leads_to() == "old"
    assert "m-old is scaled down first" in capsys.readouterr().err
    assert main([*undo, "--yes"]) == 0 and tight.leads_to() == "older"
    assert main([*undo, "--yes"]) == 5
    assert "no previous release to go back to" in capsys.readouterr().err


def test_its_waits_are_told_as_its_own(at: Put, capsys: pytest.CaptureFixture[str]) -> None:
    at(world())
    assert main(BACK) == 0
    said = capsys.readouterr()
    assert "[rollback] m running: Service sends to m-older" in said.err
    assert "[rollback] m running: what served before may stop" in said.err
    assert "[promote]" not in said.err and len(said.out.splitlines()) == 2


def test_an_approval_is_of_what_one_rollout_tested(
    at: Put, capsys: pytest.CaptureFixture[str]
) -> None:
    found = world(phase="held", candidate=True)
    at(found)
    run = "run-1"
    found.actor().save(replace(found.actor().observe().state, rollout=run))
    assert main(["approve", NAME, *HERE, "--rollout", "another"]) == 5
    assert f"is of rollout {run}, not another" in capsys.readouterr().err
    assert main(["reject", NAME, *HERE, "--rollout", run, "--plan", "another"]) == 5
    assert found.actor().observe().state.phase == "held" and found.leads_to() == "old"
    main(["approve", NAME, *HERE, "--rollout", run])
    assert found.leads_to() == "new" and found.harm == []


def held() -> World:
    found = world(phase="held", candidate=True)
    found.actor().save(replace(found.actor().observe().state, rollout="run-1", plan="0123"))
    return found


@pytest.mark.parametrize("what", ["approve", "promote", "reject"])
def test_which_one_is_meant_is_named_or_shown_and_confirmed(
    at: Put, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    bare = [what, NAME, *HERE]
    named = [*bare, "--rollout", "run-1", "--plan", "0123", "--yes"]
    for typed, command, code in (
        (None, bare, 2),
        (None, [*bare, "--yes"], 2),
        (None, [*bare, "--rollout", "run-1"], 2),
        ("y\n", [*bare, "--yes"], 2),
        ("n\n", bare, 5),
    ):
        found = held()
        at(found, typed)
        assert main(command) == code and found.actor().observe().state.phase == "held"
        said = capsys.readouterr().err
        assert "m-new of rollout run-1, tested under plan 0123" in said
        assert ("go on? [y/N]" in said) == (code == 5)
    for typed, command in ((None, named), ("y\n", bare)):
        found = held()
        at(found, typed)
        main(command)
        assert found.actor().observe().state.phase != "held"
        assert found.leads_to() == ("old" if what == "reject" else "new")


def test_what_stops_whatever_runs_names_nothing(at: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    at(held())
    monkeypatch.setattr("flows.rollback.ask_to_stop", lambda *_: pytest.fail("it was asked to"))
    with pytest.raises(Refused, match="abort is about whatever is there"):
        settle("abort", NAME, NS, meant=Meant("run-1"))


def test_a_flow_run_names_it_too(at: Put) -> None:
    found = held()
    at(found)
    for what in ("approve", "promote", "reject"):
        with pytest.raises(
            Refused, match=f"`rollout {what} m -n models --rollout run-1 --plan 0123`"
        ):
            settle(what, NAME, NS)
    assert found.actor().observe().state.phase == "held"


def test_a_rejection_is_asked_about_at_a_terminal_alone(
    at: Put, capsys: pytest.CaptureFixture[str]
) -> None:
    for typed, code in ((None, 0), ("no\n", 5), ("yes\n", 0)):
        at(held(), typed)
        assert main(["reject", NAME, *HERE, "--rollout", "run-1", "--plan", "0123"]) == code
        assert (typed is None) != ("m-new is removed; go on?" in capsys.readouterr().err)


def test_a_run_that_holds_the_lease_is_not_stopped_unasked(
    at: Put, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[object] = []

    def ask(*given: object) -> str:
        asked.append(given)
        return "alice@host/run-1"

    at(in_test())
    monkeypatch.setattr("flows.cli.named.holder_of", lambda *_: "alice@host/run-1")
    monkeypatch.setattr("flows.rollback.ask_to_stop", ask)
    assert main(["abort", NAME, *HERE]) == 2 and asked == []
    assert "alice@host/run-1 holds m, which is testing: it is stopped" in capsys.readouterr().err
    assert main(["abort", NAME, *HERE, "--yes"]) == 0 and len(asked) == 1
    assert capsys.readouterr().out.splitlines() == [
        "alice@host/run-1 was asked to stop; removed candidate m-new",
        "models/m: m-old serves, 2 of 2 replica(s) available; idle",
    ]
    # the run was faster
    assert main(["abort", NAME, *HERE, "--yes"]) == 0
    said = capsys.readouterr().out.splitlines()[0]
    assert said == "alice@host/run-1 was asked to stop; it has cleaned up"


def test_where_nobody_runs_an_abort_is_a_recovery(at: Put) -> None:
    found = in_test()
    at(found)
    assert main(["abort", NAME, *HERE]) == 0
    assert found.actor().observe().state.phase == "idle" and found.harm == []


def test_what_never_ran_is_refused(at: Put, capsys: pytest.CaptureFixture[str]) -> None:
    at(World())
    assert main(["abort", NAME, *HERE]) == 5
    assert "no rollout m in namespace models" in capsys.readouterr().err


def test_the_guards_exit_status_says_whether_something_is_left(
    at: Put, capsys: pytest.CaptureFixture[str]
) -> None:
    found = in_test()
    at(found)
    guard = ["guard", "--once", *HERE]
    assert main(guard) == 0
    assert capsys.readouterr().out == "models/m: settled: removed candidate m-new\n"
    assert main(guard) == 0 and capsys.readouterr().out == ""
    del found.objects["Deployment", "m-old"]
    assert main(guard) == 1 and "failed" in capsys.readouterr().out


def test_words() -> None:
    for how, said in (
        ({"lost": True, "absent": True}, "nothing serves: there is no Service; idle"),
        ({"lost": True}, "nothing serves: the Service leads nowhere; idle"),
        (
            {},
            "the Service leads to none of our releases: a person's own pods serve, if any do; idle",
        ),
    ):
        assert in_words(Observed(State(NAME), None, **how)) == said
    assert in_words(Observed(State(NAME), "x")) == (
        "nothing serves: release x has no Deployment; idle"
    )
    seen = in_test().actor().observe()
    promotion = moves.decide_promotion(seen, keep_previous=True)
    said = "m-old serves now; the Service is moved to m-new; m-new is watched; m-older is removed"
    assert consequences(seen, promotion) == (said, False)
    nothing = Course((PointService(NEW),), "")
    assert consequences(Observed(State(NAME), None), nothing)[0].startswith("nothing serves now")


def test_agreeing() -> None:
    agree("", interrupts=False, given=Terminal())
    with pytest.raises(SpecError):
        agree("x stops", interrupts=True, given=io.StringIO("y\n"))
    with pytest.raises(Refused):
        agree("x stops", interrupts=True, given=Terminal("n\n"))


def test_a_service_that_a_person_leads_elsewhere_is_one(at: Put) -> None:
    found = world()
    for selector, said in (({"app": "mine"}, "to none of our releases"), ({}, "leads nowhere")):
        service = found.objects["Service", NAME]
        found.put({**service, "spec": {**service["spec"], "selector": selector}})
        assert said in shown(found.actor())
    del found.objects["Service", NAME]
    assert "there is no Service" in shown(found.actor())


@pytest.mark.parametrize("fails", [False, True])
def test_run_and_adopt_end_with_what_the_cluster_shows(
    at: Put, fails: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def does(*_: object, **__: object) -> tuple[int, None]:
        if fails:
            raise StepFailed("no")
        return 0, None

    at(world())
    monkeypatch.setattr("flows.cli.look.interruption", lambda *_: "")
    monkeypatch.setattr("flows.cli.run.run_spec", does)
    monkeypatch.setattr("flows.adopt.adopt", does)
    last = f"{NS}/{NAME}: m-old serves, 2 of 2 replica(s) available; idle"
    named = ["--set", f"name={NAME}", "--set", f"namespace={NS}"]
    for command in (["run", SPEC, *named], ["adopt", NAME, *HERE]):
        assert main(command) == int(fails)
        assert capsys.readouterr().out.splitlines()[-1] == last


@pytest.mark.parametrize("typed", [None, "n\n", "y\n"])
def test_what_finishes_a_way_back_that_interrupts_asks_as_well(
    at: Put, typed: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = single()
    actor = found.actor()
    state = replace(actor.observe().state, phase="reverting", strategy="replace")
    actor.save(state)
    found.may_interrupt = True
    at(found, typed)
    back = ["recover", NAME, *HERE]
    assert main(back) == {None: 2, "n\n": 5, "y\n": 0}[typed]
    assert "m-old is scaled down first" in capsys.readouterr().err
    assert found.leads_to() == ("older" if typed == "y\n" else "old")
    assert main([*back, "--yes"]) == 0 and found.leads_to() == "older"


def test_status_says_what_is_wrong_since_when_and_what_to_do(
    at: Put, capsys: pytest.CaptureFixture[str]
) -> None:
    found = in_test()
    actor = found.actor()
    for move in moves.decide_promotion(actor.observe(), keep_previous=True).moves[:3]:
        actor.move(move)
    actor.save(replace(actor.read_state()[0], breach="HTTP 500"))
    since = actor.read_state()[0].since
    assert since
    at(found)
    assert main(["status", NAME, *HERE]) == 0
    said = capsys.readouterr().out.splitlines()
    assert f"phase:     soaking since {since}" in said
    assert "why:       m-new failed its soak: HTTP 500" in said
    assert (
        "next:      it goes back to m-old: the guard does, or `rollout recover m -n models`" in said
    )
