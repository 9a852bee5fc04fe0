"""The address of a database."""

from __future__ import annotations

import pytest

from tasks.base.errors import SpecError
from tasks.service.database import DATABASE, database_in, database_of, database_url, named

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


@pytest.mark.parametrize(
    ("url", "database"),
    [
        (WHOLE, "postgresql+asyncpg://db:5432/prefect"),
        ("postgresql+asyncpg://u@db/p?password=se@cret", "postgresql+asyncpg://db/p"),
        ("postgresql+asyncpg://db:5432/p?password=se@cret", "postgresql+asyncpg://db:5432/p"),
        ("postgresql+asyncpg://u:se/c:ret@db/p", "postgresql+asyncpg://db/p"),
        ("postgresql+asyncpg://u:x@[::1]:5432/p", "postgresql+asyncpg://[::1]:5432/p"),
        (
            "postgresql+asyncpg://u:x@/p?host=/run/pg&ssl=secret&host=b:1",
            "postgresql+asyncpg:///p?host=/run/pg&host=b:1",
        ),
        ("sqlite+aiosqlite:////srv/a@b/p.db", "sqlite+aiosqlite:////srv/a@b/p.db"),
    ],
)
def test_which_database_it_is_has_nobodys_password(url: str, database: str) -> None:
    assert database_of(url) == database
    assert database_url(url, "where") == url


@pytest.mark.parametrize(
    "rest",
    ["u:se@cret@db/p", "u:secret@db:port/p", "u:secret?@db/p", "u/p:secret@db/p", "secret:x"],
)
def test_an_address_that_can_be_read_two_ways_is_refused(rest: str) -> None:
    url = f"postgresql+asyncpg://{rest}"
    assert database_of(url) == ""
    with pytest.raises(SpecError, match=r"written %40, .* found one that is not clear") as caught:
        database_url(url, "where")
    assert "secret" not in str(caught.value)


def test_an_environment_names_it_in_each_way_that_prefect_reads() -> None:
    older = "PREFECT_API_DATABASE_CONNECTION_URL"
    assert named({}) == named({DATABASE: ""}) == ("", "") and database_in({}) == ""
    assert named({DATABASE: WHOLE, older: "x"}) == (DATABASE, WHOLE)
    assert named({older: WHOLE}) == (older, WHOLE)
    assert database_in({older: WHOLE}) == database_of(WHOLE)
    assert database_in({DATABASE: "postgresql+asyncpg://a@b@c/d"}) == f"the one of {DATABASE}"
    parts = {"HOST": "db", "PORT": "5432", "NAME": "p", "PASSWORD": "secret", "USER": "u"}
    for family in ("PREFECT_SERVER_DATABASE_", "PREFECT_API_DATABASE_"):
        here = {f"{family}{name}": value for name, value in parts.items()}
        assert database_in(here) == "postgresql+asyncpg://db:5432/p"
