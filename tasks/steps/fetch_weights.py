"""Bring the weights to the disks of the chosen nodes, every byte verified."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial

from tasks.base.errors import StepFailed
from tasks.base.progress import Progress, emit
from tasks.outside.prefect import artifacts, told
from tasks.record.parts import FetchedNode, FetchWeights
from tasks.render.jobs import on_host
from tasks.run.findings import Planned
from tasks.run.locked import Locked
from tasks.run.run import Run
from tasks.run.step import step_of_nodes
from tasks.weights.messages import Done, Failed, Said, Transfer, message_of

MOST_S = 24 * 3600


@step_of_nodes
def fetch_weights(run: Run, cluster: Locked, planned: Planned) -> None:
    """A Job on each node, side by side."""
    cluster.want(planned.release)
    fetched = run.road.fan_out(
        "fetch_weights",
        [
            (f"fetch_weights on {node}", partial(fetch, run, cluster, planned, node))
            for node in planned.nodes
        ],
    )
    done = FetchWeights(nodes=[FetchedNode(**asdict(item)) for item in fetched])
    run.record.fetch_weights = done
    total = sum(item.bytes_fetched for item in done.nodes)
    run.say(f"{total:,} bytes fetched to {len(fetched)} node(s), all verified")


def fetch(run: Run, cluster: Locked, planned: Planned, node: str) -> Done:
    """Bring the commit to one node's disk; gives what the Job said when done."""
    job, manifest = planned.fetch_job(node), planned.survey.manifest
    bar = artifacts.ProgressArtifact(run.key("weights", node), f"weights on {node}")
    last: Done | Failed | None = None

    def on_line(line: str) -> None:
        nonlocal last
        match message_of(line):
            case Transfer(done, total, rate):
                told = Progress("fetch_weights", "running", node, "", done, total, unit="bytes")
                bar.tell(replace(told, figures={"rate": rate}))
            case Said(text):
                emit(Progress("fetch_weights", "running", node, text))
            case Done() | Failed() as end:
                last = end

    result = cluster.run_job(job, timeout_s=MOST_S, on_line=on_line)
    if not result.succeeded or not isinstance(last, Done):
        run.keep_logs(result.logs)
        if isinstance(last, Failed):
            raise StepFailed(f"fetching weights on {node} failed: {on_host(job, last.message)}")
        why = result.why() or "it ended without saying that it is done"
        raise StepFailed(f"the fetch Job on {node} failed: {why}")
    total = float(manifest.total_bytes)
    bar.update(total, total, final=True)
    emit(Progress("fetch_weights", "done", node, "verified", total, total, unit="bytes"))
    told.say(
        f"{last.bytes_fetched:,} of {manifest.total_bytes:,} bytes were fetched to "
        f"{node}; all {len(manifest.files)} files of {manifest.commit[:12]} are verified there"
    )
    return last
