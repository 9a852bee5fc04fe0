"""What this machine asks of itself goes through no proxy."""

from __future__ import annotations

from collections.abc import Mapping

_OURS = ("127.0.0.1", "localhost", "::1")
_NAMES = ("no_proxy", "NO_PROXY")


def straight(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which this machine is an exception from its proxies, by both names that
    programs read; as it is where it has no proxy."""
    if not any(value and name.lower().endswith("_proxy") for name, value in environment.items()):
        return dict(environment)
    said = [environment.get(name, "") for name in _NAMES]
    pairs = zip(_NAMES, said, reversed(said), strict=True)
    return {**environment, **{name: _with_ours(mine or other) for name, mine, other in pairs}}


def _with_ours(said: str) -> str:
    found = [item.strip() for item in said.split(",") if item.strip()]
    more = [] if "*" in found else [item for item in _OURS if item not in found]
    return ",".join([*found, *more])
