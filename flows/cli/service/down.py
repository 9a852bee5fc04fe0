"""`rollout down`: what `rollout up` started on this machine ends, whatever its server's database
does. What changes what serves is cancelled first, and cleans up, or a person has it cut off."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from flows.cli.named import agree
from flows.cli.service.place import failing, folder_of, moved_to, processes, turn, under_way
from tasks.base.errors import OutsideError, Refused
from tasks.outside.prefect import keeping, living
from tasks.outside.prefect.service import facts
from tasks.service.kept import Running


def down(
    console: Console, *, state: str | None = None, demo: bool = False, yes: bool = False
) -> int:
    """End server and worker; what they hold on disk stays. Asks where flow runs are under way.

    demo: the demo's, and its cluster and hub. Raises Refused, SpecError.
    """
    if demo:
        from flows.cli.demo import SERVICE, ground_down

        state = state or str(SERVICE)
    place = folder_of(state)
    with turn(console, place, ends=True) if place.is_dir() else nullcontext():
        kept = facts.known(place)
        if kept is not None:
            _cancelled(console, place, kept, yes=yes)
        ended = [*living.end(place), *(ground_down() if demo else ())]
    if not ended and (way := living.moved(place)) is not None:
        raise Refused(f"nothing was ended: {moved_to(way)}")
    console.print(f"ended: {', '.join(ended)}" if ended else "nothing was running")
    if kept is not None and keeping.answers(kept.api):
        said = f"a Prefect server answers at {kept.ui}, and is none of {place}: it is left alone"
        console.print(said, soft_wrap=True)
    return 0


def _cancelled(console: Console, place: Path, kept: Running, *, yes: bool) -> None:
    """Nothing that changes what serves is cut off: it is cancelled, and cleans up. Only where the
    server, which would tell it to, is away for good or fails, a person may have it cut off."""
    from tasks.outside.prefect.service.runs import CANCEL_S, cancel

    keeper = living.pid_of(place, "keeper")
    if keeper is not None and living.children(place, "worker") and not keeping.answers(kept.api):
        said = f"the Prefect server at {kept.api} does not answer, and flow runs are under way"
        console.print(f"{said}; waiting until its keeper has it back", soft_wrap=True)
        keeping.ready(place, kept, lambda: living.pid_of(place, "keeper") == keeper)
    runs, trouble = under_way(place, kept)
    if runs and not trouble:
        said = f"{len(runs)} flow run(s) are under way: {', '.join(runs[:4])}"
        if not yes:
            agree(
                f"{said}; they are cancelled and clean up, what serves serves on", interrupts=True
            )
        console.print(f"{said}; cancelling, they have {CANCEL_S:g} s to clean up", soft_wrap=True)
        try:
            for name in cancel(kept.api, kept.pool):
                said = f"{name} has not cleaned up; `rollout recover NAME` does"
                console.print(said, soft_wrap=True)
            return
        except OutsideError as error:
            runs, trouble = processes(place), failing(place, kept, error)
    if not trouble:
        return
    if not runs:
        console.print(f"{trouble}; no process of a flow run is seen", soft_wrap=True)
        return
    said = (
        f"{trouble}, and {len(runs)} of the worker's processes run flows: {', '.join(runs[:4])}; "
        "none of them is told to clean up: they are cut off, and `rollout recover NAME` or the "
        "guard settles what they leave"
    )
    if not yes:
        agree(said, interrupts=True)
    console.print(said, soft_wrap=True)
