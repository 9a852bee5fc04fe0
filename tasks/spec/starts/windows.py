"""When a rollout that nobody asks for by hand starts, and when it may: times that come again and
again, read in their own time zone, daylight saving time included.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field

from tasks.spec.base import WEEK_S, Strict

# a date with each kind of day before and after it: an expression that never comes is found out here
_ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)
_FIELDS = 5
LOOK_AHEAD = timedelta(days=366)
# ends and beginnings looked at: windows that shut each other out for longer never open
_STEPS = 2000


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


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(
            f"{name[:60]!r} is no time zone; name it as in Asia/Shanghai, Europe/Berlin or UTC"
        ) from error
    return name


Cron = Annotated[str, AfterValidator(_cron)]
Zone = Annotated[str, AfterValidator(_zone)]


class Schedule(Strict):
    """Times that come again and again."""

    cron: Cron = Field(
        description="Minute, hour, day of the month, month, day of the week: 0 3 * * 1-5"
    )
    timezone: Zone = Field("UTC", description="IANA time zone, such as Asia/Shanghai")

    def last(self, at: datetime) -> datetime:
        """Its last time at or before `at`, UTC."""
        local = (at + timedelta(seconds=1)).astimezone(ZoneInfo(self.timezone))
        found = next(CronSim(self.cron, local, reverse=True)).astimezone(UTC)
        # in the second pass of an hour that comes twice, going back leaves its first one out
        while (later := self.next(found)) <= at:
            found = later
        return found

    def next(self, at: datetime) -> datetime:
        """Its first time after `at`, UTC."""
        local = at.astimezone(ZoneInfo(self.timezone))
        # in an hour that comes twice, what begins in its first one is over in its second
        times = (time.astimezone(UTC) for time in CronSim(self.cron, local))
        return next(time for time in times if time > at)


class Window(Schedule):
    """A stretch of time that begins by a cron expression; it may go past midnight."""

    hours: float = Field(gt=0, le=WEEK_S / 3600, description="How long it lasts (h)")

    def ends(self, at: datetime) -> datetime | None:
        """When it is over, where it is open at `at`. Hours are counted as they pass, so that one
        of eight hours is as long in the night in which clocks are set."""
        end = self.last(at) + timedelta(hours=self.hours)
        return end if end > at else None


def opens_at(windows: Sequence[Window], quiet: Sequence[Window], now: datetime) -> datetime | None:
    """When a rollout may begin by itself: `now` where it may at once, else the first time at which
    one of the windows is open (any time where there is none) and no quiet one is. None: at no time
    of the next year."""
    at = now
    for _ in range(_STEPS):
        if at > now + LOOK_AHEAD:
            return None
        silent = [end for item in quiet if (end := item.ends(at))]
        if silent:
            at = max(silent)
        elif not windows or any(item.ends(at) for item in windows):
            return at
        else:
            at = min(item.next(at) for item in windows)
    return None
