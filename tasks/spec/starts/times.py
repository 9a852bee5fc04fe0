"""How times that come again are written: a cron expression and a time zone.

Windows are read here alone, by cronsim. What starts a flow is read by the Prefect server as well,
by croniter: of what the two read differently, or one not at all, nothing is taken there.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator

# a date with each kind of day before and after it: an expression that never comes is found out here
_ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)
_FIELDS = 5


def _cron(text: str) -> str:
    fields = text.split()
    if len(fields) != _FIELDS:
        raise ValueError(
            f"{text[:60]!r} has {len(fields)} fields; five are expected: minute, hour, day of the "
            "month, month, day of the week"
        )
    try:
        next(CronSim(text, _ANY_DAY))
    except (CronSimError, StopIteration) as error:
        raise ValueError(
            f"{text[:60]!r} is no cron expression ({error or 'it never comes'}); write it as in "
            "'0 3 * * 1-5'"
        ) from error
    return text


def _alike(text: str) -> str:
    """A cron expression that the server takes, and takes for the same times."""
    fields = text.upper().split()
    day, weekday = fields[2], fields[4]
    items = {name: field.split(",") for name, field in (("month", day), ("week", weekday))}
    nth = ["#" in item for item in items["week"]]
    ranges = re.findall(r"(\w+)-(\w+)", text.upper())
    steps = [field.startswith("*/") for field in (day, weekday)]
    reason = ""
    if "LW" in items["month"]:
        reason = "it knows L, the last day of the month, and no LW"
    elif any("L" in item for item in items["week"]):
        reason = "it knows no last weekday of a month; 5#4 is its fourth Friday"
    elif any(nth) and not all(nth):
        reason = "it takes no days of the week with # beside others without"
    elif any(nth) and day != "*":
        reason = "a day of the week with # stands beside no day of the month"
    elif any(first == last for first, last in ranges):
        reason = "a range of one is all to it; write that one alone"
    elif any(re.fullmatch(r"\w+/\d+", item) for item in items["week"]):
        reason = "a step of days of the week has a range, as in 1-5/2"
    elif any(steps) and "*" not in (day, weekday):
        reason = "with both days restricted a step means another thing to it; write the days out"
    if reason:
        raise ValueError(
            f"{text[:60]!r} is not read by the Prefect server as it is written: {reason}"
        )
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(_no_zone(name)) from error
    return name


def _listed(name: str) -> str:
    # there are files of zones that the server does not take: posix/..., right/..., localtime
    if name not in available_timezones() or "localtime" in name:
        raise ValueError(_no_zone(name))
    return name


def _no_zone(name: str) -> str:
    return f"{name[:60]!r} is no time zone; name it as in Asia/Shanghai, Europe/Berlin or UTC"


Cron = Annotated[str, AfterValidator(_cron)]
Zone = Annotated[str, AfterValidator(_zone)]
StartCron = Annotated[Cron, AfterValidator(_alike)]
StartZone = Annotated[Zone, AfterValidator(_listed)]
