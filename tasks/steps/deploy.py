"""Start the candidate, and wait until it is ready or its pods say why it will not be."""

from __future__ import annotations

from contextlib import suppress

from tasks.base.errors import OutsideError
from tasks.objects.made import made_of
from tasks.objects.pods import has_run, image_digests, ready
from tasks.outside.kubernetes.access import release_pods
from tasks.outside.kubernetes.ready import NotReady
from tasks.outside.kubernetes.waits import until_ready
from tasks.record.parts import Deploy, PodPlace
from tasks.release.moves import decide_start
from tasks.release.state import Release, with_made
from tasks.render.services import service
from tasks.run.comeback import as_it_is, must_come_back
from tasks.run.findings import Candidate, Planned
from tasks.run.locked import Locked
from tasks.run.run import Run
from tasks.run.seats import must_have_room
from tasks.run.step import step

# what keeps a container from starting, and is of the release and not of its node
_ITS_OWN = ("image-name", "image-absent", "config-missing", "command")


@step
def deploy(run: Run, cluster: Locked, planned: Planned) -> Candidate:
    """Announce the candidate, make room for it where the plan says so, apply it and wait. Raises
    NotNow where its window is closed by then, before anything is taken."""
    spec, release = run.spec, planned.release
    run.must_be_open(planned.plan.strategy)
    planned = as_it_is(cluster.actor, planned)
    strategy, drain_s = planned.plan.strategy, spec.promotion.drain_s
    unknown = must_come_back(run, cluster, planned)
    planned = as_it_is(cluster.actor, planned, proven=True)
    seen = planned.survey.seen
    must_have_room(cluster.actor, planned)
    run.must_be_open(strategy)  # fetching and proving may have outlasted it
    asked = spec.model_dump(mode="json", exclude_defaults=True)
    lend = planned.plan.lend
    plan = run.record.plan.digest if run.record.plan else ""
    cluster.actor.run(
        decide_start(seen, release, run.rollout, strategy, drain_s, asked, lend, plan)
    )
    cluster.actor.apply(service(spec, release, candidate=True))
    # the verdict will be of this, and of nothing that somebody makes of it later
    made = made_of(cluster.actor.apply(planned.body))
    cluster.actor.change_state(lambda held: with_made(held, release.id, made))
    try:
        until_ready(
            run.cluster,
            spec.namespace,
            spec.name,
            release.deployment,
            timeout_s=spec.serving.startup_timeout_s,
        )
    except NotReady as error:
        with suppress(OutsideError):  # it did not start, whoever can be told
            if strategy == "replace" or _unfit(run, release, error):
                cluster.remember(run.judged("unfit"))
        raise
    found = release_pods(run.cluster, spec.namespace, spec.name, release.id)
    pods = [pod for pod in found if ready(pod)]
    ran = image_digests(pods)
    cluster.actor.change_state(lambda held: with_made(held, release.id, made, ran))
    places = [
        PodPlace(name=pod["metadata"]["name"], node=pod["spec"].get("nodeName")) for pod in pods
    ]
    run.record.deploy = Deploy(pods=places, image_digests=ran, not_known=list(unknown))
    where = ", ".join(f"{pod.name} on {pod.node}" for pod in places)
    run.say(f"{release.deployment} is ready", log=f"{release.deployment} is ready: {where}")
    stable = seen.state.stable
    beside = strategy in ("parallel", "lend") and stable is not None and seen.alive(stable.id)
    return Candidate(planned, stable if beside else None)


def _unfit(run: Run, release: Release, error: NotReady) -> bool:
    """Whether it is the release that did not come up: its engine ran, or can never start. What
    found no node, no image or no disk says nothing of it."""
    if error.diagnosis is not None and error.diagnosis.code in _ITS_OWN:
        return True
    spec = run.spec
    return any(map(has_run, release_pods(run.cluster, spec.namespace, spec.name, release.id)))
