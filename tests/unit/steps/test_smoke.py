"""What the smoke test asks, and what is wrong in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.accelerators.profiles import profile
from tasks.base import clock
from tasks.base.errors import StepFailed
from tasks.outside.kubernetes.access import Endpoint
from tasks.outside.vllm.engine import SmokeCheck
from tasks.release.soaking import PATIENCE_S, Look
from tasks.steps.smoke import answered, smoke, wrong
from tests.support.cluster.actor_world import NEW, world
from tests.support.cluster.runs import run_of

# the package's own `smoke` is the step
module = import_module("tasks.steps.smoke")
MODEL = SmokeCheck("model", True, "m", "m")
TOKENS = SmokeCheck("tokens", True, "8 tokens: 'Paris.'", "a streamed answer with text")
ROME = SmokeCheck("answer", False, "'Rome'", "contains 'Paris'")
NAMED = SmokeCheck("model", False, "other", "m")


@pytest.mark.parametrize(
    ("checks", "bad", "said"),
    [
        ([], "", ""),
        ([MODEL], "", ""),
        (
            [MODEL, TOKENS],
            "",
            "tokens: found 8 tokens: 'Paris.', expected a streamed answer with text",
        ),
        ([MODEL, TOKENS, ROME], *["answer: found 'Rome', expected contains 'Paris'"] * 2),
        (
            [NAMED, ROME],
            *["model: found other, expected m; answer: found 'Rome', expected contains 'Paris'"]
            * 2,
        ),
    ],
)
def test_what_is_wrong_and_what_was_answered(checks: list[SmokeCheck], bad: str, said: str) -> None:
    assert (wrong(checks), answered(checks)) == (bad, said)


def pod(image: str, *, up: bool = True) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(up)}]
    spec = {"nodeName": "n", "containers": [{"name": "engine", "image": image}]}
    return {"metadata": {"name": f"m-{image}"}, "spec": spec, "status": {"conditions": conditions}}


PLANNED = SimpleNamespace(
    body={"spec": {"template": {"spec": {"containers": [{"name": "engine", "image": "img"}]}}}},
    nodes=["n"],
    survey=SimpleNamespace(profile=profile("cpu")),
)
CANDIDATE: Any = SimpleNamespace(release=NEW, planned=PLANNED)


def taken(monkeypatch: pytest.MonkeyPatch, pods: list[Any], *looks: Look) -> tuple[Any, Any]:
    """The step over these pods, its address found by these looks: (run, checks)."""

    @contextmanager
    def reach(_: Any, spec: Any, service: str, release: str) -> Iterator[Endpoint]:
        assert (service, release) == ("m-candidate", "new")
        yield Endpoint("http://127.0.0.1:9", "cluster address")

    run = run_of(world(phase="testing", candidate=True))
    left = list(looks)
    run.ask = lambda service, _: (left.pop(0) if left[1:] else left[0], [service])  # type: ignore[method-assign]
    monkeypatch.setattr(module, "reach", reach)
    monkeypatch.setattr(module, "ask_it", lambda *_: [MODEL, TOKENS])
    monkeypatch.setattr(module, "release_pods", lambda *_: pods)
    with run.step("smoke"):
        return run, smoke.function(run, CANDIDATE)


def test_a_pod_that_is_not_as_planned_is_wrong(
    monkeypatch: pytest.MonkeyPatch, time: clock.FakeClock
) -> None:
    pods = [pod("img"), pod("other"), pod("starting", up=False)]
    run, checks = taken(monkeypatch, pods, Look())
    assert [(check.name, check.ok) for check in checks[2:]] == [
        ("pod m-img", True),
        ("pod m-other", False),
    ]
    assert wrong(checks) == (
        "pod m-other: found image: planned 'img', runs 'other', expected as planned"
    )
    assert [check.name for check in run.record.smoke.checks] == [check.name for check in checks]
    (step,) = run.record.steps
    assert (step.step, step.state, step.sentence) == ("smoke", "failed", wrong(checks))


def test_an_address_that_comes_late_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, time: clock.FakeClock
) -> None:
    deaf = Look(answer="none", why="no route")
    run, checks = taken(monkeypatch, [pod("img")], deaf, deaf, Look(answer="bad", why="HTTP 500"))
    # whatever answers is asked: what it says is the checks' matter
    assert clock.monotonic() > 0 and wrong(checks) == ""
    assert run.record.smoke.how == "cluster address" and run.record.steps[0].state == "done"


def test_an_address_that_never_comes_says_nothing_of_the_release(
    monkeypatch: pytest.MonkeyPatch, time: clock.FakeClock
) -> None:
    with pytest.raises(StepFailed, match=r"did not answer for 60 s: no route\. The way there"):
        taken(monkeypatch, [], Look(answer="none", why="no route"))
    assert PATIENCE_S < clock.monotonic() < PATIENCE_S + 10
