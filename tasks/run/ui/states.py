"""What is to be known of a model to ask a person about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from tasks.outside.kubernetes.access import made_by_all
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Cluster
from tasks.release.state import State, states_in
from tasks.run.locked import not_held
from tasks.service.names import ModelKey


def states(cluster: Cluster) -> Callable[[ModelKey], tuple[State, datetime]]:
    """What reads the state of a model, with the time by the cluster's clock; changes nothing."""

    def read(model: ModelKey) -> tuple[State, datetime]:
        namespace, name = model
        actor = Actor(cluster, namespace, name, fence=not_held, epoch=0)
        return actor.read_state()[0], cluster.now()

    return read


def held(cluster: Cluster, namespace: str | None) -> Iterator[tuple[ModelKey, str]]:
    """The models whose candidate waits for a person, with how its rollout ended; what cannot be
    read is left to who settles it. namespace: None for all. Raises OutsideError."""
    for model, state in states_in(made_by_all(cluster, "ConfigMap", "state", namespace)):
        if isinstance(state, State) and state.phase == "held":
            ends = (e for e in state.history if e.get("rollout") == state.rollout)
            yield model, str(next(ends, {}).get("sentence", ""))
