"""What `schedule` means, with time zones; and what it cannot mean."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airloom import (
    DAG,
    CronDataIntervalTimetable,
    CronTriggerTimetable,
    DeltaDataIntervalTimetable,
    DeltaTriggerTimetable,
)
from airloom.model.errors import DagDefinitionError
from airloom.model.spec import Cron, Delta, Never, Once, Schedule, schedule_text
from airloom.sdk.spec_of import spec_of

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


class OtherZone(tzinfo):
    """A zone of another library, which names itself `zone` as pytz does."""

    zone = "America/New_York"

    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta(hours=-5)


@pytest.mark.parametrize(
    ("schedule", "meaning"),
    [
        (None, Never()),
        ("@once", Once()),
        ("@hourly", Cron(expression="0 * * * *")),
        ("@daily", Cron(expression="0 0 * * *")),
        ("@midnight", Cron(expression="0 0 * * *")),
        ("@weekly", Cron(expression="0 0 * * 0")),
        ("@monthly", Cron(expression="0 0 1 * *")),
        ("@quarterly", Cron(expression="0 0 1 */3 *")),
        ("@yearly", Cron(expression="0 0 1 1 *")),
        ("@annually", Cron(expression="0 0 1 1 *")),
        (" 5  4 * *  MON-FRI", Cron(expression="5 4 * * MON-FRI")),
        (timedelta(hours=6), Delta(seconds=21600.0)),
        (CronTriggerTimetable("0 3 * * *", timezone="Asia/Tokyo"), Cron(expression="0 3 * * *", timezone="Asia/Tokyo")),
        (CronDataIntervalTimetable("@daily", timezone=UTC), Cron(expression="0 0 * * *", interval=True)),
        (DeltaTriggerTimetable(timedelta(minutes=1)), Delta(seconds=60.0)),
        (DeltaDataIntervalTimetable(timedelta(minutes=1)), Delta(seconds=60.0, interval=True)),
    ],
)
def test_a_schedule_means(schedule: Any, meaning: Any) -> None:
    assert spec_of(DAG("d", schedule=schedule)).schedule == meaning


@pytest.mark.parametrize(
    ("start", "zone", "moment"),
    [
        (datetime(2026, 7, 1), "UTC", 1782864000.0),
        (datetime(2026, 7, 1, tzinfo=UTC), "UTC", 1782864000.0),
        (datetime(2026, 7, 1, tzinfo=AMSTERDAM), "Europe/Amsterdam", 1782856800.0),
        (datetime(2026, 7, 1, tzinfo=timezone(timedelta(hours=2))), "Etc/GMT-2", 1782856800.0),
        (datetime(2026, 7, 1, tzinfo=timezone(timedelta(hours=-3))), "Etc/GMT+3", 1782874800.0),
        (datetime(2026, 7, 1, tzinfo=OtherZone()), "America/New_York", 1782882000.0),
    ],
)
def test_the_time_zone_is_that_of_the_start_date(start: datetime, zone: str, moment: float) -> None:
    spec = spec_of(DAG("d", schedule="@daily", start_date=start))
    assert (spec.timezone, spec.start_date) == (zone, moment)
    assert spec.schedule == Cron(expression="0 0 * * *", timezone=zone)


def test_the_start_date_may_come_from_the_default_arguments() -> None:
    spec = spec_of(DAG("d", schedule="@daily", default_args={"start_date": datetime(2026, 1, 1, tzinfo=AMSTERDAM)}))
    assert spec.start_date == 1767222000.0
    assert spec.timezone == "Europe/Amsterdam"


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("@dayly", "there is no schedule '@dayly'; did you mean '@daily'?"),
        ("@continuous", "there is no schedule '@continuous'"),
        ("* * * *", "has 4 fields; it needs five"),
        ("0 0 * * * *", "has 6 fields; it needs five"),
        ("61 * * * *", "the cron expression '61 * * * *' cannot be: bad minute"),
        ("0 0 30 2 *", "the cron expression '0 0 30 2 *' cannot be: bad day-of-month"),
        ("0 0 31 4,6 *", "the cron expression '0 0 31 4,6 *' "),
        (timedelta(0), "too often"),
        (7, "schedule cannot be int"),
        (CronTriggerTimetable("* * * * *", timezone="Mars/Olympus"), "'Mars/Olympus' is no time zone"),
        (DeltaTriggerTimetable("1 day"), "the timetable needs a timedelta"),  # type: ignore[arg-type]
    ],
)
def test_a_schedule_that_cannot_be_is_refused(schedule: Any, message: str) -> None:
    with pytest.raises(DagDefinitionError) as caught:
        spec_of(DAG("d", schedule=schedule))
    assert message in str(caught.value)
    assert caught.value.filename == __file__


def test_an_offset_that_no_zone_has_is_refused() -> None:
    start = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    with pytest.raises(DagDefinitionError, match=r"'UTC\+05:30' is no time zone"):
        spec_of(DAG("d", schedule="@daily", start_date=start))


def test_timetables_refuse_what_they_do_not_serve_yet() -> None:
    with pytest.raises(DagDefinitionError, match="'run_immediately' is not supported yet"):
        CronTriggerTimetable("@daily", run_immediately=True)


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (Never(), "when triggered"), (Once(), "once"), (Cron(expression="0 6 * * *"), "0 6 * * *"),
        (Delta(seconds=1), "every 1 s"), (Delta(seconds=90), "every 90 s"), (Delta(seconds=60), "every 1 min"),
        (Delta(seconds=7200), "every 2 h"), (Delta(seconds=86400), "every 1 d"),
    ],
)  # fmt: skip
def test_a_schedule_is_told_in_few_words(schedule: Schedule, text: str) -> None:
    assert schedule_text(schedule) == text
