"""Retention: what is old goes, in batches that survive a kill -9; what is live or needed stays."""

import threading

from sqlalchemy import func, select

from airloom.model.events import Answer, SetPaused
from airloom.model.plan import Plan
from airloom.model.states import RunState
from airloom.store.cleanup import CleanCounts, clean, purge
from airloom.store.dags import dag_row, list_versions, save_file, source
from airloom.store.database import Database
from airloom.store.inbox import answer, put, take
from airloom.store.runs import list_runs
from airloom.store.snapshots import load_snapshot
from airloom.store.tables import dag_run, doomed_run, task_instance, task_try, xcom
from tests.store.rows import NOW, commit, finished_run, lead, new_run, parsed, read, run, save_dag, spec, write


def _numbers(db: Database) -> tuple[int, ...]:
    with db.reading() as conn:
        return tuple(
            conn.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (dag_run, task_instance, task_try, xcom, doomed_run)
        )


def _history(db: Database) -> int:
    """Four finished runs of two tasks, ended at 10, 20, 30 and 40, and a live one."""
    epoch = lead(db)
    for number in (1, 2, 3, 4):
        finished_run(db, epoch, number, [number * 10, number * 10 + 1], number * 10.0)
    commit(db, new_run(5, [50, 51]), epoch)
    return epoch


def test_runs_that_ended_before_go_with_all_they_had(db: Database) -> None:
    _history(db)
    expected = CleanCounts(runs=2, tis=4, tries=4, xcoms=4)
    assert clean(db, 30.0, dry_run=True) == expected
    assert _numbers(db) == (5, 10, 8, 8, 0)
    assert clean(db, 30.0) == expected
    assert _numbers(db) == (3, 6, 4, 4, 0)
    assert [found.id for found in read(db, list_runs)] == [5, 4, 3]
    assert clean(db, 30.0) == CleanCounts()


def test_a_live_run_stays_however_old_it_is(db: Database) -> None:
    epoch = _history(db)
    commit(db, Plan(run_changes={5: {"state": RunState.RUNNING, "ended_at": 1.0}}), epoch)
    clean(db, 1e12)
    assert [found.id for found in read(db, list_runs)] == [5]
    assert _numbers(db) == (1, 2, 0, 0, 0)


def test_the_newest_run_of_each_dag_stays_if_asked(db: Database) -> None:
    epoch = lead(db)
    for number, dag_id in ((1, "a"), (2, "a"), (3, "b")):
        row = run(number, dag_id=dag_id, state=RunState.SUCCESS, ended_at=10.0)
        commit(db, Plan(new_runs={number: row}), epoch)
    assert clean(db, 20.0, dry_run=True, keep_last=True).runs == 1
    assert clean(db, 20.0, keep_last=True).runs == 1
    assert [found.id for found in read(db, list_runs)] == [3, 2]


def test_a_run_larger_than_a_batch_goes_at_once_and_its_rows_in_several(db: Database) -> None:
    epoch = lead(db)
    finished_run(db, epoch, 1, range(1, 251), 10.0)
    counts = clean(db, 20.0, batch_tis=100)
    assert counts == CleanCounts(runs=1, tis=250, tries=250, xcoms=250)
    assert _numbers(db) == (0, 0, 0, 0, 0)


def test_what_an_interrupted_cleaning_left_goes_with_the_next(db: Database) -> None:
    epoch = lead(db)
    save_dag(db, spec())
    finished_run(db, epoch, 1, range(1, 6_001), 10.0)
    commit(db, Plan(delete_dags=["sales"]), epoch)
    assert _numbers(db) == (0, 1_000, 1_000, 1_000, 1)
    assert clean(db, 0.0, dry_run=True).tis == 1_000
    assert write(db, purge, 10).tis == 10
    assert clean(db, 0.0).tis == 990
    assert _numbers(db) == (0, 0, 0, 0, 0)


def test_numbers_of_deleted_rows_are_not_given_again(db: Database) -> None:
    _history(db)
    commit(db, Plan(run_changes={5: {"state": RunState.SUCCESS, "ended_at": 50.0}}), lead(db))
    clean(db, 100.0)
    snapshot = read(db, load_snapshot)
    assert (snapshot.next_run, snapshot.next_ti) == (6, 52)


def test_versions_that_were_replaced_and_that_no_run_needs_go_with_their_source(db: Database) -> None:
    epoch = lead(db)
    for number in range(1, 5):
        file = parsed("f.py", spec("sales", f"t{number}"), file_hash=f"h{number}")
        write(db, save_file, "dags", file, f"source {number}", float(number))
    versions = {version.number: version.id for version in read(db, list_versions, "sales")}
    commit(db, Plan(new_runs={1: run(1, version_id=versions[1])}), epoch)
    # Version 3 was current until 4.0: a run may have been made of it a moment ago.
    assert clean(db, 3.5, dry_run=True).versions == 1
    assert clean(db, 3.5).versions == 1
    assert [version.number for version in read(db, list_versions, "sales")] == [4, 3, 1]
    assert [read(db, source, f"h{number}") for number in (1, 2, 3)] == ["source 1", None, "source 3"]
    assert clean(db, 1e12).versions == 1
    assert read(db, dag_row, "sales").version_id == versions[4]


def test_old_answers_and_commands_that_nobody_took_go(db: Database) -> None:
    epoch = lead(db)
    first, second = (write(db, put, SetPaused(dag_id="d", paused=True), None, NOW) for _ in range(2))
    commit(db, Plan(answers={first: Answer(value=1)}), epoch)
    assert clean(db, NOW) == CleanCounts()
    assert clean(db, NOW + 1, dry_run=True) == CleanCounts(answers=1, commands=1)
    assert clean(db, NOW + 1) == CleanCounts(answers=1, commands=1)
    assert read(db, answer, first) is None
    assert read(db, take, 10) == []
    assert second > first


def test_the_scheduler_commits_while_history_is_cleaned(db: Database) -> None:
    epoch = lead(db)
    for number in range(1, 21):
        finished_run(db, epoch, number, range(number * 100, number * 100 + 100), 10.0)
    cleaned: list[CleanCounts] = []
    thread = threading.Thread(target=lambda: cleaned.append(clean(db, 20.0, batch_tis=100)))
    thread.start()
    number = 1_000
    while thread.is_alive():
        number += 1
        commit(db, new_run(number, [number * 100]), epoch)
    thread.join(60)
    assert cleaned == [CleanCounts(runs=20, tis=2_000, tries=2_000, xcoms=2_000)]
    assert number > 1_001
    assert len(read(db, load_snapshot).runs) == number - 1_000
