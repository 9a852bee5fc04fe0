"""Commits that a clean-up is about to remove: `<root>/.doomed/<key>`, which holds its word.

A clean-up marks what nobody names, looks once more who names what, and then removes what bears its
own mark still. Whoever fetches names the commit first, and takes the mark off once it has found
the folder whole, under the commit's lock. So whoever found it unmarked had named it before the
second look, and what somebody found marked is not removed. The mark says nothing else: one that is
left over costs a fetch the lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.outside.disk.files import locked, plain_dir, write_whole


class Doom:
    """The mark of one commit. key: of its folders in the store."""

    def __init__(self, root: Path, key: str) -> None:
        self._path = plain_dir(root, root / ".doomed" / key)

    @property
    def by(self) -> str:
        """The word of the clean-up that marked it last; '' where none has."""
        try:
            return self._path.read_text()
        except FileNotFoundError:
            return ""

    def mark(self, word: str) -> None:
        """From now on `word` may remove it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._path, word)

    def lift(self) -> None:
        """Nobody may."""
        self._path.unlink(missing_ok=True)


@contextmanager
def taken(lock: Path, doom: Doom, on_wait: Callable[[str], None] | None) -> Iterator[None]:
    """Under the lock of a commit; what is found, or made, whole there is nobody's to remove."""
    with locked(lock, on_wait):
        yield
        doom.lift()
