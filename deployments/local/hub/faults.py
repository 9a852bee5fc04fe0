"""What the local hub does wrong on demand."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

Kind = Literal["cut", "stall", "corrupt", "status", "slow", "redirect"]


@dataclass
class Fault:
    """One misbehaviour.

    kind: cut (close after `after` bytes of the answer), stall (send `after` bytes, then nothing
    for `seconds`), corrupt (flip the byte at offset `after` of the file, where the answer has
    it), status (answer `status`, with Retry-After where `retry_after` is given), slow (`rate`
    bytes/s), redirect (302 to the CDN's port).
    path: glob on the file's path; a pattern that begins with '@' is for an API call instead:
    '@files', '@commits', '@revisions'.
    times: how often it happens; None for ever.
    """

    kind: Kind
    path: str = "*"
    times: int | None = 1
    after: int = 0
    seconds: float = 3600
    status: int = 503
    retry_after: float | None = None
    rate: float = 1e6

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"'{self.kind}' is no fault; known are {', '.join(get_args(Kind))}")


class Faults:
    """The faults in force; each match uses one of its `times` up."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._faults = list(faults)

    def add(self, *faults: Fault) -> None:
        """Put more in force."""
        with self._lock:
            self._faults.extend(faults)

    def clear(self) -> None:
        """Behave from now on."""
        with self._lock:
            self._faults.clear()

    def take(self, path: str, kinds: Iterable[str]) -> dict[str, Fault]:
        """The faults that strike this request, the first of each kind."""
        found: dict[str, Fault] = {}
        with self._lock:
            for fault in self._faults:
                if fault.kind not in kinds or fault.kind in found or fault.times == 0:
                    continue
                if path.startswith("@") == fault.path.startswith("@") and fnmatchcase(
                    path, fault.path
                ):
                    found[fault.kind] = fault
                    if fault.times is not None:
                        fault.times -= 1
        return found

    def as_list(self) -> list[dict[str, Any]]:
        """Plain data, for the debug address."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]
