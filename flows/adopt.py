"""Take over a vLLM that somebody deployed by hand: it becomes the stable release of a rollout, and
its clients notice nothing."""

from __future__ import annotations

from collections.abc import Sequence

from flows.rollback import note
from tasks.base.errors import Refused
from tasks.objects.beside import kept_by_hand
from tasks.objects.pods import Object
from tasks.outside.kubernetes.access import chosen_pods, slices_of
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Cluster, Forbidden, NotFound
from tasks.outside.kubernetes.lease import new_run_id, who
from tasks.release.adopt import Adoption, Standing, decide_adoption
from tasks.render.adopted import adopted_deployment, adopted_service
from tasks.run.locked import locked, not_held


def adopt(
    name: str,
    namespace: str,
    *,
    service: str | None = None,
    deployment: str | None = None,
    force: bool = False,
    leaves: Sequence[str] = (),
    kubeconfig: str | None = None,
    context: str | None = None,
) -> str:
    """Do it under the lease; gives a sentence, and a line for each warning. leaves: other Services
    that lead to its pods, and other ports (NAME/PORT), which no later release is reached by; it is
    remembered. Raises Refused, before anything is changed, LockLost, OutsideError."""
    if service not in (None, name):
        raise Refused(
            f"the Service of rollout {name} is called {name} as well, because its clients' address "
            f"outlives every release; call the rollout {service}: `rollout adopt {service}`, and "
            f"`name: {service}` in its spec"
        )
    with Cluster.connect(kubeconfig, context) as cluster:
        looking = Actor(cluster, namespace, name, fence=not_held, epoch=0)
        allowed(looking, decide(looking, deployment, force=force, leaves=leaves))
        run = new_run_id()
        with locked(cluster, namespace, name, f"{who()}/adopt-{run}") as held:
            found = decide(held.actor, deployment, force=force, leaves=leaves)
            held.actor.adopt(found)
            said = told(held.actor, found)
            note(held.actor, run, "adopted", said)
    return "\n".join([said, *(f"warning: {line}" for line in found.warnings)])


def decide(
    actor: Actor, deployment: str | None, *, force: bool, leaves: Sequence[str] = ()
) -> Adoption:
    """What the cluster holds, and what becomes of it. Raises Refused."""
    cluster, ns, name = actor.cluster, actor.namespace, actor.name
    service = cluster.get("Service", name, ns)
    chosen = (service or {}).get("spec", {}).get("selector") or {}
    around, unseen = _around(cluster, ns)
    services = cluster.list("Service", ns)
    seen = Standing(
        service,
        cluster.list("Deployment", ns),
        chosen_pods(cluster, ns, chosen) if chosen else [],
        actor.read_state()[0],
        services=services,
        slices=slices_of(cluster, ns, name) if chosen else [],
        kept=cluster.list("EndpointSlice", ns) if chosen and kept_by_hand(services) else [],
        around=around,
        unseen=unseen,
    )
    return decide_adoption(name, ns, seen, deployment, force=force, leaves=leaves)


def _around(cluster: Cluster, namespace: str) -> tuple[list[Object], list[str]]:
    """What is about pods by their labels, and the kinds of which that cannot be listed."""
    found: list[Object] = []
    unseen = []
    for kind in ("NetworkPolicy", "PodDisruptionBudget", "HorizontalPodAutoscaler"):
        try:
            found += ({**item, "kind": kind} for item in cluster.list(kind, namespace))
        except (Forbidden, NotFound):
            unseen.append(kind)
    return found, unseen


def allowed(actor: Actor, found: Adoption) -> None:
    """What the API server says to both patches. Changes nothing; raises Refused, OutsideError."""
    for kind, name, patch in (
        ("Deployment", found.release.deployment, adopted_deployment),
        ("Service", actor.name, adopted_service),
    ):
        item = actor.cluster.get(kind, name, actor.namespace)
        if item is not None:
            body = patch(item, actor.name, found)
            actor.cluster.trial().patch(kind, name, actor.namespace, body)


def told(actor: Actor, found: Adoption) -> str:
    """What there is now."""
    release, where = found.release, f"{actor.namespace}/{actor.name}"
    return (
        f"{release.deployment} behind Service {where} is release {release.id} of rollout "
        f"{actor.name}: its pods and the Service's selector are as they were; `rollout run` rolls "
        f"a new version out beside it, `rollout rollback {actor.name}` brings it back"
    )
