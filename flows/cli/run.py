"""Run the flow under the live view, and print its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from flows.cli.screen import words
from tasks.base.errors import Exit
from tasks.record.outcome import target_rows
from tasks.record.record import Record

_VERDICT_STYLE = {"pass": "green", "fail": "red", "inconclusive": "yellow"}


def read(
    path: str | Path,
    sets: Sequence[str] = (),
    targets: Sequence[str] = (),
    access: str | None = None,
) -> Any:
    """The spec file with the command line's changes. access: the mode, where one is given."""
    from tasks.spec.file import read_spec
    from tasks.spec.overrides import Override, of_set, of_target

    overrides = [*map(of_set, sets), *map(of_target, targets)]
    if access:
        overrides.append(Override(("access", "mode"), access, f"--access {access}"))
    return read_spec(path, overrides)


def run_spec(
    spec: Any,
    console: Console,
    *,
    kubeconfig: str | None,
    context: str | None,
    why: str,
    plan: str | None = None,
    may_interrupt: bool = True,
) -> tuple[int, Record]:
    """Run the flow under the live view and print its end; (exit status, record). may_interrupt:
    somebody has agreed to what the plan interrupts."""
    from flows.cli.view import showing
    from flows.rollout import rollout
    from tasks.outside.prefect.ending import NotPromoted

    title = f"rollout {spec.name}: {spec.model.id} @ {spec.model.revision}"
    with showing(console, title):
        state = rollout(
            spec=spec,
            plan=plan,
            kubeconfig=kubeconfig,
            context=context,
            why=why,
            again=True,
            may_interrupt=may_interrupt,
            return_state=True,
        )
        found: Any = state.result(raise_on_failure=False)
    if isinstance(found, NotPromoted):
        found = found.record
    if isinstance(found, BaseException):
        raise found
    record: Record = found
    print_end(console, record)
    return exit_of(record), record


def exit_of(record: Record) -> int:
    """Its exit status; that of an error where nothing says how it ended."""
    return int(Exit.ERROR if record.exit_code is None else record.exit_code)


def print_end(console: Console, record: Record) -> None:
    """The table of target, measured and verdict, the outcome, where logs and record lie."""
    rows = target_rows(record)
    if rows:
        table = Table(title="targets")
        bounds = f"{record.confidence_percent:g} % bounds"
        for heading in ("target", "limit", "measured", bounds, "verdict"):
            table.add_column(heading)
        for row in rows:
            style = _VERDICT_STYLE.get(row[-1], "")
            table.add_row(*row[:-1], words(row[-1], style))
        console.print(table)
    style = "green" if record.exit_code == 0 else "red"
    console.print(
        words(record.outcome, f"bold {style}"),
        words(f": {record.sentence}"),
        sep="",
        soft_wrap=True,
    )
    for label, path in (
        *(("log", path) for path in record.logs),
        ("record", record.record),
        ("report", record.report),
        ("data docs", record.judge.data_docs if record.judge else ""),
    ):
        if path:
            console.print(f"{label}: {path}", soft_wrap=True)
