"""What Prefect sees of a step."""

from __future__ import annotations

from typing import Any

from tasks.outside.prefect import road


def test_prefect_is_shown_no_result() -> None:
    # it would know a list by its address, and draw an arrow to whatever has that address next
    call: road._Call[Any] = road._Call(lambda: ["found"])
    assert road._task("step", "step").fn(call) is None
    assert call.found == ["found"]
