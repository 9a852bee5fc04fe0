"""What a service had is what it has again; another thing is said, or refused."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tasks.base.errors import Refused
from tasks.service.kept import POOL, PORT, Running, Wish

DB, OTHER = "postgresql+asyncpg://db:5432/p", "postgresql+asyncpg://other/p"
FRESH = Running(PORT, POOL, "new", database="", password=False)


def kept(**more: Any) -> Running:
    return Running(**{"port": 4300, "pool": "x", "version": "old", "database": "", **more})


def begun(wish: Wish, before: Running | None, *, sqlite: bool = False) -> tuple[Running, str]:
    new, said = wish.begun(before, "new", sqlite=sqlite)
    return new, " ".join(said)


def test_the_first_time_nothing_has_to_be_named() -> None:
    assert begun(Wish(), None) == (FRESH, "")


def test_port_pool_and_limit_are_as_last_time() -> None:
    new, said = begun(Wish(), kept(limit=7))
    assert (new.port, new.pool, new.limit, new.version, said) == (4300, "x", 7, "new", "")


def test_what_is_named_otherwise_is_said() -> None:
    new, said = begun(Wish(port=4301, limit=2), kept(limit=7))
    assert (new.port, new.pool, new.limit) == (4301, "x", 2)
    assert said.startswith("it was last started on port 4300 with work pool x, and is on port 4301")


def test_a_database_that_nobody_names_any_more_is_asked_for() -> None:
    with pytest.raises(
        Refused, match=r"last started with database .*//db:5432/p, and .*--database-file"
    ):
        begun(Wish(), kept(database=DB), sqlite=True)


def test_the_same_database_goes_on_and_its_file_is_remembered() -> None:
    before = kept(database=DB, database_file="/etc/db")
    new, said = begun(Wish(database=DB), before)
    assert (new.database, new.database_file, said) == (DB, "/etc/db", "")
    new, said = begun(Wish(database=OTHER), before)
    assert (new.database, new.database_file) == (OTHER, "")
    assert DB in said and f"is with database {OTHER} now" in said


def test_a_move_from_sqlite_is_said() -> None:
    said = begun(Wish(database=DB, database_file="/etc/db"), kept())[1]
    assert "was last started with the SQLite database of its folder" in said


def test_an_older_version_did_not_write_its_database_down() -> None:
    assert begun(Wish(), kept(database=None), sqlite=True)[0].database == ""
    with pytest.raises(Refused, match="did not write down, and its folder has none"):
        begun(Wish(), kept(database=None))
    new, said = begun(Wish(database=DB), kept(database=None))
    assert (new.database, said) == (DB, "")


def test_a_password_that_nobody_sets_any_more_is_asked_for() -> None:
    before = kept(password=True)
    with pytest.raises(Refused, match="PREFECT_SERVER_API_AUTH_STRING is not set"):
        begun(Wish(), before)
    assert begun(Wish(password=True), before)[0].password is True
    assert begun(Wish(password=False), before)[0].password is False


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Wish(), []),
        (Wish(4300, "x", 9, DB, "/f", True), []),
        (Wish(port=1), ["on port 4300"]),
        (Wish(pool="y"), ["with work pool x"]),
        (Wish(database=OTHER), [f"with database {DB}"]),
        (Wish(password=False), ["with a password before the API"]),
    ],
)
def test_what_runs_otherwise_is_named(wish: Wish, said: list[str]) -> None:
    assert wish.otherwise(kept(database=DB, password=True)) == said


def test_what_an_older_version_started_is_not_found_to_be_otherwise() -> None:
    assert Wish(database=DB, password=True).otherwise(kept(database=None)) == []


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Wish(port=0), "--port 0: expected 1 to 65535"),
        (Wish(port=99999), "--port 99999: expected"),
        (Wish(limit=0), "--limit 0: expected 1 to .* pause the queue"),
        (Wish(limit=-1), "--limit -1: expected"),
        *(
            (Wish(pool=name), "--pool .*: expected a name")
            for name in ("", " ", "a/b", "-x", "a\n")
        ),
        (Wish(pool="Prefect-managed"), "--pool .* nor with `prefect`"),
    ],
)
def test_what_nothing_is_started_with_is_told_first(wish: Wish, said: str) -> None:
    (line,) = wish.faults()
    assert re.match(said, line)


def test_what_prefect_takes_is_taken() -> None:
    for wish in (Wish(1, "a"), Wish(65535, "my pool_1.x", 1), Wish(pool="模型"), Wish(pool="préf")):
        assert wish.faults() == []
