"""JSON patch, merge patch and strategic merge patch. Nothing given is changed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from deployments.local.kube.objects.lists import SETS, patch_key
from deployments.local.kube.objects.status import StatusError

_ORDER, _DROP = "$setElementOrder/", "$deleteFromPrimitiveList/"


def _refused(message: str) -> StatusError:
    return StatusError(422, "Invalid", f"the patch cannot be applied: {message}")


# -- RFC 6902


def json_patch(obj: Any, operations: Any) -> Any:
    """`obj` after RFC 6902 operations; StatusError 400 for no list, 422 where one fails."""
    if not isinstance(operations, list):
        raise StatusError(400, "BadRequest", "a JSON patch is a list of operations")
    out = copy.deepcopy(obj)
    for number, step in enumerate(operations):
        try:
            out = _operate(out, step)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            what = f"operation {number} {step!r}: {type(error).__name__} {error}"
            raise _refused(what) from error
    return out


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise ValueError(f"a pointer begins with '/': {text!r}")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _index(node: list[Any], step: str, limit: int) -> int:
    if not step.isdigit() or int(step) >= limit:
        raise IndexError(f"no index {step} in a list of {len(node)}")
    return int(step)


def _read(node: Any, path: list[str]) -> Any:
    for step in path:
        node = node[_index(node, step, len(node))] if isinstance(node, list) else node[step]
    return node


def _add(root: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _read(root, path[:-1])
    if isinstance(parent, list):
        at = len(parent) if path[-1] == "-" else _index(parent, path[-1], len(parent) + 1)
        parent.insert(at, value)
    else:
        parent[path[-1]] = value
    return root


def _remove(root: Any, path: list[str]) -> Any:
    parent = _read(root, path[:-1])
    last = path[-1]
    return parent.pop(_index(parent, last, len(parent)) if isinstance(parent, list) else last)


def _operate(root: Any, step: Mapping[str, Any]) -> Any:
    name, path = step["op"], _pointer(step["path"])
    if name == "test":
        if _read(root, path) != step["value"]:
            raise ValueError(f"test failed: found {_read(root, path)!r}")
    elif name == "add":
        return _add(root, path, copy.deepcopy(step["value"]))
    elif name == "remove":
        _remove(root, path)
    elif name == "replace":
        _read(root, path)
        if path:
            _remove(root, path)
        return _add(root, path, copy.deepcopy(step["value"]))
    elif name == "copy":
        return _add(root, path, copy.deepcopy(_read(root, _pointer(step["from"]))))
    elif name == "move":
        return _add(root, path, _remove(root, _pointer(step["from"])))
    else:
        raise ValueError(f"unknown op {name!r}")
    return root


# -- RFC 7386


def merge_patch(obj: Any, patch: Any) -> Any:
    """`obj` after an RFC 7386 merge: maps merge, null deletes, all else replaces."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    out = dict(obj) if isinstance(obj, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merge_patch(out.get(key), value)
    return out


# -- Kubernetes


def strategic_patch(obj: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """`obj` after a strategic merge patch, with the directives kubectl sends:
    $patch (replace, delete), $retainKeys, $setElementOrder, $deleteFromPrimitiveList."""
    if not isinstance(patch, Mapping):
        raise StatusError(400, "BadRequest", "a strategic merge patch is a map")
    return _maps(obj, patch, "")


def _maps(base: Mapping[str, Any], patch: Mapping[str, Any], path: str) -> dict[str, Any]:
    plain = {key: value for key, value in patch.items() if not key.startswith("$")}
    if patch.get("$patch") == "replace":
        return copy.deepcopy(plain)
    if patch.get("$patch") == "delete":
        return {}
    out = dict(base)
    if (kept := patch.get("$retainKeys")) is not None:
        out = {key: value for key, value in out.items() if key in kept}
    for key, value in patch.items():
        if key.startswith(_DROP):
            name = key.removeprefix(_DROP)
            out[name] = [item for item in out.get(name) or [] if item not in value]
    for key, value in plain.items():
        here = f"{path}.{key}"
        if value is None:
            out.pop(key, None)
        elif isinstance(value, Mapping):
            old = out.get(key)
            out[key] = _maps(old if isinstance(old, Mapping) else {}, value, here)
        elif isinstance(value, list):
            old = out.get(key)
            out[key] = _lists(old if isinstance(old, list) else [], value, key, here)
        else:
            out[key] = value
    for key, value in patch.items():
        name = key.removeprefix(_ORDER)
        if name != key and isinstance(out.get(name), list):
            out[name] = _ordered(out[name], value, patch_key(name, out[name]))
    return out


def _lists(base: list[Any], patch: list[Any], field: str, path: str) -> list[Any]:
    if field in SETS:
        return [*base, *(item for item in patch if item not in base)]
    key = patch_key(field, [*base, *patch])
    if key is None:
        return copy.deepcopy(patch)
    items = [item for item in patch if item != {"$patch": "replace"}]
    out = list(base) if len(items) == len(patch) else []
    for item in items:
        if not isinstance(item, Mapping) or key not in item:
            raise _refused(f"{path}: every item needs the merge key '{key}'")
        at = next((i for i, old in enumerate(out) if old.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del out[at]
        elif at is None:
            out.append(_maps({}, item, path))
        else:
            out[at] = _maps(out[at], item, path)
    return out


def _ordered(items: list[Any], order: list[Any], key: str | None) -> list[Any]:
    """Items in the order asked for; those not named keep their order at the end."""
    wanted = [item.get(key) if isinstance(item, Mapping) and key else item for item in order]

    def rank(item: Any) -> int:
        name = item.get(key) if isinstance(item, Mapping) and key else item
        return wanted.index(name) if name in wanted else len(wanted)

    return sorted(items, key=rank)
