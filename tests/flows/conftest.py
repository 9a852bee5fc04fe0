"""One Prefect server for all flow tests; a fresh cluster and hub for each module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.house import House, house
from tests.support.served import prefect_server


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real Prefect server's API."""
    with prefect_server(tmp_path_factory.mktemp("prefect")) as api:
        yield api


@pytest.fixture
def home(tmp_path: Path, prefect_api: str) -> Iterator[House]:
    """A cluster and a hub of this test's own."""
    with house(tmp_path, prefect_api) as built:
        yield built
