"""Somebody is always on watch: the guard's CronJob, its schedule and the heartbeats, as shipped."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import yaml
from prefect.events.schemas.automations import AutomationCore, EventTrigger
from prefect.settings.models.flows import FlowsSettings

from flows.cli.commands.act import guard
from flows.cli.commands.app import build
from flows.guard import LIMIT_S
from tasks.record.outcome import ENDINGS
from tests.support.places import ROOT, VERSIONS

FOLDER = ROOT / "deployments" / "cluster"


def load(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


def test_the_cronjob_is_what_the_api_takes_and_runs_the_guard() -> None:
    body = load("base/guard.yaml")
    for version in VERSIONS:
        kubernetes_validate.validate(body, version, strict=True)
    spec, job = body["spec"], body["spec"]["jobTemplate"]["spec"]
    assert spec["concurrencyPolicy"] == "Forbid" and not spec.get("suspend")
    assert job["backoffLimit"] == 0 and job["activeDeadlineSeconds"] > LIMIT_S
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    program, *command = container["command"]
    found, given, _ = build().parse_args(
        [part.replace("$(NAMESPACE)", "models") for part in command]
    )
    assert program == "rollout" and found is guard
    assert given.arguments == {"once": True, "namespace": "models"}
    assert {
        "name": "NAMESPACE",
        "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}},
    } in container["env"]


def test_it_runs_with_the_worker_image_and_account_and_as_restricted() -> None:
    pod = load("base/guard.yaml")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    other = load("overlays/process-pool/worker.yaml")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == other["serviceAccountName"]
    assert pod["containers"][0]["image"] == other["containers"][0]["image"]
    # the restricted level, and nothing to write to but its own volumes
    security = pod["containers"][0]["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert security == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert all("emptyDir" in volume for volume in pod["volumes"])


def test_it_is_applied_by_the_lines_that_people_copy() -> None:
    page = " ".join((ROOT / "README.md").read_text().split())
    assert "-f deployments/cluster/base/guard.yaml" in page
    assert (
        "kubectl apply -f base/namespace.yaml -f base/rbac.yaml -f base/guard.yaml"
        in (FOLDER / "README.md").read_text()
    )


def test_a_rollout_that_ended_is_not_silent_and_one_that_beats_is_not_either() -> None:
    for data in yaml.safe_load((FOLDER.parent / "automations.yaml").read_text())["automations"]:
        automation = AutomationCore.model_validate(data)
        trigger = automation.trigger
        assert automation.enabled and isinstance(trigger, EventTrigger)
        # every ending has a name of its own, and so has its event
        assert trigger.expect == {"prefect.flow-run.*"} and len(ENDINGS) > 5
        beat = FlowsSettings().heartbeat_frequency
        assert beat is not None and trigger.within.total_seconds() > 2 * beat


def test_prefect_has_guard_and_watcher_on_and_rollouts_that_beat() -> None:
    found = {
        d["name"]: d for d in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    }
    assert [item["active"] for item in found["guard"]["schedules"]] == [True]
    assert [item["active"] for item in found["watch-models"]["schedules"]] == [True]
    rolls = [d for d in found.values() if d["entrypoint"] == "flows.rollout.rollout"]
    for deployment in rolls:
        env = deployment["work_pool"]["job_variables"]["env"]
        assert env["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == "30"
