"""Rounds of load until every target is decided or the budget is spent."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tasks.base.errors import SpecError
from tasks.measure.protocol import cache_note
from tasks.measure.round import Round
from tasks.measure.workload import cache_flattered
from tasks.nodes.health import HealthWatch
from tasks.outside.disk import pages
from tasks.outside.evalscope import bench
from tasks.outside.exporter import metrics as exporters
from tasks.outside.kubernetes.access import reach, release_pods
from tasks.outside.prefect import artifacts
from tasks.outside.vllm import metrics
from tasks.record.parts import BenchmarkRun, RoundMeasured
from tasks.run.findings import Candidate
from tasks.run.run import Run
from tasks.run.step import step
from tasks.spec.rollout import Rollout
from tasks.verdict import decide
from tasks.verdict.rounds import believable


@step
def benchmark(run: Run, candidate: Candidate) -> tuple[Round, ...]:
    """Measure the candidate; where a target asks for it, what serves beside it as well."""
    spec, cluster, release = run.spec, run.cluster, candidate.release
    relative = any(target.versus_stable_percent is not None for target in spec.targets)
    stable = candidate.stable
    with ExitStack() as stack:
        here = stack.enter_context(reach(cluster, spec, f"{spec.name}-candidate", release.id))
        # one /metrics answers for all of it only when one process serves
        one = candidate.replicas == 1
        own = partial(metrics.watch, f"{here.url}/metrics") if one else None
        target = bench.EngineTarget(here.url, release.served_name, watch=own)
        other = None
        if relative and stable is not None:
            there = stack.enter_context(reach(cluster, spec, spec.name, stable.id))
            other = bench.EngineTarget(there.url, stable.served_name)
        watch = _watch(run, candidate)
        rounds = bench.measure(
            target,
            other,
            spec.benchmark,
            decide=lambda done: decide.look(done, spec),
            out_dir=run.folder / "evalscope",
            on_progress=artifacts.ProgressArtifact(run.key("benchmark"), "benchmark").tell,
            check=watch,
            lines=_lines(spec),
        )
    pages.keep_rows(run.folder, rounds)
    note = cache_note(rounds, cache_flattered(spec.benchmark.workload))
    run.record.benchmark = BenchmarkRun(
        rounds=[_brief(item) for item in rounds],
        requests=sum(len(item.rows) for item in rounds),
        nodes_with_watched_cards=watch.watched,
        files=str(run.folder / "evalscope"),
        replicas=candidate.replicas,
        note="; ".join(filter(None, (note, with_fewer(candidate)))),
    )
    run.say("; ".join(filter(None, (measured(spec, rounds), with_fewer(candidate)))))
    return rounds


def with_fewer(candidate: Candidate) -> str:
    """That not all replicas were there; '' where they were."""
    tested, serves = candidate.replicas, candidate.release.replicas
    return f"measured with {tested} of {serves} replicas" if tested < serves else ""


def _watch(run: Run, candidate: Candidate) -> HealthWatch:
    spec, survey, release = run.spec, candidate.planned.survey, candidate.release
    return HealthWatch(
        lambda: release_pods(run.cluster, spec.namespace, spec.name, release.id),
        candidate.replicas,
        survey.profile,
        survey.exporters,
        exporters.read,
    )


def _lines(spec: Rollout) -> list[str]:
    name = spec.benchmark.workload.file
    if name is None:
        return []
    try:
        return Path(name).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(
            [f"benchmark.workload.file: {name} cannot be read ({error}); give a UTF-8 text file"]
        ) from error


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
