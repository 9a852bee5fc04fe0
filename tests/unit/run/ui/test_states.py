"""What is read of a model before a person is asked about it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.release.state import configmap_name, with_history
from tasks.run.ui.states import held, states
from tests.support.cluster.actor_world import NS, world

pytestmark = pytest.mark.usefixtures("quick")


def test_it_is_the_clusters_memory_by_the_clusters_clock() -> None:
    at = world(phase="testing", candidate=True)
    actor = at.actor()
    state, now = states(actor.cluster)((NS, actor.name))
    assert state == actor.read_state()[0] and now == actor.cluster.now()


def test_of_what_is_held_a_person_is_told_how_its_rollout_ended() -> None:
    at = world(phase="testing", candidate=True)
    actor = at.actor()
    assert list(held(actor.cluster, None)) == []
    state = actor.read_state()[0]
    for ended in ("r1", "r2"):
        state = with_history(state, {"rollout": ended, "sentence": f"{ended} waits"}, 5)
    actor.save(replace(state, phase="held", rollout="r1"))
    assert list(held(actor.cluster, NS)) == [((NS, actor.name), "r1 waits")]
    # what cannot be read keeps nobody's question away
    found = actor.cluster.get("ConfigMap", configmap_name(actor.name), NS)
    assert found is not None
    at.put({**found, "data": {"state": "{"}})
    assert list(held(actor.cluster, NS)) == []
