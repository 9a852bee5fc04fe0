"""The address of a Prefect server's database."""

from __future__ import annotations

import re

from tasks.base.errors import SpecError

# Prefect speaks to these through these drivers
_DRIVERS = {"postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg"}
_WHOLE = ("postgresql+asyncpg", "sqlite+aiosqlite")


def database_url(text: str, where: str) -> str:
    """As Prefect takes it; where: what gave it. It holds a password, so no error repeats it.

    Raises SpecError.
    """
    scheme, found, rest = text.strip().partition("://")
    if not found or not rest or scheme not in {*_DRIVERS, *_WHOLE} or re.search(r"\s", rest):
        raise SpecError(
            [
                f"{where}: expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE, found "
                f"{'another scheme' if found else 'no address'}; Prefect wants PostgreSQL 14.9 or "
                "newer, with the extension pg_trgm"
            ]
        )
    return f"{_DRIVERS.get(scheme, scheme)}://{rest}"
