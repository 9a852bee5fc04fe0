"""The stand-in's API in trouble, and the product's client in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployments.local.kube.api.trouble import Trouble
from tests.support.cluster.api_fixture import config, serving


@pytest.mark.parametrize("seed", range(3))
def test_the_client_gets_through(tmp_path: Path, seed: int) -> None:
    """Writes are done once each, whatever became of their answers."""
    with serving(tmp_path, window=100) as api:
        api.server.trouble = trouble = Trouble(seed, 0.3)
        api.cluster.rest.patience_s = 60
        for number in range(20):
            name = f"c{number}"
            api.cluster.apply(config(name))
            api.cluster.patch("ConfigMap", name, "default", {"data": {"a": str(number)}})
            found = api.cluster.get("ConfigMap", name, "default")
            assert found is not None and found["data"] == {"a": str(number)}
        assert len(api.cluster.list("ConfigMap", "default")) == 20
        assert {"429", "500", "503", "lost"} == {*trouble.seen}
