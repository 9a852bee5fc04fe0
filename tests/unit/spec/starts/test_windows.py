"""Windows: several, past midnight, in the nights in which clocks are set, shut out by quiet
hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from tasks.base.errors import SpecError
from tasks.spec.file import parse_spec
from tasks.spec.starts.windows import Window, opens_at
from tests.support.places import ROOT
from tests.support.specs import text


def at(moment: str) -> datetime:
    """UTC, as in '2026-03-29 01:30'."""
    return datetime.fromisoformat(moment).replace(tzinfo=UTC)


def window(cron: str, hours: float, timezone: str = "UTC") -> Window:
    return Window(cron=cron, hours=hours, timezone=timezone)


NIGHT = window("0 22 * * *", 4)
WORK = window("0 9 * * 1-5", 8, "Asia/Shanghai")
BERLIN = window("0 2 * * *", 3, "Europe/Berlin")


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-01-05 21:59", "2026-01-05 22:00"),
        ("2026-01-05 22:00", "2026-01-05 22:00"),
        ("2026-01-05 23:59:59", "2026-01-05 23:59:59"),
        ("2026-01-06 01:59:59", "2026-01-06 01:59:59"),  # past midnight
        ("2026-01-06 02:00", "2026-01-06 22:00"),
    ],
)
def test_a_window_goes_past_midnight_and_its_end_is_out(now: str, opens: str) -> None:
    assert opens_at([NIGHT], [], at(now)) == at(opens)


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-01-02 08:00", "2026-01-02 08:00"),  # Friday, 16:00 there
        ("2026-01-02 09:00", "2026-01-05 01:00"),  # 17:00 there: Monday
    ],
)
def test_a_window_is_read_in_its_own_time_zone(now: str, opens: str) -> None:
    assert opens_at([WORK], [], at(now)) == at(opens)


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        # clocks go from 2 to 3 on 29 March: what begins at 2 begins at 3 (01:00 UTC)
        ("2026-03-29 00:30", "2026-03-29 01:00"),
        ("2026-03-29 03:59", "2026-03-29 03:59"),  # and lasts three hours
        ("2026-03-29 04:00", "2026-03-30 00:00"),
        # from 3 back to 2 on 25 October: it begins once, and lasts three hours
        ("2026-10-24 23:59", "2026-10-25 00:00"),
        ("2026-10-25 02:59", "2026-10-25 02:59"),
        ("2026-10-25 03:00", "2026-10-26 01:00"),
    ],
)
def test_the_nights_in_which_clocks_are_set(now: str, opens: str) -> None:
    assert opens_at([BERLIN], [], at(now)) == at(opens)


@pytest.mark.parametrize(
    ("cron", "timezone", "now", "begins"),
    [
        ("30 2 * * *", "Europe/Berlin", "2026-10-25 01:15", "2026-10-26 01:30"),
        ("45 1 * * *", "America/New_York", "2026-11-01 06:10", "2026-11-02 06:45"),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04 15:00", "2026-04-05 15:15"),
        ("*/30 * * * *", "Europe/Berlin", "2026-10-25 01:15", "2026-10-25 01:30"),
    ],
)
def test_in_an_hour_that_comes_twice_the_next_time_is_to_come(
    cron: str, timezone: str, now: str, begins: str
) -> None:
    asked = window(cron, 0.2, timezone)
    assert asked.next(at(now)) == at(begins)
    assert opens_at([asked], [], at(now)) == at(begins)


@pytest.mark.parametrize(
    ("cron", "timezone", "now", "began"),
    [
        ("30 2 * * *", "Europe/Berlin", "2026-10-25 01:05", "2026-10-25 00:30"),
        ("30 1 * * *", "America/New_York", "2026-11-01 06:05", "2026-11-01 05:30"),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04 15:05", "2026-04-04 14:45"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25 00:29", "2026-10-24 00:30"),
    ],
)
def test_in_an_hour_that_comes_twice_quiet_hours_go_on(
    cron: str, timezone: str, now: str, began: str
) -> None:
    quiet = window(cron, 20, timezone)
    assert quiet.last(at(now)) == at(began)
    ends = at(began) + timedelta(hours=20)
    assert opens_at([], [quiet], at(now)) == (ends if ends > at(now) else at(now))


def test_of_several_windows_the_next_counts() -> None:
    assert opens_at([WORK, NIGHT], [], at("2026-01-02 12:00")) == at("2026-01-02 22:00")
    assert opens_at([WORK, NIGHT], [], at("2026-01-05 00:30")) == at("2026-01-05 00:30")


def test_without_a_window_it_is_always_open_but_in_quiet_hours() -> None:
    now = at("2026-01-05 21:00")
    assert opens_at([], [], now) == now
    assert opens_at([], [NIGHT], at("2026-01-05 23:00")) == at("2026-01-06 02:00")


def test_quiet_hours_that_overlap_end_with_the_last_and_hold_in_a_window() -> None:
    quiet = [NIGHT, window("0 1 * * *", 3)]  # 22:00 to 04:00
    assert opens_at([window("0 0 * * *", 5)], quiet, at("2026-01-05 23:00")) == at(
        "2026-01-06 04:00"
    )
    # a window that is quiet as a whole is none
    assert opens_at([window("0 23 * * *", 2), WORK], quiet, at("2026-01-05 22:30")) == at(
        "2026-01-06 04:00"
    )


@pytest.mark.parametrize("quiet", [window("0 * * * *", 1), window("* * * * *", 168)])
def test_what_never_opens_is_told(quiet: Window) -> None:
    assert opens_at([], [quiet], at("2026-01-05 00:00")) is None


def test_a_window_far_away_opens_then_and_not_at_all_beyond_a_year() -> None:
    now = at("2026-02-01 00:00")
    assert opens_at([window("0 0 1 1 *", 1)], [], now) == at("2027-01-01 00:00")
    assert opens_at([window("0 0 29 2 *", 1)], [], now) is None


def test_a_minute_is_counted_to_its_second() -> None:
    one = window("30 12 * * *", 1 / 60)
    now = at("2026-01-05 12:30:59")
    assert opens_at([one], [], now) == now
    assert opens_at([one], [], now + timedelta(seconds=1)) == at("2026-01-06 12:30")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cron": "0 3 * *"}, "has 4 fields; five are expected"),
        ({"cron": "@daily"}, "has 1 fields"),
        ({"cron": "0 0 0 * * *"}, "has 6 fields"),
        ({"cron": "61 3 * * *"}, "is no cron expression \\(Bad minute\\)"),
        ({"cron": "0 0 30 2 *"}, "is no cron expression"),
        ({"cron": "0 3 * * *", "timezone": "Mars/Base"}, "is no time zone; name it as in Asia"),
        ({"cron": "0 3 * * *", "timezone": "../etc/passwd"}, "is no time zone"),
        ({"cron": "0 3 * * *", "timezone": ""}, "is no time zone"),
        ({"cron": "0 3 * * *", "tz": "UTC"}, "tz: unknown key"),
    ],
)
def test_what_is_no_schedule_is_told_with_its_line(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=rf"spec: line \d+: schedule.*{said}"):
        parse_spec(text({"schedule": given}))


def test_a_spec_with_all_of_them() -> None:
    spec = parse_spec(
        text(
            {
                "schedule": {"cron": "0 3 * * *", "timezone": "Asia/Shanghai"},
                "maintenance_windows": [{"cron": "0 1 * * *", "hours": 4}],
                "quiet_hours": [{"cron": "0 0 24 12 *", "hours": 72}],
                "watch": {"tags": "v*", "image": True, "tries": 3},
            }
        )
    )
    assert spec.schedule is not None and spec.schedule.timezone == "Asia/Shanghai"
    assert spec.maintenance_windows[0].timezone == "UTC" and spec.watch.tries == 3


def test_the_block_in_the_docs_is_a_spec() -> None:
    block = (ROOT / "docs" / "watch.md").read_text().split("# What starts by itself")[1]
    spec = parse_spec(text(yaml.safe_load(block.split("```yaml")[1].split("```")[0])))
    assert spec.watch.tags == "v2.*" and len(spec.quiet_hours) == 1
