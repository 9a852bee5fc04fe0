"""Rounds of load until every target is decided or the budget is spent."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from tasks.measure.round import Round
from tasks.nodes.health import HealthWatch
from tasks.outside.evalscope import bench
from tasks.outside.exporter import metrics as exporters
from tasks.outside.kubernetes.access import reach, release_pods
from tasks.outside.prefect import artifacts
from tasks.outside.vllm import metrics
from tasks.run.findings import Candidate
from tasks.run.measuring.rounds import FILES, kept, looking, measured, prompt_lines
from tasks.run.run import Run
from tasks.run.step import step


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
            decide=looking(spec),
            out_dir=run.folder / FILES,
            on_progress=artifacts.ProgressArtifact(run.key("benchmark"), "benchmark").tell,
            check=watch,
            lines=prompt_lines(spec),
        )
    run.record.benchmark = kept(
        run.folder,
        spec,
        rounds,
        replicas=candidate.replicas,
        watched=watch.watched,
        note=with_fewer(candidate),
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
