"""The right model answers, with real tokens, what it should, and runs as planned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from tasks.base import clock
from tasks.base.errors import StepFailed
from tasks.base.progress import Progress, emit
from tasks.objects.pods import ready
from tasks.outside.kubernetes.access import reach, release_pods
from tasks.outside.prefect import artifacts
from tasks.outside.vllm.engine import Engine, SmokeCheck
from tasks.outside.vllm.engine import smoke as ask_it
from tasks.record.parts import CheckMade, Smoke
from tasks.release.soaking import EVERY_S, PATIENCE_S
from tasks.release.state import Release
from tasks.render import live
from tasks.run.findings import Candidate
from tasks.run.making import images_made
from tasks.run.nodes.cards import check_cards
from tasks.run.run import Run
from tasks.run.step import step


@step
def smoke(run: Run, candidate: Candidate) -> list[SmokeCheck]:
    """Ask the candidate, compare its pods with the plan, and look at the cards that carry it."""
    spec, release = run.spec, candidate.release
    _await_address(run, release)
    with reach(run.cluster, spec, f"{spec.name}-candidate", release.id) as endpoint:
        kept = run.record.smoke = Smoke(how=endpoint.how, url=endpoint.url, checks=[])
        with Engine(endpoint.url) as engine:
            checks = ask_it(engine, release.served_name, spec.smoke)
    pods = release_pods(run.cluster, spec.namespace, spec.name, release.id)
    body, up = candidate.planned.body, list(filter(ready, pods))
    images = images_made(run.cluster, body, *(pod["spec"] for pod in up))
    for pod in up:
        found = live.differences(body, pod, candidate.planned.nodes, images)
        name = pod["metadata"]["name"]
        checks.append(
            SmokeCheck(f"pod {name}", not found, "; ".join(found) or "as planned", "as planned")
        )
    emit(Progress("smoke", "running", release.deployment, "looking at the cards"))
    checks += check_cards(run, candidate.planned, pods)
    rows = [asdict(check) for check in checks]
    kept.checks = [CheckMade(**row) for row in rows]
    artifacts.table(run.key("smoke"), rows, "What the candidate answered")
    said = answered(checks)
    right = sum(check.ok for check in checks)
    run.say(
        said, well=right == len(checks), log=f"{len(checks)} checks, {right} of them right; {said}"
    )
    return checks


def wrong(checks: Sequence[SmokeCheck]) -> str:
    """What was wrong, in words; '' where nothing was."""
    return _told(check for check in checks if not check.ok)


def answered(checks: Sequence[SmokeCheck]) -> str:
    """What was wrong; where nothing was, what the candidate answered."""
    return wrong(checks) or _told(checks[1:2])


def _told(checks: Iterable[SmokeCheck]) -> str:
    return "; ".join(f"{c.name}: found {c.found}, expected {c.expected}" for c in checks)


def _await_address(run: Run, release: Release) -> None:
    """Ask the candidate's address until something answers, for as long as a node may take to
    learn of a new one. Raises StepFailed for one that never does: its pods are ready, so this says
    nothing of the release."""
    spec, end = run.spec, clock.monotonic() + PATIENCE_S
    while True:
        found, _ = run.ask(f"{spec.name}-candidate", release)
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
