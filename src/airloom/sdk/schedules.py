"""Schedules: from what a DAG file says to the model's. Cron expressions and time zones are checked here."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from airloom.model.spec import Cron, Delta, Never, Once, Schedule
from airloom.sdk.naming import did_you_mean
from airloom.sdk.source import Site, definition_error
from airloom.sdk.timetables import CronTimetable, DeltaTimetable

PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


def schedule_of(value: Any, timezone: str, who: str, site: Site | None) -> Schedule:
    """The schedule that a DAG's `schedule` argument means; raises DagDefinitionError if it means none."""
    if value is None:
        return Never()
    if isinstance(value, str):
        if value == "@once":
            return Once()
        return _cron(value, timezone, False, who, site)
    if isinstance(value, timedelta):
        return _delta(value, False, who, site)
    if isinstance(value, CronTimetable):
        zone = timezone if value.timezone is None else zone_name(value.timezone, who, site)
        return _cron(value.expression, zone, value.data_intervals, who, site)
    if isinstance(value, DeltaTimetable):
        return _delta(value.delta, value.data_intervals, who, site)
    raise definition_error(
        f"{who}: schedule cannot be {type(value).__name__}; it can be None, '@once', a preset such as '@daily', a cron "
        "expression, a timedelta or a timetable",
        site,
    )


def zone_name(zone: tzinfo | str | None, who: str, site: Site | None) -> str:
    """The name of a time zone in the IANA database; raises DagDefinitionError if it has none there."""
    if zone is None:
        return "UTC"
    name = zone if isinstance(zone, str) else _name_of(zone)
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError):
        raise definition_error(
            f"{who}: {name!r} is no time zone of the IANA database; use a name such as 'Europe/Amsterdam'", site
        ) from None
    return name


def _name_of(zone: tzinfo) -> str:
    for attribute in ("key", "zone", "name"):  # zoneinfo, pytz, pendulum
        name = getattr(zone, attribute, None)
        if isinstance(name, str) and name:
            return name
    offset = zone.utcoffset(None)
    if offset is None:
        return str(zone)
    if not offset:
        return "UTC"
    hours, rest = divmod(offset, timedelta(hours=1))
    # Etc/GMT zones count westward: Etc/GMT-2 is two hours east of Greenwich.
    return str(zone) if rest else f"Etc/GMT{-hours:+d}"


def _cron(expression: Any, timezone: str, interval: bool, who: str, site: Site | None) -> Cron:
    if not isinstance(expression, str):
        raise definition_error(f"{who}: a cron expression is a string, not {expression!r}", site)
    if expression.startswith("@"):
        if expression not in PRESETS:
            known = ["@once", *PRESETS]
            hint = did_you_mean(expression, known) or f"; there are {', '.join(known)}"
            raise definition_error(f"{who}: there is no schedule {expression!r}{hint}", site)
        return Cron(expression=PRESETS[expression], timezone=timezone, interval=interval)
    fields = expression.split()
    if len(fields) != 5:
        raise definition_error(
            f"{who}: the cron expression {expression!r} has {len(fields)} fields; it needs five: minute, hour, day of "
            "the month, month, day of the week",
            site,
        )
    normal = " ".join(fields)
    try:
        next(CronSim(normal, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise definition_error(f"{who}: the cron expression {expression!r} cannot be: {_reason(error)}", site) from None
    except StopIteration:
        raise definition_error(
            f"{who}: the cron expression {expression!r} names a date that never comes", site
        ) from None
    return Cron(expression=normal, timezone=timezone, interval=interval)


def _reason(error: CronSimError) -> str:
    text = str(error)
    return f"{text[0].lower()}{text[1:]}" if text else "it is not understood"


def _delta(delta: Any, interval: bool, who: str, site: Site | None) -> Delta:
    if not isinstance(delta, timedelta):
        raise definition_error(f"{who}: the timetable needs a timedelta, not {delta!r}", site)
    if delta < timedelta(seconds=1):
        raise definition_error(f"{who}: a run every {delta} is too often; a schedule is at least a second long", site)
    return Delta(seconds=delta.total_seconds(), interval=interval)
