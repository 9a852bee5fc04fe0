"""Reading what the hub answers."""

from __future__ import annotations

from typing import Any

from modelscope_hub.errors import APIError

from tasks.weights.manifest import FileEntry


def entry_of(row: dict[str, Any]) -> FileEntry:
    """A listing's row; ValueError when it has no safe path or no size."""
    path, size, sha256 = row.get("Path"), row.get("Size"), row.get("Sha256") or None
    if not isinstance(path, str):
        raise ValueError(f"an entry without a path (its name is {row.get('Name')!r})")
    if isinstance(sha256, str):
        sha256 = sha256.lower()
    return FileEntry(path, size if isinstance(size, int) else -1, sha256)


def reason(error: BaseException) -> str:
    """The deepest cause in few words, without addresses (they may carry signatures)."""
    if isinstance(error, APIError):
        return f"it answered {error.status_code}"
    deepest: BaseException = error
    for _ in range(10):
        inner = getattr(deepest, "reason", None) or deepest.__cause__ or deepest.__context__
        if not isinstance(inner, BaseException):
            break
        deepest = inner
    text = deepest.strerror if isinstance(deepest, OSError) and deepest.strerror else ""
    return f"{type(deepest).__name__} {text}".strip()
