"""The steps of a rollout as `status` tells them: of one that runs by the news that its holder puts
on the lease, of one that has ended by its record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.tree import Tree

from flows.cli.screen import words
from flows.cli.view import in_order, step_row, subject_row
from tasks.base.progress import Progress
from tasks.record.news import News, StepNews, TargetNews
from tasks.record.outcome import CLOSED, target_row
from tasks.record.record import Record
from tasks.steps import STEPS

# what a line is about, by which it is told once; and its text
WatchLine = tuple[str, str]
_LOOK = {"pass": ("✓", "green"), "fail": ("✗", "red"), "inconclusive": ("·", "yellow")}


def news_of(record: Record) -> News:
    """What there is to tell of a rollout that has ended."""
    kept = record.model_dump(include={"steps"})
    kept["targets"] = [item.model_dump() for item in record.targets]
    return News.model_validate(kept, context={"unreadable": set()})


def pending(news: News) -> list[str]:
    """The steps that are still to come: those behind the last one that was begun. None of what is
    no rollout, and settles one."""
    begun = {step.step for step in news.steps}
    known = [step.name for step in STEPS]
    if known[0] not in begun or news.at is None:
        return []
    last = max(known.index(name) for name in begun if name in known)
    return [step.name for step in STEPS[last + 1 :] if not step.optional]


def progress_of(news: News | None) -> dict[str, Any] | None:
    """What the holder of a lease is at, as a part of the document of `status`; None where it does
    not say."""
    if news is None or news.at is None:
        return None
    steps = {step.step: _step(step) for step in news.steps}
    steps |= {name: _step(StepNews(step=name)) | {"state": "pending"} for name in pending(news)}
    return {
        "at": _stamp(news.at),
        "steps": [steps[name] for name in in_order(steps)],
        "rounds": {"done": news.rounds.done, "most": news.rounds.most} if news.rounds else None,
        "targets": list(map(_target, news.targets)),
    }


def _step(step: StepNews) -> dict[str, Any]:
    keys = ("subject", "sentence", "done", "total", "unit", "figures")
    return {
        "step": step.step,
        "state": step.state,
        "since": _stamp(step.since) if step.since else "",
        "seconds": step.seconds,
        "sentence": step.sentence,
        "subjects": [{key: getattr(item, key) for key in keys} for item in step.subjects],
    }


def _target(target: TargetNews) -> dict[str, Any]:
    keys = ("metric", "load", "limit", "unit", "direction", "measured", "low", "high", "advisory")
    found = {key: getattr(target, key) for key in keys}
    return {**found, "state": CLOSED[target.verdict]}


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


# -- as lines


def step_lines(news: News, run: str) -> Iterator[WatchLine]:
    """A line for each thing that may change. run: of which rollout it is."""
    for step in news.steps:
        about = f"step {run} {step.step} {step.state}"
        took = f" after {step.seconds:.1f} s" if step.seconds is not None else ""
        said = f": {step.sentence}" if step.sentence and step.state != "running" else ""
        yield about, f"step {step.step}: {step.state}{took}{said}"
        for item in step.subjects if step.state == "running" else ():
            said = f"{step.step} {item.subject}: {item.sentence}"
            if item.sentence:
                yield said, said
    if news.rounds:
        said = _rounds(news)
        yield said, said
    for target in news.targets:
        name, limit, measured, bounds = target_row(target)
        word = CLOSED[target.verdict]
        figures = f", measured {measured}, {bounds}" if word != "open" else ""
        yield f"target {run} {name} {word}", f"target {name} {limit}: {word}{figures}"


def _rounds(news: News) -> str:
    rounds = news.rounds
    return f"{rounds.done} of at most {rounds.most} rounds" if rounds else ""


# -- drawn


def draw(
    tree: Tree, news: News, now: datetime | None, instead: Mapping[str, Sequence[RenderableType]]
) -> None:
    """The steps, and the targets against their limits. now: by which what runs has lasted. instead:
    by step, what is known better than by what is told of its subjects."""
    by_name = {step.step: step for step in news.steps}
    for name in in_order({*by_name, *pending(news)}):
        step = by_name.get(name)
        if step is None:
            tree.add(step_row(name, "", None, ""))
            continue
        seconds = step.seconds
        if seconds is None and now and step.since:
            seconds = max(0.0, (now - step.since).total_seconds())
        runs = step.state == "running"
        counted = _rounds(news) if name == "benchmark" and runs else ""
        said = ", ".join(filter(None, (counted, step.sentence)))
        branch = tree.add(step_row(name, step.state, seconds, said))
        if step.state == "done":
            continue
        rows = instead.get(name, ()) if runs else ()
        for row in rows or map(subject_row, _subjects(step)):
            branch.add(row)
    if news.targets:
        tree.add(words("targets")).add(_targets(news))


def _subjects(step: StepNews) -> Iterator[Progress]:
    for item in step.subjects:
        yield Progress(
            step.step,
            step.state,
            item.subject,
            item.sentence,
            item.done,
            item.total,
            item.unit,
            item.figures,
        )


def _targets(news: News) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for target in news.targets:
        mark, style = _LOOK[target.verdict]
        name, limit, measured, bounds = target_row(target)
        word = CLOSED[target.verdict]
        table.add_row(
            words(f"{mark} {name}", style),
            words(limit),
            words(word, style),
            words(f"measured {measured}, {bounds}" if target.measured is not None else "", "dim"),
        )
    return table
