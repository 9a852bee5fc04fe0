"""A cluster in memory that every command reaches."""

from __future__ import annotations

from typing import Any

import pytest

from flows import guard
from tasks.outside.kubernetes.client import Cluster
from tests.support.cluster.actor_world import World


class Reached(World):
    """A World that a Cluster.connect gives."""

    def __enter__(self) -> Reached:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch, quick: None, home: object, lease: None) -> list[World]:
    """Put a World in: it is what every command reaches."""
    there: list[World] = []

    def connect(*_: Any, **__: Any) -> World:
        there[0].__class__ = Reached
        return there[0]

    monkeypatch.setattr(Cluster, "connect", connect)
    monkeypatch.setattr(guard, "WIDTH", 1)  # a World is of one thread
    monkeypatch.setattr(guard, "_TICK_S", 1e-9)  # and time is what it does
    return there


@pytest.fixture(autouse=True)
def unfolded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No width of a terminal, whoever runs the tests."""
    monkeypatch.delenv("COLUMNS", raising=False)
