"""Bring a plan onto a Prefect server, and look at what it holds. Doing so again changes nothing:
what a person switched or added there stays (tasks/service/changes).

`prefect deploy` is not used for it: it sets schedules and triggers back to what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from json import JSONDecodeError
from typing import Any
from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    DeploymentUpdate,
    WorkPoolCreate,
)
from prefect.client.schemas.filters import (
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import ConcurrencyOptions
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.events.schemas.deployment_triggers import DeploymentEventTrigger
from prefect.exceptions import ObjectAlreadyExists, PrefectException
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_SERVER_API_AUTH_STRING,
    temporary_settings,
)
from prefect.utilities.callables import parameter_schema
from pydantic import ValidationError

from tasks.base.errors import OutsideError
from tasks.base.scrub import mask
from tasks.outside.prefect import notices
from tasks.outside.prefect.approvals import withdraw
from tasks.service.changes import (
    called_before,
    form_of,
    gone,
    held,
    in_order,
    merged,
    patch,
    reschedule,
    switched_on,
)
from tasks.service.kept import LIMIT
from tasks.service.names import TAG, owner
from tasks.service.notices import BLOCK, automations
from tasks.service.parts import FlowDeployment, ServicePlan, Timetable

POOL_TYPE = "process"
PAGE = 200


@dataclass
class Applied:
    """Names of what was made, changed and removed."""

    made: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    # tagged as ours, and not made by us: left alone
    others: list[str] = field(default_factory=list)
    # the work pool's own limit, which what settles and approves waits for, too
    pool_limit: int | None = None


@contextmanager
def asking(api: str, tries: int | None = None) -> Iterator[SyncPrefectClient]:
    """A client of the server at this address (`.../api`), which knows the password that we started
    it with. tries: how often more each is asked; default: Prefect's. Raises OutsideError."""
    secret = PREFECT_API_AUTH_STRING.value() or PREFECT_SERVER_API_AUTH_STRING.value() or None
    here = {PREFECT_API_URL: api, PREFECT_API_AUTH_STRING: secret}
    if tries is not None:
        here[PREFECT_CLIENT_MAX_RETRIES] = tries
    try:
        with temporary_settings(here), get_client(sync_client=True) as client:
            yield client
    except (HTTPError, PrefectException, ValidationError, JSONDecodeError) as error:
        said = mask(str(error) or repr(error))
        raise OutsideError(f"the Prefect server at {api} did not do as asked: {said}") from error


def apply(
    api: str,
    plan: ServicePlan,
    *,
    pool: str,
    folder: str,
    limit: int | None,
    at_first: int | None = None,
    addresses: str = "",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Applied:
    """Make, update and remove. pool: the work pool's name. folder: where its worker reads spec
    files. limit: rollouts at once; None: at_first, or else LIMIT, where none is set yet. addresses:
    who is told; '' for those that the server knows. on_progress: told how many deployments of how
    many are done. Raises OutsideError."""
    done = Applied()
    with asking(api) as client:
        _pool(client, pool, limit, at_first or LIMIT, done)
        found = list(_deployments(client))
        there = {(item["flow"], item["name"]): item for item in found}
        flows: dict[str, _Known] = {}
        for number, each in enumerate(plan.deployments):
            on_progress(number, len(plan.deployments))
            if each.entrypoint not in flows:
                flows[each.entrypoint] = _known(client, each.entrypoint)
            flow = flows[each.entrypoint]
            body = _body(flow, each, pool, folder)
            old = there.get((flow.name, each.name))
            ident = UUID(old["id"]) if old else _create(client, flow, each, body, found, done)
            if old:
                _update(client, each, body, old, set(flow.schema["properties"]), done)
            if each.soon and each.name in {*done.made, *done.changed} and switched_on(old):
                client.create_flow_run_from_deployment(ident, name=f"{each.name}, at once")
            for trigger in each.triggers:
                ours = DeploymentEventTrigger.model_validate(trigger.as_dict())
                ours.set_deployment_id(ident)
                _automation(client, ours.as_automation(), done)
        tell = _notices(client, addresses, done)
        for automation in (*plan.automations, *tell):
            _automation(client, AutomationCore.model_validate(automation), done)
        _remove(client, plan, pool, found, done)
        names = {item.name for item in plan.deployments}
        done.others = [
            item["name"]
            for item in found
            if TAG in item["tags"] and item["name"] not in {*names, *done.removed}
        ]
    return done


def _notices(client: SyncPrefectClient, addresses: str, done: Applied) -> list[dict[str, Any]]:
    """The automations that tell people; none where nobody is known."""
    block, what = notices.kept(client, addresses)
    if what:
        (done.made if what == "made" else done.changed).append(f"block {BLOCK}")
    return automations(block) if block else []


def _pool(
    client: SyncPrefectClient, pool: str, limit: int | None, at_first: int, done: Applied
) -> None:
    """The pool and its two queues: the rollouts' has a limit, and what settles, watches, approves
    and aborts never waits for one of them."""
    wanted = WorkPoolFilter(name=WorkPoolFilterName(any_=[pool]))
    found = client.read_work_pools(work_pool_filter=wanted)
    done.pool_limit = found[0].concurrency_limit if found else None
    if not found:
        try:
            client.create_work_pool(WorkPoolCreate(name=pool, type=POOL_TYPE))
            done.made.append(f"work pool {pool}")
        except ObjectAlreadyExists:  # a worker that started was faster
            pass
    queues = {item.name: item for item in client.read_work_queues(work_pool_name=pool)}
    for name, at_once in (("rollouts", limit or at_first), ("operations", None)):
        if name not in queues:
            client.create_work_queue(name, concurrency_limit=at_once, work_pool_name=pool)
        elif name == "rollouts" and limit and queues[name].concurrency_limit != limit:
            client.update_work_queue(queues[name].id, concurrency_limit=limit)


def _deployments(client: SyncPrefectClient) -> Iterator[dict[str, Any]]:
    """All of the server, as JSON, each with its flow's name."""
    flows: dict[UUID, str] = {}
    at = 0
    while page := client.read_deployments(limit=PAGE, offset=at):
        for item in page:
            if item.flow_id not in flows:
                flows[item.flow_id] = client.read_flow(item.flow_id).name
            yield {**item.model_dump(mode="json"), "flow": flows[item.flow_id]}
        at += len(page)


@dataclass(frozen=True)
class _Known:
    """A flow: its id on the server, and the schema of its parameters."""

    name: str
    ident: UUID
    schema: dict[str, Any]


def _known(client: SyncPrefectClient, entrypoint: str) -> _Known:
    flow: Flow[Any, Any] = load_flow_from_entrypoint(entrypoint)
    schema = parameter_schema(flow).model_dump(mode="json", exclude_none=True)
    return _Known(flow.name, client.create_flow_from_name(flow.name), schema)


def _body(flow: _Known, wanted: FlowDeployment, pool: str, folder: str) -> dict[str, Any]:
    """A deployment's fields, but for its schedules and its limit."""
    step = {"prefect.deployments.steps.set_working_directory": {"directory": folder}}
    return {
        "description": wanted.description,
        "parameters": dict(wanted.parameters),
        "tags": list(wanted.tags),
        "entrypoint": wanted.entrypoint,
        "path": folder,
        "pull_steps": [step],
        "work_pool_name": pool,
        "work_queue_name": wanted.queue,
        "job_variables": wanted.variables,
        "parameter_openapi_schema": form_of(flow.schema, wanted.form, wanted.fixed),
        "enforce_parameter_schema": True,
    }


def _create(
    client: SyncPrefectClient,
    flow: _Known,
    wanted: FlowDeployment,
    body: Mapping[str, Any],
    found: Sequence[Mapping[str, Any]],
    done: Applied,
) -> UUID:
    """A new one; where another of the model was called otherwise, with what a person made of it."""
    limit = wanted.concurrency
    options = ConcurrencyOptions(collision_strategy=limit["collision_strategy"]) if limit else None
    before = called_before(wanted.name, owner(wanted.name, wanted.tags), flow.name, found)
    there: list[Mapping[str, Any]] = []
    if before is not None:
        there = before["schedules"]
        body = {
            **merged(body, before, set(flow.schema["properties"])),
            "paused": bool(before.get("paused")),
        }
    times = reschedule(wanted.timetables, there)
    stay = [item for item in there if str(item["id"]) not in times.drop]
    schedules = [
        *(DeploymentScheduleCreate.model_validate(_made_of(item)) for item in stay),
        *(_schedule(timetable, active) for timetable, active in times.make),
    ]
    ident: UUID = client.create_deployment(
        flow.ident,
        wanted.name,
        schedules=schedules,
        concurrency_limit=limit.get("limit"),
        concurrency_options=options,
        **body,
    )
    done.made.append(wanted.name)
    return ident


def _made_of(schedule: Mapping[str, Any]) -> dict[str, Any]:
    """The fields by which a schedule is made that is as this one."""
    fields = DeploymentScheduleCreate.model_fields.keys() & schedule.keys()
    return {key: schedule[key] for key in fields}


def _schedule(timetable: Timetable, active: bool) -> DeploymentScheduleCreate:
    return DeploymentScheduleCreate.model_validate(
        {
            "schedule": timetable.times,
            "active": active,
            "slug": timetable.slug,
            "parameters": dict(timetable.parameters),
        }
    )


def _update(
    client: SyncPrefectClient,
    wanted: FlowDeployment,
    body: Mapping[str, Any],
    old: Mapping[str, Any],
    known: set[str],
    done: Applied,
) -> None:
    ident = UUID(old["id"])
    fields = patch(body, old, known)
    times = reschedule(wanted.timetables, old["schedules"])
    if fields:
        client.update_deployment(ident, DeploymentUpdate.model_validate(fields))
    for timetable, active in times.make:
        # the client's own method takes no slug
        client.request(
            "POST",
            "/deployments/{id}/schedules",
            path_params={"id": ident},
            json=[_schedule(timetable, active).model_dump(mode="json")],
        )
    for schedule in times.drop:
        client.delete_deployment_schedule(ident, UUID(schedule))
    if fields or times.make or times.drop:
        done.changed.append(wanted.name)


def _automation(client: SyncPrefectClient, wanted: AutomationCore, done: Applied) -> None:
    """Known by its name; on or off as it is found."""
    wanted = wanted.model_copy(update={"tags": [TAG]})
    found = _named(client, wanted.name)
    if found is None:
        client.create_automation(wanted)
        done.made.append(f"automation {wanted.name}")
        return
    there = found.model_dump(mode="json")
    body = wanted.model_dump(mode="json", exclude={"owner_resource", "enabled"})
    body["tags"] = list(dict.fromkeys([*there["tags"], TAG]))
    body["trigger"].pop("id", None)  # each has one of its own, which says nothing
    if not held(in_order(there), in_order(body)):
        new = AutomationCore.model_validate({**body, "enabled": found.enabled})
        client.update_automation(found.id, new)
        done.changed.append(f"automation {wanted.name}")


def _named(client: SyncPrefectClient, name: str) -> Automation | None:
    return next(iter(client.read_automations_by_name(name)), None)


def _remove(
    client: SyncPrefectClient,
    plan: ServicePlan,
    pool: str,
    found: list[dict[str, Any]],
    done: Applied,
) -> None:
    """What we made for specs that are no more. Their runs and records stay."""
    names = {item["id"]: item["name"] for item in found}
    for ident in gone(plan, pool, found):
        for automation in client.read_resource_related_automations(f"prefect.deployment.{ident}"):
            if TAG in automation.tags and automation.name not in plan.automation_names:
                client.delete_automation(automation.id)
        withdraw(client, UUID(ident))
        client.delete_deployment(UUID(ident))
        done.removed.append(names[ident])
