"""What is written down of a service beside its processes: service.json in its folder. It has no
credential: of a database which one it is, and which file has its address."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields, replace
from pathlib import Path

from tasks.base.errors import OutsideError
from tasks.outside.prefect import living
from tasks.service.database import database_in
from tasks.service.kept import Running, Wish

_FACTS = "service.json"
UNKNOWN = "an unknown version"


def read(folder: Path) -> Running | None:
    """What was kept here last; None for nothing, or what nobody can read. Of what another version
    wrote, what this one knows."""
    try:
        found = json.loads((folder / _FACTS).read_text())
        kept = Running(
            **{item.name: found[item.name] for item in fields(Running) if item.name in found}
        )
    except (OSError, ValueError, TypeError):
        return None
    sound = isinstance(kept.port, int) and isinstance(kept.pool, str)
    return kept if sound and not Wish(kept.port, kept.pool).faults() else None


def written(folder: Path) -> bool:
    """Whether something was kept here, readable or not."""
    return (folder / _FACTS).exists()


def known(folder: Path) -> Running | None:
    """What was kept here last; where `read` does not say, as its processes that live were
    started."""
    kept = read(folder)
    if kept is None:
        port = living.option(folder, "server", "--port")
        pool = living.option(folder, "worker", "--pool")
        kept = Running(int(port), pool, UNKNOWN) if port and pool else None
    if kept is not None and kept.database is None and (here := living.variables(folder, "server")):
        kept = replace(kept, database=database_in(here))
    return kept


def write(folder: Path, kept: Running) -> None:
    """For `read`, in one step. Raises OutsideError."""
    path = folder / _FACTS
    half = path.with_suffix(".half")
    try:
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        with half.open("w") as file:
            file.write(json.dumps(asdict(kept)))
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except OSError as error:
        raise unwritable(folder, error) from error


def unwritable(folder: Path, error: OSError) -> OutsideError:
    """What is said of a folder that cannot be written."""
    return OutsideError(
        f"the state folder {folder} cannot be written ({error.strerror}); make room or give us "
        "leave to write there, or name another one with --state"
    )


def sqlite(folder: Path) -> bool:
    """Whether this folder has a database of the server's."""
    return (folder / "prefect" / "prefect.db").is_file()


def used(folder: Path) -> bool:
    """Whether that one was written since something was last kept here: then it was the server's,
    though an older version did not write that down."""
    try:
        since = (folder / _FACTS).stat().st_mtime
        files = list((folder / "prefect").glob("prefect.db*"))
        return any(path.stat().st_mtime >= since for path in files)
    except OSError:
        return False
