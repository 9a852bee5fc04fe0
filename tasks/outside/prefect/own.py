"""The flow run that is here: what started it, and its place among its deployment's runs.

Prefect ends a run whose place could not be renewed, as when its server was away at that moment, or
has been started anew and knows of no place. Here nothing has to end for that: who may change a
model is fenced by the lease in the cluster. So renewing goes on, and so does the run.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from httpx import HTTPError, HTTPStatusError
from prefect import flow_engine
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectException

from tasks.base.errors import OutsideError
from tasks.base.scrub import mask

AUTOMATION = "AUTOMATION"
BY_HAND, SCHEDULE = "started by hand", "schedule"
# a server may be away for nearly the whole of what Prefect's engine asks for, 300 s
RENEW_S, AGAIN_S = 60.0, 10.0
_LOST = (404, 410)
_log = logging.getLogger(__name__)


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


def why(said: str) -> str:
    """What started the flow run that is here. said: what its parameter says, where nobody gave it
    BY_HAND; so does a schedule whose parameters the server has lost, as it does where one is paused
    or resumed at the command line."""
    return SCHEDULE if said == BY_HAND and by_itself() else said


@contextmanager
def place(
    lease_id: UUID,
    lease_duration: float,
    raise_on_lease_renewal_failure: bool = False,
    suppress_warnings: bool = False,
) -> Iterator[None]:
    """Renew a place while the block runs, which no failure of that ends. lease_duration: seconds.
    The other two are Prefect's, and change nothing."""
    over = threading.Event()
    here = contextvars.copy_context()
    name = f"place-{lease_id}"
    threading.Thread(
        target=lambda: here.run(_renewing, lease_id, lease_duration, over), name=name, daemon=True
    ).start()
    try:
        yield
    finally:
        over.set()


def _renewing(lease_id: UUID, seconds: float, over: threading.Event) -> None:
    pause = 0.0
    while not over.wait(pause):
        pause = RENEW_S
        try:
            with get_client(sync_client=True) as client:
                client.renew_concurrency_lease(lease_id=lease_id, lease_duration=seconds)
        except Exception as error:
            if over.is_set():
                return
            said = mask(str(error) or repr(error))
            if isinstance(error, HTTPStatusError) and error.response.status_code in _LOST:
                _log.warning(
                    "the server knows no place of this run any more (%s); it goes on", said
                )
                return
            _log.warning("this run's place is not renewed, and will be tried again: %s", said)
            pause = AGAIN_S


def install() -> None:
    """Have Prefect's engine keep places like this; again is harmless."""
    flow_engine.maintain_concurrency_lease = place  # type: ignore[attr-defined]


install()
