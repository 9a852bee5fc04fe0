"""The address of a Prefect server's database, and which database it names without its password."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tasks.base.errors import SpecError

DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
# Prefect speaks to these through these drivers
_DRIVERS = {"postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg"}
_POSTGRES, _SQLITE = "postgresql+asyncpg", "sqlite+aiosqlite"
# each of its variables has an older name; a password may stand in any of them
FAMILY = ("PREFECT_SERVER_DATABASE_", "PREFECT_API_DATABASE_")
_WHOLE, _PARTS = "CONNECTION_URL", ("DRIVER", "HOST", "PORT", "NAME")
_ADDRESS = re.compile(
    r"(?P<scheme>[a-z+]+)://(?:[^:/@?\s]*(?::[^@?\s]*)?@)?(?P<host>\[[^\]\s]*\]|[^/:?@\s]*)"
    r"(?P<port>:\d+)?(?P<name>/[^?\s]*)?(?:\?(?P<query>\S*))?"
)


def database_url(text: str, where: str) -> str:
    """As Prefect takes it; where: what gave it. It holds a password, so no error repeats it.

    Raises SpecError.
    """
    scheme, found, rest = text.strip().partition("://")
    if not found or not rest or scheme not in {*_DRIVERS, _POSTGRES, _SQLITE}:
        other = "another scheme" if found else "no address"
        raise SpecError([_expected(where, other)])
    url = f"{_DRIVERS.get(scheme, scheme)}://{rest}"
    if not database_of(url):
        raise SpecError([_expected(where, "one that is not clear")])
    return url


def _expected(where: str, found: str) -> str:
    return (
        f"{where}: expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE (@, : and ? of a user or "
        f"password written %40, %3A and %3F), found {found}; Prefect wants PostgreSQL 14.9 or "
        "newer, with the extension pg_trgm"
    )


def database_of(url: str) -> str:
    """Which database an address names: no user, no password, nothing else of its query than where
    it leads. '' where that cannot be told for sure."""
    found = _ADDRESS.fullmatch(url)
    if found is None:
        return ""
    name = found["name"] or ""
    # else what follows an @ there may be the end of a password
    if "@" in name and found["scheme"] != _SQLITE:
        return ""
    leads = re.findall(r"(?:^|&)((?:host|port)=[\w.:/%\[\]-]*)(?=&|$)", found["query"] or "")
    more = f"?{'&'.join(leads)}" if leads else ""
    return f"{found['scheme']}://{found['host']}{found['port'] or ''}{name}{more}"


def named(environment: Mapping[str, str]) -> tuple[str, str]:
    """(variable, value) of the whole address in an environment; both '' where it has none."""
    for name in (f"{family}{_WHOLE}" for family in FAMILY):
        if text := environment.get(name, "").strip():
            return name, text
    return "", ""


def database_in(environment: Mapping[str, str]) -> str:
    """Which database an environment names, whole or in parts; '' where none, which is SQLite in the
    server's own folder."""
    name, url = named(environment)
    if name:
        return database_of(url) or f"the one of {name}"
    parts = {
        part: next(filter(None, (environment.get(f"{item}{part}") for item in FAMILY)), "")
        for part in _PARTS
    }
    if not any(parts.values()):
        return ""
    port = f":{parts['PORT']}" if parts["PORT"] else ""
    return f"{parts['DRIVER'] or _POSTGRES}://{parts['HOST']}{port}/{parts['NAME']}"
