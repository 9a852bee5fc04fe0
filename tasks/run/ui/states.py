"""What is to be known of a model to ask a person about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Cluster
from tasks.release.state import State
from tasks.run.locked import not_held
from tasks.service.names import ModelKey


def states(cluster: Cluster) -> Callable[[ModelKey], tuple[State, datetime]]:
    """What reads the state of a model, with the time by the cluster's clock; changes nothing."""

    def read(model: ModelKey) -> tuple[State, datetime]:
        namespace, name = model
        actor = Actor(cluster, namespace, name, fence=not_held, epoch=0)
        return actor.read_state()[0], cluster.now()

    return read
