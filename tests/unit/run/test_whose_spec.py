"""Several releases stand at once: each is placed, watched and waited for by the spec of its own
rollout, whoever else's turn it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flows.rollback import _course
from tasks.base.errors import RolloutError
from tasks.outside.kubernetes.jobs import JobResult
from tasks.release.memory.terms import with_terms
from tasks.release.seats import pins
from tasks.release.state import to_configmap
from tasks.run import proofs
from tasks.run.nodes import placing
from tasks.run.recall import looked_by, spec_of
from tasks.steps.roll_back import _watch
from tasks.verdict.decide import asked_of
from tests.support.cluster.actor_world import NAME, NEW, NS, World, world
from tests.support.cluster.pool import AFTER, BEFORE, Pool, pool
from tests.support.cluster.runs import run_of
from tests.support.cluster.tight import WHOLE
from tests.support.nodedata import make_spec

pytestmark = pytest.mark.usefixtures("quick")
OWN = {
    "old": 100.0,
    "older": 200.0,
    "new": 300.0,
}  # how long each may start, which tells them apart


def said(**sections: Any) -> dict[str, Any]:
    spec = make_spec({"name": NAME, "namespace": NS, **sections})
    return spec.model_dump(mode="json", exclude_defaults=True)


def nodes(*names: str) -> dict[str, Any]:
    return said(nodes={"accelerator": "cpu", "names": list(names)})


def stranded_pool(**specs: dict[str, Any]) -> Pool:
    """The nodes of `old` and `older` are gone, `new` is under test."""
    at = pool()
    state = replace(at.actor().observe().state, candidate=NEW, terms={})
    for ident, spec in specs.items():
        state = with_terms(state, ident, spec=spec)
    at.put(to_configmap(state, NS))
    return at


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_job(*_: Any, on_line: Any, **__: Any) -> JobResult:
        on_line(WHOLE)
        return JobResult(True, 0, (), None)

    monkeypatch.setattr(proofs, "run_job", run_job)


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("phase", ["idle", "testing", "held", "promoting"])
@pytest.mark.parametrize(("what", "placed"), [("recover", "old"), ("rollback", "older")])
def test_a_release_is_placed_by_its_own_spec(phase: Any, what: str, placed: str) -> None:
    mine, others = nodes("pool-v2-b"), nodes("pool-v2-a")
    at = stranded_pool(**{ident: mine if ident == placed else others for ident in OWN})
    actor = at.actor()
    actor.take_over()
    actor.change_state(lambda state: replace(state, phase=phase))
    done, _ = placing.by_itself(actor, what)
    assert f"m-{placed} was placed again, on pool-v2-b" in done
    assert pins.pinned(at.objects["Deployment", f"m-{placed}"]) == ("pool-v2-b",)


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("phase", ["testing", "held", "promoting"])
def test_without_a_spec_of_its_own_it_is_placed_by_no_others(phase: Any) -> None:
    at = stranded_pool(older=nodes(*AFTER), new=nodes(*AFTER))
    actor = at.actor()
    actor.take_over()
    actor.change_state(lambda state: replace(state, phase=phase))
    done, advice = placing.by_itself(actor, "recover")
    assert not done and "the cluster remembers no spec of it" in advice
    assert pins.pinned(at.objects["Deployment", "m-old"]) == BEFORE


def each_with_its_own(phase: str) -> World:
    at = world(phase=phase, candidate=True)
    state = at.actor().observe().state
    for ident, most in OWN.items():
        state = with_terms(
            state,
            ident,
            spec=said(
                serving={"startup_timeout_s": most},
                targets=[{"metric": "ttft_p95_ms", "limit": most}],
            ),
        )
    at.put(to_configmap(state, NS))
    vars(at)["address"] = "https://api:6443"
    return at


@pytest.mark.parametrize("phase", ["testing", "held", "promoting"])
@pytest.mark.parametrize(
    ("what", "whose"),
    [
        *((what, "old") for what in ("guard", "recover", "reject", "rollback", "abort")),
        *((what, "new") for what in ("approve", "promote")),
    ],
)
def test_what_is_done_by_name_goes_by_the_spec_of_what_it_is_done_about(
    phase: str, what: str, whose: str
) -> None:
    if phase == "testing" and whose == "new":
        whose = "old"  # its turn has not come, and it is refused
    at = each_with_its_own(phase)
    actor = at.actor()
    options = {"allow_interruption": False, "past_queue": False, "stopped": "", "unwatched": False}
    try:
        _course(what, actor, "run-2", **options)  # type: ignore[arg-type]
    except RolloutError:
        assert what not in ("guard", "recover")
    spec = spec_of(actor.observe().state, whose)
    assert spec is not None and actor.ready_timeout_s == OWN[whose]
    # what breaks is noted against it by what its own rollout asked
    assert actor.asked == asked_of(spec)


@pytest.mark.parametrize("phase", ["testing", "held", "promoting"])
def test_a_run_that_fails_settles_by_the_spec_of_what_serves(phase: str) -> None:
    at = each_with_its_own(phase)
    run = run_of(at)
    actor = at.actor()
    actor.take_over()
    _watch(run, actor, actor.observe())
    assert actor.ready_timeout_s == OWN["old"]
    run.promoting = NEW  # its own
    _watch(run, actor, actor.observe())
    assert actor.ready_timeout_s == run.spec.serving.startup_timeout_s


def test_a_job_that_only_looks_may_be_made_by_anothers_spec() -> None:
    state = each_with_its_own("held").actor().observe().state
    for ident, most in OWN.items():
        spec = looked_by(state, ident)
        assert spec is not None and spec.serving.startup_timeout_s == most
    bare = replace(state, terms={"new": state.terms["new"]})
    assert spec_of(bare, "old") is None and spec_of(bare, None) is None
    spec = looked_by(bare, "old")
    assert spec is not None and spec.serving.startup_timeout_s == OWN["new"]
    assert looked_by(replace(state, terms={}), "old") is None
