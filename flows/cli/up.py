"""`rollout up`: a Prefect server and a worker on this machine, with deployments for a folder of
specs. Again after an upgrade or a change of a spec it brings up to date what it made, and leaves
what a person switched or added in the UI.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress as RichProgress

from flows.cli.notify import VARIABLE, recipients
from flows.cli.service.begin import API, running, start, wish_of
from flows.cli.service.place import folder_of, same, turn
from tasks.base.errors import OutsideError, SpecError
from tasks.outside.prefect import keeping
from tasks.service.kept import POOL, Running
from tasks.service.page import prefect_yaml
from tasks.service.parts import ServicePlan
from tasks.service.wanted import WATCH_EVERY_S, Tracked, tracked, wanted
from tasks.spec.file import read_spec

DEMO_WATCH_S = 120  # a new version is to be seen soon, and two cores have other work


def up(
    specs: Sequence[str],
    console: Console,
    *,
    state: str | None = None,
    port: int | None = None,
    limit: int | None = None,
    pool: str | None = None,
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
    once. pool, port, database: as last time, where they are not named. database_file: holds the
    address of a database. notify_file: holds who is told. foreground: stay with what was started.
    apply_only: to the server of PREFECT_API_URL, and nothing is started. printing: prefect.yaml to
    stdout, and nothing else.

    Raises SpecError, Refused, OutsideError.
    """
    environment = dict(os.environ)
    wish, url = wish_of(
        port=port,
        pool=pool,
        limit=limit,
        database_file=database_file,
        environment={} if apply_only or printing else environment,  # nothing is started by it
    )
    if apply_only:
        idle = {
            "--state": state is not None,
            "--port": port is not None,
            "--database-file": database_file is not None,
            "--foreground": foreground,
        }
        if told := [name for name, given in idle.items() if given]:
            raise SpecError(
                [f"--apply starts nothing, so that {', '.join(told)} has no meaning; leave it out"]
            )
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
        api = os.environ.get(API)
        if not api:
            raise SpecError(
                [f"--apply: {API} is not set; name the server, as http://HOST:4200/api"]
            )
        from tasks.outside.prefect.waiting import wait_for

        wait_for(api, lambda said: console.print(said, soft_wrap=True))
        _bring(console, api, plan, wish.pool or POOL, folder, limit, tell)
        return 0
    place = folder_of(state)
    again = same(place, demo=demo)
    with turn(console, place):
        kept, keeper = running(console, place, wish, again, foreground=foreground), None
        if kept is None:
            kept, keeper = start(console, place, wish, url, environment, foreground=foreground)
        try:
            _bring(console, kept.api, plan, kept.pool, folder, limit, tell, at_first=kept.limit)
            _told(console, place, kept, models, again, demo=demo)
        except BaseException as error:
            if keeper is not None and foreground:
                keeper.stop()
            if isinstance(error, OutsideError):
                log = keeping.log_of(place, "server")
                raise OutsideError(
                    f"{error}; its database may fail: see {log}. `rollout down{again}` ends it all "
                    "the same, then start it again"
                ) from error
            raise
    return keeper.wait() if keeper is not None and foreground else 0


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


def _bring(
    console: Console,
    api: str,
    plan: ServicePlan,
    pool: str,
    folder: str,
    limit: int | None,
    tell: str,
    at_first: int | None = None,
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
            at_first=at_first,
            addresses=tell,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    rows = {"made": done.made, "changed": done.changed, "removed": done.removed}
    for label, names in rows.items():
        if names:
            console.print(f"{label + ':':<12}{', '.join(names)}", soft_wrap=True)
    if not any(rows.values()):
        console.print("its deployments and automations are as they should be")
    if done.pool_limit is not None:
        said = (
            f"work pool {pool} has a limit of its own, {done.pool_limit} runs at once: what "
            "approves, aborts and settles waits for rollouts by it; take it away in the UI, "
            "--limit holds rollouts alone"
        )
        console.print(said, soft_wrap=True)
    if tell:
        said = f"`{API}={api} rollout notify` sends a test to everybody who is told"
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
    kept: Running,
    models: Sequence[Tracked],
    again: str,
    *,
    demo: bool,
) -> None:
    rows = [
        ("UI", kept.ui),
        ("shell", f"export {API}={kept.api}"),
        ("models", ", ".join(f"{model.namespace}/{model.name}" for model in models)),
        ("logs", str(keeping.log_of(place, "*"))),
        ("end it", f"rollout down{again}"),
    ]
    if demo:
        rows.insert(3, ("publish", f"rollout up{again} --new-version"))
    for label, value in rows:
        console.print(f"{label + ':':<12}{value}", soft_wrap=True)
