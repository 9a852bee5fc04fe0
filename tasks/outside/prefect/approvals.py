"""A candidate that waits for a person has two paused runs on the server, of its model's `approve`
and `reject` deployments. Resume starts one, with exactly the rollout and the plan that were
reviewed; no process waits meanwhile. What is decided, replaced or too old closes them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import LogCreate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.context import FlowRunContext
from prefect.states import Cancelled, Paused

from tasks.base import clock
from tasks.base.clock import moment
from tasks.base.scrub import mask
from tasks.release.state import State
from tasks.release.wish import Meant, expired, settled_since
from tasks.service.names import TAG, ModelKey, owner, tags_of

_log = logging.getLogger(__name__)
ASKED = ("approve", "reject")
WAITS, CLOSED = "NeedsApproval", "Closed"
PAGE = 200
# Prefect fails a run that stays paused for too long, and alerts; the guard closes it before that,
# and whoever resumes it in between is refused
LATER = timedelta(days=1)
T = TypeVar("T")
# the state of a model, and what time it is by its cluster's clock
StateReader = Callable[[ModelKey], tuple[State, datetime]]


def tend(model: ModelKey, read: StateReader, said: str, *, after: str = "") -> dict[str, str]:
    """Ask a person about the candidate of a model that is held, once, and end what was asked about
    others of it; gives the runs to resume, as paths below the UI's address by what they do.

    said: what was measured. after: the run that was to carry it out, and did not. {} where nothing
    is held, or the server has no such deployments. Outside of a flow run, and where an API fails,
    silent: a person may always decide by name.
    """
    return _quietly(lambda client: _tend(client, model, read, said, after)) or {}


def close(read: StateReader, only: ModelKey | None = None) -> None:
    """End the paused runs about what waits no more. only: of this model alone. Silent as `tend`
    is."""
    _quietly(lambda client: _close(client, read, only))


def _quietly(act: Callable[[SyncPrefectClient], T]) -> T | None:
    if FlowRunContext.get() is None:
        return None
    try:
        with get_client(sync_client=True) as client:
            return act(client)
    except Exception:
        _log.warning("what a person is asked in the UI is not up to date", exc_info=True)
        return None


def _tend(
    client: SyncPrefectClient, model: ModelKey, read: StateReader, said: str, after: str
) -> dict[str, str]:
    _close(client, read, model)
    state, now = read(model)
    found: dict[str, str] = {}
    if state.phase != "held" or expired(state, now):
        return found
    namespace, name = model
    until = moment(state.until)
    release = state.candidate.deployment if state.candidate else name
    there = {run.parameters["what"]: run for _, run in _open(client, model)}
    for what, deployment in sorted(_deployments(client, model)):
        run = there.get(what)
        if run is None:
            line = mask(f"Resume to {what} {release}, until {state.until}. {said}")
            run = client.create_flow_run_from_deployment(
                deployment,
                name=f"{what} {release} (rollout {state.rollout})",
                parameters={"rollout": state.rollout, "plan": state.plan},
                state=Paused(
                    name=WAITS,
                    message=line,
                    pause_expiration_time=until + LATER if until else None,
                    reschedule=True,
                ),
                # asked once, whoever finds it held
                idempotency_key=f"{what} {namespace}/{name} {state.rollout} {state.plan} {after} "
                f"{deployment}",
            )
            if run.state is None or not run.state.is_paused():
                continue  # a person ended it, or it is being carried out
            # a resumed run counts as not yet run, and Prefect would try what fails once more
            policy = run.empirical_policy.model_copy(update={"retries": -1})
            client.update_flow_run(run.id, empirical_policy=policy)
            _say(client, run, line)
        found[what] = f"/runs/flow-run/{run.id}"
    return found


def _say(client: SyncPrefectClient, run: FlowRun, line: str) -> None:
    """What its page shows."""
    client.create_logs(
        [
            LogCreate(
                name="prefect.flow_runs",
                level=logging.INFO,
                message=line,
                timestamp=clock.now(),
                flow_run_id=run.id,
            )
        ]
    )


def withdraw(client: SyncPrefectClient, deployment: UUID) -> None:
    """End what is asked by a deployment that is about to go: nobody could resume it."""
    for (_, name), run in list(_open(client, None)):
        if run.deployment_id == deployment:
            _end(
                client, run, f"its deployment goes; `rollout {run.parameters['what']} {name}` stays"
            )


def _close(client: SyncPrefectClient, read: StateReader, only: ModelKey | None) -> None:
    for model, run in list(_open(client, only)):
        state, now = read(model)
        given = run.parameters
        meant = Meant(str(given.get("rollout", "")), str(given.get("plan", "")))
        if why := settled_since(state, meant, now):
            _end(client, run, why)


def _end(client: SyncPrefectClient, run: FlowRun, why: str) -> None:
    client.set_flow_run_state(run.id, Cancelled(name=CLOSED, message=mask(why)), force=True)
    _say(client, run, f"Closed: {mask(why)}")


def _open(client: SyncPrefectClient, only: ModelKey | None) -> Iterator[tuple[ModelKey, FlowRun]]:
    paused = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED]))
    tags = {"all_": list(tags_of(only)) if only else [TAG]}
    at = 0
    while page := client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=paused),
        deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(**tags)),
        limit=PAGE,
        offset=at,
    ):
        for run in page:
            what = str(run.parameters.get("what"))
            model = owner(f"{what}-{run.parameters.get('name')}", run.tags)
            if model is not None and what in ASKED:
                yield model, run
        at += len(page)


def _deployments(client: SyncPrefectClient, model: ModelKey) -> Iterator[tuple[str, UUID]]:
    tags: dict[str, Any] = {"all_": list(tags_of(model))}
    for item in client.read_deployments(
        deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(**tags))
    ):
        what = str((item.parameters or {}).get("what"))
        if what in ASKED and owner(item.name, item.tags) == model:
            yield what, item.id
