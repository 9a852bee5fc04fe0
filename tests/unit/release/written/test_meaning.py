"""What was sent and what the API server has of it: the same by what it means."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.release.written.meaning import kept, same_amount

ENV = {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
FILLED = {"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}


@pytest.mark.parametrize(
    ("field", "sent", "found"),
    [
        ("limits", {"memory": "65536Mi"}, {"memory": "64Gi", "cpu": "1"}),
        ("requests", {"cpu": 0.5, "memory": "1.5Gi"}, {"cpu": "500m", "memory": "1536Mi"}),
        ("requests", {"cpu": "8000m"}, {"cpu": "8"}),
        ("requests", {"cpu": 8}, {"cpu": "8"}),
        ("limits", {"memory": "9Ei"}, {"memory": "9223372036854775807"}),
        ("sizeLimit", "2048Mi", "2Gi"),
        ("requests", {"cpu": "100u"}, {"cpu": "1m"}),
        ("emptyDir", {"medium": "", "sizeLimit": "1024Ki"}, {"sizeLimit": "1Mi"}),
        ("env", [{"name": "A", "value": ""}], [{"name": "Z", "value": "1"}, {"name": "A"}]),
        ("env", [{"name": "A"}], [{"name": "A", "value": ""}]),
        ("env", [ENV], [FILLED]),
        (
            "env",
            [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
            [{"name": "A", "value": "2"}],
        ),
        ("args", [], None),
        ("args", None, ["--x"]),
        (
            "tolerations",
            [{"key": "a", "operator": "Equal", "value": ""}],
            [{"key": "a", "operator": "Equal"}, {"key": "b"}],
        ),
        ("ports", [{"containerPort": 80}], [{"containerPort": 80, "protocol": "TCP"}]),
        (
            "livenessProbe",
            {"httpGet": {"port": 80}, "failureThreshold": 0},
            {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "failureThreshold": 3},
        ),
        ("securityContext", {}, None),
        ("securityContext", {"capabilities": {"add": []}}, {"capabilities": {}}),
        (
            "volumes",
            [{"name": "a", "hostPath": {"path": "/a"}}],
            [{"name": "b", "emptyDir": {}}, {"name": "a", "hostPath": {"path": "/a", "type": ""}}],
        ),
        ("hostNetwork", False, None),
    ],
)
def test_what_the_api_server_writes_down_is_what_was_sent(
    field: str, sent: Any, found: Any
) -> None:
    assert kept(sent, found, field)


@pytest.mark.parametrize(
    ("field", "sent", "found"),
    [
        ("limits", {"memory": "64Gi"}, {"memory": "64G"}),
        ("limits", {"memory": "64Gi"}, {}),
        ("limits", {"memory": "64Gi"}, None),
        ("requests", {"cpu": "500m"}, {"cpu": "1"}),
        ("sizeLimit", "2Gi", None),
        ("env", [{"name": "A", "value": "1000"}], [{"name": "A", "value": "1k"}]),
        ("env", [{"name": "A", "value": ""}], [{"name": "A", "value": "x"}]),
        ("env", [{"name": "A", "value": ""}], [FILLED]),
        ("env", [ENV], [{"name": "A", "value": "10.0.0.1"}]),
        ("env", [ENV], [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}]),
        ("env", [{"name": "A", "value": ""}], []),
        (
            "env",
            [{"name": "A", "value": "1"}],
            [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
        ),
        ("args", ["--a=1"], ["--a=1", "--x"]),
        ("args", [], ["--x"]),
        ("args", ["1000"], ["1k"]),
        ("command", ["a", "b"], ["b", "a"]),
        ("image", "r/x:1", "mirror/r/x:1"),
        ("labels", {"a": ""}, {}),
        ("securityContext", {"privileged": False}, {"privileged": True}),
        ("securityContext", {"runAsUser": 0}, {"runAsUser": 1000}),
        ("volumes", [{"name": "a", "hostPath": {"path": "/a"}}], [{"name": "a", "emptyDir": {}}]),
        ("hostNetwork", True, None),
    ],
)
def test_a_real_difference_stays_one(field: str, sent: Any, found: Any) -> None:
    assert not kept(sent, found, field)


def test_an_amount_that_cannot_be_read_says_nothing() -> None:
    assert same_amount("a new form", "1Gi")
