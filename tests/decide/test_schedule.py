"""When schedules ask for runs: ticks, intervals, catchup, end dates, and the two nights of daylight saving."""

import itertools
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from airloom.decide.schedule import advanced, next_run, run_name
from airloom.model.run import DagRow, RunType
from airloom.model.spec import Cron, DagSpec, Delta, Never, Once


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def row(spec: DagSpec, first_seen: str = "2026-03-10 12:00", last: str | None = None) -> DagRow:
    return DagRow(
        dag_id="d",
        version_id=1,
        spec=spec,
        bundle="b",
        rel_path="d.py",
        file_hash="",
        paused=False,
        first_seen=at(first_seen),
        last_run_after=None if last is None else at(last),
    )


def ticks(spec: DagSpec, now: str, count: int, first_seen: str = "2026-03-10 12:00") -> list[str]:
    dag, found = row(spec, first_seen), []
    for _ in range(count):
        due = next_run(spec, dag, at(now))
        if due is None:
            break
        found.append(utc(due.run_after))
        dag = advanced(dag, due)
    return found


def test_no_schedule_asks_for_nothing():
    spec = DagSpec(dag_id="d", schedule=Never())
    assert next_run(spec, row(spec), at("2026-03-10 12:00")) is None


def test_cron_runs_at_its_ticks_and_the_logical_date_is_the_tick():
    spec = DagSpec(dag_id="d", schedule=Cron(expression="0 6 * * *"))
    due = next_run(spec, row(spec), at("2026-03-10 12:00"))
    assert due is not None
    assert utc(due.run_after) == utc(due.logical_date) == "2026-03-11 06:00"
    assert due.data_interval_start == due.data_interval_end == due.run_after


def test_a_tick_at_the_very_moment_counts():
    spec = DagSpec(dag_id="d", schedule=Cron(expression="0 12 * * *"))
    assert ticks(spec, "2026-03-10 12:00", 2) == ["2026-03-10 12:00", "2026-03-11 12:00"]


def test_with_data_intervals_a_run_comes_at_the_end_of_its_interval():
    spec = DagSpec(
        dag_id="d",
        schedule=Cron(expression="0 0 * * *", interval=True),
        start_date=at("2026-03-01 00:00"),
        catchup=True,
    )
    due = next_run(spec, row(spec), at("2026-03-10 12:00"))
    assert due is not None
    assert [utc(due.logical_date), utc(due.data_interval_end), utc(due.run_after)] == [
        "2026-03-01 00:00",
        "2026-03-02 00:00",
        "2026-03-02 00:00",
    ]


def test_catchup_begins_at_the_start_date_and_leaves_out_nothing():
    spec = DagSpec(dag_id="d", schedule=Cron(expression="0 0 * * *"), start_date=at("2026-03-07 08:00"), catchup=True)
    assert ticks(spec, "2026-03-10 12:00", 4) == [f"2026-03-{day:02} 00:00" for day in (8, 9, 10, 11)]


def test_without_catchup_only_the_newest_missed_tick_runs():
    spec = DagSpec(dag_id="d", schedule=Cron(expression="0 0 * * *"), start_date=at("2026-01-01 00:00"))
    assert ticks(spec, "2026-03-10 12:00", 2) == ["2026-03-10 00:00", "2026-03-11 00:00"]


def test_a_dag_that_was_paused_for_long_runs_the_newest_tick_once():
    spec = DagSpec(dag_id="d", schedule=Cron(expression="0 0 * * *"), start_date=at("2026-01-01 00:00"))
    due = next_run(spec, row(spec, last="2026-02-01 00:00"), at("2026-03-10 12:00"))
    assert due is not None
    assert utc(due.run_after) == "2026-03-10 00:00"


def test_nothing_runs_before_a_start_date_in_the_future():
    spec = DagSpec(dag_id="d", schedule=Cron(expression="0 0 * * *"), start_date=at("2026-04-01 06:00"))
    assert ticks(spec, "2026-03-10 12:00", 1) == ["2026-04-02 00:00"]


def test_nothing_runs_after_the_end_date():
    spec = DagSpec(
        dag_id="d",
        schedule=Cron(expression="0 0 * * *"),
        start_date=at("2026-03-08 00:00"),
        end_date=at("2026-03-09 00:00"),
        catchup=True,
    )
    assert ticks(spec, "2026-03-10 12:00", 9) == ["2026-03-08 00:00", "2026-03-09 00:00"]


def test_a_timedelta_counts_from_the_start_date_without_drift():
    spec = DagSpec(dag_id="d", schedule=Delta(seconds=0.1), start_date=at("2026-03-10 12:00"), catchup=True)
    dag = row(spec)
    for number in range(1000):
        due = next_run(spec, dag, at("2026-03-10 12:05"))
        assert due is not None
        assert due.run_after == pytest.approx(at("2026-03-10 12:00") + number * 0.1, abs=1e-6)
        dag = advanced(dag, due)


def test_once_runs_at_the_start_date_or_when_it_was_first_seen():
    spec = DagSpec(dag_id="d", schedule=Once())
    assert ticks(spec, "2026-03-10 12:00", 3) == ["2026-03-10 12:00"]
    spec = DagSpec(dag_id="d", schedule=Once(), start_date=at("2026-05-01 00:00"))
    assert ticks(spec, "2026-03-10 12:00", 3) == ["2026-05-01 00:00"]


def test_a_time_zone_moves_the_ticks_with_its_clock():
    spec = DagSpec(
        dag_id="d",
        schedule=Cron(expression="0 6 * * *", timezone="Europe/Berlin"),
        start_date=at("2026-03-27 00:00"),
        catchup=True,
    )
    # Clocks went forward in the night to the 29th.
    assert ticks(spec, "2026-03-30 12:00", 4, "2026-03-27 00:00") == [
        "2026-03-27 05:00",
        "2026-03-28 05:00",
        "2026-03-29 04:00",
        "2026-03-30 04:00",
    ]


def test_a_tick_in_the_hour_that_is_skipped_runs_once_right_after_it():
    spec = DagSpec(
        dag_id="d",
        schedule=Cron(expression="30 2 * * *", timezone="Europe/Berlin"),
        start_date=at("2026-03-28 00:00"),
        catchup=True,
    )
    assert ticks(spec, "2026-03-31 12:00", 3, "2026-03-28 00:00") == [
        "2026-03-28 01:30",
        "2026-03-29 01:00",
        "2026-03-30 00:30",
    ]


def test_a_tick_in_the_hour_that_is_repeated_runs_once():
    spec = DagSpec(
        dag_id="d",
        schedule=Cron(expression="30 2 * * *", timezone="Europe/Berlin"),
        start_date=at("2026-10-24 00:00"),
        catchup=True,
    )
    found = ticks(spec, "2026-10-27 12:00", 3, "2026-10-24 00:00")
    assert [tick[:10] for tick in found] == ["2026-10-24", "2026-10-25", "2026-10-26"]


def test_an_hourly_schedule_has_an_hour_between_all_ticks_through_both_changes():
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25)):
        spec = DagSpec(
            dag_id="d",
            schedule=Cron(expression="0 * * * *", timezone="Europe/Berlin"),
            start_date=at(f"{day} 00:00", "Europe/Berlin"),
            catchup=True,
        )
        dag, found = row(spec), []
        for _ in range(hours + 1):
            due = next_run(spec, dag, at(f"{day} 23:59") + 7200)
            assert due is not None
            found.append(due.run_after)
            dag = advanced(dag, due)
        assert {later - earlier for earlier, later in itertools.pairwise(found)} == {3600.0}
        assert found[-1] - found[0] == hours * 3600


def test_runs_are_named_after_their_type_and_logical_date():
    assert run_name(RunType.SCHEDULED, at("2026-03-10 12:00")) == "scheduled__2026-03-10T12:00:00+00:00"


def test_a_start_date_that_was_moved_into_the_future_holds():
    spec = DagSpec(dag_id="d", schedule=Cron(expression="0 0 * * *"), start_date=at("2026-06-01 00:00"))
    due = next_run(spec, row(spec, last="2026-03-10 00:00"), at("2026-03-11 12:00"))
    assert due is not None
    assert utc(due.run_after) == "2026-06-01 00:00"
