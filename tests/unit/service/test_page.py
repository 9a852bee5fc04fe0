"""prefect.yaml and deployments/automations.yaml: as generated, and as Prefect reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from prefect.cli.deploy._models import (
    ConcurrencyLimitSpec,
    DeploymentConfig,
    PrefectYamlModel,
    RawScheduleConfig,
    WorkPoolConfig,
)
from prefect.events.schemas.automations import AutomationCore, EventTrigger
from prefect.events.schemas.deployment_triggers import DeploymentEventTrigger
from prefect.flows import Flow, load_flow_from_entrypoint
from pydantic import BaseModel

from tasks.service.page import prefect_yaml
from tasks.service.parts import Timetable
from tasks.service.wanted import Tracked, tracked, wanted
from tasks.spec.file import read_spec
from tests.support.places import ROOT

PAGE = (ROOT / "prefect.yaml").read_text()
DATA = yaml.safe_load(PAGE)
AUTOMATIONS = yaml.safe_load((ROOT / "deployments" / "automations.yaml").read_text())


def specs() -> list[str]:
    """The files that prefect.yaml names."""
    (watch,) = (item for item in DATA["deployments"] if item["name"] == "watch-models")
    files: list[str] = watch["parameters"]["spec_files"]
    return files


def test_prefect_yaml_is_what_the_specs_say() -> None:
    plan = wanted([tracked(read_spec(ROOT / file), file) for file in specs()])
    assert prefect_yaml(plan) == PAGE, "write it anew: `rollout up --print --specs ...`"


def test_the_folder_of_examples_is_one_for_rollout_up() -> None:
    files = sorted((ROOT / "deployments" / "models").glob("*.yaml"))
    assert len(wanted([tracked(read_spec(file), file.name) for file in files]).deployments) > 60


def test_the_automations_are_those_that_rollout_up_makes() -> None:
    assert [dict(item) for item in wanted([]).automations] == AUTOMATIONS["automations"]


def unknown(model: type[BaseModel], data: Mapping[str, Any]) -> set[str]:
    """Keys that Prefect would ignore without a word."""
    fields = model.model_fields
    return set(data) - {*fields, *(item.alias for item in fields.values())}


def parts(page: Mapping[str, Any]) -> Iterator[tuple[type[BaseModel], Mapping[str, Any]]]:
    """Each mapping of prefect.yaml that Prefect reads by a model."""
    yield PrefectYamlModel, page
    for item in page["deployments"]:
        yield DeploymentConfig, item
        yield WorkPoolConfig, item["work_pool"]
        yield ConcurrencyLimitSpec, item.get("concurrency_limit", {})
        yield from ((RawScheduleConfig, each) for each in item.get("schedules", []))
        yield from ((DeploymentEventTrigger, each) for each in item.get("triggers", []))


def test_prefect_knows_every_key() -> None:
    nightly = Tracked("b", "models", "b.yaml", Timetable(cron="0 3 * * *", parameters={"why": "s"}))
    more = yaml.safe_load(prefect_yaml(wanted([Tracked("a", "models", "a.yaml"), nightly])))
    for page in (DATA, more):
        for model, data in parts(page):
            assert not unknown(model, data), data
            if data:
                model.model_validate(data)
    for automation in AUTOMATIONS["automations"]:
        assert not unknown(AutomationCore, automation)
        assert not unknown(EventTrigger, automation["trigger"])


def test_every_entrypoint_is_a_flow() -> None:
    for item in DATA["deployments"]:
        flow: Flow[Any, Any] = load_flow_from_entrypoint(item["entrypoint"])
        assert set(item.get("parameters", {})) <= set(flow.parameters.properties), item["name"]
