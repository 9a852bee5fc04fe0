"""The stand-in's API in trouble, and the product's client in it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import urllib3

from deployments.local.kube.api.trouble import Trouble
from tests.support.cluster.api_fixture import CONFIGS, config, serving


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


class Last(random.Random):
    """Every call, and the last of what may befall it."""

    def random(self) -> float:
        return 0.0

    def choice(self, seq: Any) -> Any:
        return seq[-1]


MERGE = "application/merge-patch+json"
AT = {"resourceVersion": "1"}
DEMANDS = {"kind": "DeleteOptions", "preconditions": {"uid": "1"}}


@pytest.mark.parametrize(
    ("method", "body", "content_type", "befalls"),
    [
        ("PUT", {**config("c"), "metadata": {"name": "c", **AT}}, "", "conflict PUT"),
        ("PATCH", {"metadata": AT}, MERGE, "conflict PATCH"),
        ("DELETE", DEMANDS, "", "conflict DELETE"),
        # what names no version, the API server takes to what is there by then
        ("PUT", config("c"), "", "lost"),
        ("PATCH", {"data": {"a": "1"}}, MERGE, "lost"),
        ("DELETE", {"kind": "DeleteOptions"}, "", "lost"),
    ],
)
def test_a_conflict_is_for_what_names_a_version(
    tmp_path: Path, method: str, body: dict[str, Any], content_type: str, befalls: str
) -> None:
    with serving(tmp_path, window=100) as api:
        api.cluster.apply(config("c"))
        before = api.cluster.get("ConfigMap", "c", "default")
        trouble = Trouble(0, 0.5)
        trouble._rng = Last()
        api.server.trouble = trouble
        kind = content_type or "application/json"
        if befalls == "lost":
            with pytest.raises(urllib3.exceptions.HTTPError):
                api.send(method, f"{CONFIGS}/c", body, kind)
        else:
            code, said = api.send(method, f"{CONFIGS}/c", body, kind)
            assert (code, said["reason"]) == (409, "Conflict")
        api.server.trouble = None
        assert trouble.seen == {befalls: 1}
        assert befalls == "lost" or api.cluster.get("ConfigMap", "c", "default") == before
