"""`rollout metrics`: what a Prometheus server scrapes of every rollout in the cluster."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from flows.cli.screen import say
from tasks.base import clock
from tasks.base.errors import RolloutError
from tasks.outside.kubernetes.access import made_by_all
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.prometheus.exporter import Rollouts, listening
from tasks.release.state import states_in
from tasks.report.gauges import Overseen, Unread

_log = logging.getLogger(__name__)


def overseen(cluster: Cluster, namespace: str | None) -> Sequence[Overseen | Unread]:
    """Every rollout with the Deployment that serves; one that cannot be read is told, and Unread.
    Raises OutsideError."""
    deployments = {
        (item["metadata"]["namespace"], item["metadata"]["name"]): item
        for item in made_by_all(cluster, "Deployment", "engine", namespace)
    }
    found = list[Overseen | Unread]()
    states = states_in(made_by_all(cluster, "ConfigMap", "state", namespace))
    for (where, name), state in states:
        if isinstance(state, RolloutError):
            _log.error("%s", state)
            found.append(Unread(where, name))
            continue
        serving = None
        if (stable := state.stable) is not None:
            # one that was adopted carries no mark of ours before its first rollout
            serving = deployments.get((where, stable.deployment)) or cluster.get(
                "Deployment", stable.deployment, where
            )
        found.append(Overseen(where, state, serving))
    return found


def serve(
    namespace: str | None,
    kubeconfig: str | None,
    context: str | None,
    *,
    host: str,
    port: int,
    every_s: float,
) -> None:
    """Answer scrapes until the process is ended, looking at the cluster every so many seconds."""
    with Cluster.connect(kubeconfig, context) as cluster:
        rollouts = Rollouts(lambda: overseen(cluster, namespace))
        rollouts.renew()
        with listening(rollouts, host, port) as at:
            say(f"metrics: http://{host}:{at}/metrics")
            while True:
                clock.sleep(every_s)
                rollouts.renew()
