"""`rollout up` and `rollout down`: a Prefect server and a worker on this machine, with deployments
for a folder of specs. Again after an upgrade or a change of a spec it brings up to date what it
made, and leaves what a person switched or added in the UI.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rich.console import Console
from rich.progress import Progress as RichProgress

from flows.cli.named import agree
from flows.cli.notify import VARIABLE, recipients
from tasks.base.errors import OutsideError, Refused, SpecError
from tasks.base.scrub import hold
from tasks.outside.disk import records
from tasks.outside.disk.files import locked
from tasks.outside.prefect import keeping, living
from tasks.service.database import database_url
from tasks.service.page import prefect_yaml
from tasks.service.parts import ServicePlan
from tasks.service.wanted import WATCH_EVERY_S, Tracked, tracked, wanted
from tasks.spec.file import read_spec

POOL = "model-rollout"
PORT = 4200
DEMO_WATCH_S = 120  # a new version is to be seen soon, and two cores have other work
_API = "PREFECT_API_URL"


def up(
    specs: Sequence[str],
    console: Console,
    *,
    state: str | None = None,
    port: int | None = None,
    limit: int | None = None,
    pool: str = POOL,
    database_file: str | None = None,
    notify_file: str | None = None,
    foreground: bool = False,
    apply_only: bool = False,
    printing: bool = False,
    demo: bool = False,
    new_version: bool = False,
) -> int:
    """Start what does not run yet, and bring the specs' deployments onto the server.

    specs: spec files, or folders of them. state: folder of server and worker. limit: rollouts at
    once. database_file: holds the address of a database. notify_file: holds who is told.
    apply_only: to the server of PREFECT_API_URL, and nothing is started. printing: prefect.yaml to
    stdout, and nothing else.

    Raises SpecError, Refused, OutsideError.
    """
    environment = dict(os.environ)
    if demo:
        from flows.cli.demo import SERVICE, SPEC, ground

        specs, state = [str(SPEC)], state or str(SERVICE)
        environment |= ground(console, new_version=new_version)
    folder, models = found(specs)
    plan = wanted(models, watch_every_s=DEMO_WATCH_S if demo else WATCH_EVERY_S)
    if printing:
        print(prefect_yaml(plan), end="")
        return 0
    tell = recipients(notify_file)
    environment.pop(VARIABLE, None)  # the server keeps them in its block
    if apply_only:
        api = os.environ.get(_API)
        if not api:
            raise SpecError(
                [f"--apply: {_API} is not set; name the server, as http://HOST:4200/api"]
            )
        from tasks.outside.prefect.waiting import wait_for

        wait_for(api, lambda said: console.print(said, soft_wrap=True))
        _bring(console, api, plan, pool, folder, limit, tell)
        return 0
    place = _place(state)
    again = same(place, demo=demo)
    with _turn(console, place):
        kept, keeper = _running(console, place, port, pool, again), None
        if kept is None:
            kept = keeping.Running(port or PORT, pool, keeping.versions(), limit)
            environment |= _database(database_file)
            keeper = _start(console, place, kept, environment, foreground=foreground)
        try:
            _bring(console, kept.api, plan, kept.pool, folder, limit, tell)
            _told(console, place, kept, models, again, demo=demo)
        except BaseException:
            if keeper is not None and foreground:
                keeper.stop()
            raise
    return keeper.wait() if keeper is not None and foreground else 0


def down(
    console: Console, *, state: str | None = None, demo: bool = False, yes: bool = False
) -> int:
    """End server and worker; what they hold on disk stays. Asks where flow runs are under way.

    demo: the demo's, and its cluster and hub. Raises Refused, SpecError, OutsideError.
    """
    if demo:
        from flows.cli.demo import SERVICE, ground_down

        state = state or str(SERVICE)
    place = _place(state)
    with _turn(console, place) if place.is_dir() else nullcontext():
        kept = keeping.known(place)
        if kept is not None:
            _cancelled(console, place, kept, yes=yes)
        ended = [*living.end(place), *(ground_down() if demo else ())]
    if not ended and (way := living.moved(place)) is not None:
        raise Refused(f"nothing was ended: {_moved(way)}")
    console.print(f"ended: {', '.join(ended)}" if ended else "nothing was running")
    if kept is not None and keeping.answers(kept.api):
        said = f"a Prefect server answers at {kept.ui}, and is none of {place}: it is left alone"
        console.print(said, soft_wrap=True)
    return 0


def _turn(console: Console, place: Path) -> AbstractContextManager[None]:
    """One command at a time looks at what runs, and starts or ends it."""
    said = f"another `rollout up` or `rollout down` is at work with {place}; waiting for its end"
    # no *.lock: whoever clears those away would let two in
    return locked(place / ".turn", on_wait=lambda _: console.print(said, soft_wrap=True))


def _moved(way: tuple[Path, Path]) -> str:
    began, now = way
    return (
        f"server and worker of {began} run, but that folder has been moved to {now} since; "
        f"`rollout down --state {shlex.quote(str(now))}` ends them"
    )


def _cancelled(console: Console, place: Path, kept: keeping.Running, *, yes: bool) -> None:
    """Nothing that changes what serves is cut off: it is cancelled, and cleans up. Only where the
    server, which would tell it to, is away for good, a person may have it cut off."""
    from tasks.outside.prefect.server import CANCEL_S, cancel

    keeper = living.pid_of(place, "keeper")
    if keeper is not None and living.children(place, "worker") and not keeping.answers(kept.api):
        said = f"the Prefect server at {kept.api} does not answer, and flow runs are under way"
        console.print(f"{said}; waiting until its keeper has it back", soft_wrap=True)
        keeping.ready(place, kept, lambda: living.pid_of(place, "keeper") == keeper)
    runs = _runs(place, kept)
    if not runs:
        return
    if not keeping.answers(kept.api):
        said = f"{len(runs)} of the worker's processes run flows: {', '.join(runs[:4])}"
        cut = (
            f"the server at {kept.api} is away, so that none of them is told to clean up: they are "
            "cut off, and `rollout recover NAME` or the guard settles what they leave"
        )
        if not yes:
            agree(f"{said}; {cut}", interrupts=True)
        console.print(f"{said}; {cut}", soft_wrap=True)
        return
    said = f"{len(runs)} flow run(s) are under way: {', '.join(runs[:4])}"
    if not yes:
        agree(f"{said}; they are cancelled and clean up, what serves serves on", interrupts=True)
    patience = f"they have {CANCEL_S:g} s to clean up"
    console.print(f"{said}; cancelling, {patience}", soft_wrap=True)
    for name in cancel(kept.api, kept.pool):
        console.print(f"{name} has not cleaned up; `rollout recover NAME` does", soft_wrap=True)


def _runs(place: Path, kept: keeping.Running) -> list[str]:
    """What this service's worker has under way: as the server says, or by processes where it does
    not answer."""
    from tasks.outside.prefect.server import under_way

    if living.pid_of(place, "worker") is None:
        return []
    if keeping.answers(kept.api):
        return under_way(kept.api)
    return [f"pid {pid}" for pid in living.children(place, "worker")]


def found(specs: Sequence[str]) -> tuple[str, list[Tracked]]:
    """The worker's folder, and the specs by their path below it. Raises SpecError, one line for
    each problem of each spec: none is left out, since what is left out is removed."""
    files, wrong = [], []
    for item in map(Path, specs):
        inside = sorted(item.glob("*.yaml")) if item.is_dir() else [item]
        files += inside
        if not inside:
            wrong.append(f"--specs {item}: a folder without any *.yaml")
    if not files and not wrong:
        raise SpecError(["--specs: name the folder of your specs (or use --demo)"])
    folder = _folder([path.resolve() for path in files])
    models = []
    for path in dict.fromkeys(files):
        try:
            models.append(tracked(read_spec(path), str(_below(path, folder))))
        except SpecError as error:
            wrong += error.problems
    if wrong:
        raise SpecError(wrong)
    return str(folder), models


def _folder(files: Sequence[Path]) -> Path:
    """Where we are, where all specs lie below it; else the folder that holds them."""
    here = Path.cwd().resolve()
    if all(path.is_relative_to(here) for path in files):
        return here
    folders = {path.parent for path in files}
    if len(folders) > 1:
        raise SpecError(
            [
                f"--specs: they lie in {len(folders)} folders, and not all of them below {here}; "
                "run this in a folder that has all of them below it"
            ]
        )
    return folders.pop()


def _below(path: Path, folder: Path) -> Path:
    whole = path.absolute()
    # where a link leads elsewhere below it, its own name is kept
    return (
        whole.relative_to(folder)
        if whole.is_relative_to(folder)
        else whole.resolve().relative_to(folder)
    )


def _place(state: str | None) -> Path:
    return Path(state).absolute() if state else records.home() / "service"


def _running(
    console: Console, place: Path, port: int | None, pool: str, again: str
) -> keeping.Running | None:
    """What runs already. Raises OutsideError where it does not answer, Refused where something
    else is asked for."""
    if (way := living.moved(place)) is not None:
        raise Refused(f"{_moved(way)}, then start them again")
    kept = keeping.known(place)
    keeper = living.pid_of(place, "keeper")
    if kept is None or keeper is None:
        if keeper is not None:
            raise OutsideError(
                f"a keeper of server and worker runs with {place}, pid {keeper}, and nothing says "
                f"on which port; `rollout down{again}` ends it, then start them again"
            )
        return None
    if keeping.read(place) is None:
        keeping.write(place, kept)
    if (port or kept.port, pool) != (kept.port, kept.pool):
        raise Refused(
            f"server and worker run already, on port {kept.port} with work pool {kept.pool}; "
            f"`rollout down{again}` ends them, then start them otherwise"
        )
    if not keeping.answers(kept.api):
        console.print(f"the Prefect server at {kept.api} does not answer yet; waiting for it")
        if not keeping.ready(place, kept, lambda: living.pid_of(place, "keeper") == keeper):
            raise OutsideError(
                f"the Prefect server at {kept.api} does not answer, though its keeper (pid "
                f"{keeper}) starts it again and again; see {keeping.log_of(place, 'server')}"
            )
    console.print(f"server and worker run already ({kept.version})")
    if kept.version != keeping.versions():
        console.print(
            f"this is {keeping.versions()}: new runs are, too; `rollout down{again}` and up again "
            "changes server and worker over, once no rollout is under way",
            soft_wrap=True,
        )
    return kept


def _start(
    console: Console,
    place: Path,
    kept: keeping.Running,
    environment: dict[str, str],
    *,
    foreground: bool,
) -> keeping.Keeper:
    _left(place)
    if not keeping.free(kept.port):
        what = "a Prefect server" if keeping.answers(kept.api) else "something else"
        raise OutsideError(
            f"port {kept.port} of this machine is taken by {what}; give another one with --port, "
            f"or bring the specs onto that server: `{_API}={kept.api} rollout up --apply "
            "--specs ...`"
        )
    console.print(f"starting a Prefect server on port {kept.port}, and a worker")
    return keeping.start(place, kept, environment, attached=foreground)


def _left(place: Path) -> None:
    """End what a keeper that was killed left behind. Raises Refused where flow runs are under way
    in it: they would be cut off."""
    left = keeping.known(place)
    if left is not None and (runs := _runs(place, left)):
        raise Refused(
            f"the keeper of server and worker with {place} has ended, and {len(runs)} flow run(s) "
            f"are under way there: {', '.join(runs[:4])}; wait for their end, or `rollout down "
            f"--state {shlex.quote(str(place))}` cancels them in order"
        )
    living.end(place, ("worker", "server"))


def _database(file: str | None) -> dict[str, str]:
    """What names the database, held as a secret; nothing where it is SQLite in our folder."""
    text, where = os.environ.get(keeping.DATABASE, ""), keeping.DATABASE
    if file is not None:
        where = f"--database-file {file}"
        try:
            text = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError([f"{where}: cannot be read; name a file with the address"]) from error
    if not text and file is None:
        return {}
    hold(text.strip())
    return {keeping.DATABASE: database_url(text, where)}


def _bring(
    console: Console,
    api: str,
    plan: ServicePlan,
    pool: str,
    folder: str,
    limit: int | None,
    tell: str,
) -> None:
    from tasks.outside.prefect.server import apply

    with RichProgress(console=console, transient=True) as bar:
        task = bar.add_task("deployments")
        done = apply(
            api,
            plan,
            pool=pool,
            folder=folder,
            limit=limit,
            addresses=tell,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    rows = {"made": done.made, "changed": done.changed, "removed": done.removed}
    for label, names in rows.items():
        if names:
            console.print(f"{label + ':':<12}{', '.join(names)}", soft_wrap=True)
    if not any(rows.values()):
        console.print("its deployments and automations are as they should be")
    if tell:
        said = f"`{_API}={api} rollout notify` sends a test to everybody who is told"
        console.print(said, soft_wrap=True)
    if done.others:
        console.print(
            f"left alone: {', '.join(done.others)}: tagged as ours, and not made here; remove them "
            "in the UI where they are an older version's",
            soft_wrap=True,
        )


def _told(
    console: Console,
    place: Path,
    kept: keeping.Running,
    models: Sequence[Tracked],
    again: str,
    *,
    demo: bool,
) -> None:
    rows = [
        ("UI", kept.ui),
        ("shell", f"export {_API}={kept.api}"),
        ("models", ", ".join(f"{model.namespace}/{model.name}" for model in models)),
        ("logs", str(keeping.log_of(place, "*"))),
        ("end it", f"rollout down{again}"),
    ]
    if demo:
        rows.insert(3, ("publish", f"rollout up{again} --new-version"))
    for label, value in rows:
        console.print(f"{label + ':':<12}{value}", soft_wrap=True)


def same(place: Path, *, demo: bool) -> str:
    """What names this service to the next command: without it, that means the default's."""
    if demo:
        from flows.cli.demo import SERVICE
    default = SERVICE if demo else _place(None)
    return " --demo" * demo + ("" if place == default else f" --state {shlex.quote(str(place))}")
