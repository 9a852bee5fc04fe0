"""Our own client on the cluster of the tests, and a namespace that goes with the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tasks.outside.kubernetes.client import Cluster
from tests.cluster.conftest import Kube
from tests.support.cluster.hand import Hand


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A connected client."""
    path = request.config.getoption("--kubeconfig")
    if not path:
        path = str(request.getfixturevalue("cluster").kubeconfig)
    with Hand.connect(path, patience_s=20) as connected:
        yield connected


@pytest.fixture
def namespace(kube: Kube) -> str:
    """A fresh namespace."""
    return kube.ns
