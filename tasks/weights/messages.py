"""What a fetch Job says, one JSON line a message. PURE.

The flow that hears it may be of another version: fields are only ever added.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Transfer:
    """How far it is. done, total: bytes there and wanted. rate: bytes a second. file: the last."""

    done: int
    total: int
    rate: float = 0
    file: str = ""


@dataclass(frozen=True)
class Said:
    """Something worth telling while it goes on, such as a wait."""

    message: str = ""


@dataclass(frozen=True)
class Verified:
    """A file whose bytes are right."""

    path: str = ""


@dataclass(frozen=True)
class Done:
    """All of it is on disk. path: the folder. seconds: it took. unhashed: files the hub gives no
    digest for. bytes_rehashed: of what was there and hashed again."""

    path: str = ""
    commit: str = ""
    digest: str = ""
    bytes_fetched: int = 0
    seconds: float = 0
    unhashed: tuple[str, ...] = ()
    bytes_rehashed: int = 0


@dataclass(frozen=True)
class Failed:
    """It ended for a reason. kind: moved, disk, outside or damaged."""

    kind: str = ""
    message: str = ""


Message = Transfer | Said | Verified | Done | Failed
_NAMES: dict[str, type[Message]] = {
    "progress": Transfer,
    "message": Said,
    "verified": Verified,
    "done": Done,
    "error": Failed,
}


def line_of(message: Message) -> str:
    """The message as its line, without the end."""
    name = next(name for name, kind in _NAMES.items() if type(message) is kind)
    return json.dumps({"event": name, **dataclasses.asdict(message)}, ensure_ascii=False)


def message_of(line: str) -> Message | None:
    """The message in a line; None where it is none, or one we do not know."""
    try:
        data: Any = json.loads(line)
        kind = _NAMES[data.pop("event")]
        names = {field.name for field in dataclasses.fields(kind)}
        return kind(**{name: value for name, value in data.items() if name in names})
    except (ValueError, TypeError, AttributeError, KeyError):
        return None
