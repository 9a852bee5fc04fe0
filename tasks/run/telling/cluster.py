"""Tell what became of a rollout in the cluster, by Kubernetes Events. Nothing depends on them."""

from __future__ import annotations

import logging
from contextlib import suppress

from tasks.base import clock
from tasks.base.errors import RolloutError
from tasks.base.scrub import mask
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.rest import AlreadyExists
from tasks.render.events import event

_log = logging.getLogger(__name__)


def announce(actor: Actor, reason: str, sentence: str, *, bad: bool) -> None:
    """Tell it in Events about the Service and what it leads to; what cannot be told is left out."""
    where, at = actor.namespace, clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        service = actor.cluster.get("Service", actor.name, where)
        stable = actor.read_state()[0].stable
        serving = actor.cluster.get("Deployment", stable.deployment, where) if stable else None
        for about in filter(None, (service, serving)):
            with suppress(AlreadyExists):
                actor.owned.write.create(event(about, reason, mask(sentence), bad=bad, at=at))
    except RolloutError as error:
        _log.info("no Event tells how it ended: %s", error)
