"""Server-side apply: who owns which fields, conflicts, and giving fields up.

Fields are sets of paths in the encoding of metadata.managedFields: 'f:name' a map's key,
'k:{"name":"x"}' an item of a keyed list, 'v:"x"' an item of a set. A path stands for a scalar, an
atomic map or list, an empty one, or the existence of a keyed item.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from typing import Any

from deployments.local.kube.objects.lists import ATOMIC_MAPS, SETS, apply_keys, identity
from deployments.local.kube.objects.status import StatusError
from deployments.local.kube.objects.store import now

Path = tuple[str, ...]
Paths = set[Path]
_SERVER_META = {
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
}


# -- field sets


def owned(obj: Mapping[str, Any]) -> Paths:
    """The fields an object gives; identity and what the server writes are nobody's."""
    out: Paths = set()
    for key, value in obj.items():
        if key == "metadata":
            meta = {k: v for k, v in value.items() if k not in _SERVER_META}
            if meta:
                _collect(meta, ("f:metadata",), "metadata", out)
        elif key not in ("apiVersion", "kind", "status"):
            _collect(value, (f"f:{key}",), key, out)
    return out


def _item(identity_: Mapping[str, Any]) -> str:
    return "k:" + json.dumps(identity_, separators=(",", ":"), sort_keys=True)


def _collect(value: Any, path: Path, field: str, out: Paths) -> None:
    if isinstance(value, Mapping) and value and field not in ATOMIC_MAPS:
        for key, item in value.items():
            _collect(item, (*path, f"f:{key}"), key, out)
        return
    if isinstance(value, list) and value:
        if field in SETS:
            out.update((*path, "v:" + json.dumps(item)) for item in value)
            return
        keys = apply_keys(field, value)
        names = [identity(item, keys) for item in value] if keys else []
        if names and None not in names:
            for item, name in zip(value, names, strict=True):
                here = (*path, _item(name or {}))
                out.add(here)
                for key, part in item.items():
                    _collect(part, (*here, f"f:{key}"), key, out)
            return
    out.add(path)


def encode(paths: Iterable[Path]) -> dict[str, Any]:
    """A fieldsV1 tree."""
    root: dict[str, Any] = {}
    for path in sorted(paths):
        node = root
        for step in path:
            node = node.setdefault(step, {})
        node["."] = {}
    return _trim(root)


def _trim(node: dict[str, Any]) -> dict[str, Any]:
    if set(node) == {"."}:
        return {}
    return {key: value if key == "." else _trim(value) for key, value in node.items()}


def decode(tree: Mapping[str, Any], path: Path = ()) -> Paths:
    """The paths of a fieldsV1 tree."""
    out: Paths = set()
    for step, below in tree.items():
        if step == ".":
            out.add(path)
        elif below:
            out |= decode(below, (*path, step))
        else:
            out.add((*path, step))
    return out


# -- values at paths


def _find(node: Any, step: str) -> Any:
    if step.startswith("f:"):
        return node.get(step[2:]) if isinstance(node, Mapping) else None
    if not isinstance(node, list):
        return None
    wanted = json.loads(step[2:])
    if step.startswith("v:"):
        return wanted if wanted in node else None
    keys = tuple(wanted)
    return next((item for item in node if identity(item, keys) == wanted), None)


def value_at(obj: Any, path: Path) -> Any:
    """The value at a path, None where there is none."""
    for step in path:
        obj = _find(obj, step)
    return obj


def _remove(obj: Any, path: Path, held: Paths, above: Path = ()) -> None:
    """Take a path out of `obj`, in place, with what it leaves empty and nobody holds."""
    step, here = path[0], (*above, path[0])
    below = _find(obj, step)
    if below is None:
        return
    if len(path) > 1:
        _remove(below, path[1:], held, here)
        if below or here in held:
            return
    if isinstance(obj, list):
        obj.remove(below)
    else:
        del obj[step[2:]]


def _merge(live: Any, given: Any, field: str) -> Any:
    if isinstance(given, Mapping) and isinstance(live, Mapping) and field not in ATOMIC_MAPS:
        out = dict(live)
        for key, value in given.items():
            out[key] = _merge(live.get(key), value, key)
        return out
    if isinstance(given, list) and isinstance(live, list):
        if field in SETS:
            return [*live, *(item for item in given if item not in live)]
        keys = apply_keys(field, [*live, *given])
        if keys:
            known = {_item(identity(item, keys) or {}): item for item in live}
            merged = {}
            for item in given:
                name = identity(item, keys)
                if name is None:
                    raise StatusError(
                        400, "BadRequest", f"{field}: every item needs {' and '.join(keys)}"
                    )
                merged[_item(name)] = _merge(known.get(_item(name)), item, "")
            return [*merged.values(), *(item for key, item in known.items() if key not in merged)]
    return copy.deepcopy(given)


# -- managers


def _entry(
    manager: str, operation: str, api_version: str, paths: Paths, sub: str = ""
) -> dict[str, Any]:
    return {
        **({"subresource": sub} if sub else {}),
        "manager": manager,
        "operation": operation,
        "apiVersion": api_version,
        "time": now(),
        "fieldsType": "FieldsV1",
        "fieldsV1": encode(paths),
    }


def _whose(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    return entry.get("manager", ""), entry.get("operation", ""), entry.get("subresource", "")


def _with_fields(entries: Any, obj: dict[str, Any]) -> dict[str, Any]:
    meta = {**obj["metadata"], "managedFields": [e for e in entries if e["fieldsV1"]]}
    return {**obj, "metadata": meta}


def written(
    old: Mapping[str, Any] | None, new: dict[str, Any], manager: str, sub: str = ""
) -> dict[str, Any]:
    """`new` with managedFields after a create, update or patch by `manager`, of subresource `sub`:
    it takes the fields whose values it changed, and fields that are gone are nobody's.

    Whoever writes [{}] there strips them; nobody's fields are noted then until somebody applies.
    """
    held = ((old or {}).get("metadata") or {}).get("managedFields")
    stripped = old is not None and new["metadata"].get("managedFields") == [{}]
    if stripped or (old is not None and held == []):
        return _with_fields([], new)
    entries = list(held or [])
    present = owned(new)
    changed = {p for p in present if old is None or not _same(old, new, p)}
    out, mine = [], set(changed)
    for entry in entries:
        paths = decode(entry["fieldsV1"])
        if _whose(entry) == (manager, "Update", sub):
            mine |= paths & present
            continue
        kept = {p for p in paths if (p in present or _holds(new, p)) and p not in changed}
        out.append(entry if kept == paths else {**entry, "fieldsV1": encode(kept)})
    mine_before = next((e for e in entries if _whose(e) == (manager, "Update", sub)), None)
    if mine:
        entry = _entry(manager, "Update", new["apiVersion"], mine, sub)
        if mine_before and mine_before["fieldsV1"] == entry["fieldsV1"] and not changed:
            entry = mine_before
        out.append(entry)
    return _with_fields(out, new)


def _holds(obj: Mapping[str, Any], path: Path) -> bool:
    return value_at(obj, path) is not None


def _same(old: Mapping[str, Any], new: Mapping[str, Any], path: Path) -> bool:
    before, after = value_at(old, path), value_at(new, path)
    # The existence of a keyed item, not what is in it.
    if path[-1].startswith("k:"):
        return (before is None) == (after is None)
    return bool(before == after)


def apply(
    live: Mapping[str, Any] | None, given: Mapping[str, Any], manager: str, *, force: bool
) -> dict[str, Any]:
    """The object after `manager` applied `given`, with managedFields.

    Fields the manager applied before and gives no more are removed unless another owns them.
    Raises StatusError 409 with a cause for each field that another manager owns with another
    value, unless `force`, which takes them over.
    """
    config = {key: value for key, value in given.items() if key != "status"}
    config["metadata"] = {
        k: v for k, v in given["metadata"].items() if k not in ("managedFields", "resourceVersion")
    }
    wanted = owned(config)
    fields = ((live or {}).get("metadata") or {}).get("managedFields")
    entries = list(fields or [])
    if live is not None and fields == []:
        entries = [_entry("before-first-apply", "Update", given["apiVersion"], owned(live))]
    before: Paths = set()
    before_entry: dict[str, Any] | None = None
    others: list[tuple[dict[str, Any], Paths]] = []
    causes, taken = [], set()
    for entry in entries:
        paths = decode(entry["fieldsV1"])
        if _whose(entry) == (manager, "Apply", ""):
            before, before_entry = paths, entry
            continue
        others.append((entry, paths))
        for path in sorted(paths & wanted):
            if live is not None and not _same(live, config, path):
                taken.add(path)
                causes.append(_cause(entry, path))
    if causes and not force:
        raise _conflicts(causes)
    merged = copy.deepcopy(_merge(dict(live or {}), config, ""))
    kept = set().union(*(paths for _, paths in others)) if others else set()
    held = wanted | kept
    # Items before their parts: an item cannot be found without its key.
    for path in sorted(before - held, key=len):
        if not any(other[: len(path)] == path for other in held):
            _remove(merged, path, held)
    out = []
    for entry, paths in others:
        left = paths - taken
        out.append(entry if left == paths else {**entry, "fieldsV1": encode(left)})
    mine = _entry(manager, "Apply", given["apiVersion"], wanted)
    if before_entry and before_entry["fieldsV1"] == mine["fieldsV1"] and not taken:
        mine = before_entry
    return _with_fields([*out, mine], merged)


def _readable(path: Path) -> str:
    text = ""
    for step in path:
        if step.startswith("f:"):
            text += f".{step[2:]}"
        else:
            text += f"[{step[2:].strip('{}')}]"
    return text


def _cause(entry: Mapping[str, Any], path: Path) -> dict[str, str]:
    how = "" if entry.get("operation") == "Apply" else f" using {entry.get('apiVersion')}"
    return {
        "reason": "FieldManagerConflict",
        "message": f'conflict with "{entry.get("manager")}"{how}',
        "field": _readable(path),
    }


def _conflicts(causes: list[dict[str, str]]) -> StatusError:
    what = "; ".join(f"{cause['message']}: {cause['field']}" for cause in causes)
    plural = "s" if len(causes) > 1 else ""
    return StatusError(
        409,
        "Conflict",
        f"Apply failed with {len(causes)} conflict{plural}: {what}",
        {"causes": causes},
    )
