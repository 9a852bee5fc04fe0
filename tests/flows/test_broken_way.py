"""The way of asking breaks, and not the release: nobody calls the release bad, nothing is moved."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.flows.house import House, read_until, record_named

pytestmark = pytest.mark.timeout(900)
SHORT: dict[str, Any] = {"benchmark__requests_per_round": 16, "benchmark__min_rounds": 2}


# after these words of the second version's run no Service address leads anywhere any more
@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("[deploy] started", 1, ["The way there is to be mended"]),
        ("[exam] started", 4, ["20 questions got no answer", "did not reach the engine"]),
    ],
)
def test_a_way_that_breaks_says_nothing_of_the_release(
    home: House, words: str, code: int, says: list[str]
) -> None:
    exam = home.folder / "exam.jsonl"
    rows = [{"question": f"Is {number} a number?", "answer": "yes"} for number in range(20)]
    exam.write_text("".join(json.dumps(row) + "\n" for row in rows))
    quality = {"questions": str(exam), "minimum_percent": 50} if "exam" in words else None
    spec = str(home.spec(**SHORT, **({"quality": quality} if quality else {})))
    first = home.publish(1)
    home.rollout("run", str(home.spec(**SHORT)), expect=0)
    home.publish(2)
    process = home.start("run", spec)
    said = read_until(process, words)
    home.cluster.proxy.stop()
    rest, _ = process.communicate(timeout=600)
    said += rest
    assert process.returncode == code, said
    assert all(text in said for text in says), said
    state = home.state()
    assert state.phase == "idle" and state.stable is not None and state.stable.commit == first
    assert len(home.objects("Deployment")) == 1
    record = record_named(said)
    assert record["outcome"] == {1: "error", 4: "inconclusive"}[code]
