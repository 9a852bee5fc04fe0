"""`plan --manifests`: what a rollout would write, and nothing where it writes nothing."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any, cast

import kubernetes_validate
import pytest
import yaml

from flows.cli.look import DryRun, Manifests, dry_run, interruption, manifests, manifests_text
from tasks.base.errors import OutsideError, Refused
from tasks.nodes.assess import NodeVerdict
from tasks.nodes.reasons import error, warning
from tasks.outside.kubernetes.client import Cluster, Forbidden, NotFound
from tasks.outside.kubernetes.jobs import WORK_ANNOTATION, work_of
from tasks.release.moves import DeploymentView, Observed
from tasks.release.plan import NodeSeat, Strategy, decide_plan
from tasks.release.state import State
from tasks.render.release import deployment
from tasks.run.findings import Planned
from tasks.spec.file import read_spec
from tasks.spec.policy import Policy
from tasks.steps.validate_nodes import judged
from tests.support.places import ROOT, VERSIONS
from tests.support.surveys import survey

SPECS = ROOT / "deployments" / "models"
SPEC = read_spec(SPECS / "smollm2-135m-cpu.yaml")


class Services:
    """A cluster in which the stable Service is there, as somebody keeps it, or not."""

    def __init__(self, there: bool) -> None:
        self.there = there

    def get(self, kind: str, name: str, ns: str) -> dict[str, Any] | None:
        spec = {
            "type": "ClusterIP",
            "selector": {"app.kubernetes.io/instance": name, "model-rollout/release": "old"},
            "ports": [{"name": "http", "port": 8000, "targetPort": "http"}],
        }
        meta = {"name": name, "namespace": ns}
        return {"metadata": meta, "spec": spec} if self.there else None


def planned(strategy: Strategy) -> Planned:
    """A plan of each strategy, decided as always."""
    found, spec = survey(SPEC), SPEC
    old = replace(found.release, id="old", deployment="smollm2-old")
    seats = [NodeSeat("node-a", "host-a", 1, 1)]
    if strategy == "unchanged":
        old = found.release
    if strategy == "replace":
        spec = SPEC.model_copy(
            update={"promotion": SPEC.promotion.model_copy(update={"strategy": "replace"})}
        )
    if strategy == "refused":
        seats = []
    view = DeploymentView(old.deployment, old.id, 1, 1, 1)
    found = replace(found, seen=Observed(State(SPEC.name, stable=old), old.id, {old.id: view}))
    plan = decide_plan(spec, found.release, found.seen, seats, resource="")
    assert plan.strategy == strategy
    hostnames = [seat.hostname for seat in plan.nodes]
    return Planned(plan, found, deployment(found.spec, found.release, found.needs, hostnames))


def written(strategy: Strategy, *, there: bool = True) -> tuple[Manifests, str]:
    plan = planned(strategy)
    objects = manifests(cast(Cluster, Services(there)), plan)
    return objects, manifests_text(plan.plan, objects, "models/smollm2")


@pytest.mark.parametrize("strategy", ["parallel", "replace"])
@pytest.mark.parametrize("there", [True, False])
def test_what_is_printed_is_what_the_api_takes(strategy: Strategy, there: bool) -> None:
    objects, text = written(strategy, there=there)
    bodies = list(yaml.safe_load_all(text))
    assert bodies == list(objects.before)
    assert [body["kind"] for body in bodies] == ["Job", "Service", "Deployment"]
    for body in bodies:
        for version in VERSIONS:
            kubernetes_validate.validate(body, version, strict=True)
    # a Deployment without a node to run on would be refused
    terms = yaml.safe_dump(bodies[2]["spec"]["template"]["spec"]["affinity"])
    assert "host-a" in terms and "values: []" not in terms


@pytest.mark.parametrize("strategy", ["unchanged", "refused"])
def test_where_nothing_is_written_nothing_is_printed(strategy: Strategy) -> None:
    objects, text = written(strategy)
    assert objects == Manifests() and [b for b in yaml.safe_load_all(text) if b] == []
    assert text.startswith(f"# {strategy}: ") and text.endswith("# nothing to apply\n")


def test_the_job_is_the_one_a_rollout_would_know_again() -> None:
    job = written("parallel")[0].before[0]
    assert job["metadata"]["annotations"][WORK_ANNOTATION] == work_of(job)


def test_what_promotes_is_told_and_not_there_to_be_applied() -> None:
    """The stable Service moves after the verdict; piped into kubectl, nothing may move it."""
    release = survey(SPEC).release.id
    for there, verb in ((True, "patch"), (False, "create")):
        objects, text = written("parallel", there=there)
        names = [body["metadata"]["name"] for body in objects.before]
        assert "smollm2" not in names and "smollm2-candidate" in names
        assert objects.promotion is not None and objects.promotion[0] == verb
        assert objects.promotion[1]["spec"]["selector"]["model-rollout/release"] == release
        comments = [line for line in text.splitlines() if line.startswith("#")]
        assert f"# and only if it is promoted, {verb} of Service models/smollm2:" in comments


def test_the_patch_is_the_one_that_promotes() -> None:
    """A Service found without a node port is widened where the spec asks through one."""
    plan = planned("parallel")
    access = SPEC.access.model_copy(update={"mode": "node-port"})
    spec = SPEC.model_copy(update={"access": access})
    found = plan.survey
    body = deployment(spec, found.release, found.needs, ["host-a"])
    plan = replace(plan, survey=replace(found, spec=spec), body=body)
    objects = manifests(cast(Cluster, Services(True)), plan)
    assert objects.promotion is not None
    verb, body = objects.promotion
    assert (verb, body["spec"]["type"]) == ("patch", "NodePort")


def test_the_log_of_a_node_says_why_it_is_not_used() -> None:
    why = error("DRIVER_TOO_OLD", "driver 5.11", "6.3 or newer for K100_AI", "update it")
    worth_knowing = warning("KERNEL_DEVEL_MISSING", "none", "one", "install it")
    bad = NodeVerdict("node-a", "host-a", usable=False, reasons=(why, worth_knowing))
    assert judged("node-a", bad, "DRIVER_TOO_OLD") == (
        "node-a is not usable: DRIVER_TOO_OLD: driver 5.11; expected 6.3 or newer for K100_AI; "
        "update it"
    )
    good = NodeVerdict("node-a", "host-a", usable=True, reasons=(worth_knowing,))
    assert judged("node-a", good, "8 x K100_AI") == "node-a: 8 x K100_AI"


@pytest.mark.parametrize(("strategy", "asks"), [("replace", True), ("parallel", False)])
def test_a_run_that_interrupts_says_so_before_it_begins(
    strategy: Strategy, asks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = planned(strategy)
    monkeypatch.setattr("flows.cli.look.Cluster.connect", lambda *_: nullcontext())
    monkeypatch.setattr("flows.cli.look.Run", lambda *_: None)
    monkeypatch.setattr("flows.cli.look._look", lambda *_, **__: None)
    monkeypatch.setattr("flows.cli.look.make_plan", lambda *_: found)
    may = {"promotion": SPEC.promotion.model_copy(update={"allow_interruption": True})}
    said = interruption(SPEC.model_copy(update=may), None, None)
    assert said.endswith("; smollm2-old serves now and is scaled down first") == asks
    assert bool(said) == asks
    # what a spec does not allow is not looked for
    assert interruption(SPEC, None, None) == ""


def test_what_the_spec_lets_be_cut_off_is_asked_for_though_nothing_may_be_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "Service chat-internal leads to pods of smollm2-old, and nowhere once they stop"
    made = planned("parallel")
    found = replace(made, plan=replace(made.plan, cut=(text,)))
    monkeypatch.setattr(Cluster, "connect", lambda *_, **__: nullcontext())
    monkeypatch.setattr("flows.cli.look.Run", lambda *_: None)
    monkeypatch.setattr("flows.cli.look._look", lambda *_, **__: None)
    monkeypatch.setattr("flows.cli.look.make_plan", lambda *_: found)
    leaves = {"promotion": SPEC.promotion.model_copy(update={"leaves": ["chat-internal"]})}
    assert interruption(SPEC.model_copy(update=leaves), None, None).endswith(text)


RBAC = 'services is forbidden: User "u" cannot patch resource "services" in API group ""'


@pytest.mark.parametrize(
    ("answer", "taken", "said"),
    [
        (None, True, ""),
        (Forbidden("exceeded quota: q", 403), False, "exceeded quota: q"),
        (Forbidden(RBAC, 403), None, "this account may not ask for it"),
        (Refused("Deployment m-x exists and is not ours"), False, "is not ours"),
        (NotFound("namespaces models not found", 404), False, "models not found"),
    ],
)
def test_the_api_server_says_whether_it_would_take_a_plan(
    answer: Exception | None, taken: bool | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tried(*_: object) -> Exception | None:
        if isinstance(answer, Refused | NotFound):
            raise answer
        return answer

    monkeypatch.setattr("flows.cli.look.tried", tried)
    found = dry_run(cast(Any, None), planned("parallel"))
    assert found.taken is taken and said in found.said


def test_what_the_site_forbids_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.cli.look.tried", lambda *_: pytest.fail("asked"))
    made = planned("parallel")
    policy = replace(made.survey, policy=Policy(images=["registry.example/*"]))
    found = dry_run(cast(Any, None), replace(made, survey=policy))
    assert found.taken is False and "the site's policy does not allow it" in found.said
    for strategy in ("refused", "unchanged"):
        assert dry_run(cast(Any, None), planned(cast(Strategy, strategy))) == DryRun()


def test_an_api_server_that_does_not_say_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object) -> None:
        raise OutsideError("no answer")

    monkeypatch.setattr("flows.cli.look.tried", silent)
    with pytest.raises(OutsideError):
        dry_run(cast(Any, None), planned("parallel"))
