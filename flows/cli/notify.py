"""Who is told of rollouts: read from where it stands, and a test."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console

from tasks.base.errors import Exit, SpecError
from tasks.base.scrub import hold
from tasks.outside.disk import records
from tasks.outside.prefect.service import facts
from tasks.service.channels import addresses

VARIABLE = "MODEL_ROLLOUT_NOTIFY"
_API = "PREFECT_API_URL"
_OTHERS = 0o007


def recipients(file: str | None) -> str:
    """The addresses, one a line, from a file or VARIABLE; '' where neither says any. They are held
    as secrets. Raises SpecError."""
    text, where = os.environ.get(VARIABLE, ""), VARIABLE
    if file is not None:
        where, path = f"--notify-file {file}", Path(file)
        try:
            text = path.read_text(encoding="utf-8")
            mode = path.stat().st_mode
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError([f"{where}: cannot be read; name a file of addresses"]) from error
        if mode & _OTHERS:
            raise SpecError(
                [
                    f"{where}: others may read it (mode {mode & 0o777:o}), and who knows these "
                    f"addresses can write there; `chmod 600 {file}`"
                ]
            )
    if not text.strip() and file is None:
        return ""
    hold(*text.split())
    found = addresses(text, where)
    for each in found:
        hold(each.url, each.secret)
    return "\n".join(each.written for each in found)


def try_all(console: Console, *, state: str | None) -> int:
    """Have the server tell everybody that this is a test; 1 where one was not told.

    state: folder of the server that `rollout up` started; else the one of PREFECT_API_URL, where
    that is set. Raises SpecError, OutsideError.
    """
    from tasks.outside.prefect.notices import tested
    from tasks.outside.prefect.server import asking

    api = None if state else os.environ.get(_API)
    if not api:
        place = Path(state).absolute() if state else records.home() / "service"
        kept = facts.read(place)
        if kept is None:
            raise SpecError(
                [f"{_API} is not set, and {place} has no server; `rollout up` starts one"]
            )
        api = kept.api
    with asking(api) as client:
        said = tested(
            client, "model-rollout: a test", "This is a test of `rollout notify`: you are told."
        )
    if not said:
        console.print("everybody was told")
        return Exit.DONE
    if "No block class found" in said or "UnknownBlockType" in said:
        said = (
            "this Prefect server does not have model-rollout installed, which its notices need; "
            "install it there, or use a block of Prefect's own: docs/notifications.md"
        )
    console.print(said, soft_wrap=True)
    return Exit.ERROR
