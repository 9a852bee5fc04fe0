"""Rounds of load: what they are made from, and how they are told and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tasks.base.errors import SpecError
from tasks.base.heard import ROUNDS
from tasks.base.progress import Progress, emit
from tasks.measure.protocol import Decide, cache_note
from tasks.measure.round import Round
from tasks.measure.workload import cache_flattered
from tasks.outside.disk import pages
from tasks.record.parts import BenchmarkRun, RoundMeasured
from tasks.spec.rollout import Rollout
from tasks.verdict import decide
from tasks.verdict.rounds import believable
from tasks.verdict.targets import Decision

FILES = "evalscope"  # the folder of its files, beside the record


def prompt_lines(spec: Rollout) -> list[str]:
    """The lines of the spec's prompt file; none where it has none. Raises SpecError."""
    name = spec.benchmark.workload.file
    if name is None:
        return []
    try:
        return Path(name).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(
            [f"benchmark.workload.file: {name} cannot be read ({error}); give a UTF-8 text file"]
        ) from error


def looking(spec: Rollout) -> Decide:
    """The judge's look after each round, which tells the targets as they close; and that none has
    yet."""

    def look(done: Sequence[Round]) -> Decision:
        found = decide.look(done, spec)
        rounds, most = len({item.index for item in done}), spec.benchmark.max_rounds
        told = decide.so_far(found)
        decided = sum(item.verdict != "inconclusive" for item in told)
        said = f"{decided} of {len(told)} targets decided"
        emit(Progress("benchmark", "running", "", said, rounds, most, ROUNDS, targets=told))
        return found

    look(())
    return look


def measured(spec: Rollout, rounds: Sequence[Round]) -> str:
    """How much was measured, and what it does not show."""
    rows = [row for item in rounds for row in item.rows]
    note = cache_note(rounds, cache_flattered(spec.benchmark.workload))
    said = f"{len(rounds)} rounds, {len(rows)} requests"
    if failed := sum(not row.ok for row in rows):
        said += f", {failed} of them failed"
    if bad := [item for item in rounds if not believable(item)]:
        lost = sum(len(item.rows) for item in bad)
        said += f"; {len(bad)} round(s) with {lost} of the requests do not count"
    return f"{said}; {note}" if note else said


def kept(
    folder: Path,
    spec: Rollout,
    rounds: Sequence[Round],
    *,
    replicas: int | None,
    watched: int = 0,
    note: str = "",
    files: str = FILES,
) -> BenchmarkRun:
    """Keep the rows beside the record; gives its part. watched: nodes whose cards were. note: what
    is to be known of it besides. files: the folder of evalscope's. Raises OutsideError."""
    pages.keep_rows(folder, rounds)
    flattered = cache_note(rounds, cache_flattered(spec.benchmark.workload))
    return BenchmarkRun(
        rounds=[_brief(item) for item in rounds],
        requests=sum(len(item.rows) for item in rounds),
        nodes_with_watched_cards=watched,
        files=str(folder / files),
        replicas=replicas,
        note="; ".join(filter(None, (flattered, note))),
    )


def _brief(item: Round) -> RoundMeasured:
    """A round for the record; its rows stay in evalscope's database beside the record."""
    return RoundMeasured(
        index=item.index,
        load=item.load,
        release=item.release,
        seed=item.seed,
        requests=len(item.rows),
        succeeded=sum(row.ok for row in item.rows),
        window=item.window,
        client=asdict(item.client),
        server=asdict(item.server),
        problems=list(item.problems),
    )
