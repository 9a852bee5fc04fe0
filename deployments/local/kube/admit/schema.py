"""The shape of objects, from the official client's model classes: unknown fields, wrong types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from kubernetes.client import models

from deployments.local.kube.objects.kinds import Kind

_LIST = re.compile(r"^List\[(.*)\]$")
_DICT = re.compile(r"^Dict\[(\w+), (.*)\]$")
_INT_OR_STRING = {"maxSurge", "maxUnavailable", "targetPort", "port"}
_QUANTITIES = {"limits", "requests", "capacity", "allocatable", "hard", "used", "overhead"}


@dataclass(frozen=True)
class Field:
    """One field of a model: its type as the client writes it, and whether it must be given."""

    type: str
    required: bool


@dataclass(frozen=True)
class Findings:
    """What is wrong with an object: paths of unknown fields, type errors, missing fields."""

    unknown: tuple[tuple[str | int, ...], ...]
    wrong: tuple[str, ...]
    missing: tuple[str, ...]


@cache
def fields(model: str) -> dict[str, Field]:
    """The fields of a model class by their JSON names."""
    cls: Any = getattr(models, model)
    # A name that is a Python word or shadows one, such as exec, is declared by its alias.
    declared = {field.alias or name: field for name, field in cls.model_fields.items()}
    return {
        json_name: Field(cls.openapi_types[name], declared[name].is_required())
        for name, json_name in cls.attribute_map.items()
    }


def check(kind: Kind, obj: Any) -> Findings:
    """Compare an object with its kind's schema; an item's null counts as not given."""
    unknown: list[tuple[str | int, ...]] = []
    wrong: list[str] = []
    missing: list[str] = []
    _walk(obj, kind.model, (), unknown, wrong, missing)
    return Findings(tuple(unknown), tuple(wrong), tuple(missing))


def dotted(path: tuple[str | int, ...]) -> str:
    """('spec', 'containers', 0, 'image') as spec.containers[0].image."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def prune(obj: Any, path: tuple[str | int, ...]) -> Any:
    """A copy of `obj` without the field at `path`."""
    if isinstance(obj, list):
        at = path[0]
        return [prune(item, path[1:]) if i == at else item for i, item in enumerate(obj)]
    if len(path) == 1:
        return {key: value for key, value in obj.items() if key != path[0]}
    return {key: prune(v, path[1:]) if key == path[0] else v for key, v in obj.items()}


def _walk(
    value: Any,
    kind: str,
    path: tuple[str | int, ...],
    unknown: list[tuple[str | int, ...]],
    wrong: list[str],
    missing: list[str],
) -> None:
    def expected(what: str) -> None:
        found = {dict: "object", list: "array", str: "string", bool: "bool"}.get(type(value))
        wrong.append(f"{dotted(path)}: found {found or 'number'} {value!r:.60}, expected {what}")

    if value is None:
        return
    if match := _LIST.match(kind):
        if not isinstance(value, list):
            return expected("an array")
        for i, item in enumerate(value):
            _walk(item, match[1], (*path, i), unknown, wrong, missing)
    elif match := _DICT.match(kind):
        if not isinstance(value, Mapping):
            return expected("an object")
        inner = "quantity" if path and path[-1] in _QUANTITIES else match[2]
        for key, item in value.items():
            _walk(item, inner, (*path, key), unknown, wrong, missing)
    elif hasattr(models, kind):
        if not isinstance(value, Mapping):
            return expected("an object")
        known = fields(kind)
        for key, item in value.items():
            if key in known:
                _walk(item, known[key].type, (*path, key), unknown, wrong, missing)
            else:
                unknown.append((*path, key))
        missing += [
            dotted((*path, key))
            for key, f in known.items()
            if f.required and value.get(key) is None
        ]
    elif what := _scalar(value, kind, path):
        expected(what)


def _scalar(value: Any, kind: str, path: tuple[str | int, ...]) -> str:
    """What was expected, '' when it is that."""
    number = isinstance(value, int) and not isinstance(value, bool)
    if kind in ("str", "bytes"):
        return "" if isinstance(value, str) else "a string"
    if kind == "int":
        return "" if number else "an integer"
    if kind == "bool":
        return "" if isinstance(value, bool) else "a boolean"
    if kind == "float":
        return "" if number or isinstance(value, float) else "a number"
    if kind == "quantity":
        fits = number or isinstance(value, float | str)
        return "" if fits else "a quantity (a number or a string)"
    if kind == "datetime":
        return "" if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value) else "a time"
    if kind == "object" and path and path[-1] in _INT_OR_STRING:
        return "" if number or isinstance(value, str) else "an integer or a string"
    return ""
