"""Who set a Deployment's replicas, by managedFields as Kubernetes 1.36 writes them."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.objects.labels import FIELD_MANAGER, REPLICAS_ANNOTATION
from tasks.objects.replicas import Replicas, replicas_of, scaled_marks

OURS, THEIRS = Replicas(1, 2, stopped=True), Replicas(1, 1)
Entry = dict[str, Any]


def entry(manager: str, how: str = "Update", *fields: str, sub: str = "") -> Entry:
    """One of managedFields. A write through /scale names its subresource, and may have no time."""
    named: Entry = {"subresource": sub} if sub else {"time": "2026-01-01T00:00:00Z"}
    tree = {"f:spec": {f"f:{name}": {} for name in fields}}
    return {
        "manager": manager,
        "operation": how,
        "apiVersion": "apps/v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": tree,
        **named,
    }


US = entry(FIELD_MANAGER, "Update", "replicas", "template")
WITHOUT = entry(FIELD_MANAGER, "Update", "template")
STATUS = entry("kube-controller-manager", "Update", sub="status")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param([US, STATUS], OURS, id="nobody since"),
        pytest.param([US, entry("kubectl-rollout", "Update", "template", "paused")], OURS, id="re"),
        pytest.param([US, entry("kubectl-set", "Update", "template")], OURS, id="set env, undo"),
        pytest.param([US, entry("argo", "Apply", "template")], OURS, id="applies other fields"),
        pytest.param(
            [WITHOUT, entry("kubectl", "Update", "replicas", sub="scale")], THEIRS, id="s"
        ),
        pytest.param(
            [WITHOUT, entry("kube-controller-manager", "Update", "replicas", sub="scale")],
            THEIRS,
            id="an autoscaler",
        ),
        pytest.param([WITHOUT, entry("kubectl-edit", "Update", "replicas")], THEIRS, id="edit"),
        pytest.param([WITHOUT, entry("keda", "Apply", "replicas")], THEIRS, id="forced apply"),
        pytest.param([US, entry("argo", "Apply", "replicas")], THEIRS, id="applied the same since"),
        pytest.param(
            [
                entry(FIELD_MANAGER, "Apply", "replicas"),
                entry("kubectl", "Update", "replicas", sub="scale"),
            ],
            OURS,
            id="we applied the same since",
        ),
        pytest.param([], OURS, id="stripped"),
        pytest.param(
            [entry("argo", "Apply", "template"), entry("before-first-apply", "Update", "replicas")],
            OURS,
            id="stripped, then applied",
        ),
        pytest.param([WITHOUT, STATUS], THEIRS, id="scaled to the same, and then again"),
        pytest.param(
            [
                entry("before-first-apply", "Update", "replicas"),
                entry("argo", "Apply", "replicas"),
            ],
            THEIRS,
            id="stripped, then applied with them",
        ),
    ],
)
def test_who_set_them_last(fields: list[Entry], expected: Replicas) -> None:
    meta = {"generation": 9, "annotations": scaled_marks(1, 2), "managedFields": fields}
    assert replicas_of({"metadata": meta, "spec": {"replicas": 1}}) == expected


@pytest.mark.parametrize("fields", [[US], []])
def test_another_number_than_we_noted_is_theirs(fields: list[Entry]) -> None:
    meta = {"annotations": scaled_marks(1, 2), "managedFields": fields}
    assert replicas_of({"metadata": meta, "spec": {"replicas": 3}}) == Replicas(3, 3, beyond=1)


@pytest.mark.parametrize("noted", ["many", "-1", "1.5", "9" * 400, "\u00b2", "", "100000"])
def test_a_mark_that_is_no_number_of_ours_is_read_as_one(noted: str) -> None:
    """A person may have written it: one replica comes back, and nothing ends in an error."""
    marks = {**scaled_marks(0, 2), REPLICAS_ANNOTATION: noted}
    deploy = {"metadata": {"annotations": marks}, "spec": {"replicas": 0}}
    assert replicas_of(deploy) == Replicas(0, 1, stopped=True)
