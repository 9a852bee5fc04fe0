"""What the rooms' tests share: time that does not pass by itself, and a home of the test's own.

A room is imported by who asks for it, so that the tests of a lower one start at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.base import clock
from tasks.base.clock import FakeClock

HOMES = itertools.count()


@pytest.fixture
def time() -> Iterator[FakeClock]:
    """A clock that only sleeping moves on."""
    with clock.use(FakeClock()) as fake:
        assert isinstance(fake, FakeClock)
        yield fake


@pytest.fixture
def quick(time: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits take no time, and pods come at once or never: for tests/support/cluster/actor_world."""
    from tests.support.cluster.actor_world import wait_ready

    monkeypatch.setattr("tasks.outside.kubernetes.waits.wait_ready", wait_ready)
    # two worlds made one after the other are compared: a second may tick between them
    monkeypatch.setattr("deployments.local.kube.api.apply.now", lambda: "2026-01-01T00:00:00Z")


@pytest.fixture(autouse=True)
def nobodys_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test keeps that asks for no home, no other one meets, here or in another process; and
    nobody's own is written to."""
    place = tmp_path_factory.getbasetemp() / "homes" / str(next(HOMES))
    monkeypatch.setenv("MODEL_ROLLOUT_HOME", str(place))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where records go; it is not there yet."""
    monkeypatch.setenv("MODEL_ROLLOUT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def lease(time: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every lock of a Run is had at once."""
    from tests.support.cluster.runs import Lease

    for place in ("locked", "rescue"):
        monkeypatch.setattr(f"tasks.run.{place}.LeaseLock", Lease)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What people are told."""
    from tasks.run.telling import people

    found: list[object] = []
    monkeypatch.setattr(people, "emit", found.append)
    return found
