"""Who started a flow run: a person, a schedule, or an event."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tasks.outside.prefect import started

AUTOMATION = SimpleNamespace(type="AUTOMATION")


@pytest.mark.parametrize(
    ("run", "found"),
    [
        (SimpleNamespace(auto_scheduled=False, created_by=None), False),
        (SimpleNamespace(auto_scheduled=False, created_by=SimpleNamespace(type="USER")), False),
        (SimpleNamespace(auto_scheduled=True, created_by=None), True),
        (SimpleNamespace(auto_scheduled=False, created_by=AUTOMATION), True),
        (None, False),
    ],
)
def test_by_itself(run: Any, found: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    context = SimpleNamespace(get=lambda: SimpleNamespace(flow_run=run))
    monkeypatch.setattr(started, "FlowRunContext", context)
    assert started.by_itself() is found


def test_outside_of_a_flow_run_a_person_did() -> None:
    assert started.by_itself() is False
