"""What a file is put in place of."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from tasks.base.errors import OutsideError
from tasks.outside.disk.records import put


def test_a_link_stays_one_and_what_it_names_is_new(tmp_path: Path) -> None:
    named, link = tmp_path / "there" / "named", tmp_path / "link"
    named.parent.mkdir()
    named.write_text("old")
    link.symlink_to(named)
    put(link, b"new")
    assert link.is_symlink() and named.read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["link", "named", "there"]


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", list[bytes]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    put(pipe, b"told")
    reader.join(60)
    assert read == [b"told"] and stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    link = tmp_path / "full"
    link.symlink_to("/dev/full")  # so that nothing of the machine's is at stake
    with pytest.raises(OutsideError, match=r"full cannot be written \(No space left on device\)"):
        put(link, b"told")
    assert link.is_symlink() and Path("/dev/full").is_char_device()


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(OutsideError, match="cannot be written"):
        put(tmp_path, b"told")
    assert list(tmp_path.iterdir()) == []
