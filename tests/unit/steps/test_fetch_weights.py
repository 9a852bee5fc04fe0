"""What a rollout fetches is written down before its first Job, so that nobody clears it away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from flows.cli import store
from tasks.base.errors import Refused
from tasks.release.keep import models_named
from tasks.release.moves import decide_start
from tasks.release.state import State, from_configmap
from tasks.steps.fetch_weights import fetch_weights
from tests.support.cluster.actor_world import NAME, NEW, NS, World, world
from tests.support.cluster.runs import locked, run_of
from tests.support.nodedata import make_spec


def state(at: World) -> State:
    return from_configmap(NAME, at.get("ConfigMap", f"rollout-{NAME}"))


@pytest.fixture
def fetching() -> tuple[World, list[State]]:
    """A rollout whose one Job is asked what the state says then."""
    at, seen = world(), list[State]()
    run, held = run_of(at), locked(run_of(at))

    def fan_out(_: str, items: list[Any]) -> list[Any]:
        seen.append(state(at))
        raise KeyboardInterrupt

    vars(run)["road"] = SimpleNamespace(fan_out=fan_out)
    planned: Any = SimpleNamespace(release=NEW, nodes=["n"])
    with run.step("fetch_weights"), pytest.raises(KeyboardInterrupt):
        fetch_weights.function(run, held, planned)
    return at, seen


@pytest.mark.usefixtures("lease")
def test_the_state_names_it_before_the_first_job(fetching: tuple[World, list[State]]) -> None:
    at, (then,) = fetching
    assert then.wanted == NEW and NEW.model in models_named(then)
    # a rollout that died there leaves the name, until what it fetched is tested
    assert state(at).wanted == NEW
    observed = at.actor().observe()
    saved = decide_start(observed, NEW, rollout="r", strategy="parallel").moves[0]
    assert saved.state.candidate == NEW and saved.state.wanted is None  # type: ignore[union-attr]


@pytest.mark.usefixtures("lease")
def test_a_rollout_in_its_fetch_is_locked_out_of_a_clearing(
    fetching: tuple[World, list[State]], monkeypatch: pytest.MonkeyPatch
) -> None:
    at, _ = fetching
    asked: list[tuple[str, str]] = []

    @contextmanager
    def held(_: Any, namespace: str, name: str, *__: Any) -> Iterator[None]:
        asked.append((namespace, name))
        if name == NAME:
            raise Refused("a rollout runs")
        yield

    monkeypatch.setattr(store, "locked", held)
    monkeypatch.setattr(store.Cluster, "connect", lambda *_: nullcontext(at))
    other = make_spec({"name": "other", "namespace": "elsewhere", "model": {"id": NEW.model}})
    with pytest.raises(Refused, match="a rollout runs"):
        store.collect(other, None, None, delete=True)
    assert asked == [("elsewhere", "other"), (NS, NAME)]
