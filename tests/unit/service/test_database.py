"""The address of a database."""

from __future__ import annotations

import pytest

from tasks.base.errors import SpecError
from tasks.service.database import database_url

WHOLE = "postgresql+asyncpg://u:pass@db:5432/prefect"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_as_prefect_takes_it(scheme: str) -> None:
    assert database_url(f" {scheme}://u:pass@db:5432/prefect\n", "file") == WHOLE


def test_sqlite_is_taken_as_it_is() -> None:
    text = "sqlite+aiosqlite:////var/lib/prefect.db"
    assert database_url(text, "file") == text


@pytest.mark.parametrize("text", ["", "secret", "mysql://u:secret@db/p", "postgres://", "a b://c"])
def test_what_is_none_is_told_without_its_password(text: str) -> None:
    with pytest.raises(SpecError, match=r"^where: expected postgresql://USER") as caught:
        database_url(text, "where")
    assert "secret" not in str(caught.value)


def test_two_lines_are_no_address() -> None:
    with pytest.raises(SpecError):
        database_url(f"{WHOLE}\n{WHOLE}", "where")
