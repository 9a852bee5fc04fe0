"""What admission asks of a new pod, made or only tried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployments.local.kube.admit.admission import Admission
from deployments.local.kube.network.addresses import SERVICES, Addresses
from deployments.local.kube.objects.store import Store
from tests.support.cluster.api_fixture import PODS, Api, serving

TRIED = f"{PODS}?dryRun=All"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """One whose admission is asked."""
    asked: list[Admission] = []

    def admit(plural: str, obj: Any, old: Any) -> Any:
        return asked[0](plural, obj, old)

    with serving(tmp_path, admit=admit) as served:
        store: Store = served.store
        asked.append(Admission(store, Addresses(SERVICES), dict))
        yield served


def pod(**spec: Any) -> dict[str, Any]:
    engine = {"name": "m", "image": "i", "resources": {"limits": {"cpu": "2"}}}
    return {"metadata": {"generateName": "p-"}, "spec": {"containers": [engine], **spec}}


NAMED = [
    ({"serviceAccountName": "a"}, "serviceaccounts", 'serviceaccount "a" not found'),
    ({"priorityClassName": "a"}, "priorityclasses", "no PriorityClass with name a was found"),
    ({"runtimeClassName": "a"}, "runtimeclasses", 'RuntimeClass "a" not found'),
]


@pytest.mark.parametrize(("spec", "plural", "why"), NAMED)
def test_what_a_pod_names_is_there(api: Api, spec: Any, plural: str, why: str) -> None:
    code, said = api.send("POST", TRIED, pod(**spec))
    assert code == 403 and why in said["message"]
    meta = {"name": "a", "namespace": "default"}
    more = {"value": 1} if plural == "priorityclasses" else {"handler": "h"}
    api.store.create(plural, {"metadata": meta, **more})
    assert api.send("POST", TRIED, pod(**spec))[0] == 201


@pytest.mark.parametrize(
    ("hard", "refused"),
    [
        ({"requests.cpu": "4"}, ""),
        ({"cpu": "3"}, "requested: cpu=2, used: cpu=2, limited: cpu=3"),
        ({"limits.cpu": "3"}, "requested: limits.cpu=2, used: limits.cpu=2, limited: limits.cpu=3"),
        ({"pods": "1", "cpu": "9"}, "requested: pods=1, used: pods=1, limited: pods=1"),
    ],
)
def test_a_quota_counts_what_is_there_and_a_trial_takes_nothing(
    api: Api, hard: dict[str, str], refused: str
) -> None:
    quota = {"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": hard}}
    api.store.create("resourcequotas", quota)
    assert api.send("POST", PODS, pod())[0] == 201
    for _ in range(2):
        code, said = api.send("POST", TRIED, pod())
        assert code == (403 if refused else 201)
        assert not refused or f"exceeded quota: q, {refused}" in said["message"]
    assert len(api.store.list("pods", "default")) == 1
