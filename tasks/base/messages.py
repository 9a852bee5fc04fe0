"""Messages between our own processes: dataclasses, one JSON line each."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

M = TypeVar("M")


class Messages(Generic[M]):
    """Writes and reads the messages of one table: name on the line -> dataclass.

    Who hears may be of another version than who speaks: fields are only ever added, and unknown
    ones are passed over.
    """

    def __init__(self, kinds: Mapping[str, type[M]]) -> None:
        self._kinds = kinds

    def line_of(self, message: M) -> str:
        """The message as its line, without the end."""
        name = next(name for name, kind in self._kinds.items() if type(message) is kind)
        fields = dataclasses.asdict(message)  # type: ignore[call-overload]
        return json.dumps({"event": name, **fields}, ensure_ascii=False)

    def message_of(self, line: str) -> M | None:
        """The message in a line; None where it is none, or one we do not know."""
        try:
            data: Any = json.loads(line)
            kind = self._kinds[data.pop("event")]
            names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
            return kind(**{name: value for name, value in data.items() if name in names})
        except (ValueError, TypeError, AttributeError, KeyError):
            return None
