"""The steps as Prefect tasks: one task run a step, mapped over nodes where it is per node.

Results stay in memory (a side effect must never be replayed from a cache) and nothing retries
here: the thin modules retry what is safe to retry, and know when it is not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows import told
from flows.session import Session
from tasks.base import clock
from tasks.base.errors import OutsideError, StepFailed
from tasks.base.progress import Progress, emit
from tasks.outside.kubernetes.access import astray, reach, ready, release_pods
from tasks.outside.kubernetes.client import Object
from tasks.outside.kubernetes.jobs import run_job
from tasks.outside.kubernetes.waits import until_ready
from tasks.outside.prefect import artifacts
from tasks.outside.vllm.engine import Answered, Check, Engine, smoke
from tasks.release.moves import decide_promotion
from tasks.release.plan import NodeSeat, Plan
from tasks.release.soaking import EVERY_S, PATIENCE_S, Look
from tasks.release.state import Release
from tasks.render import live
from tasks.render.jobs import fetch_job
from tasks.render.release import deployment
from tasks.render.services import service
from tasks.steps.survey import Survey
from tasks.weights.manifest import Manifest

# A look is one small request; what takes longer is looked at again.
ASK_S = 10.0
QUIET: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}


@task(name="fetch_weights", task_run_name="fetch_weights on {node}", **QUIET)
def fetch_weights(
    session: Session, node: str, manifest: Manifest, endpoint: str | None
) -> dict[str, Any]:
    """Bring one commit to one node's disk; gives what the Job reported when done."""
    job = fetch_job(
        session.spec, node, manifest.commit, manifest.digest, endpoint, manifest.fetch_ref
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

    result = run_job(
        session.cluster, job, timeout_s=24 * 3600, on_line=on_line, fence=session.fence
    )
    if not result.succeeded or last.get("event") != "done":
        session.keep_logs(result.logs)
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


@task(name="deploy", **QUIET)
def deploy(session: Session, release: Release, survey: Survey, plan: Plan) -> Object:
    """Apply the candidate and wait until it is ready; gives the Deployment as rendered."""
    spec, cluster = session.spec, session.cluster
    hostnames = [seat.hostname for seat in plan.nodes]
    body = deployment(spec, release, survey.needs, hostnames)
    fence = session.fence
    cluster.apply(service(spec, release, candidate=True), fence=fence)
    cluster.apply(body, fence=fence)
    until_ready(
        cluster,
        spec.namespace,
        spec.name,
        release.deployment,
        timeout_s=spec.serving.startup_timeout_s,
    )
    pods = [
        pod for pod in release_pods(cluster, spec.namespace, spec.name, release.id) if ready(pod)
    ]
    session.record["image"]["digests"] = live.image_digests(pods)
    session.record["pods"] = [
        {"name": pod["metadata"]["name"], "node": pod["spec"].get("nodeName")} for pod in pods
    ]
    where = ", ".join(f"{pod['name']} on {pod['node']}" for pod in session.record["pods"])
    told.say(f"{release.deployment} is ready: {where}")
    return body


@task(name="smoke", **QUIET)
def smoke_test(session: Session, release: Release, planned: Object, plan: Plan) -> list[Check]:
    """Ask the candidate, and compare the live pods with the plan."""
    spec, cluster = session.spec, session.cluster
    _await_address(session, release)
    with reach(cluster, spec, f"{spec.name}-candidate", release.id) as endpoint:
        session.record["access"] = {"how": endpoint.how, "url": endpoint.url}
        with Engine(endpoint.url) as engine:
            checks = smoke(engine, release.served_name, spec.smoke)
    nodes = [seat.name for seat in plan.nodes]
    for pod in release_pods(cluster, spec.namespace, spec.name, release.id):
        if ready(pod):
            found = live.differences(planned, pod, nodes)
            name = pod["metadata"]["name"]
            checks.append(
                Check(f"pod {name}", not found, "; ".join(found) or "as planned", "as planned")
            )
    rows = [asdict(check) for check in checks]
    session.record["smoke"] = rows
    artifacts.table("smoke", rows, "What the candidate answered")
    told.say(f"{len(checks)} checks, {sum(c.ok for c in checks)} of them right; {answered(checks)}")
    return checks


def _await_address(session: Session, release: Release) -> None:
    """Ask the candidate's address until something answers, for as long as a node may take to
    learn of a new one. Raises StepFailed for one that never does: its pods are ready, so this says
    nothing of the release."""
    spec, end = session.spec, clock.monotonic() + PATIENCE_S
    while True:
        found, _ = _ask(session, f"{spec.name}-candidate", release)
        if found.answer != "none":
            return
        if clock.monotonic() > end:
            raise StepFailed(
                f"{release.deployment} is ready by its node's probes, and its Service "
                f"{spec.namespace}/{spec.name}-candidate did not answer for {PATIENCE_S:.0f} s: "
                f"{found.why}. The way there is to be mended (kube-proxy, network policies, this "
                f"machine's routes), or another one chosen: access.mode is {spec.access.mode}"
            )
        emit(Progress("smoke", "running", release.deployment, f"no answer yet: {found.why}"))
        clock.sleep(EVERY_S)


def _ask(session: Session, name: str, release: Release) -> tuple[Look, list[str]]:
    """Ask a Service, by the spec's means, for the models it serves."""
    try:
        with (
            reach(session.cluster, session.spec, name, release.id) as endpoint,
            Engine(endpoint.url, timeout_s=ASK_S) as engine,
        ):
            return Look(), engine.models()
    except Answered as error:
        return Look(answer="bad", why=str(error)), []
    except (OutsideError, StepFailed) as error:
        return Look(answer="none", why=str(error)), []


def answered(checks: Sequence[Check]) -> str:
    """What was wrong; where nothing was, what the candidate answered."""
    wrong = [check for check in checks if not check.ok]
    return "; ".join(
        f"{c.name}: found {c.found}, expected {c.expected}" for c in wrong or checks[1:2]
    )


@task(name="promote", **QUIET)
def promote(session: Session, release: Release) -> None:
    """Move the Service, soak, retire the old release. Raises SoakFailed, NotProven."""
    actor = session.must_act()
    actor.look = lambda promoted: look(session, promoted)
    seen = actor.observe()
    course = decide_promotion(seen, keep_previous=session.spec.promotion.keep_previous)
    actor.run(course)
    told.say(f"{course.sentence}; done after a soak of {session.spec.promotion.soak_s:g} s")


def look(session: Session, release: Release) -> Look:
    """One look at a release that serves: its pods, where the Service leads, whether it answers."""
    spec, cluster = session.spec, session.cluster
    try:
        pods = release_pods(cluster, spec.namespace, spec.name, release.id)
        why = astray(cluster, spec.namespace, spec.name, pods)
    except OutsideError as error:
        return Look(trouble=None, answer="none", why=str(error))
    staying = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    base = session.record.setdefault("restarts_at_promotion", live.restarts(staying))
    trouble = live.trouble(staying, release.replicas, base)
    where = f"Service {spec.namespace}/{spec.name}"
    if why:
        return Look(trouble, "none", f"{where}: {why}")
    found, names = _ask(session, spec.name, release)
    if found.answer == "good" and release.served_name not in names:
        # its own pods said the right name before: the way there leads elsewhere still
        why = f"{where} answers with {', '.join(names) or 'no model'}, not {release.served_name}"
        return Look(trouble, "none", why)
    return replace(found, trouble=trouble)


def plan_rows(seats: Sequence[NodeSeat]) -> list[Mapping[str, Any]]:
    """The plan's nodes for a table."""
    return [
        {
            "node": seat.name,
            "replicas that fit": seat.seats,
            "bytes to fetch": seat.bytes_missing,
            "bytes present": seat.bytes_present,
            "disk free": seat.disk_free,
        }
        for seat in seats
    ]
