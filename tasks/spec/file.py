"""From a YAML text to a rollout spec, with every problem on its own line of the file. PURE
but for `read_spec`, which opens the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tasks.base.errors import SpecError
from tasks.spec.rollout import Rollout

Place = tuple[str | int, ...]
# Pydantic names its own machinery in locations; people look for keys of the file.
_NOISE = ("function-", "union", "lax-or-strict")


def _places(node: yaml.Node, here: Place, lines: dict[Place, int], problems: list[str]) -> None:
    """Note the line of every key and item below `node`; report keys given twice."""
    lines.setdefault(here, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                dotted = ".".join(map(str, (*here, name)))
                problems.append(
                    f"line {key.start_mark.line + 1}: {dotted}: this key is given twice"
                )
            seen.add(name)
            lines[(*here, name)] = key.start_mark.line + 1
            _places(value, (*here, name), lines, problems)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _places(item, (*here, index), lines, problems)


def _line(place: Place, lines: Mapping[Place, int]) -> str:
    """'line N: ' of the nearest known place, or ''."""
    while place and place not in lines:
        place = place[:-1]
    return f"line {lines[place]}: " if place in lines else ""


def _message(error: Mapping[str, Any]) -> str:
    """One plain sentence for a pydantic error."""
    kind, value = error["type"], error.get("input")
    if kind == "extra_forbidden":
        return "unknown key; remove it or correct its spelling"
    if kind == "missing":
        return "is required and missing"
    text = str(error["msg"]).removeprefix("Value error, ")
    if kind == "value_error":
        return text
    shown = repr(value)
    return f"{text[0].lower()}{text[1:]}, found {shown if len(shown) < 60 else shown[:57] + '...'}"


def _problems(error: ValidationError, name: str, lines: Mapping[Place, int]) -> list[str]:
    out = []
    for item in error.errors(include_url=False):
        place: Place = tuple(
            part for part in item["loc"] if not (isinstance(part, str) and part.startswith(_NOISE))
        )
        for message in _message(item).split("\n"):
            where, text = place, message
            if item["type"] == "value_error" and not place:
                # the spec's whole-model check names its own places
                head, _, rest = message.partition(": ")
                if rest:
                    where = tuple(int(p) if p.isdigit() else p for p in head.split("."))
                    text = rest
            # the short form of targets is a mapping in the file, a list in the model
            if where[:1] == ("targets",) and len(where) > 1 and where not in lines:
                names = [p for p in lines if p[:1] == ("targets",) and len(p) == 2]
                index = where[1]
                if names and isinstance(index, int) and isinstance(names[0][1], str):
                    where = (*names[index][:2], *where[2:])
            dotted = ".".join(map(str, where)) or "the spec"
            out.append(f"{name}: {_line(where, lines)}{dotted}: {text}")
    return out


def build_spec(data: Any, name: str, lines: Mapping[Place, int] | None = None) -> Rollout:
    """Check plain data against the spec; SpecError has one line per problem."""
    if not isinstance(data, dict):
        found = type(data).__name__
        raise SpecError(
            [f"{name}: expected a mapping with the keys of a rollout spec, found {found}"]
        )
    try:
        return Rollout.model_validate(data)
    except ValidationError as error:
        raise SpecError(_problems(error, name, lines or {})) from error


def parse_spec(text: str, name: str = "spec", overrides: Iterable[str] = ()) -> Rollout:
    """Parse one YAML document, apply `a.b.c=value` overrides, check it.

    Raises SpecError with one line per problem, each with the line of the file.
    """
    problems: list[str] = []
    lines: dict[Place, int] = {}
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            _places(node, (), lines, problems)
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        what = getattr(error, "problem", None) or str(error).split("\n", 1)[0] or "not YAML"
        raise SpecError([f"{name}: {where}this is not valid YAML: {what}"]) from error
    if problems:
        raise SpecError([f"{name}: {problem}" for problem in problems])
    if isinstance(data, dict):
        for override in overrides:
            _override(data, override)
    return build_spec(data, name, lines)


def _override(data: dict[str, Any], override: str) -> None:
    """Set `a.b=value` in plain data; list items by index."""
    path, found, raw = override.partition("=")
    if not found or not path:
        raise SpecError([f"--set {override}: write it as key.subkey=value"])
    try:
        value = yaml.safe_load(raw)
    except yaml.YAMLError as error:
        raise SpecError([f"--set {override}: the value is not valid YAML"]) from error
    keys = path.split(".")
    node: Any = data
    for key in keys[:-1]:
        if isinstance(node, list):
            if not key.isdigit() or int(key) >= len(node):
                raise SpecError([f"--set {override}: '{key}' is no item of a list of {len(node)}"])
            node = node[int(key)]
            continue
        child = node.get(key)
        if child is None:
            child = node[key] = {}
        if not isinstance(child, dict | list):
            raise SpecError([f"--set {override}: '{key}' holds a value, not keys"])
        node = child
    last = keys[-1]
    if isinstance(node, list):
        if not last.isdigit() or int(last) >= len(node):
            raise SpecError([f"--set {override}: '{last}' is no item of a list of {len(node)}"])
        node[int(last)] = value
    else:
        node[last] = value


def with_targets(data: dict[str, Any], targets: Iterable[str]) -> None:
    """Apply `metric=limit` to the targets of plain spec data, replacing that metric's limit."""
    for text in targets:
        metric, found, raw = text.partition("=")
        try:
            limit = float(raw)
        except ValueError:
            found = ""
        if not found:
            raise SpecError([f"--target {text}: write it as metric=limit, such as ttft_p95_ms=800"])
        existing = data.get("targets")
        if isinstance(existing, list):
            kept = [t for t in existing if not (isinstance(t, dict) and t.get("metric") == metric)]
            data["targets"] = [*kept, {"metric": metric, "limit": limit}]
        else:
            data["targets"] = {**(existing or {}), metric: limit}


def read_spec(
    path: str | Path, *, overrides: Iterable[str] = (), targets: Iterable[str] = ()
) -> Rollout:
    """Read a spec file; SpecError when it can't be read or is wrong."""
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise SpecError(
            [f"{file}: cannot be read ({reason}); give the path of a rollout spec"]
        ) from error
    spec = parse_spec(text, str(file), overrides)
    wanted = list(targets)
    if not wanted:
        return spec
    data = spec.model_dump(mode="json", exclude_unset=True)
    with_targets(data, wanted)
    return build_spec(data, f"{file} with --target")
