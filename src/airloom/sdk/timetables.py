"""Timetables: schedules that say whether a run covers the interval before it. Checked when the spec is made."""

from datetime import timedelta, tzinfo
from typing import Any

from airloom.sdk.source import definition_error


class CronTimetable:
    """What the two cron timetables have in common."""

    data_intervals = False

    def __init__(self, cron: str, timezone: "str | tzinfo | None" = None) -> None:
        self.expression = cron
        self.timezone = timezone

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.expression!r}, timezone={str(self.timezone)!r})"


class CronTriggerTimetable(CronTimetable):
    """A run at each tick; its logical date is the tick. timezone: None is the DAG's."""

    def __init__(
        self,
        cron: str,
        *,
        timezone: "str | tzinfo | None" = None,
        interval: timedelta = timedelta(0),
        run_immediately: Any = False,
    ) -> None:
        super().__init__(cron, timezone)
        _refuse("CronTriggerTimetable", interval=bool(interval), run_immediately=run_immediately is not False)


class CronDataIntervalTimetable(CronTimetable):
    """A run at each tick, for the time since the tick before, which is its logical date."""

    data_intervals = True


class DeltaTimetable:
    """What the two delta timetables have in common."""

    data_intervals = False

    def __init__(self, delta: timedelta) -> None:
        self.delta = delta

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.delta!r})"


class DeltaTriggerTimetable(DeltaTimetable):
    """A run every `delta` from the start date on; its logical date is that moment."""

    def __init__(self, delta: timedelta, *, interval: timedelta = timedelta(0)) -> None:
        super().__init__(delta)
        _refuse("DeltaTriggerTimetable", interval=bool(interval))


class DeltaDataIntervalTimetable(DeltaTimetable):
    """A run every `delta`, for the time since the one before, which is its logical date."""

    data_intervals = True


def _refuse(name: str, **given: bool) -> None:
    for argument, is_set in given.items():
        if is_set:
            raise definition_error(f"{name}: the argument {argument!r} is not supported yet; leave it out")
