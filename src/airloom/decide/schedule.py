"""When a dag's schedule asks for its next run. Meanings follow Airflow 3 (docs/schedules.md).

A cron tick that daylight saving skips or repeats is handled by cronsim as Debian's cron does: a skipped tick runs at
the first moment after the gap; a job at a fixed hour runs once in a repeated hour.
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim

from airloom.decide.state import NextRun
from airloom.model.run import DagRow, RunType
from airloom.model.spec import Cron, DagSpec, Delta, Once

#: Seconds by which two times may differ and be the same: a little more than floats of today's size tell apart.
_RESOLUTION = 1e-6


def next_run(spec: DagSpec, row: DagRow, now: float) -> NextRun | None:
    """The next run after the newest scheduled one, which may be due already or lie in the future; None for no more.

    Without catchup, of all ticks that were missed only the newest counts.
    """
    if isinstance(spec.schedule, Once):
        return _once(spec, row)
    if isinstance(spec.schedule, Cron | Delta):
        return _next_tick(spec, row, now, spec.schedule)
    return None


def _once(spec: DagSpec, row: DagRow) -> NextRun | None:
    if row.last_run_after is not None:
        return None
    at = row.first_seen if spec.start_date is None else spec.start_date
    if spec.end_date is not None and at > spec.end_date:
        return None
    return NextRun(at, at, at, at)


def _next_tick(spec: DagSpec, row: DagRow, now: float, schedule: Cron | Delta) -> NextRun | None:
    """Ticks end data intervals when the schedule has intervals: the first run is then one interval after the start."""
    anchor = row.first_seen if spec.start_date is None else spec.start_date
    if row.last_run_after is not None:
        tick = _after(schedule, row.last_run_after, anchor)
        if spec.start_date is not None:
            # It may have been moved into the future since.
            tick = max(tick, _at_or_after(schedule, spec.start_date, anchor))
    else:
        tick = _at_or_after(schedule, anchor, anchor)
        if schedule.interval:
            tick = _after(schedule, tick, anchor)
    if not spec.catchup:
        newest = _at_or_before(schedule, now, anchor)
        if newest is not None and newest > tick:
            tick = newest
    start = tick
    if schedule.interval:
        previous = _before(schedule, tick, anchor)
        start = tick if previous is None else previous
    if spec.end_date is not None and start > spec.end_date:
        return None
    return NextRun(start, start, tick, tick)


def advanced(row: DagRow, due: NextRun) -> DagRow:
    """The dag once `due` has been made."""
    return msgspec.structs.replace(row, last_run_after=due.run_after, last_logical=due.logical_date)


def run_name(run_type: RunType, logical_date: float) -> str:
    """The usual name of a run: its type and its logical date in ISO 8601, UTC."""
    return f"{run_type.value}__{datetime.fromtimestamp(logical_date, UTC).isoformat()}"


def _after(schedule: Cron | Delta, at: float, anchor: float) -> float:
    """The first tick later than `at`."""
    if isinstance(schedule, Delta):
        steps = math.floor((at - anchor + _RESOLUTION) / schedule.seconds) + 1
        return anchor + steps * schedule.seconds
    return _timestamp(_cron(schedule, at, reverse=False))


def _at_or_after(schedule: Cron | Delta, at: float, anchor: float) -> float:
    """The first tick not earlier than `at`."""
    if isinstance(schedule, Delta):
        return anchor + math.ceil((at - anchor - _RESOLUTION) / schedule.seconds) * schedule.seconds
    # cronsim looks strictly after the second it is given.
    return _timestamp(_cron(schedule, math.ceil(at) - 1, reverse=False))


def _at_or_before(schedule: Cron | Delta, at: float, anchor: float) -> float | None:
    """The last tick not later than `at`; None if there is none."""
    if isinstance(schedule, Delta):
        if at < anchor:
            return None
        return anchor + math.floor((at - anchor + _RESOLUTION) / schedule.seconds) * schedule.seconds
    return _timestamp(_cron(schedule, math.floor(at) + 1, reverse=True))


def _before(schedule: Cron | Delta, tick: float, anchor: float) -> float | None:
    """The tick before a tick."""
    if isinstance(schedule, Delta):
        return tick - schedule.seconds
    return _timestamp(_cron(schedule, tick, reverse=True))


def _cron(schedule: Cron, at: float, *, reverse: bool) -> Iterator[datetime]:
    start = datetime.fromtimestamp(at, _zone(schedule.timezone))
    return CronSim(schedule.expression, start, reverse=reverse)


def _timestamp(ticks: Iterator[datetime]) -> float:
    return next(ticks).timestamp()


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
