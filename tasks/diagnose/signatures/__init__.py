"""What engines write about why they could not start: the table of signatures, a module a kind.

tasks.diagnose.logs finds them in a log. Of several rows that fit one place the first counts, so the
most specific stand first; of several places the log decides.
"""

from __future__ import annotations

from tasks.diagnose.signatures import (
    arguments,
    builds,
    driver,
    files,
    group,
    host,
    kernels,
    memory,
    model,
)
from tasks.diagnose.signatures.table import Signature

__all__ = ["SIGNATURES", "Signature"]

SIGNATURES: tuple[Signature, ...] = (
    *driver.ROWS,
    *memory.ROWS,
    *builds.ROWS,
    *kernels.ROWS,
    *model.ROWS,
    *files.ROWS,
    *host.ROWS,
    *arguments.ROWS,
    *group.ROWS,
    *arguments.LAST,
    *builds.LAST,
    *kernels.LAST,
    *group.LAST,
)
