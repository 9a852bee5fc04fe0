"""What started a flow run."""

from __future__ import annotations

from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectException

from tasks.base.errors import OutsideError
from tasks.base.scrub import mask

AUTOMATION = "AUTOMATION"


def run_id() -> str:
    """Of the flow run that runs here; '' outside of one."""
    context = FlowRunContext.get()
    return str(context.flow_run.id) if context and context.flow_run else ""


def retried() -> bool:
    """Whether the flow run that runs here has ended before, and somebody has it run once more.
    False outside of a flow run. Raises OutsideError where the server does not say."""
    ident = run_id()
    if not ident:
        return False
    try:
        with get_client(sync_client=True) as client:
            return any(state.is_final() for state in client.read_flow_run_states(UUID(ident)))
    except (HTTPError, PrefectException) as error:
        said = mask(str(error) or repr(error))
        raise OutsideError(f"the Prefect server does not say what this run was: {said}") from error


def by_itself() -> bool:
    """Whether a deployment's schedule started it, or an automation (so that an event did): nobody
    asked for this run by hand. False outside of a flow run."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None:
        return False
    by = run.created_by.type if run.created_by else ""
    return bool(run.auto_scheduled) or by == AUTOMATION
