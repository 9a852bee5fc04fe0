"""What a service on one machine is started with, and what its next start takes over of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.base.errors import Refused

HOST = "127.0.0.1"
POOL, PORT, LIMIT = "model-rollout", 4200, 4
PASSWORD = "PREFECT_SERVER_API_AUTH_STRING"  # noqa: S105 - the variable's name
_PORTS, _MOST = 65535, 10_000
# what Prefect takes, but for what a command would read as an option of its own
_POOL = re.compile(
    r"(?!-)(?i:(?!prefect))[^/%&<>\s\x00-\x1f](?:[^/%&<>\x00-\x1f]*[^/%&<>\s\x00-\x1f])?"
)


@dataclass(frozen=True)
class Running:
    """What is kept. port: of the server, on loopback. version: of model-rollout and Prefect, of
    the processes that run. limit: rollouts at once, where somebody said so. database: which one,
    without who is let in; '': SQLite in its folder, None: nobody knows. database_file: holds its
    address. password: whether one is before the API, None: nobody knows."""

    port: int
    pool: str
    version: str
    limit: int | None = None
    database: str | None = None
    database_file: str = ""
    password: bool | None = None

    @property
    def ui(self) -> str:
        """Address of the UI."""
        return f"http://{HOST}:{self.port}"

    @property
    def api(self) -> str:
        """Address of the API."""
        return f"{self.ui}/api"


@dataclass(frozen=True)
class Wish:
    """What a command asks of a service; None, or '' of database and file: what it has, or had.
    password: whether one is to be before the API."""

    port: int | None = None
    pool: str | None = None
    limit: int | None = None
    database: str = ""
    database_file: str = ""
    password: bool | None = None

    def faults(self) -> list[str]:
        """What no service can be started with, a line each."""
        found = []
        if self.port is not None and not 1 <= self.port <= _PORTS:
            found.append(f"--port {self.port}: expected 1 to {_PORTS}")
        if self.limit is not None and not 1 <= self.limit <= _MOST:
            found.append(
                f"--limit {self.limit}: expected 1 to {_MOST:,}; where none is to start, pause the "
                "queue `rollouts` of the work pool in the UI"
            )
        if self.pool is not None and not _POOL.fullmatch(self.pool):
            found.append(
                f"--pool {self.pool!r}: expected a name without /, %, &, < and >, that begins "
                "neither with - nor with `prefect`"
            )
        return found

    def otherwise(self, kept: Running) -> list[str]:
        """What runs otherwise than asked for, in words."""
        found = []
        if self.port not in (None, kept.port):
            found.append(f"on port {kept.port}")
        if self.pool not in (None, kept.pool):
            found.append(f"with work pool {kept.pool}")
        if kept.database is not None and self.database not in ("", kept.database):
            found.append(f"with {_called(kept.database)}")
        if None not in (self.password, kept.password) and self.password != kept.password:
            found.append(f"with {'a' if kept.password else 'no'} password before the API")
        return found

    def begun(
        self, before: Running | None, version: str, *, sqlite: bool
    ) -> tuple[Running, list[str]]:
        """What is to be started, and what is said of it. before: what was kept last. sqlite:
        whether its folder has a database that it used.

        Raises Refused where it would begin with a database, or without a password, that nobody
        asked for.
        """
        had = before or Running(PORT, POOL, version, database="")
        database, said = self.database, list[str]()
        if not database:
            if had.database or (had.database is None and not sqlite):
                raise Refused(
                    f"this service was last started with {_called(had.database)}, and nothing "
                    "names one now; without it, what a person switched or added and its runs are "
                    "left behind. Name it with --database-file or in "
                    "PREFECT_SERVER_DATABASE_CONNECTION_URL (`sqlite+aiosqlite:////FOLDER/FILE` "
                    "names an SQLite database)"
                )
        elif before is not None and had.database not in (None, database):
            said.append(
                f"it was last started with {_called(had.database)}, and is with "
                f"{_called(database)} now: what a person switched or added there is not here"
            )
        if had.password and self.password is None:
            raise Refused(
                f"this service was last started with a password before its API, and {PASSWORD} is "
                "not set; set it, or set it to nothing to have none"
            )
        new = Running(
            self.port or had.port,
            self.pool or had.pool,
            version,
            self.limit or had.limit,
            database,
            self.database_file or (had.database_file if database == had.database else ""),
            bool(self.password),
        )
        if (new.port, new.pool) != (had.port, had.pool) and before is not None:
            said.append(
                f"it was last started on port {had.port} with work pool {had.pool}, and is on port "
                f"{new.port} with {new.pool} now"
            )
        return new, said


def _called(database: str | None) -> str:
    if database is None:
        return "a database that it did not write down, and its folder has none"
    return f"database {database}" if database else "the SQLite database of its folder"
