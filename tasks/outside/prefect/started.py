"""What started a flow run."""

from __future__ import annotations

from prefect.context import FlowRunContext

AUTOMATION = "AUTOMATION"


def by_itself() -> bool:
    """Whether a deployment's schedule started it, or an automation (so that an event did): nobody
    asked for this run by hand. False outside of a flow run."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None:
        return False
    by = run.created_by.type if run.created_by else ""
    return bool(run.auto_scheduled) or by == AUTOMATION
