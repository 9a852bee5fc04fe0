"""Settle what died half-way: rollouts whose lease nobody renews while their state is not at rest.

Runs on a schedule and after a crashed flow run (see prefect.yaml). It takes a lease only when its
holder has stopped renewing it, so a rollout that is merely slow is left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from prefect import flow

from flows.rollback import settle
from tasks.base.errors import Refused, RolloutError
from tasks.objects.labels import KIND_LABEL, MANAGED_LABEL, MANAGER
from tasks.outside.disk.site import spec_below
from tasks.outside.kubernetes.client import Cluster
from tasks.release.state import from_configmap
from tasks.spec.file import read_spec
from tasks.spec.rollout import Rollout

_log = logging.getLogger(__name__)
# a person decides about a held candidate, and about one that serves unproven
AT_REST = ("idle", "held", "unproven")


def unsettled(cluster: Cluster, namespace: str | None) -> list[tuple[str, str, str]]:
    """(namespace, name, phase) of every rollout that is neither at rest nor waits for a person."""
    found: list[tuple[str, str, str]] = []
    for item in cluster.list(
        "ConfigMap", namespace, label_selector=f"{MANAGED_LABEL}={MANAGER},{KIND_LABEL}=state"
    ):
        name = item["metadata"]["name"].removeprefix("rollout-")
        try:
            phase: str = from_configmap(name, item).phase
        except RolloutError:
            phase = "unreadable"  # settling it says why, and the others are settled
        if phase not in AT_REST:
            found.append((item["metadata"]["namespace"], name, phase))
    return sorted(found)


@flow(name="janitor", persist_result=False)
def janitor(
    namespace: str | None = None, kubeconfig: str | None = None, context: str | None = None
) -> list[str]:
    """Settle every rollout that died half-way; gives one sentence for each.

    Args:
        namespace: Only this namespace; default: all.
        kubeconfig: Path of a kubeconfig; default: the pod's service account or ~/.kube/config.
        context: Context of the kubeconfig.
    """
    with Cluster.connect(kubeconfig, context) as cluster:
        todo = unsettled(cluster, namespace)
    said, failed = [], []
    for ns, name, phase in todo:
        try:
            sentence = settle("recover", name, ns, kubeconfig=kubeconfig, context=context)
            said.append(f"{ns}/{name} ({phase}): {sentence}")
        except Refused as error:
            # its holder renews the lease: alive, not ours
            said.append(f"{ns}/{name} ({phase}): left alone: {error}")
        except RolloutError as error:
            failed.append(f"{ns}/{name} ({phase}): {error}")
    if failed:
        # the others are settled by now; what is left needs a person
        raise RolloutError("; ".join(failed))
    return said


def settle_parameters(parameters: Mapping[str, Any]) -> None:
    """Settle the rollout that a flow run's parameters name; for hooks, which run elsewhere."""
    spec = parameters.get("spec")
    if isinstance(spec, Mapping):
        name, namespace = str(spec["name"]), str(spec.get("namespace", "default"))
    elif isinstance(spec, Rollout):
        name, namespace = spec.name, spec.namespace
    elif parameters.get("spec_file"):
        found = read_spec(spec_below(str(parameters["spec_file"]), "parameters.spec_file"))
        name, namespace = found.name, found.namespace
    else:
        return
    try:
        sentence = settle(
            "recover",
            name,
            namespace,
            kubeconfig=parameters.get("kubeconfig"),
            context=parameters.get("context"),
        )
        _log.warning("%s/%s: %s", namespace, name, sentence)
    except RolloutError as error:
        _log.error("%s/%s: %s", namespace, name, error)
