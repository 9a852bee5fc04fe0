"""A loan of seats in words."""

from __future__ import annotations

from tasks.release.course import DeploymentView
from tasks.release.lend import Lend
from tasks.release.state import Release


def lends(serving: DeploymentView, release: Release, lend: Lend) -> str:
    """What a release that lends some of its replicas goes through."""
    return (
        f"{serving.name} serves on with {lend.keep} of {lend.of} replica(s), {release.deployment} "
        f"is tested with {lend.tested} of {release.replicas} on what that leaves; once it passed, "
        f"seats change over one by one until {lend.stays} and {lend.comes} serve, then the Service "
        "is moved and the rest follows"
    )


def serves_on(lend: Lend, minutes: float, free_more: str) -> str:
    """With how many replicas it serves on meanwhile. minutes: to the verdict, at most. free_more:
    what would spare it that."""
    return (
        f"none; fewer replicas serve: {lend.of} do now, never fewer than {lend.least}; {lend.keep} "
        f"from the candidate's start (its verdict comes after up to {minutes:.0f} min) down to "
        f"{lend.stays} at the switch, {lend.comes} from there until what served before has ended "
        "its requests and the new replicas are ready; on failure until the old ones are ready "
        f"again. Where that is too few: with {free_more} free all of them serve on, and the "
        "candidate is tested beside them"
    )
