"""`rollout explain`: what the fields of a spec mean, from the very model that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.cli.output import document, show
from flows.cli.screen import Screen
from tasks.base.errors import SpecError
from tasks.spec.base import Strict
from tasks.spec.rollout import Rollout

_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minLength": "at least {} character(s)",
    "maxLength": "at most {} characters",
    "minItems": "at least {} item(s)",
    "maxItems": "at most {} items",
    "pattern": "like {}",
}


def field_of(path: str) -> dict[str, Any]:
    """The document of `explain`. path: dotted, '' for the whole spec; through lists it goes without
    an index. Raises SpecError where there is no such field, naming those there are."""
    schema = Rollout.model_json_schema()
    parts: Mapping[str, Any] = schema["$defs"]
    here = {"type": "object", "title": "Rollout", "description": schema["description"]}
    model, told = "Rollout", dict[str, Any]({"type": "Rollout", "required": True})
    known = schema
    for number, key in enumerate(path.split(".") if path else []):
        at = ".".join(path.split(".")[:number]) or "the spec"
        fields = known.get("properties") or {}
        if not fields:
            raise SpecError([f"{at} is {told['type']} and has no fields; found '{path}'"])
        if key not in fields:
            raise SpecError([f"{at} has no field '{key}'; it has: {', '.join(fields)}"])
        here, told = fields[key], _told(model, key, fields[key], known)
        model = _model(here)
        known = parts[model] if model else {}
    fields = known.get("properties") or {}
    words = [here.get("description"), known.get("description") if path else ""]
    body = {
        "field": path,
        **told,
        "description": "\n".join(text for text in words if text),
        "fields": [
            {"name": key, **_told(model, key, fields[key], known), "description": _first(item)}
            for key, item in fields.items()
            for item in [_described(fields[key], parts)]
        ],
    }
    return document("explain", body)


def _first(text: str) -> str:
    return text.split("\n\n", 1)[0].replace("\n", " ")


def _described(item: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    """A field's own description, else that of the model it holds."""
    found = item.get("description") or parts.get(_model(item), {}).get("description") or ""
    return str(found)


def _told(model: str, key: str, item: Mapping[str, Any], of: Mapping[str, Any]) -> dict[str, Any]:
    """Type, default, limits and values of one field. of: the schema of the model it is in."""
    required = key in (of.get("required") or ())
    flat = _flat(item)
    told: dict[str, Any] = {"type": _type(item), "required": required}
    if not required:
        told["default"] = _plain(_default(model, key))
    if limits := [text.format(_amount(flat[k])) for k, text in _LIMITS.items() if k in flat]:
        told["limits"] = limits
    if values := flat.get("enum"):
        told["values"] = list(values)
    return told


def _amount(limit: Any) -> str:
    return limit if isinstance(limit, str) else f"{limit:,.10g}"


def _flat(item: Mapping[str, Any]) -> dict[str, Any]:
    """With what holds of it unless it is null."""
    return {**item, **{k: v for part in item.get("anyOf") or () for k, v in part.items()}}


def _models(kind: type[Strict]) -> dict[str, type[Strict]]:
    """What is made of a model, by name."""
    below = [_models(item) for item in kind.__subclasses__()]
    return {kind.__name__: kind} | {name: item for part in below for name, item in part.items()}


def _default(model: str, key: str) -> Any:
    """As plain data; of a model {}: its fields have theirs."""
    fields = _models(Strict)[model].model_fields
    item = fields.get(key) or next(item for item in fields.values() if item.alias == key)
    found = item.get_default(call_default_factory=True)
    return {} if isinstance(found, Strict) else found


def _model(item: Mapping[str, Any]) -> str:
    """The model that a field holds, one or many of; '' where it holds none."""
    for part in (item, *(item.get("anyOf") or ()), item.get("items") or {}):
        if ref := part.get("$ref"):
            return str(ref).rpartition("/")[2]
    return ""


def _type(item: Mapping[str, Any]) -> str:
    """In words: 'list of Target', 'string or null'."""
    if options := item.get("anyOf"):
        return " or ".join(_type(part) for part in options)
    if ref := item.get("$ref"):
        return str(ref).rpartition("/")[2]
    if item.get("type") == "array":
        return f"list of {_type(item.get('items') or {})}"
    if item.get("type") == "object":
        more = item.get("additionalProperties")
        return f"map of {_type(more)}" if isinstance(more, dict) and more else "map"
    return str(item.get("type", "any"))


def _plain(value: Any) -> Any:
    """A list of models as the lists of a file are."""
    if not isinstance(value, list):
        return value
    return [one.model_dump(exclude_none=True) if isinstance(one, Strict) else one for one in value]


def shown_lines(found: Mapping[str, Any]) -> list[str]:
    """A field's document, for a person."""
    lines = [f"{found['field'] or 'the spec'}: {_summary(found)}"]
    lines += [f"  {line}" for line in found["description"].splitlines()]
    if found["fields"]:
        lines.append("")
    for item in found["fields"]:
        lines.append(f"{item['name']}: {_summary(item)}")
        if item["description"]:
            lines.append(f"    {item['description']}")
    return lines


def _summary(item: Mapping[str, Any]) -> str:
    parts = [item["type"]]
    if item.get("required"):
        parts.append("required")
    elif "default" in item and item["default"] not in (None, {}, []):
        parts.append(f"default {item['default']}")
    if values := item.get("values"):
        parts.append(f"one of {', '.join(map(str, values))}")
    return ", ".join([*parts, *(item.get("limits") or ())])


def show_field(path: str, form: str = "table") -> int:
    """Print what a field means. Raises SpecError where there is none."""
    found = field_of(path)
    if form != "table":
        show(found, form)
        return 0
    console = Screen()
    for line in shown_lines(found):
        console.print(line, soft_wrap=True)
    return 0
