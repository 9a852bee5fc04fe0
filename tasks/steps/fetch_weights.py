"""Bring the weights to the disks of the chosen nodes, every byte verified."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from tasks.base.errors import StepFailed
from tasks.base.progress import Progress, emit
from tasks.outside.prefect import artifacts, told
from tasks.record.parts import FetchedNode, FetchWeights
from tasks.render.jobs import fetch_job
from tasks.run.findings import Planned
from tasks.run.run import Locked, Run
from tasks.run.step import step_of_nodes

MOST_S = 24 * 3600


@step_of_nodes
def fetch_weights(run: Run, cluster: Locked, planned: Planned) -> None:
    """A Job on each node, side by side."""
    fetched = run.road.fan_out(
        "fetch_weights",
        [
            (f"fetch_weights on {node}", partial(fetch, run, cluster, planned, node))
            for node in planned.nodes
        ],
    )
    done = FetchWeights(nodes=[FetchedNode(**item) for item in fetched])
    run.record.fetch_weights = done
    total = sum(item.bytes_fetched for item in done.nodes)
    run.say(f"{total:,} bytes fetched to {len(fetched)} node(s), all verified")


def fetch(run: Run, cluster: Locked, planned: Planned, node: str) -> dict[str, Any]:
    """Bring the commit to one node's disk; gives what the Job reported when done."""
    found = planned.survey
    manifest = found.manifest
    job = fetch_job(
        run.spec, node, manifest.commit, manifest.digest, found.endpoint, manifest.fetch_ref
    )
    bar = artifacts.ProgressArtifact(f"weights-{node}".lower(), f"weights on {node}")
    last: dict[str, Any] = {}

    def on_line(line: str) -> None:
        event = _json(line)
        kind = event.get("event")
        if kind == "progress":
            done, total = float(event["done"]), float(event["total"])
            rate = {"rate": float(event.get("rate") or 0)}
            bar.tell(
                Progress(
                    "fetch_weights", "running", node, "", done, total, unit="bytes", figures=rate
                )
            )
        elif kind == "message":
            emit(Progress("fetch_weights", "running", node, str(event.get("message", ""))))
        elif kind in ("done", "error"):
            last.clear()
            last.update(event)

    result = cluster.run_job(job, timeout_s=MOST_S, on_line=on_line)
    if not result.succeeded or last.get("event") != "done":
        run.keep_logs(result.logs)
        if last.get("event") == "error":
            raise StepFailed(f"fetching weights on {node} failed: {last.get('message')}")
        why = result.why() or "it ended without saying that it is done"
        raise StepFailed(f"the fetch Job on {node} failed: {why}")
    total = float(manifest.total_bytes)
    bar.update(total, total, final=True)
    emit(Progress("fetch_weights", "done", node, "verified", total, total, unit="bytes"))
    told.say(
        f"{last.get('bytes_fetched', 0):,} of {manifest.total_bytes:,} bytes were fetched to "
        f"{node}; all {len(manifest.files)} files of {manifest.commit[:12]} are verified there"
    )
    return last


def _json(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
