"""Which published weights may go."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeVar

C = TypeVar("C", bound=tuple[str, str])


def garbage(published: Iterable[C], model: str, keep: Collection[str]) -> list[C]:
    """What of one model nobody names, in the order given. published: (model, commit) of each
    folder. keep: commits that somebody names."""
    return [item for item in published if item[0] == model and item[1] not in keep]
