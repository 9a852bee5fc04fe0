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
from tasks.release.state import configmap_name, from_configmap
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
    for item in made_by_all(cluster, "ConfigMap", "state", namespace):
        where = item["metadata"]["namespace"]
        name = item["metadata"]["name"].removeprefix(configmap_name(""))
        try:
            state = from_configmap(name, item)
        except RolloutError as error:
            _log.error("%s", error)
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
