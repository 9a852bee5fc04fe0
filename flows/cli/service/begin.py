"""What `rollout up` finds running in its folder, and what it starts there."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from flows.cli.service.place import moved_to, under_way
from tasks.base.errors import OutsideError, Refused, SpecError
from tasks.base.scrub import hold
from tasks.outside.prefect import keeping, living
from tasks.outside.prefect.service import facts
from tasks.service.database import DATABASE, FAMILY, database_in, database_of, database_url, named
from tasks.service.kept import PASSWORD, POOL, PORT, Running, Wish

API = "PREFECT_API_URL"
_URL = "CONNECTION_URL"


def wish_of(
    *,
    port: int | None,
    pool: str | None,
    limit: int | None,
    database_file: str | None,
    environment: Mapping[str, str],
) -> tuple[Wish, str]:
    """What is asked for, and the database's address, held as a secret; '' where none is named
    whole. Raises SpecError."""
    url, database, file = "", database_in(environment), ""
    if database_file is not None:
        file = str(Path(database_file).absolute())
        url = _address(Path(database_file), f"--database-file {database_file}")
    else:
        variable, text = named(environment)
        if text:
            hold(text)
            url = database_url(text, variable)
    password = bool(environment[PASSWORD]) if PASSWORD in environment else None
    wish = Wish(port, pool, limit, database_of(url) if url else database, file, password)
    if wrong := wish.faults():
        raise SpecError(wrong)
    return wish, url


def _address(path: Path, where: str) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError([f"{where}: cannot be read; name a file with the address"]) from error
    hold(text.strip())
    return database_url(text, where)


def running(
    console: Console, place: Path, wish: Wish, again: str, *, foreground: bool
) -> Running | None:
    """What runs already. Raises OutsideError where it does not answer, Refused where something
    else is asked for, or to stay with it."""
    if (way := living.moved(place)) is not None:
        raise Refused(f"{moved_to(way)}, then start them again")
    kept = facts.known(place)
    keeper = living.pid_of(place, "keeper")
    if keeper is None:
        return None
    if kept is None:
        raise OutsideError(
            f"a keeper of server and worker runs with {place}, pid {keeper}, and nothing says "
            f"on which port; `rollout down{again}` ends it, then start them again"
        )
    if foreground:
        raise Refused(
            f"server and worker run already, kept by pid {keeper}, so that there is nothing for "
            f"--foreground to keep; `rollout down{again}` ends them, then start them like this"
        )
    if other := wish.otherwise(kept):
        raise Refused(
            f"server and worker run already, {', '.join(other)}; `rollout down{again}` ends them, "
            "then start them otherwise"
        )
    if not keeping.answers(kept.api):
        console.print(f"the Prefect server at {kept.api} does not answer yet; waiting for it")
        if trouble := keeping.ready(place, kept, lambda: living.pid_of(place, "keeper") == keeper):
            raise OutsideError(
                f"the Prefect server at {kept.api} does not answer ({trouble}), though its keeper "
                f"(pid {keeper}) starts it again and again; see {keeping.log_of(place, 'server')}"
            )
    file = wish.database_file if wish.database == kept.database else ""
    kept = replace(kept, limit=wish.limit or kept.limit, database_file=file or kept.database_file)
    if kept != facts.read(place):
        facts.write(place, kept)
    console.print(f"server and worker run already ({kept.version})")
    if kept.version != keeping.versions():
        console.print(
            f"this is {keeping.versions()}: new runs are, too; `rollout down{again}` and up again "
            "changes server and worker over, once no rollout is under way",
            soft_wrap=True,
        )
    return kept


def start(
    console: Console,
    place: Path,
    wish: Wish,
    url: str,
    environment: Mapping[str, str],
    *,
    foreground: bool,
) -> tuple[Running, keeping.Keeper]:
    """Start what was kept here last, changed as asked. Raises Refused, SpecError, OutsideError."""
    before = facts.known(place)
    _nothing_left(place, before)
    if before is None and facts.written(place):  # unreadable
        before = Running(wish.port or PORT, wish.pool or POOL, facts.UNKNOWN)
    if not wish.database and before is not None and before.database_file:
        file = Path(before.database_file)
        url = _address(file, f"{file}, which --database-file named last")
        wish = replace(wish, database=database_of(url), database_file=str(file))
    kept, said = wish.begun(before, keeping.versions(), sqlite=facts.used(place))
    living.end(place, ("worker", "server"))  # of a keeper that was killed
    if not keeping.free(kept.port):
        what = "a Prefect server" if keeping.answers(kept.api) else "something else"
        raise OutsideError(
            f"port {kept.port} of this machine is taken by {what}; give another one with --port, "
            f"or bring the specs onto that server: `{API}={kept.api} rollout up --apply "
            "--specs ...`"
        )
    for line in said:
        console.print(line, soft_wrap=True)
    new = "" if facts.sqlite(place) else ", a new one"
    where = kept.database or f"SQLite in {place}{new}"
    console.print(
        f"starting a Prefect server on port {kept.port} with its database ({where}), and a worker",
        soft_wrap=True,
    )
    given = dict(environment)
    if url:
        for family in FAMILY:
            given.pop(f"{family}{_URL}", None)
        given[DATABASE] = url
    return kept, keeping.start(place, kept, given, attached=foreground)


def _nothing_left(place: Path, left: Running | None) -> None:
    """Raises Refused where flow runs are under way in what a keeper that was killed left behind:
    they would be cut off."""
    runs = under_way(place, left)[0] if left is not None else []
    if runs:
        raise Refused(
            f"the keeper of server and worker with {place} has ended, and {len(runs)} flow run(s) "
            f"are under way there: {', '.join(runs[:4])}; wait for their end, or `rollout down "
            f"--state {shlex.quote(str(place))}` cancels them in order"
        )
