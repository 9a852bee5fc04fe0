"""What is read of a model before a person is asked about it."""

from __future__ import annotations

import pytest

from tasks.run.ui.states import states
from tests.support.cluster.actor_world import NS, world

pytestmark = pytest.mark.usefixtures("quick")


def test_it_is_the_clusters_memory_by_the_clusters_clock() -> None:
    at = world(phase="testing", candidate=True)
    actor = at.actor()
    state, now = states(actor.cluster)((NS, actor.name))
    assert state == actor.read_state()[0] and now == actor.cluster.now()
