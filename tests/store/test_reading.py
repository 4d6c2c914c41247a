"""What lists and look-ups find, and that the hot ones go by an index however much history there is."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Select

from airloom.model.plan import Plan
from airloom.model.report import TryKey
from airloom.model.run import RunType, TIRow, TryRow, XComRow
from airloom.model.states import RunState, TIState
from airloom.store import overview
from airloom.store.claims import claims_query
from airloom.store.cleanup import doomed_tis_query
from airloom.store.database import Database
from airloom.store.dialects import dialect_of
from airloom.store.inbox import TAKEN, take_query
from airloom.store.plans import apply_plan
from airloom.store.runners import ends_at_query
from airloom.store.runs import (
    count_tis,
    find_run,
    get_ti,
    list_runs,
    list_runs_query,
    list_tis,
    list_tis_query,
    live_tries_query,
    previous_run,
    run_with_logical_date,
)
from airloom.store.snapshots import live_runs_query, live_tis_query, load_snapshot
from airloom.store.tables import inbox
from airloom.store.xcoms import get_xcoms
from tests.store.query_plans import explain, explained, filled
from tests.store.rows import NOW, commit, lead, new_run, queued, read, run, save_dag, spec, tis


def test_runs_are_listed_newest_first_in_pages(db: Database) -> None:
    epoch = lead(db)
    states = {1: RunState.SUCCESS, 2: RunState.FAILED, 3: RunState.RUNNING}
    commit(db, Plan(new_runs={n: run(n, state=state) for n, state in states.items()}), epoch)
    commit(db, Plan(new_runs={4: run(4, dag_id="other", state=RunState.FAILED)}), epoch)
    assert [found.id for found in read(db, list_runs)] == [4, 3, 2, 1]
    assert [found.id for found in read(db, list_runs, "sales", None, 2)] == [3, 2]
    assert [found.id for found in read(db, list_runs, "sales", None, 2, 2)] == [1]
    assert [found.id for found in read(db, list_runs, None, RunState.FAILED)] == [4, 2]
    assert [found.id for found in read(db, list_runs, "sales", RunState.FAILED)] == [2]
    assert read(db, find_run, "sales", "run_4") is None


def test_runs_are_found_by_their_logical_date(db: Database) -> None:
    epoch = lead(db)
    runs = {
        1: run(1, logical_date=10.0, state=RunState.SUCCESS, run_type=RunType.SCHEDULED),
        2: run(2, logical_date=20.0, state=RunState.FAILED),
        3: run(3, logical_date=30.0),
        4: run(4),
    }
    commit(db, Plan(new_runs=runs), epoch)
    assert read(db, run_with_logical_date, "sales", 20.0).id == 2
    assert read(db, run_with_logical_date, "sales", 21.0) is None
    assert read(db, previous_run, "sales", 30.0).id == 2
    assert read(db, previous_run, "sales", 30.0, RunState.SUCCESS).id == 1
    assert read(db, previous_run, "sales", 30.0, None, RunType.SCHEDULED).id == 1
    assert read(db, previous_run, "sales", 10.0) is None


def test_tis_are_found_by_their_names_and_counted(db: Database) -> None:
    epoch = lead(db)
    commit(db, new_run(1, [1, 2, 3]), epoch)
    commit(db, queued([2]), epoch)
    assert read(db, get_ti, "sales", "run_1", "task_2").id == 2
    assert read(db, get_ti, "sales", "run_1", "task_2", 0) is None
    assert [ti.id for ti in read(db, list_tis, 1)] == [1, 2, 3]
    assert read(db, count_tis, [1, 9]) == {1: {"none": 2, "queued": 1}, 9: {}}


def test_xcoms_of_mapped_tasks_come_by_map_index(db: Database) -> None:
    epoch = lead(db)
    commit(db, Plan(new_runs={1: run(1)}), epoch)
    mapped = {n: TIRow(id=n, run_id=1, task_id="m", map_index=5 - n) for n in (1, 2, 3)}
    xcoms = {(n, "k"): XComRow(ti_id=n, key="k", value=b"%d" % n) for n in (1, 3)}
    commit(db, Plan(new_tis=mapped, xcoms=xcoms), epoch)
    assert read(db, get_xcoms, "sales", "run_1", "m", "k", None) == [(2, b"3"), (4, b"1")]
    assert read(db, get_xcoms, "sales", "run_1", "m", "k", 4) == [(4, b"1")]
    assert read(db, get_xcoms, "sales", "run_1", "m", "k", 3) == []


def test_a_snapshot_has_everything_live_and_nothing_finished(db: Database) -> None:
    epoch = lead(db)
    save_dag(db, spec())
    commit(db, new_run(1, [1, 2], state=RunState.SUCCESS), epoch)
    commit(db, new_run(2, [3, 4], state=RunState.RUNNING), epoch)
    commit(db, new_run(3, [], state=RunState.QUEUED), epoch)
    snapshot = read(db, load_snapshot)
    assert [(live.run.id, [ti.id for ti in live.tis]) for live in snapshot.runs] == [(2, [3, 4]), (3, [])]
    assert [pool.name for pool in snapshot.pools] == ["default_pool"]
    assert (snapshot.next_run, snapshot.next_ti) == (4, 5)


# --- plans of queries, with much history ------------------------------------------------------------------------------
_HISTORY = 20_000
_TASKS = 2


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A database with 20,000 finished runs of 2 tasks each, and one live run; a connection that reads it."""
    with filled(request, tmp_path_factory, _add_history) as conn:
        yield conn


def _add_history(db: Database) -> None:
    epoch = lead(db)
    plan = Plan()
    for number in range(1, _HISTORY + 2):
        state = RunState.SUCCESS if number <= _HISTORY else RunState.RUNNING
        plan.new_runs[number] = run(number, dag_id="dag_1" if number % 100 == 0 else "busy", state=state, ended_at=NOW)
        key = TryKey(number, 1)
        plan.new_tries[key] = TryRow(
            ti_id=number,
            try_number=1,
            state=TIState.SUCCESS,
            executor="local",
            queue="default",
            queued_at=NOW,
            ended_at=NOW if number <= _HISTORY else None,
        )
        plan.new_tis.update(tis(number, range(number * _TASKS, (number + 1) * _TASKS)))
    with db.transaction() as conn:
        apply_plan(conn, plan, epoch, NOW)
        dialect_of(conn).insert(conn, inbox, [{"command": b"{}", "created_at": NOW} for _ in range(2_000)])


_TI_KEY = ("uq_task_instance", "sqlite_autoindex_task_instance_1")


@pytest.mark.parametrize(
    ("query", "indexes"),
    [
        (live_runs_query(), ("ix_dag_run_live",)),
        (live_tis_query(), _TI_KEY),
        (live_tries_query(), ("ix_task_try_live",)),
        (list_runs_query("dag_1", None, 25, None), ("ix_dag_run_dag",)),
        (list_runs_query("dag_1", None, 25, 1_000), ("ix_dag_run_dag",)),
        (list_runs_query(None, RunState.RUNNING, 25, None), ("ix_dag_run_live",)),
        (list_runs_query(None, RunState.FAILED, 25, None), ("ix_dag_run_failed",)),
        (list_tis_query(1_234), _TI_KEY),
        (doomed_tis_query(5_000), _TI_KEY),
        (take_query(0, 100, TAKEN), ("inbox_pkey", "PRIMARY KEY")),
        (ends_at_query(["runner"]), ("ix_task_try_live",)),
        (ends_at_query([f"pod-{number}" for number in range(5000)]), ("ix_task_try_live",)),
        (claims_query("celery"), ("ix_task_try_live",)),
        (overview.live_runs_query(None), ("ix_dag_run_live",)),
        (overview.ended_runs_query(2e9, None), ("ix_dag_run_ended",)),
        (overview.live_tis_query(None), _TI_KEY),
        (overview.live_tis_query(("dag_1",)), _TI_KEY),
    ],
)
def test_hot_reads_go_by_an_index(history: Connection, query: Select[Any], indexes: tuple[str, ...]) -> None:
    shown = explained(history, query)
    assert any(name in shown for name in indexes)
    for table in ("task_instance", "task_try", "dag_run", "inbox"):
        assert f"Seq Scan on {table}" not in shown
        # SQLite's word for a whole table; with an index named, it is that index that is scanned.
        assert f"SCAN {table}\n" not in f"{shown}\n"


def test_the_guarded_update_of_tis_goes_by_the_primary_key(history: Connection) -> None:
    if history.dialect.name == "sqlite":
        shown = explain(history, "UPDATE task_instance SET state = 'queued' WHERE id = 5 AND state = 'none'")
        assert shown == "SEARCH task_instance USING INTEGER PRIMARY KEY (rowid=?)"
        return
    history.exec_driver_sql(dialect_of(history).begin_batches.replace(" FOR UPDATE", ""))
    shown = explain(
        history,
        "UPDATE task_instance AS t SET state = v.state FROM json_to_recordset('[]'\\:\\:json) "
        "AS v(state text, id bigint, expected text) WHERE t.id = v.id AND t.state = v.expected",
    )
    assert "task_instance_pkey" in shown
    assert "Seq Scan" not in shown
