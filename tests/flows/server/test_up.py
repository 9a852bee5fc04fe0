"""`rollout up --apply` on a real Prefect server, again and again; forms, and an approval."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml

from tasks.service.names import DEEDS
from tests.flows.house import house, record_of, spec_data
from tests.support.places import ROOT
from tests.support.served import Served, serve
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(900)
OF_MODEL = {f"{does}-smollm2" for does in DEEDS}
COMMON = {"watch-models", "guard", "rollout-any"}
AUTOMATIONS = {
    "new version of models/smollm2",
    "a rollout crashed",
    "a rollout fell silent",
    "a cancelled rollout was not heard of",
    "a run did not begin",
    "another run fell silent",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, prefect_api: str) -> Iterator[Served]:
    """One house, and a worker."""
    with house(tmp_path_factory.mktemp("up"), prefect_api) as home:
        found = serve(home)
        with found.worker():
            yield found


def automations(served: Served) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in served.call("POST", "/automations/filter", {})}


def deployments(served: Served) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in served.call("POST", "/deployments/filter", {})}


def active(served: Served, name: str) -> dict[str, bool]:
    """Of a deployment's schedules by slug, '' for a person's."""
    found = served.deployment(name)["schedules"]
    return {item["slug"] or "": item["active"] for item in found}


def test_what_is_made_is_on_and_again_changes_nothing(served: Served) -> None:
    served.wipe()
    assert "made: " in served.up()
    assert set(deployments(served)) == OF_MODEL | COMMON
    assert set(automations(served)) == AUTOMATIONS
    for name in ("guard", "watch-models"):
        assert list(active(served, name).values()) == [True]
    before = deployments(served), automations(served)
    assert "as they should be" in served.up()
    after = deployments(served), automations(served)
    assert [[item["updated"] for item in each.values()] for each in before] == [
        [item["updated"] for item in each.values()] for each in after
    ]


def test_what_a_person_switched_or_added_stays(served: Served) -> None:
    served.up()
    for name in ("guard", "watch-models"):
        found = served.deployment(name)
        schedules = f"/deployments/{found['id']}/schedules"
        for item in found["schedules"]:
            served.call("PATCH", f"{schedules}/{item['id']}", {"active": False})
        served.call("POST", schedules, [{"schedule": {"interval": 86400}, "active": False}])
    crashed = automations(served)["a rollout crashed"]
    served.call("PATCH", f"/automations/{crashed['id']}", {"enabled": False})
    rollout = served.deployment("rollout-smollm2")
    copy = {**{key: rollout[key] for key in ("flow_id", "tags")}, "name": "rollout-smollm2 copy"}
    served.call("POST", "/deployments/", {**copy, "work_pool_name": rollout["work_pool_name"]})
    mine = {"tags": ["mine"], "description": "as a person wrote it"}
    served.call("PATCH", f"/deployments/{rollout['id']}", mine)
    # a spec that comes, and another file for the one that is there
    folder = served.folder / "deployments" / "models"
    (folder / "other.yaml").write_text(yaml.safe_dump(spec_data(name="other")))
    assert "rollout-other" in served.up()
    for name in ("guard", "watch-models"):
        assert sorted(active(served, name).values()) == [False, False]
        assert "" in active(served, name)
    assert automations(served)["a rollout crashed"]["enabled"] is False
    again = served.deployment("rollout-smollm2")
    assert again["tags"] == [*rollout["tags"], "mine"]
    assert again["description"] == rollout["description"]
    # a spec that goes takes what we made for it along, and nothing else
    (folder / "other.yaml").unlink()
    assert "removed: " in served.up()
    assert set(deployments(served)) == {*OF_MODEL, *COMMON, "rollout-smollm2 copy"}
    assert set(automations(served)) == AUTOMATIONS


def test_a_namesake_changes_names_and_nothing_that_a_person_made(served: Served) -> None:
    served.up()
    found = served.deployment("rollout-smollm2")
    mine = {"tags": [*found["tags"], "mine"], "paused": True}
    served.call("PATCH", f"/deployments/{found['id']}", mine)
    extra = [{"schedule": {"cron": "0 5 * * *"}, "active": False, "slug": "extra"}]
    served.call("POST", f"/deployments/{found['id']}/schedules", extra)
    other = served.folder / "deployments" / "models" / "other.yaml"
    other.write_text(yaml.safe_dump(spec_data(name="smollm2", namespace="other")))
    try:
        served.up()
        named = served.deployment("rollout-smollm2.models")
        assert "mine" in named["tags"] and named["paused"]
        assert active(served, "rollout-smollm2.models") == {"extra": False}
        assert not served.deployment("rollout-smollm2.other")["paused"]
    finally:
        other.unlink()
    served.up()
    back = served.deployment("rollout-smollm2")
    assert "mine" in back["tags"] and back["paused"]
    assert active(served, "rollout-smollm2") == {"extra": False}
    assert not any("smollm2." in name for name in deployments(served))
    served.wipe()
    served.up()


def test_the_form_is_small_and_refuses_with_words(served: Served) -> None:
    served.up()
    found = served.deployment("rollout-smollm2")
    fields = found["parameter_openapi_schema"]["properties"]
    assert list(fields)[:5] == ["spec_file", "revision", "targets", "changes", "why"]
    assert "spec" not in fields and len(fields) < 10
    assert found["parameters"] == {"spec_file": "deployments/models/smollm2-135m-cpu.yaml"}
    assert list(served.deployment("approve-smollm2")["parameter_openapi_schema"]["properties"]) == [
        "rollout",
        "plan",
    ]
    assert "spec" in served.deployment("rollout-any")["parameter_openapi_schema"]["properties"]

    def asked() -> httpx.Response | None:
        answer = httpx.post(
            f"{served.home.prefect_api}/deployments/{found['id']}/create_flow_run",
            json={"parameters": {"targets": {"ttft_p95_ms": "fast"}}},
            timeout=90,
        )
        return None if answer.status_code == 503 else answer  # SQLite is locked

    answer = until(asked)
    assert answer is not None
    assert answer.status_code == 409
    assert "'targets.ttft_p95_ms'" in answer.text and "'fast' is not of type" in answer.text
    run = served.run("rollout-smollm2", targets={"ttft_p95": 800})
    assert run["state_name"] == "Error"
    assert "targets ttft_p95: 800" in run["state"]["message"]


def question(served: Served, what: str) -> dict[str, Any]:
    """The paused run by which a person decides."""
    return served.runs(f"{what}-smollm2", "PAUSED")[0]


def test_a_held_one_is_approved_by_its_own_button(served: Served) -> None:
    served.up()
    home = served.home
    home.publish(1)
    asked = {
        "targets": {"ttft_p95_ms": 60_000},
        "changes": {"promotion.approval": "before-promote"},
    }
    run = served.run("rollout-smollm2", **asked)
    # nothing went wrong: no alert, and no red
    assert (run["state_type"], run["state_name"]) == ("COMPLETED", "Held"), served.log(run)
    record = record_of(home, "smollm2")
    limits = {item["metric"]: item["limit"] for item in record["spec"]["targets"]}
    assert limits["ttft_p95_ms"] == 60_000
    clicked = served.run("approve-smollm2")
    assert clicked["state_type"] == "FAILED"
    state = home.state("smollm2")
    assert f"--rollout {state.rollout} --plan {state.plan}" in clicked["state"]["message"]
    assert home.state("smollm2").phase == "held"
    assert state.candidate is not None
    assert run["name"] == f"rollout {state.candidate.deployment}"
    approve, reject = question(served, "approve"), question(served, "reject")
    for asked, what in ((approve, "approve"), (reject, "reject")):
        assert asked["state_name"] == "NeedsApproval"
        named = f"{what} {state.candidate.deployment} (rollout {state.rollout})"
        assert asked["name"] == named
        assert f"Resume to {what} {state.candidate.deployment}" in asked["state"]["message"]
        assert state.until in asked["state"]["message"]
    links = [
        text
        for text in texts(served, run)
        if all(f"(/runs/flow-run/{asked['id']})" in text for asked in (approve, reject))
    ]
    assert len(links) == 1 and "(/artifacts/artifact/" in links[0]
    served.call("POST", f"/flow_runs/{approve['id']}/resume", {})
    approved = served.ended(approve["id"])
    assert (approved["state_type"], approved["state_name"]) == ("COMPLETED", "Approved")
    assert approved["name"] == approve["name"]
    stable = home.state("smollm2").stable
    assert stable is not None and stable.id == state.candidate.id
    # the other one says so, and does nothing any more
    closed = served.ended(reject["id"])
    assert (closed["state_type"], closed["state_name"]) == ("CANCELLED", "Closed")
    assert "smollm2 is idle" in closed["state"]["message"]
    late = served.call("POST", f"/flow_runs/{reject['id']}/resume", {})
    assert late["status"] == "ABORT"
    again = served.run("approve-smollm2", rollout=state.rollout, plan=state.plan)
    assert (again["state_type"], again["state_name"]) == ("FAILED", "Refused")


def texts(served: Served, run: dict[str, Any]) -> list[str]:
    """What a run's artifacts say."""
    body = {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}}
    return [str(item["data"]) for item in served.call("POST", "/artifacts/filter", body)]


def test_prefects_own_deploy_takes_prefect_yaml(served: Served) -> None:
    served.prefect("deploy", "--all")
    names = {
        item["name"] for item in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    }
    assert names == OF_MODEL | COMMON <= set(deployments(served))
    assert "spec" in served.deployment("rollout-smollm2")["parameter_openapi_schema"]["properties"]
    assert "changed: " in served.up()  # the small forms again
    assert "as they should be" in served.up()
