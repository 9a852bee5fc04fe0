"""What a memory may hold in its ConfigMap, and how it is read: a person may have edited it."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from tasks.base import clock
from tasks.base.errors import StepFailed
from tasks.base.names import LABEL, SUBDOMAIN_MOST

T = TypeVar("T")
# what Kubernetes counts with, and what it lets an object be called
Counted = Annotated[int, Field(ge=0, lt=2**31)]
ObjectName = Annotated[str, Field(max_length=SUBDOMAIN_MOST, pattern=rf"^{LABEL}(\.{LABEL})*$")]

_log = logging.getLogger(__name__)
# A ConfigMap holds 1 MiB; leave room for what a person notes beside it.
MOST_BYTES = 900_000
HISTORY_BYTES = 300_000
# of one sentence: why, or a breach
MOST_TEXT = 10_000
# more words a line than this and nobody reads it: written without line ends
PRETTY_BYTES = 200_000


def fitted(state: Mapping[str, Any], history: list[Any]) -> dict[str, str]:
    """The data of a state's ConfigMap, as JSON, of MOST_BYTES at most.

    Where it is too much goes, in this order and as little as will do: the oldest of the history,
    the spec that the previous release was tested by, the candidate's. The spec of what serves
    stays: it is watched by that. A spec as this version takes it leaves room for all three.
    """
    body: dict[str, Any] = {
        key: value[:MOST_TEXT] if isinstance(value, str) else value for key, value in state.items()
    }
    serves = _id(body, "stable")
    for role in ("previous", "candidate"):
        ident, terms = _id(body, role), body.get("terms") or {}
        if len(_text(body)) <= MOST_BYTES or ident in (None, serves) or ident not in terms:
            continue
        body["terms"] = {**terms, ident: {**terms[ident], "spec": {}}}
        tell_once(
            f"the spec of {ident}, the {role} release, is not remembered: the state is too large"
        )
    text, kept = _text(body), list[str]()
    left = min(HISTORY_BYTES, MOST_BYTES - len(text)) - len("[]")
    for entry in history:
        kept.append(json.dumps(entry, sort_keys=True))
        left -= len(kept[-1]) + len(", ")
        if left < 0:
            kept.pop()
            break
    return {"state": text, "history": f"[{', '.join(kept)}]"}


def _text(body: Mapping[str, Any]) -> str:
    dense = json.dumps(body, sort_keys=True)
    return json.dumps(body, indent=1, sort_keys=True) if len(dense) < PRETTY_BYTES else dense


def _id(body: Mapping[str, Any], role: str) -> Any:
    return (body.get(role) or {}).get("id")


def from_json(data: Mapping[str, Any], key: str, where: str) -> Any:
    """What stands in a ConfigMap's data under a key. where: the ConfigMap, in words. Raises
    StepFailed."""
    try:
        return json.loads(data[key])
    except KeyError:
        raise unreadable(where, f"data.{key} is not there") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise unreadable(where, f"data.{key} is no JSON ({error})") from error


def shaped(kind: Callable[..., T], raw: Any, where: str) -> T:
    """A dataclass of what was read, each field of its type; what it has no field for is left out.

    Raises StepFailed, which names the first field that is not.
    """
    try:
        found: T = _adapter(kind).validate_python(raw)
        return found
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        field = ".".join(map(str, wrong["loc"]))
        said = f"{field} is {wrong['input']!r:.60}" if wrong["type"] != "missing" else field
        raise unreadable(where, f"{said}: {wrong['msg']}") from error


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def unreadable(where: str, said: str) -> StepFailed:
    """Of a memory that this version cannot read. said: the field, and what is wrong with it."""
    return StepFailed(
        f"{where} does not hold a readable rollout state: {said}. Mend it there, restore it from a "
        "backup, or delete it to start without history"
    )


def moment_in(raw: Mapping[str, Any], key: str, where: str) -> str:
    """An ISO 8601 time with its zone; '' where there is none. What is no such time is told, and
    read as absent."""
    value = raw.get(key) or ""
    if not value or (isinstance(value, str) and clock.moment(value)):
        return value or ""
    tell_once(
        f"{where}: {key} is {value!r:.60}, a time with its zone is expected "
        "(2026-01-31T12:00:00+00:00): it is read as if it were not there"
    )
    return ""


def number_in(raw: Mapping[str, Any], key: str, default: float, most: float, where: str) -> float:
    """A number from 0 to `most`; what is higher is `most`. What is no number is told, and the
    default holds."""
    value = raw.get(key, default)
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if math.isnan(found) or found < 0:
        tell_once(
            f"{where}: {key} is {value!r:.60}, a number from 0 to {most:g} is expected: {default:g}"
        )
        return default
    return min(found, most)


@cache
def tell_once(text: str) -> None:
    """Into the log, once, however often it is read."""
    _log.error("%s", text)
