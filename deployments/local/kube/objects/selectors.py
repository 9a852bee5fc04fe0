"""Label and field selectors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from deployments.local.kube.objects.status import StatusError

Labels = Callable[[Mapping[str, str]], bool]
Fields = Callable[[Mapping[str, Any]], bool]
_SET = re.compile(r"^\s*([\w./-]+)\s+(in|notin)\s+\(([^)]*)\)\s*$")
_EQUAL = re.compile(r"^\s*([\w./-]+)\s*(==|!=|=)\s*([\w./-]*)\s*$")
_EXISTS = re.compile(r"^\s*(!?)\s*([\w./-]+)\s*$")


def _bad(kind: str, text: str) -> StatusError:
    return StatusError(400, "BadRequest", f"unable to parse {kind} selector: {text!r}")


def _requirement(text: str) -> Labels:
    if match := _SET.match(text):
        key, word = match[1], match[2]
        values = {item.strip() for item in match[3].split(",")}
        if word == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if match := _EQUAL.match(text):
        key, sign, value = match[1], match[2], match[3]
        if sign == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if match := _EXISTS.match(text):
        absent, key = match[1], match[2]
        return lambda labels: (key in labels) != bool(absent)
    raise _bad("label", text)


def labels(text: str | None) -> Labels | None:
    """Parse 'a=b,c in (d,e),!f'; None for an empty selector."""
    if not text:
        return None
    checks = [_requirement(part) for part in re.split(r",(?![^(]*\))", text)]
    return lambda have: all(check(have) for check in checks)


def match(selector: Mapping[str, Any] | None, have: Mapping[str, str]) -> bool:
    """A LabelSelector object (matchLabels, matchExpressions) against labels; None matches none."""
    if selector is None:
        return False
    for key, value in (selector.get("matchLabels") or {}).items():
        if have.get(key) != value:
            return False
    return all(expression(item, have) for item in selector.get("matchExpressions") or [])


def expression(item: Mapping[str, Any], have: Mapping[str, str]) -> bool:
    """One matchExpression, node selector operators included."""
    key, operator, values = item["key"], item["operator"], item.get("values") or []
    if operator == "In":
        return have.get(key) in values
    if operator == "NotIn":
        return have.get(key) not in values
    if operator == "Exists":
        return key in have
    if operator == "DoesNotExist":
        return key not in have
    try:
        number, bound = int(have[key]), int(values[0])
    except (KeyError, ValueError, IndexError):
        return False
    return number > bound if operator == "Gt" else number < bound


def fields(text: str | None) -> Fields | None:
    """Parse 'metadata.name=x,status.phase!=Running'; None for an empty selector."""
    if not text:
        return None
    checks: list[tuple[list[str], bool, str]] = []
    for part in text.split(","):
        match = _EQUAL.match(part)
        if not match:
            raise _bad("field", part)
        checks.append((match[1].split("."), match[2] != "!=", match[3]))

    def check(obj: Mapping[str, Any]) -> bool:
        for path, equal, value in checks:
            node: Any = obj
            for step in path:
                node = node.get(step) if isinstance(node, Mapping) else None
            if (_text(node, value) == value) != equal:
                return False
        return True

    return check


def _text(node: Any, wanted: str) -> str:
    """A field as a selector compares it; an absent switch is off."""
    if node is None:
        return "false" if wanted == "false" else ""
    return str(node).lower() if isinstance(node, bool) else str(node)
