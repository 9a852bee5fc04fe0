"""Flow runs of a service that change what serves: what is under way, and its end in order."""

from __future__ import annotations

import os
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Cancelled, Cancelling, Crashed

from tasks.base import clock
from tasks.outside.prefect.server import asking

CANCEL_S = 180.0
GONE_S = 10.0
GONE = "its process had ended when `rollout down` came to cancel it"


def under_way(api: str) -> list[str]:
    """Names of the flow runs that change what serves, and run now or are about to. Raises
    OutsideError, soon: who asks has another way to tell."""
    with asking(api, tries=1) as client:
        return [run.name for run in _begun(client)]


def cancel(api: str, pool: str) -> list[str]:
    """Cancel these, and wait until each has cleaned up, at most CANCEL_S; gives the names of those
    that have not. pool: whose process worker is on this machine: nobody waits for a run of it whose
    process is gone, which is marked as Crashed. Raises OutsideError."""
    until = clock.monotonic() + CANCEL_S
    dead: list[str] = []
    seen = dict[UUID, float]()  # since when no process of a run is seen
    with asking(api) as client:
        for run in _begun(client):
            # one that has not begun has nothing to clean up, and perhaps nobody to hear of it
            begun = run.state_type in (StateType.RUNNING, StateType.CANCELLING)
            client.set_flow_run_state(run.id, Cancelling() if begun else Cancelled(), force=True)
        while left := _begun(client):
            now = clock.monotonic()
            for run in left:
                if run.work_pool_name == pool and _process_gone(run):
                    seen.setdefault(run.id, now)
            # its worker says how it ended, a moment after it did
            gone = [run for run in left if now - seen.get(run.id, now) >= GONE_S]
            for run in gone:
                client.set_flow_run_state(run.id, Crashed(message=GONE), force=True)
                dead.append(run.name)
            if len(gone) == len(left):
                return dead
            if now >= until:
                return [*dead, *(run.name for run in left if run not in gone)]
            clock.sleep(1.0)
    return dead


def _process_gone(run: FlowRun) -> bool:
    """Whether a process worker of this machine started it, and that process has ended. A pid that
    a stranger has by now is waited for."""
    pid = run.infrastructure_pid or ""
    if not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _begun(client: SyncPrefectClient) -> list[FlowRun]:
    begun = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
    found: list[FlowRun] = client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=["rollout", "rollback"])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=begun))
        ),
    )
    return found
