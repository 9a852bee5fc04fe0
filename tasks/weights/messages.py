"""What a Job at the store says, one JSON line a message."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.base.messages import Messages


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


@dataclass(frozen=True)
class Garbage:
    """A commit's folder that nobody names. deleted: it is gone; else it would be."""

    commit: str = ""
    bytes: int = 0
    deleted: bool = False


@dataclass(frozen=True)
class Cleared:
    """The store was gone through. bytes: freed, or to be freed. kept: folders that stay."""

    bytes: int = 0
    kept: int = 0
    deleted: bool = False


Message = Transfer | Said | Verified | Done | Failed | Garbage | Cleared
_MESSAGES = Messages[Message](
    {
        "progress": Transfer,
        "message": Said,
        "verified": Verified,
        "done": Done,
        "error": Failed,
        "garbage": Garbage,
        "cleared": Cleared,
    }
)
line_of, message_of = _MESSAGES.line_of, _MESSAGES.message_of
