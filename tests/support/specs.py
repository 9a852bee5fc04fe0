"""A small spec as text, with changes."""

from __future__ import annotations

from typing import Any

import yaml


def minimal(change: dict[str, Any] | None = None) -> dict[str, Any]:
    """The least spec; change: by key, merged one level deep."""
    data: dict[str, Any] = {
        "name": "m",
        "model": {"id": "o/n"},
        "nodes": {"accelerator": "cpu"},
        "serving": {"image": "i:1"},
        "targets": {"ttft_p95_ms": 100},
    }
    for key, value in (change or {}).items():
        old = data.get(key)
        data[key] = {**old, **value} if isinstance(old, dict) else value
    return data


def text(change: dict[str, Any] | None = None) -> str:
    """As YAML."""
    return yaml.safe_dump(minimal(change))
