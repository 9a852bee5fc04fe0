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
from tasks.base.errors import OutsideError, StepFailed
from tasks.outside.kubernetes.access import Endpoint
from tasks.outside.kubernetes.client import ApiError
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
    body={
        "metadata": {"name": "m-new", "namespace": "models"},
        "spec": {"template": {"spec": {"containers": [{"name": "engine", "image": "img"}]}}},
    },
    nodes=["n"],
    survey=SimpleNamespace(profile=profile("cpu")),
)
CANDIDATE: Any = SimpleNamespace(release=NEW, planned=PLANNED)


def taken(
    monkeypatch: pytest.MonkeyPatch,
    pods: list[Any],
    *looks: Look,
    admit: Any = None,
    there: str = "img",
) -> tuple[Any, Any]:
    """The step over these pods, its address found by these looks: (run, checks). admit: what the
    API server makes of a Pod; None where that is what is asked for. there: the image that the
    Deployment names by now."""

    @contextmanager
    def reach(_: Any, spec: Any, service: str, release: str) -> Iterator[Endpoint]:
        assert (service, release) == ("m-candidate", "new")
        yield Endpoint("http://127.0.0.1:9", "cluster address")

    at = world(phase="testing", candidate=True)
    at.admit = admit or at.admit
    (engine,) = at.objects["Deployment", "m-new"]["spec"]["template"]["spec"]["containers"]
    engine["image"] = there
    run = run_of(at)
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


def mirrored(body: Any) -> None:
    """Another registry's name for the same image, as clusters write it at admission."""
    (engine,) = body["spec"]["containers"]
    image = f"mirror/{engine['image']}"
    body["spec"] = {**body["spec"], "containers": [{**engine, "image": image}]}


def no_trial(_: Any) -> None:
    raise ApiError("admission webhook h does not support dry run", 400)


@pytest.mark.parametrize(
    ("admit", "right"),
    [(mirrored, ["img", "mirror/img"]), (no_trial, ["img"]), (None, ["img"])],
)
def test_an_image_that_the_cluster_itself_writes_is_as_planned(
    admit: Any, right: list[str], monkeypatch: pytest.MonkeyPatch, time: clock.FakeClock
) -> None:
    """And none that neither the plan names nor the cluster makes of it."""
    images = ["img", "mirror/img", "mirror/other", "other", "mirror/mirror/img", ""]
    _, checks = taken(monkeypatch, list(map(pod, images)), Look(), admit=admit)
    assert [check.name.removeprefix("pod m-") for check in checks[2:] if check.ok] == right
    assert "planned 'img', runs 'mirror/other'" in wrong(checks)


def test_what_a_hand_made_of_the_deployment_is_not_what_the_cluster_makes(
    monkeypatch: pytest.MonkeyPatch, time: clock.FakeClock
) -> None:
    """The plan's template is tried, and not the one that is there."""
    pods = [pod("other"), pod("mirror/other"), pod("mirror/img")]
    _, checks = taken(monkeypatch, pods, Look(), admit=mirrored, there="other")
    assert [check.ok for check in checks[2:]] == [False, False, True]


def test_an_api_server_that_does_not_answer_says_nothing_of_the_release(
    monkeypatch: pytest.MonkeyPatch, time: clock.FakeClock
) -> None:
    def silent(_: Any) -> None:
        raise ApiError("no answer", 503)

    with pytest.raises(OutsideError, match="no answer"):
        taken(monkeypatch, [pod("mirror/img")], Look(), admit=silent)
