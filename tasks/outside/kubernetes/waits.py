"""What a course of moves waits for: pods that end, a Service that leads where it should, a soak.
Every wait is bounded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from tasks.base import clock
from tasks.base.errors import StepFailed
from tasks.base.progress import Progress, emit
from tasks.nodes.facts import TERMINAL
from tasks.objects.pods import ending
from tasks.objects.reached import belongs_to
from tasks.objects.replicas import available_of, behind
from tasks.outside.kubernetes.access import (
    astray,
    chosen_pods,
    pods_apart,
    rollout_pods,
)
from tasks.outside.kubernetes.client import Cluster, Object
from tasks.outside.kubernetes.ready import is_ready, wait_ready
from tasks.release.draining import Count, Draining
from tasks.release.soaking import Look, Rules, Seen, Watched
from tasks.release.state import Release, Terms
from tasks.render.services import selector_of

# Beyond the time a pod may take to end by its own word.
GONE_S = 120.0
# From a switch to EndpointSlices that follow it: seconds on a healthy cluster.
LEAD_S = 120.0
# How long a client of a headless Service may keep what DNS said (s): cluster DNS says 30, and a JVM
# keeps that for as long again.
CACHED_S = 60.0
# A controller that runs sees an edit in well under a second.
SEEN_S = 10.0
_TICK_S = 0.5
# What is watched of a soak, and may be lost with whoever watches it.
NOTED_S = 300.0
# What each that finds a drain waits for at least, whatever others have waited: a person may have
# led the Service there and back since.
OWN_S = 600.0


class SoakFailed(StepFailed):
    """The promoted release showed trouble in its first minutes."""


class NotProven(StepFailed):
    """Nobody could look at the promoted release, or too little was seen; nothing speaks against
    it."""


def until_seen(
    look: Callable[[], tuple[list[Object], list[Object]]],
) -> tuple[list[Object], list[Object]]:
    """Deployments, once their controller has seen their newest edit, be it a mark of ours: until
    then their status is of what they were. Where it does not, as they are."""
    deadline = clock.monotonic() + SEEN_S
    told = look()
    while any(behind(item) and available_of(item) for item in told[0]):
        if clock.monotonic() > deadline:
            break
        clock.sleep(_TICK_S / 5)
        told = look()
    return told


def until_gone(cluster: Cluster, namespace: str, deploy: Object, *, keep: int = 0) -> list[str]:
    """Wait for the pods that a Deployment made to end, but for `keep` of them; gives the names of
    those that did not in their time.

    A pod may take what its own deletionTimestamp says, and GONE_S more.
    """

    def look() -> list[Object]:
        every = chosen_pods(cluster, namespace, selector_of(deploy))
        found = [pod for pod in every if belongs_to(pod, deploy["metadata"]["name"])]
        if not keep:
            return found
        here = [pod for pod in found if (pod.get("status") or {}).get("phase") not in TERMINAL]
        return here if len(here) > keep else []

    return _until_none(cluster, look)


def until_removed(cluster: Cluster, namespace: str, deploy: Object) -> list[str]:
    """Wait for a Deployment that was deleted to be gone, by its name and uid, and for its pods;
    gives what is left after their time."""
    meta = deploy["metadata"]

    def look() -> list[Object]:
        found = cluster.get("Deployment", meta["name"], namespace)
        return [found] if found and found["metadata"]["uid"] == meta["uid"] else []

    left = [f"pod {name}" for name in until_gone(cluster, namespace, deploy)]
    return left or [f"Deployment {name}" for name in _until_none(cluster, look)]


def until_ready(
    cluster: Cluster, namespace: str, name: str, deployment: str, *, timeout_s: float
) -> None:
    """Wait until every replica of a Deployment is available.

    Pods of the rollout that were asked to end may hold the devices these wait for, whoever asked
    them: until they are gone, or past their time, nothing that is Pending is given up. Raises
    NotReady, as `wait_ready` does.
    """
    found = cluster.get("Deployment", deployment, namespace)
    if found is None or not is_ready(found):

        def leaving() -> list[Object]:
            return [pod for pod in rollout_pods(cluster, namespace, name) if ending(pod)]

        _until_none(cluster, leaving)
    wait_ready(cluster, namespace, deployment, timeout_s=timeout_s)


def _until_none(cluster: Cluster, look: Callable[[], list[Object]]) -> list[str]:
    deadline = clock.monotonic() + GONE_S
    while pods := look():
        left = max((_ends_in(pod, cluster.now()) for pod in pods), default=0.0)
        deadline = max(deadline, clock.monotonic() + left + GONE_S) if left > 0 else deadline
        if clock.monotonic() > deadline:
            break
        clock.sleep(_TICK_S)
    return [pod["metadata"]["name"] for pod in pods]


def _ends_in(pod: Object, now: datetime) -> float:
    """Seconds until a pod that was asked to end is killed; 0 where it was not asked, or is due."""
    stamp = pod["metadata"].get("deletionTimestamp")
    if not stamp:
        return 0.0
    return (datetime.fromisoformat(stamp.replace("Z", "+00:00")) - now).total_seconds()


def until_led(cluster: Cluster, namespace: str, name: str, release: str) -> None:
    """Wait until Service `name` leads to exactly the ready pods of a release.

    Raises StepFailed after LEAD_S, with what it leads to.
    """
    deadline = clock.monotonic() + LEAD_S

    def led() -> str:
        # strangers with the labels of a release are led to as well: nobody waits for them to go
        ours, strange = pods_apart(cluster, namespace, name, release)
        return astray(cluster, namespace, name, [*ours, *strange])

    while why := led():
        if clock.monotonic() > deadline:
            raise StepFailed(
                f"Service {namespace}/{name} was moved to release {release} {LEAD_S:.0f} s ago and "
                f"does not lead to exactly its ready pods: {why}; nothing that served before was "
                "stopped. Look at the Service's EndpointSlices, then run again"
            )
        clock.sleep(_TICK_S)


def led_at(cluster: Cluster, namespace: str, name: str) -> float:
    """From when on clients are led, where a Service leads there now (monotonic seconds): those of a
    headless one once what they keep of its addresses is too old."""
    service = cluster.get("Service", name, namespace)
    headless = service is not None and service["spec"].get("clusterIP") == "None"
    return clock.monotonic() + (CACHED_S if headless else 0.0)


def until_drained(since: float, drain_s: float, name: str, count: Callable[[], Count]) -> str:
    """Let what served before end what it has begun; gives why the wait is over.

    since: when the Service was first seen to lead away from it (monotonic seconds).
    """
    seen = Draining(since)
    while True:
        found = count()
        now = clock.monotonic()
        seen = seen.saw(now, found)
        end, why = seen.end(now, drain_s)
        said = "what served before may stop" if end else "what served before ends its requests"
        gone = min(max(now - since, 0.0), drain_s)
        text = f"{said}: {why}"
        emit(Progress("promote", "running", name, text, done=gone, total=drain_s, unit="s"))
        if end:
            return why
        clock.sleep(seen.wait_s(now, drain_s))


def waited_s(drain_s: float, now: datetime, known: Terms, note: Callable[..., object]) -> float:
    """How much of a drain others have waited, who may have died of it; where nobody has, and it is
    a long one, it is noted that it begins."""
    if not known.led and drain_s > OWN_S:
        note(led=now.isoformat(timespec="seconds"))
    since = clock.moment(known.led)
    gone = (now - since).total_seconds() if since else 0.0
    return min(max(gone, 0.0), max(drain_s - OWN_S, 0.0))


def soak(
    release: Release,
    rules: Rules,
    look: Callable[[Release], Look],
    keep: Callable[[Seen], object] = lambda _: None,
    known: Terms = Terms(),  # noqa: B008
    note: Callable[..., object] = lambda **_: None,
) -> float:
    """Watch a promoted release; gives when it answered first, by the monotonic clock.

    keep: gets what was seen so far, after each look. known: what others have watched of this soak,
    which need not be watched again; what all have is noted every NOTED_S. Raises SoakFailed, or
    NotProven when nobody could look.
    """
    noted, soak_s = clock.monotonic(), rules.duration_s
    seen = Watched(noted, rules, before_s=known.soaked_s, before=known.others)
    while True:
        found = look(release)
        now = clock.monotonic()
        seen = seen.saw(now, found)
        keep(seen.seen)
        end, why = seen.end(now)
        if end == "passed":
            assert seen.answered is not None
            return seen.answered
        if end == "failed":
            raise SoakFailed(f"{release.deployment} failed while soaking: {why}")
        if end == "unproven":
            raise NotProven(f"{release.deployment} could not be watched: {why}")
        if seen.fine and now - noted >= NOTED_S:
            note(soaked_s=seen.soaked_s(now), others=seen.before + seen.seen.others)
            noted = clock.monotonic()
        left = max(soak_s - seen.soaked_s(now), 0.0)
        # before that an address may just not be known everywhere yet
        first = "waiting for its first answer at the Service"
        said = f"soaking, {max(left, 0.0):.0f} s left" if seen.answered is not None else first
        emit(
            Progress(
                "promote",
                "running",
                release.deployment,
                f"{said}; {seen.trouble}" if seen.trouble else said,
                done=min(soak_s, soak_s - left),
                total=soak_s,
                unit="s",
            )
        )
        # the last look comes when its time is over; what is wrong is not asked any sooner
        soon = 0 < left < rules.interval_s and seen.fine
        # what is left may be too little to move a clock of floats on
        clock.sleep(max(left, 0.001) if soon else rules.interval_s)
