"""What serves while somebody changes its Deployment: its pods answer, not its newest pod template.
As long as some of them are of an earlier one nothing is taken from it, and it is not left: scaled
up again, it would come back as what may never have started.
"""

from __future__ import annotations

from tasks.base.errors import Refused
from tasks.release.course import DeploymentView, Observed


def held_fast(view: DeploymentView | None) -> str:
    """Why nothing is taken from what serves and answers, in words with what to do; '' where that is
    made of one pod template."""
    if view is None or not (view.mixed and view.available):
        return ""
    return (
        f"{view.name} serves and is being changed: {view.mixed}. What answers could not be brought "
        "back, so nothing is taken from it and it is not left. Let that edit finish, or take it "
        f"back with `kubectl rollout undo deployment/{view.name}`, then try again"
    )


def more_asked(deployment: str, now: int, then: int) -> str:
    """Why nothing is taken from what asks for more replicas than when that was decided."""
    return (
        f"nothing was taken from {deployment}: it asks for {now} replicas by now, and asked for "
        f"{then} when that was decided: somebody has set it since; run it again"
    )


def drift(seen: Observed, *more: str) -> str:
    """In what what serves is not what it was rolled out as; '' where it is, as far as is known.
    more: what else it differs in."""
    view = seen.view(seen.serving)
    if view is None:
        return ""
    known = seen.changed(view.release, which=False)
    half = f"it is being changed: {view.mixed}" if view.mixed else ""
    return "; ".join(filter(None, (known, half, *more)))


def drifted(seen: Observed, *more: str) -> str:
    """Why a rollout of what serves has nothing to say of it, with what to do; '' where it is what
    it was rolled out as."""
    view, why = seen.view(seen.serving), drift(seen, *more)
    if view is None or not why:
        return ""
    return (
        f"{view.name} serves and is not what was rolled out any more: {why}. {taken_back(view)}; "
        "or roll out what is wanted instead, by a spec that says so"
    )


def taken_back(view: DeploymentView) -> str:
    """How an edit by hand is taken back."""
    return (
        f"`kubectl rollout undo deployment/{view.name}` gives a Deployment its last pod template "
        "back"
    )


def must_not_be_edited(view: DeploymentView | None) -> None:
    """Raises Refused, before anything is taken from it."""
    if why := held_fast(view):
        raise Refused(why)
