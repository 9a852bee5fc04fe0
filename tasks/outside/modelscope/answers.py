"""Reading what the hub answers: only what has the shape that was asked for counts."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

import requests
from modelscope_hub.errors import APIError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.base.scrub import answered
from tasks.weights.manifest import HUB_COMMIT, FileEntry


class WrongAnswer(requests.RequestException):
    """Something else came than what was asked for; the message says what, and from where."""


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True)


D = TypeVar("D", bound=_Shape)


class _Envelope(_Shape, Generic[D]):
    success: Literal[True] = Field(True, alias="Success")
    data: D = Field(alias="Data")


class _Commit(_Shape):
    id: str = Field(alias="Id", pattern=HUB_COMMIT.pattern.replace(r"\Z", "$"))


class _Commits(_Shape):
    rows: list[_Commit] | None = Field(alias="Commit")


class _Revision(_Shape):
    name: str = Field(alias="Revision")


class _Names(_Shape):
    branches: list[_Revision] | None = Field(None, alias="Branches")
    tags: list[_Revision] | None = Field(None, alias="Tags")


class _Revisions(_Shape):
    known: _Names = Field(alias="RevisionMap")


class _File(_Shape):  # what of a row its reader, and the client's, take for granted
    path: str | None = Field(None, alias="Path")
    name: str | None = Field(None, alias="Name")
    type: str | None = Field(None, alias="Type")
    sha256: str | None = Field(None, alias="Sha256")


class _Files(_Shape):
    rows: list[_File] | None = Field(alias="Files")


def commits_in(response: requests.Response) -> list[str]:
    """A page of commits, empty for a revision that the hub does not know. Raises WrongAnswer."""
    return [row.id for row in _data(response, _Commits).rows or ()]


def revisions_in(response: requests.Response) -> tuple[list[str], list[str]]:
    """Names of branches, and of tags. Raises WrongAnswer."""
    known = _data(response, _Revisions).known
    return [row.name for row in known.branches or ()], [row.name for row in known.tags or ()]


def must_list(response: requests.Response) -> None:
    """An answer is a listing, empty for a revision that the hub does not know. Raises
    WrongAnswer."""
    _data(response, _Files)


def entry_of(row: dict[str, Any]) -> FileEntry:
    """A listing's row; ValueError when it has no safe path or no size."""
    path, size, sha256 = row.get("Path"), row.get("Size"), row.get("Sha256") or ""
    if not isinstance(path, str):
        raise ValueError(f"an entry without a path (its name is {row.get('Name')!r})")
    return FileEntry(path, size if isinstance(size, int) else -1, sha256.lower() or None)


def _data(response: requests.Response, shape: type[D]) -> D:
    try:
        return _Envelope[shape].model_validate(response.json()).data  # type: ignore[valid-type]
    except (requests.JSONDecodeError, RecursionError) as error:
        raise _wrong(response, "JSON") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "all of it"
        raise _wrong(response, f"what a hub says ({where}: {first['msg']})") from error


def _wrong(response: requests.Response, expected: str) -> WrongAnswer:
    found = answered(response.url, response.headers.get("Content-Type", ""), response.text)
    return WrongAnswer(
        f"{found}, and {expected} was expected: is that the address of a hub "
        "(MODELSCOPE_ENDPOINT), or of a proxy or a login page before it?"
    )


def reason(error: BaseException) -> str:
    """The deepest cause in few words, without addresses (they may carry signatures)."""
    if isinstance(error, APIError):
        return f"it answered {error.status_code}"
    if isinstance(error, WrongAnswer):
        return str(error)
    deepest: BaseException = error
    for _ in range(10):
        inner = getattr(deepest, "reason", None) or deepest.__cause__ or deepest.__context__
        if not isinstance(inner, BaseException):
            break
        deepest = inner
    text = deepest.strerror if isinstance(deepest, OSError) and deepest.strerror else ""
    return f"{type(deepest).__name__} {text}".strip()
