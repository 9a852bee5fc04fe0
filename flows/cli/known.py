"""That a rollout of a name is there; where none is, which are."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.base.errors import OutsideError, Refused
from tasks.outside.kubernetes.access import rollouts
from tasks.outside.kubernetes.client import Cluster
from tasks.release.state import configmap_name

NAMED = 12  # of the names there are, so many are said


def must_be_known(cluster: Cluster, name: str, namespace: str) -> None:
    """Raises Refused for a rollout that never ran, with the names that there are."""
    if cluster.get("ConfigMap", configmap_name(name), namespace) is not None:
        return
    here = rollouts(cluster, namespace)
    if (namespace, name) in here:  # its state is lost, its engines are there
        return
    try:
        every = rollouts(cluster, None)
    except OutsideError:  # this account may not look there
        every = here
    raise Refused(unknown(name, namespace, every))


def unknown(name: str, namespace: str, every: Sequence[tuple[str, str]]) -> str:
    """That there is no such rollout, and what there is. every: (namespace, name) of all known."""
    here = sorted(known for space, known in every if space == namespace)
    said = f"no rollout {name} in namespace {namespace}"
    elsewhere = sorted(space for space, known in every if known == name)
    if elsewhere:
        return f"{said}; there is one in {_few(elsewhere)}: pass -n {elsewhere[0]}"
    if here:
        return f"{said}; there are: {_few(here)}"
    others = sorted({space for space, _ in every})
    where = f"; there are some in: {_few(others)} (`rollout list -A`)" if others else ""
    return f"{said}, nor any other{where}"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
