"""The command line: what it takes, what it says to a wrong one, and that it starts light."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from flows.cli import main as entry
from flows.cli.commands import act, look, specs
from flows.cli.commands.app import GROUPS, build
from flows.cli.main import called, main
from tasks.release.wish import BOUND
from tests.support.places import ROOT
from tests.support.update_golden import CLI, with_commands


def given(*line: str) -> tuple[Any, dict[str, Any]]:
    """The function of a command line, and what it is given."""
    does, bound, _ = build().parse_args(line)
    return does, bound.arguments


@pytest.mark.parametrize(
    ("line", "does", "found"),
    [
        ("plan a.yaml --manifests --probe", look.plan, {"manifests": True, "probe": True}),
        ("run a.yaml --plan d --yes --access pod-ip", act.run, {"plan": "d", "access": "pod-ip"}),
        ("rollback m --allow-interruption --past-queue", act.rollback, {"past_queue": True}),
        ("undo m --unchecked --yes", act.undo, {"unchecked": True, "yes": True}),
        ("promote m --unwatched", act.promote, {"unwatched": True}),
        ("report m --no-open --junit x.xml", look.report, {"junit": Path("x.xml")}),
        ("store gc a.yaml --delete", act.store_gc, {"spec": "a.yaml", "delete": True}),
        ("demo --keep --new-version", act.demo, {"keep": True, "new_version": True}),
        ("list -A", look.list_rollouts, {"all_namespaces": True}),
        ("explain promotion.soak", specs.explain, {"field": "promotion.soak"}),
        ("validate a b", specs.validate, {"specs": [Path("a"), Path("b")]}),
        ("guard --once", act.guard, {"once": True}),
    ],
)
def test_a_command_line_is_understood(line: str, does: Any, found: dict[str, Any]) -> None:
    what, arguments = given(*line.split())
    assert what is does and found.items() <= arguments.items()


NO_NAMES = ("", "../../x", "ünï;rm", "Chat", "-a", "a.b", "a/b", "x" * 64)


def lines_with_names() -> list[tuple[str, ...]]:
    """Each command that takes a name or a namespace, with one that is none."""
    named = [
        *("status", "history", "approve", "reject", "promote", "rollback", "undo", "recover"),
        *("abort", "adopt", "init"),
    ]
    spaced = [*((name, "m") for name in named), ("list",), ("metrics",), ("guard", "--once")]
    return [
        *((name, "--", "../../x") for name in named),
        *((*line, "--namespace=../../x") for line in spaced),
        *(("status", "--", wrong) for wrong in NO_NAMES),
        *(("list", f"--namespace={wrong}") for wrong in NO_NAMES),
    ]


@pytest.mark.parametrize("line", lines_with_names(), ids=" ".join)
def test_what_is_no_name_is_refused_before_anything_is_asked(
    line: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = line[-1].removeprefix("--namespace=")
    assert main(list(line)) == 2
    said = capsys.readouterr().err
    assert f'"{wrong}"' in said and "lower-case letters, digits and '-'" in said


def test_every_command_that_takes_a_name_or_a_namespace_is_among_them() -> None:
    known = {line[0] for line in lines_with_names()}
    every = {name: does for commands in GROUPS.values() for name, does in commands.items()}
    taking = {
        name
        for name, does in every.items()
        if {"name", "namespace", "there"} & set(inspect.signature(does).parameters)
    }
    assert taking - known == {"report"}  # of the records on this disk


def test_what_several_commands_take() -> None:
    line = (
        "plan a --set x.y=1 --set z=a=b --target ttft_p95_ms=8 --kubeconfig k --context c -o yaml"
    )
    _, arguments = given(*line.split())
    changes, at = arguments["changes"], arguments["at"]
    assert changes.sets == ["x.y=1", "z=a=b"] and changes.targets == ["ttft_p95_ms=8"]
    assert (at.kubeconfig, at.context) == ("k", "c") and arguments["shown"].form == "yaml"
    for old in ("plan a --json", "check-nodes a --json", "report m --json"):
        assert given(*old.split())[1]["shown"].form == "json"
    assert given("status", "m", "-n", "here")[1]["there"].space == "here"


@pytest.mark.parametrize("what", BOUND)
def test_who_decides_about_a_candidate_may_name_it(what: str) -> None:
    does, arguments = given(what, "m", "--rollout", "r", "--plan", "p")
    meant = arguments["meant"]
    assert does.__name__ == what and (meant.rollout, meant.plan) == ("r", "p")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "a command is missing, one of abort, adopt, "),
        ("store", "a command is missing, one of gc: `rollout store --help`"),
        ("plna a", 'Unknown command "plna". Did you mean "plan"?'),
        ("run", "SPEC is missing. `rollout run --help` says what it takes"),
        ("run a --plan", "--plan needs a value. `rollout run --help`"),
        ("run a b", "'b' is more than it takes. `rollout run --help`"),
        (
            "run a --access air",
            'Invalid value "air" for --access. Choose from: "cluster", "pod-ip"',
        ),
        ("status m -o jsn", 'Invalid value "jsn" for -o. Choose from: "table", "json", "yaml"'),
        ("status m --wait --timeout 3x", "'3x' is no duration; give one such as 90s, 30m or 2h"),
        ("status m --watch -o json", "--watch draws, and -o json asks for a document"),
        ("rollback m --alow-interruption", "Did you mean --allow-interruption?"),
        ("explain serving.imagee", "serving has no field 'imagee'; it has: image, "),
    ],
)
def test_what_is_wrong_is_one_sentence(
    line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("rollout: ") and said in printed.err
    assert printed.err.count("\n") == 1 and printed.out == ""


def test_a_word_that_a_terminal_would_obey_is_not_echoed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "a", "\x1b[2Jb"]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_an_interruption_has_its_own_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("flows.cli.reading.explain.show_field", interrupted)
    assert main(["explain"]) == 130
    assert "what serves serves on: `rollout status NAME`" in capsys.readouterr().err


def test_help_is_grouped_and_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    for group, commands in GROUPS.items():
        assert group.name in said
        assert all(f" {name} " in said for name in commands)
    assert "130 interrupted" in " ".join(said.split())


# what has no document to print, and why; every other command takes -o
UNDOCUMENTED = {
    "metrics": "a Prometheus server reads it",
    "init": "it writes a file",
    **dict.fromkeys(("run", "adopt", "demo"), "it rolls out, and says what it did"),
    **dict.fromkeys(("approve", "promote", "reject", "abort"), "a person decides"),
    **dict.fromkeys(("rollback", "undo", "recover"), "a person decides"),
    **dict.fromkeys(("up", "down", "notify", "guard"), "it keeps in order, and says what it did"),
}


def commands(app: App, *above: str) -> Iterator[tuple[str, Any]]:
    """Every command by its whole name, and its function."""
    for name in app:
        if not name.startswith("-"):
            below = app[name]
            if below.default_command is not None:
                yield " ".join((*above, name)), below.default_command
            yield from commands(below, *above, name)


def test_whatever_reads_gives_a_program_a_document() -> None:
    takes = {
        name: any("OutputOptions" in str(item) for item in does.__annotations__.values())
        for name, does in commands(build())
    }
    assert {"store gc", "validate", "status"} <= {name for name, has in takes.items() if has}
    missing = {name for name, has in takes.items() if not has}
    assert missing == set(UNDOCUMENTED), "a command that reads takes OutputOptions"


def test_every_document_has_its_line_on_the_page() -> None:
    rows = [line.split("|")[1] for line in CLI.read_text().splitlines() if line.startswith("| `")]
    told = {name for row in rows for name in row.replace("`", "").strip().split(", ")}
    # report prints a record, which has a schema of its own
    assert {name for name, _ in commands(build())} - set(UNDOCUMENTED) - {"report"} <= told


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("model-rollout ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_it(shell: Any) -> None:
    text = build().generate_completion(shell=shell)
    assert "check-nodes" in text and "allow-interruption" in text


def test_it_is_a_plugin_of_kubectl(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called("/bin/rollout") == called("/x/flows/cli/__main__.py") == "rollout"
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/kubectl-rollout_model"])
    assert main(["run", "--help"]) == 0
    assert "Usage: kubectl rollout-model run [OPTIONS] SPEC" in capsys.readouterr().out
    assert main(["run"]) == 2
    assert "`kubectl rollout-model run --help`" in capsys.readouterr().err


def test_prefects_log_is_shown_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(entry, "log_to_terminal", lambda *, verbose: asked.append(verbose))
    monkeypatch.setattr("flows.cli.reading.explain.show_field", lambda *_: 0)
    assert (main(["explain"]), main(["-v", "explain"])) == (0, 0)
    assert asked == [False, True]


HEAVY = ("kubernetes", "numpy", "prefect", "pydantic", "tasks.spec", "yaml")


def test_nothing_heavy_is_imported_before_a_command_runs() -> None:
    code = (
        "import sys; from flows.cli.main import main; main(['--help']); "
        "print([name for name in sys.modules if name.startswith(tuple(sys.argv[1:]))])"
    )
    command = [sys.executable, "-c", code, *HEAVY]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "[]"


def test_the_page_is_what_the_command_says_of_itself() -> None:
    text = CLI.read_text()
    assert text == with_commands(text), "renew it: `python -m tests.support.update_golden`"


def test_the_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text()
    for name in (name for commands in GROUPS.values() for name in commands):
        assert f"`rollout {name}" in text or f"/ `{name} " in text, name
