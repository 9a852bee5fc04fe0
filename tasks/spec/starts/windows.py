"""When a rollout that nobody asks for by hand starts, and when it may: times that come again and
again, read in their own time zone, daylight saving time included.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim
from pydantic import Field

from tasks.spec.base import WEEK_S, Strict
from tasks.spec.starts.times import Cron, StartCron, StartZone, Zone

LOOK_AHEAD = timedelta(days=366)
# ends and beginnings looked at: windows that shut each other out for longer never open
_STEPS = 2000
_CRON = "Minute, hour, day of the month, month, day of the week: 0 3 * * 1-5"
_ZONE = "IANA time zone, such as Asia/Shanghai"


class Schedule(Strict):
    """Times that come again and again."""

    cron: StartCron = Field(description=_CRON)
    timezone: StartZone = Field("UTC", description=_ZONE)

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

    cron: Cron = Field(description=_CRON)
    timezone: Zone = Field("UTC", description=_ZONE)
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
