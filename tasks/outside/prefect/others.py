"""Flow runs other than the one that is here: those that would do the same again, and the one of a
rollout that died. Nothing fails where the server does not do as asked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed, Crashed

from tasks.base import clock
from tasks.base.scrub import mask
from tasks.outside.prefect.notices import PATIENCE_S, briefly
from tasks.outside.prefect.own import AUTOMATION

_log = logging.getLogger(__name__)
ROLLOUT = "rollout:"  # begins the tag that names a flow run's rollout
MOST = 200  # what the server gives at once
_WAITING = ["Scheduled", "Late", "AwaitingConcurrencySlot"]  # and no retry of a person's
_UNDER_WAY = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


def end_doubles() -> None:
    """End what waits to do what the flow run that is here does: runs of its deployment that an
    automation made with the same parameters. An event that comes often is one rollout, and what
    comes after that is one more. Outside of a deployment's run nothing."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.deployment_id is None:
        return
    wanted = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[run.deployment_id]),
        state=FlowRunFilterState(name=FlowRunFilterStateName(any_=_WAITING)),
    )
    same: State[Any] = Completed(
        name="NotAgain", message=f"run {run.name} ({run.id}) does the same"
    )
    parameters, here = run.parameters, run.id

    def double(other: FlowRun) -> bool:
        by = other.created_by.type if other.created_by else ""
        asked = by == AUTOMATION and not other.auto_scheduled
        return asked and other.id != here and other.parameters == parameters

    _end(wanted, double, same, "runs that would do the same again wait on")


def end_dead(rollout: str, said: str) -> None:
    """End the flow run of a rollout that died, which somebody else has settled: it holds its
    model's place else until its silence is noticed. rollout: id of the rollout. said: what was
    done about it. Without a server nothing."""
    if not PREFECT_API_URL.value() or not rollout:
        return
    wanted = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[f"{ROLLOUT}{rollout}"]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNDER_WAY)),
    )
    context = FlowRunContext.get()
    here: UUID | None = context.flow_run.id if context and context.flow_run else None
    dead: State[Any] = Crashed(
        message=mask(f"its process is gone, and the guard has settled it: {said}")
    )
    _end(wanted, lambda run: run.id != here, dead, "the run of a dead rollout is not ended")


def _end(
    wanted: FlowRunFilter, which: Callable[[FlowRun], bool], state: State[Any], else_: str
) -> None:
    until = clock.monotonic() + PATIENCE_S
    try:
        with briefly() as client:
            for run in _found(client, wanted):
                if clock.monotonic() >= until:
                    break  # the next one that begins ends them
                # one that has begun, or ended, since it was found is left alone
                if which(run) and client.read_flow_run(run.id).state_type == run.state_type:
                    client.set_flow_run_state(run.id, state)
    except Exception as error:
        _log.warning("%s: %s", else_, mask(str(error) or repr(error)))


def _found(client: SyncPrefectClient, wanted: FlowRunFilter) -> Sequence[FlowRun]:
    found: list[FlowRun] = client.read_flow_runs(flow_run_filter=wanted, limit=MOST)
    return found
