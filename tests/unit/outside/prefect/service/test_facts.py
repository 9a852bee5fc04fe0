"""What is written down of a service, and what is said where it cannot be."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tasks.base.errors import OutsideError
from tasks.outside.prefect.service import facts
from tasks.service.kept import Running

KEPT = Running(4300, "x", "v", 7, "postgresql+asyncpg://db/p", "/etc/db", True)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    facts.write(tmp_path / "new", KEPT)
    assert facts.read(tmp_path / "new") == facts.known(tmp_path / "new") == KEPT
    assert [path.name for path in (tmp_path / "new").iterdir() if path.is_file()] == [
        "service.json"
    ]


def test_of_what_another_version_wrote_it_takes_what_it_knows(tmp_path: Path) -> None:
    path = tmp_path / "service.json"
    assert not facts.written(tmp_path)
    path.write_text('{"port": 1, "pool": "p", "version": "v", "more": 1}')
    assert facts.read(tmp_path) == Running(1, "p", "v")
    ports = [f'{{"port": {port}, "pool": "p", "version": "v"}}' for port in ('"1"', "99999")]
    for text in ("", "[]", "{}", *ports):
        path.write_text(text)
        assert facts.read(tmp_path) is None and facts.written(tmp_path)


def test_what_cannot_be_written_is_told_and_what_was_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts.write(tmp_path, KEPT)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutsideError, match=r"cannot be written \(No space left .*--state"):
        facts.write(tmp_path, Running(1, "p", "v"))
    assert facts.read(tmp_path) == KEPT
    (tmp_path / "file").write_text("")
    with pytest.raises(OutsideError, match="file cannot be written"):
        facts.write(tmp_path / "file", KEPT)


def test_a_database_that_was_written_since_is_the_one_that_was_used(tmp_path: Path) -> None:
    """As an older version left it, which did not say so."""
    (tmp_path / "service.json").write_text(json.dumps({"port": 1, "pool": "p", "version": "v"}))
    assert not facts.sqlite(tmp_path) and not facts.used(tmp_path)
    database = tmp_path / "prefect" / "prefect.db"
    database.parent.mkdir()
    database.write_text("")
    os.utime(tmp_path / "service.json", (1000, 1000))
    os.utime(database, (2000, 2000))
    assert facts.sqlite(tmp_path) and facts.used(tmp_path)
    os.utime(database, (999, 999))
    assert facts.sqlite(tmp_path) and not facts.used(tmp_path)
    (database.parent / "prefect.db-wal").write_text("")  # of a server that was killed
    assert facts.used(tmp_path)
