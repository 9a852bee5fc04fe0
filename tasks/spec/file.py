"""From a YAML text to a rollout spec, with every problem on its own line of the file.
but for `read_spec`, which opens the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tasks.base.errors import SpecError
from tasks.base.scrub import scrub
from tasks.spec.overrides import Override, Place, override
from tasks.spec.rollout import Rollout

# Pydantic names its own machinery in locations; people look for keys of the file.
# No spec is near it; with aliases a short text can stand for billions of values.
VALUES = 50_000
CHARACTERS = 1 << 20
_NOISE = ("function-", "union", "lax-or-strict")


def _too_much(name: str, found: str, what: str, most: int) -> str:
    return f"{name}: {found} {what} found, at most {most:,} expected"


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Values below a node, each alias counted as what it stands for."""
    if id(node) not in known:
        known[id(node)] = 1  # of one that holds itself
        inner = node.value if isinstance(node, yaml.CollectionNode) else ()
        parts = [part for item in inner for part in (item if isinstance(item, tuple) else (item,))]
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]


def _note(node: yaml.Node, here: Place, given: dict[Place, str], problems: list[str]) -> None:
    """Note the line of every key and item below `node`; report keys given twice."""
    given.setdefault(here, f"line {node.start_mark.line + 1}")
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
            given[(*here, name)] = f"line {key.start_mark.line + 1}"
            _note(value, (*here, name), given, problems)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _note(item, (*here, index), given, problems)


def _source(place: Place, given: Mapping[Place, str]) -> str:
    """'line N: ', or the override, of the nearest known place; '' where none is known."""
    while place and place not in given:
        place = place[:-1]
    return f"{given[place]}: " if place in given else ""


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
    place = str(error["loc"][-1]) if error.get("loc") else ""
    shown = repr(scrub(value, place))
    return f"{text[0].lower()}{text[1:]}, found {shown if len(shown) < 60 else shown[:57] + '...'}"


def _problems(error: ValidationError, name: str, given: Mapping[Place, str]) -> list[str]:
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
            if where[:1] == ("targets",) and len(where) > 1 and where not in given:
                names = [p for p in given if p[:1] == ("targets",) and len(p) == 2]
                index = where[1]
                if names and isinstance(index, int) and isinstance(names[0][1], str):
                    where = (*names[index][:2], *where[2:])
            dotted = ".".join(map(str, where)) or "the spec"
            out.append(f"{name}: {_source(where, given)}{dotted}: {text}")
    return out


def build_spec(data: Any, name: str, given: Mapping[Place, str] | None = None) -> Rollout:
    """Check plain data against the spec; SpecError has one line per problem.

    given: by place, what gave its value (a line of the file, an override).
    """
    if not isinstance(data, dict):
        found = type(data).__name__
        raise SpecError(
            [f"{name}: expected a mapping with the keys of a rollout spec, found {found}"]
        )
    try:
        return Rollout.model_validate(data)
    except ValidationError as error:
        raise SpecError(_problems(error, name, given or {})) from error


def parse_spec(text: str, name: str = "spec", overrides: Iterable[Override] = ()) -> Rollout:
    """Parse one YAML document, apply overrides, check it.

    Raises SpecError with one line per problem, each with the line of the file or the override.
    """
    problems: list[str] = []
    given: dict[Place, str] = {}
    if len(text) > CHARACTERS:
        raise SpecError([_too_much(name, f"over {CHARACTERS:,}", "characters", CHARACTERS)])
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            if (size := _size(node, {})) > VALUES:
                said = _too_much(name, f"{size:,}", "values", VALUES)
                raise SpecError([f"{said}; use fewer aliases"])
            _note(node, (), given, problems)
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        what = getattr(error, "problem", None) or str(error).split("\n", 1)[0] or "not YAML"
        raise SpecError([f"{name}: {where}this is not valid YAML: {what}"]) from error
    if problems:
        raise SpecError([f"{name}: {problem}" for problem in problems])
    return _overridden(data, overrides, name, given)


def read_spec(path: str | Path, overrides: Iterable[Override] = ()) -> Rollout:
    """Read a spec file; SpecError when it can't be read or is wrong."""
    file = Path(path)
    try:
        with file.open(encoding="utf-8") as lines:
            text = lines.read(CHARACTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise SpecError(
            [f"{file}: cannot be read ({reason}); give the path of a rollout spec"]
        ) from error
    return parse_spec(text, str(file), overrides)


def changed(spec: Rollout, overrides: Iterable[Override], name: str) -> Rollout:
    """A spec with overrides; SpecError, naming `name`, when they make it wrong."""
    data = spec.model_dump(mode="json", exclude_unset=True)
    return _overridden(data, overrides, name, {})


def _overridden(
    data: Any, overrides: Iterable[Override], name: str, given: dict[Place, str]
) -> Rollout:
    for item in overrides if isinstance(data, dict) else ():
        place = override(data, item)
        for known in [known for known in given if known[: len(place)] == place]:
            given[known] = item.told
        given[place] = item.told
        for end in range(1, len(place)):  # keys that it brought along
            given.setdefault(place[:end], item.told)
    return build_spec(data, name, given)
