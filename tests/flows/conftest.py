"""One Prefect server for all flow tests; a fresh cluster and hub for each module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.local import daemons, stack
from tests.flows.house import House, house


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real Prefect server's API."""
    folder = tmp_path_factory.mktemp("prefect")
    env = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    started: list[daemons.Daemon] = []
    url = stack.start_prefect(folder, env, started)
    try:
        yield f"{url}/api"
    finally:
        for item in started:
            daemons.stop(item)


@pytest.fixture
def home(tmp_path: Path, prefect_api: str) -> Iterator[House]:
    """A cluster and a hub of this test's own."""
    with house(tmp_path, prefect_api) as built:
        yield built
