"""How the diagnosis of a log grows with the log.

`python -m tests.bench.diagnosis` prints CPU seconds and, beside them, the characters that the
signatures search: lines of one process that differ in figures alone count a few times, lines that
differ in words until the bound. The ratio of a column, not its seconds, holds on any machine.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from tasks.diagnose.lines import read
from tasks.diagnose.logs import find

WORDS = ("read", "open", "load", "map", "stat", "link", "copy", "move")


def log(lines: int, *, like: bool) -> str:
    """A log of errors of eight workers. like: they differ in figures alone."""
    out = []
    for at in range(lines):
        word = "read" if like else "-".join(WORDS[(at >> shift) % 8] for shift in (0, 3, 6, 9, 12))
        out.append(
            f"(Worker_TP{at % 8} pid={70 + at % 8}) ERROR 09-19 21:54:09 [loader.py:210] "
            f"PermissionError: [Errno 13] Permission denied, {word}: '/data/weights/{at:05d}.bin'"
        )
    return "\n".join(out)


def searched(text: str) -> int:
    """Characters of a log that the signatures search."""
    return len(read(text).may_tell.text)


def main(_: Sequence[str]) -> int:
    """Print the table."""
    print("| lines | kind | characters | searched | CPU s |\n| --- | --- | --- | --- | --- |")
    for like in (True, False):
        for lines in (1000, 2000, 4000, 8000):
            text = log(lines, like=like)
            start = time.process_time()
            find(text)
            took = time.process_time() - start
            kind = "like" if like else "unlike"
            print(f"| {lines:,} | {kind} | {len(text):,} | {searched(text):,} | {took:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
