"""What is to be changed on a server, given what it holds: what is ours is brought up to date, what
a person switched or added there stays. Bodies are JSON as Prefect's API has it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.service.names import ModelKey, owner
from tasks.service.parts import SLUG, ServicePlan, Timetable

Fields = Mapping[str, Any]
_QUEUE = ("work_pool_name", "work_queue_name")


def held(found: Any, wanted: Any) -> bool:
    """Whether what is found says all that is wanted; it may say more."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            held(found.get(key), value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list) and len(found) == len(wanted) and all(map(held, found, wanted))
        )
    return bool(found == wanted)


def in_order(value: Any) -> Any:
    """The same with its lists of words sorted: a trigger's are sets, which the server gives in any
    order."""
    if isinstance(value, Mapping):
        return {key: in_order(item) for key, item in value.items()}
    if isinstance(value, list):
        words = all(isinstance(item, str) for item in value)
        return sorted(value) if words else [in_order(item) for item in value]
    return value


def form_of(schema: Fields, fields: Sequence[str], fixed: Mapping[str, Any] = {}) -> dict[str, Any]:
    """A flow's parameter schema with these fields alone, in their order: what the UI asks for.
    fixed: parameters that have this value and no other; the server refuses runs with another, and
    what is no parameter of the flow."""
    known: Fields = schema.get("properties", {})
    shown = {name: {**_plain(known[name]), "position": at} for at, name in enumerate(fields)}
    named = str(shown)
    definitions: dict[str, Any] = {}
    rest = dict(schema.get("definitions", {}))
    while used := [name for name in rest if f"/definitions/{name}'" in named]:
        for name in used:
            definitions[name] = rest.pop(name)
            named += str(definitions[name])
    needed = [name for name in schema.get("required", []) if name in shown]
    form = {**schema, "properties": shown, "required": needed, "definitions": definitions}
    # by pattern: the UI draws `properties` alone
    taken: dict[str, Fields] = {name: {} for name in known if name not in shown}
    taken |= {name: {"enum": [value]} for name, value in fixed.items()}
    only = {f"^{re.escape(name)}$": rule for name, rule in taken.items()}
    return {**form, "patternProperties": only, "additionalProperties": False}


def _plain(field: Fields) -> Fields:
    """One of a kind, or None where it is left out: as the kind alone, so that the UI asks for a
    value at once. What is not filled in is not sent."""
    kinds = [kind for kind in field.get("anyOf", []) if kind.get("type") != "null"]
    if len(kinds) != 1 or field.get("default", "") is not None:
        return field
    return {**{k: v for k, v in field.items() if k not in ("anyOf", "default")}, **kinds[0]}


def merged(wanted: Fields, found: Fields, known: Collection[str]) -> dict[str, Any]:
    """A deployment's fields, and what a person has added: tags, environment and more parameters,
    of those that the flow still has (`known`)."""
    more = {key: value for key, value in (found.get("parameters") or {}).items() if key in known}
    there = found.get("job_variables") or {}
    out = {
        **wanted,
        "parameters": {**more, **wanted["parameters"]},
        "tags": list(dict.fromkeys([*wanted["tags"], *found.get("tags", [])])),
        "job_variables": {
            **there,
            **wanted["job_variables"],
            "env": {**(there.get("env") or {}), **wanted["job_variables"].get("env", {})},
        },
    }
    if not out["job_variables"]["env"]:
        del out["job_variables"]["env"]
    return out


def patch(wanted: Fields, found: Fields, known: Collection[str]) -> dict[str, Any]:
    """The fields of a deployment to set; {} where it is as wanted. What a person added stays."""
    # whole, both ways: a field that the form no longer has must go
    asked = merged(wanted, found, known)
    fields = {key: value for key, value in asked.items() if found.get(key) != value}
    # of two pools with a queue of that name, the server takes either
    if not fields.keys().isdisjoint(_QUEUE):
        fields |= {key: wanted[key] for key in _QUEUE}
    return fields


def called_before(
    name: str, model: ModelKey | None, flow: str, found: Iterable[Fields]
) -> Fields | None:
    """The deployment of this model and deed that has another name yet: a namesake came or went."""
    does = name.partition("-")[0]
    return next(
        (
            item
            for item in found
            if item["flow"] == flow
            and item["name"] != name
            and item["name"].partition("-")[0] == does
            and model is not None
            and owner(item["name"], item.get("tags", [])) == model
        ),
        None,
    )


@dataclass(frozen=True)
class Rescheduled:
    """make: timetables to make, each with whether it is on. drop: ids of those to remove."""

    make: tuple[tuple[Timetable, bool], ...] = ()
    drop: tuple[str, ...] = ()


def reschedule(timetables: Sequence[Timetable], found: Sequence[Fields]) -> Rescheduled:
    """One that is there stays as it is, on or off. One of ours that another takes the place of
    goes, and the new one is on or off as it was. One by other hands stays, and is not doubled."""
    wanted = {item.slug: item for item in timetables}
    ours = {item["slug"]: item for item in found if str(item.get("slug")).startswith(SLUG)}
    old = [item for slug, item in ours.items() if slug not in wanted]
    make = tuple(
        (item, all(each["active"] for each in old) if old else item.active)
        for slug, item in wanted.items()
        # not one that goes, which a person had moved to these times
        if slug not in ours
        and not any(_same_times(item, other) for other in found if other not in old)
    )
    return Rescheduled(make, tuple(str(item["id"]) for item in old))


def switched_on(found: Fields | None) -> bool:
    """Whether a deployment runs by itself: one that is not there yet will."""
    if found is None:
        return True
    return not found.get("paused") and any(item["active"] for item in found["schedules"])


def _same_times(timetable: Timetable, found: Fields) -> bool:
    times: Fields = found.get("schedule", {})
    if timetable.cron:
        zone = times.get("timezone") or "UTC"
        return (times.get("cron"), zone) == (timetable.cron, timetable.timezone)
    return times.get("interval") == timetable.every_s


def gone(plan: ServicePlan, pool: str, found: Iterable[Fields]) -> list[str]:
    """Ids of deployments that we made in this pool for specs that are no more, or that are called
    otherwise by now."""
    names = {item.name for item in plan.deployments}
    return [
        str(item["id"])
        for item in found
        if item["name"] not in names
        and item.get("work_pool_name") == pool
        and owner(item["name"], item.get("tags", [])) is not None
    ]
