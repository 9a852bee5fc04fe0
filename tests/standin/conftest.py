"""API servers over empty stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster.api_fixture import Api, serving


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """One of the test's own."""
    with serving(tmp_path) as served:
        yield served


@pytest.fixture(scope="module")
def shared_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One for all tests of a file, which leave nothing that another would meet."""
    with serving(tmp_path_factory.mktemp("api")) as served:
        yield served
