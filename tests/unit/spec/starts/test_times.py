"""What starts a flow is taken by the Prefect server, and for the same times."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import pytest
from cronsim import CronSim
from prefect._vendor.croniter import croniter
from prefect.client.schemas.schedules import CronSchedule
from pydantic import TypeAdapter, ValidationError

from tasks.spec.starts.times import Cron, StartCron, StartZone, Zone

STARTS, ZONES = TypeAdapter(StartCron), TypeAdapter(StartZone)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = ("*", "1", "1,15", "1-10/3", "*/2", "*/1", "L", "LW", "1,L", "5/10", "10-10", "*,3")
WEEKDAYS = ("*", "1", "1-5", "mon-fri", "7", "5#2", "5L", "1,5#2", "*/2", "1/1", "1-5/2", "5-5")


def taken(text: str) -> bool:
    try:
        return bool(STARTS.validate_python(text))
    except ValidationError:
        return False


BOTH = [text for day in DAYS for week in WEEKDAYS if taken(text := f"7 3 {day} * {week}")]


@pytest.mark.parametrize("text", BOTH)
def test_what_is_taken_means_the_same_to_the_server(text: str) -> None:
    CronSchedule(cron=text)
    times = croniter(text, BEGIN, day_or=True)
    assert list(islice(CronSim(text, BEGIN), 60)) == [times.get_next(datetime) for _ in range(60)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0 3 * * 5L", "no last weekday"),
        ("0 3 LW * *", "no LW"),
        ("0 3 * * 1,5#2", "with # beside"),
        ("0 3 1 * 5#2", "beside no day of the month"),
        ("0 3 * * 5-5", "a range of one"),
        ("8-8 3 * * *", "a range of one"),
        ("0 3 1 * 1/1", "has a range, as in 1-5/2"),
        ("0 3 */2 * 1", "write the days out"),
        ("0 3 1 * */2", "write the days out"),
    ],
)
def test_what_the_server_reads_otherwise_is_refused_and_says_why(text: str, why: str) -> None:
    with pytest.raises(ValidationError, match=f"Prefect server .*{why}"):
        STARTS.validate_python(text)
    assert TypeAdapter(Cron).validate_python(text) == text  # a window is read here alone


@pytest.mark.parametrize(
    "text", ["0 3 * * 1-5", "*/5 * * * *", "0 3 L * *", "0 3 * * 5#1,5#3", "0 3 1-31 * 1"]
)
def test_what_both_read_alike_is_taken(text: str) -> None:
    assert STARTS.validate_python(text) == CronSchedule(cron=text).cron


@pytest.mark.parametrize("name", ["posix/Europe/Berlin", "right/UTC", "posixrules", "localtime"])
def test_a_zone_that_the_server_does_not_take_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="is no time zone; name it as in"):
        ZONES.validate_python(name)


@pytest.mark.parametrize("name", ["UTC", "Asia/Shanghai", "Europe/Berlin", "Etc/GMT-8"])
def test_a_zone_of_the_list_is_the_servers(name: str) -> None:
    assert TypeAdapter(Zone).validate_python(ZONES.validate_python(name)) == name
    assert CronSchedule(cron="0 3 * * *", timezone=name).timezone == name
