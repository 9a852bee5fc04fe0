"""How a rollout ended, as Kubernetes has it."""

from __future__ import annotations

from typing import Any, get_args

import kubernetes_validate

from flows.rollback import REASONS
from tasks.release.wish import What
from tasks.render.events import event
from tests.support.places import VERSIONS

SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "m", "namespace": "models", "uid": "u"},
}


def made(message: str, reason: str = "Promoted", *, bad: bool = False) -> dict[str, Any]:
    return event(SERVICE, reason, message, bad=bad, at="2026-01-01T00:00:00Z")


def test_an_event_is_what_the_api_takes() -> None:
    for version in VERSIONS:
        kubernetes_validate.validate(made("m-1 promoted"), version, strict=True)
    found = made("x" * 5000, bad=True)
    assert found["type"] == "Warning" and len(found["message"]) == 1024
    assert found["involvedObject"] == {
        **{key: SERVICE[key] for key in ("apiVersion", "kind")},
        **SERVICE["metadata"],
    }


def test_the_same_again_has_the_same_name_and_something_else_another() -> None:
    names = {made("a")["metadata"]["name"], made("a")["metadata"]["name"]}
    assert len(names) == 1
    names |= {made("b")["metadata"]["name"], made("a", "Held")["metadata"]["name"]}
    assert len(names) == 3 and all(name.startswith("m.") for name in names)


def test_whatever_is_done_by_name_has_a_reason() -> None:
    assert set(REASONS) == {*get_args(What), "guard", "adopted", "error"}
