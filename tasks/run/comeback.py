"""Nothing is taken from what serves before it is known that it can come back."""

from __future__ import annotations

from dataclasses import replace

from tasks.base.errors import Refused
from tasks.nodes.rules_api import waited_for
from tasks.objects.pods import Object
from tasks.outside.kubernetes.access import release_pods
from tasks.outside.kubernetes.actor import Actor
from tasks.release.comeback import Comeback, decide_comeback, no_start, not_known, refusal
from tasks.release.course import Observed
from tasks.release.plan import queued
from tasks.release.seats.room import waiting
from tasks.render.live import engine_differences
from tasks.run import seats
from tasks.run.findings import Planned
from tasks.run.locked import Locked
from tasks.run.making import Beside, admitted, image_of, with_made
from tasks.run.proofs import Proofs, hashed, tell_unknown, with_proofs
from tasks.run.run import Run

TAKES = ("lend", "replace")


def look_back(run: Run, planned: Planned) -> Proofs | None:
    """What serves, by what the API shows; None where the plan takes nothing from it. Raises Refused
    where that could not come back."""
    seen, spec = planned.survey.seen, run.spec
    view = seen.view(seen.serving)
    if planned.plan.strategy not in TAKES or view is None:
        return None
    deploy = run.cluster.get("Deployment", view.name, spec.namespace)
    if deploy is None:
        raise Refused(f"Deployment {spec.namespace}/{view.name} is gone; run the rollout again")
    pods = release_pods(run.cluster, spec.namespace, spec.name, view.release)
    found = decide_comeback(deploy, pods, run.cluster.list("Node"))
    found = with_made(run.cluster, spec.name, deploy, found)
    if found.wrong:
        raise Refused(refusal(view.name, found.wrong))
    return with_proofs(spec, deploy, view.release, found)


def must_come_back(run: Run, cluster: Locked, planned: Planned) -> tuple[str, ...]:
    """Right before something is taken from what serves: its nodes, its image, its weights hashed
    again, a Pod of it and one of the candidate, and nobody else who waits for what it would free.
    Gives what is not known. Raises Refused; nothing has changed then."""
    looked, spec = look_back(run, planned), run.spec
    if looked is None:
        return ()
    found = hashed(looked, cluster.run_job, run.keep_logs, "deploy")
    if found.damaged:
        raise Refused(refusal(looked.name, found.damaged))
    if found.unknown:
        raise Refused(not_known(looked.name, found.unknown))
    starts = _must_start(run, planned)
    nodes = cluster.actor.cluster.list("Node")
    every = seats.taken(cluster.actor, nodes).pods
    need = waited_for(spec, planned.survey.resource)
    serving = planned.survey.seen.serving
    if waits := waiting(every, nodes, need, (spec.namespace, spec.name), serving):
        raise Refused(queued(waits))
    unknown = tuple(dict.fromkeys((*looked.found.unknown, *starts.unknown)))
    tell_unknown(replace(looked, found=replace(looked.found, unknown=unknown)), "deploy")
    return unknown


def as_it_is(actor: Actor, planned: Planned, *, proven: bool = False) -> Planned:
    """A plan by a look just now: hours may lie between it and what is done. proven: since its own
    look, what serves was proven to come back. Raises Refused where what the plan takes something
    from does not serve any more, or is not what was proven."""
    seen, then = actor.observe(), planned.survey.seen
    if planned.plan.strategy in TAKES and (why := _another(seen, then, made=proven)):
        raise Refused(f"{why}: nothing was taken from it; look at it, then run the rollout again")
    return replace(planned, survey=replace(planned.survey, seen=seen))


def _another(seen: Observed, then: Observed, *, made: bool) -> str:
    now, was = seen.view(seen.serving), then.view(then.serving)
    if was is None or seen.serving != then.serving:
        return "" if seen.serving == then.serving else "another release serves by now"
    if made and now and now.made != was.made:
        return f"{was.name} was changed while it was proven that it can come back"
    return ""


def _must_start(run: Run, planned: Planned) -> Comeback:
    """The API server takes the candidate's pods, beside what serves on: it is asked before anything
    stops for them, and makes of them what is planned. Raises Refused."""
    body, lend, serving = planned.body, planned.plan.lend, planned.survey.seen.serving
    asks = body["spec"]["replicas"]
    beside = (
        Beside(serving, ((asks, lend.keep), (lend.comes, lend.stays))) if lend and serving else None
    )
    found = with_made(run.cluster, run.spec.name, body, Comeback(), asks, beside, _makes(run, body))
    if found.wrong:
        raise Refused(no_start(body["metadata"]["name"], found.wrong))
    spec = admitted(run.cluster, body)
    # an image may have another name in the cluster: which one, it says itself
    if spec is not None and (bent := engine_differences(body, spec, (image_of(spec),))):
        said = f"the cluster's admission makes another pod of it: {'; '.join(bent)}"
        raise Refused(no_start(body["metadata"]["name"], [said]))
    return found


def _makes(run: Run, body: Object) -> list[str]:
    """What is made for a candidate beside its pods, as quotas name the number of such objects."""
    spec, made = run.spec, list[str]()
    if run.cluster.get("Deployment", body["metadata"]["name"], spec.namespace) is None:
        made += ("count/deployments.apps", "count/replicasets.apps")
    if run.cluster.get("Service", f"{spec.name}-candidate", spec.namespace) is None:
        made += ("services", "count/services")
    return made
