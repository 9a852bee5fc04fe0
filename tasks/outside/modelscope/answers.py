"""Reading what the hub answers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests
from modelscope_hub.errors import APIError

from tasks.base.scrub import scrub_text
from tasks.weights.manifest import FileEntry


def entry_of(row: dict[str, Any]) -> FileEntry:
    """A listing's row; ValueError when it has no safe path or no size."""
    path, size, sha256 = row.get("Path"), row.get("Size"), row.get("Sha256") or None
    if not isinstance(path, str):
        raise ValueError(f"an entry without a path (its name is {row.get('Name')!r})")
    if isinstance(sha256, str):
        sha256 = sha256.lower()
    return FileEntry(path, size if isinstance(size, int) else -1, sha256)


class NotJson(requests.RequestException):
    """The message says what was found, and where."""


def json_of(response: requests.Response) -> Any:
    """What an answer says. Raises NotJson."""
    try:
        return response.json()
    except requests.JSONDecodeError as error:
        at = urlsplit(response.url)  # where redirects led to; what follows may carry a signature
        kind = response.headers.get("Content-Type", "no content type")
        where = f"{at.scheme}://{at.netloc}{at.path}"
        raise NotJson(_no_json(response.text, scrub_text(f"{where} answered {kind}"))) from error


def _no_json(text: str, found: str) -> str:
    begins = scrub_text(" ".join(text[:1000].split()))[:80]
    return (
        f"{found} that begins {begins!r}, and JSON was expected: is that the address of a hub "
        "(MODELSCOPE_ENDPOINT), or of a proxy or a login page before it?"
    )


def reason(error: BaseException) -> str:
    """The deepest cause in few words, without addresses (they may carry signatures)."""
    if isinstance(error, APIError):
        return f"it answered {error.status_code}"
    if isinstance(error, NotJson):
        return str(error)
    if isinstance(error, requests.JSONDecodeError):
        return _no_json(error.doc, "it answered text")
    deepest: BaseException = error
    for _ in range(10):
        inner = getattr(deepest, "reason", None) or deepest.__cause__ or deepest.__context__
        if not isinstance(inner, BaseException):
            break
        deepest = inner
    text = deepest.strerror if isinstance(deepest, OSError) and deepest.strerror else ""
    return f"{type(deepest).__name__} {text}".strip()
