"""Changes to a spec's plain data: from `--set`, from `--target`, from a flow's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tasks.base.errors import SpecError

TARGETS = "targets"
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Override:
    """Put `value` at `path` (keys, and list items by index). told: as a person gave it.

    A path below `targets` names a metric, however the spec writes its targets.
    """

    path: tuple[str, ...]
    value: Any
    told: str


def of_set(text: str) -> Override:
    """From `a.b.c=value`, the value being YAML. Raises SpecError."""
    path, found, raw = text.partition("=")
    told = f"--set {text}"
    if not found or not path:
        raise SpecError([f"{told}: write it as key.subkey=value"])
    try:
        return _change(path, yaml.safe_load(raw), told)
    except yaml.YAMLError as error:
        raise SpecError([f"{told}: the value is not valid YAML"]) from error


def of_target(text: str) -> Override:
    """From `metric=limit`. Raises SpecError."""
    metric, _, raw = text.partition("=")
    try:
        return _target(metric, float(raw), f"--target {text}")
    except ValueError as error:
        raise SpecError(
            [f"--target {text}: write it as metric=limit, such as ttft_p95_ms=800"]
        ) from error


def of_fields(
    targets: Mapping[str, Any] | None, changes: Mapping[str, Any] | None
) -> list[Override]:
    """From the fields of a form: limits by metric, values by key. Raises SpecError, one line for
    each that is wrong."""
    out, wrong = [], []
    for key, value in (changes or {}).items():
        told = f"changes {key}: {_shown(value)}"
        if key.strip("."):
            out.append(_change(key, value, told))
        else:
            wrong.append(f"{told}: name a key of the spec, such as serving.port: 9000")
    for metric, limit in (targets or {}).items():
        told = f"targets {metric}: {_shown(limit)}"
        if isinstance(limit, int | float) and not isinstance(limit, bool):
            out.append(_target(metric, float(limit), told))
        else:
            wrong.append(f"{told}: a number is expected, as in ttft_p95_ms: 800")
    if wrong:
        raise SpecError(wrong)
    return out


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) < 60 else f"{text[:57]}..."


def _change(key: str, value: Any, told: str) -> Override:
    return Override(tuple(key.split(".")), value, told)


def _target(metric: str, limit: float, told: str) -> Override:
    return Override((TARGETS, metric), limit, told)


def override(data: dict[str, Any], item: Override) -> Place:
    """Change plain data, and say where. Raises SpecError."""
    node: Any = data
    place: Place = ()
    *keys, last = item.path
    for key in keys:
        place = (*place, _index(node, key, item) if isinstance(node, list) else key)
        node = _below(node, key, item)
    if isinstance(node, list) and place == (TARGETS,) and not last.isdigit():
        kept = [t for t in node if not (isinstance(t, dict) and t.get("metric") == last)]
        node[:] = [*kept, {"metric": last, "limit": item.value}]
        return (*place, len(kept))
    if isinstance(node, list):
        index = _index(node, last, item)
        node[index] = item.value
        return (*place, index)
    node[last] = item.value
    return (*place, last)


def _below(node: Any, key: str, item: Override) -> Any:
    """What lies under a key, made where nothing does."""
    if isinstance(node, list):
        child = node[_index(node, key, item)]
    else:
        child = node.get(key)
        if child is None:
            child = node[key] = {}
    if not isinstance(child, dict | list):
        raise SpecError([f"{item.told}: '{key}' holds a value, not keys"])
    return child


def _index(node: list[Any], key: str, item: Override) -> int:
    if not key.isdigit() or int(key) >= len(node):
        raise SpecError([f"{item.told}: '{key}' is no item of a list of {len(node)}"])
    return int(key)
