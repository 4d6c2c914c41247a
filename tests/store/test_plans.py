"""The group commit: all of a plan or nothing, guarded by the epoch and by the states that the leader remembers."""

import msgspec
import pytest
from sqlalchemy import func, select

from airloom.model.errors import NotLeader, StoreError
from airloom.model.events import Answer, SetPaused
from airloom.model.plan import Plan, TIChange
from airloom.model.report import Cause, Skip, SkipMode, TryKey
from airloom.model.run import PoolRow, TIRow, TryRow, XComRow
from airloom.model.states import RunState, TIState
from airloom.store.dags import dag_row, files, save_file
from airloom.store.database import Database
from airloom.store.inbox import answer, forget_answer, put, take
from airloom.store.leadership import acquire
from airloom.store.pools import get_pool
from airloom.store.runs import find_run, list_runs, list_tis, list_tries, live_tries
from airloom.store.snapshots import load_run, load_snapshot
from airloom.store.tables import task_instance
from airloom.store.xcoms import get_xcoms, list_xcoms
from tests.store.rows import NOW, commit, ended, lead, new_run, parsed, queued, read, run, save_dag, spec, tis, write


def test_what_a_plan_inserts_is_read_back_equal(db: Database) -> None:
    epoch = lead(db)
    made = run(7, conf={"day": "a\u0000b", "n": [1, None]}, logical_date=12.5, triggered_by="eva")
    one = TIRow(
        id=3,
        run_id=7,
        task_id="t",
        map_index=2,
        state=TIState.SUCCESS,
        try_number=2,
        max_tries=4,
        ended_at=1.25,
        cause=Cause.TIMEOUT,
        detail="über",
        map_length=3,
        skip=Skip(mode=SkipMode.UNFOLLOWED, followed=("x", "y")),
    )
    attempt = TryRow(
        ti_id=3,
        try_number=1,
        state=TIState.FAILED,
        executor="local",
        queue="q",
        queued_at=1.0,
        cause=Cause.OOM,
        signal=9,
    )
    value = XComRow(ti_id=3, key="k", value=b'"\\u0000\xc3\xbc"')
    plan = Plan(new_runs={7: made}, new_tis={3: one}, new_tries={TryKey(3, 1): attempt}, xcoms={(3, "k"): value})
    commit(db, plan, epoch)
    assert read(db, find_run, "sales", "run_7") == made
    assert read(db, list_tis, 7) == [one]
    assert read(db, list_tries, 3) == [attempt]
    assert read(db, list_xcoms, 3) == [value]


def test_changes_write_the_named_columns_and_no_others(db: Database) -> None:
    epoch = lead(db)
    commit(db, new_run(1, [1, 2, 3]), epoch)
    commit(db, queued([1, 2]), epoch)
    changes = {
        1: TIChange(
            id=1,
            expected=TIState.QUEUED,
            state=TIState.UP_FOR_RETRY,
            values={"retry_at": 5.0, "cause": Cause.ERROR, "detail": "boom", "skip": Skip(mode=SkipMode.ALL)},
        ),
        2: TIChange(id=2, expected=TIState.QUEUED, state=TIState.RUNNING, values={"started_at": 4.0}),
    }
    plan = Plan(
        ti_changes=changes,
        try_changes={TryKey(1, 1): {"state": TIState.FAILED, "ended_at": 4.5}, TryKey(2, 1): {"pid": 12}},
        run_changes={1: {"state": RunState.RUNNING, "started_at": 3.0}},
    )
    commit(db, plan, epoch)
    first, second, third = read(db, list_tis, 1)
    assert (first.state, first.retry_at, first.cause, first.detail) == (TIState.UP_FOR_RETRY, 5.0, Cause.ERROR, "boom")
    assert first.skip == Skip(mode=SkipMode.ALL)
    assert first.executor == "local"
    assert (second.state, second.started_at, second.retry_at) == (TIState.RUNNING, 4.0, None)
    assert third == tis(1, [3])[3]
    assert [attempt.ti_id for attempt in read(db, live_tries)] == [2]
    assert read(db, list_tries, 2)[0].pid == 12
    assert read(db, find_run, "sales", "run_1").started_at == 3.0


def test_a_deposed_leader_commits_nothing(db: Database) -> None:
    old = lead(db, "old")
    with db.transaction() as conn:
        acquire(conn, "new", NOW + 61, 60.0)
    with pytest.raises(NotLeader):
        commit(db, new_run(1, [1]), old)
    assert read(db, list_runs) == []


def test_a_ti_in_another_state_than_expected_undoes_the_whole_plan_and_is_named(db: Database) -> None:
    epoch = lead(db)
    commit(db, new_run(1, [1, 2]), epoch)
    commit(db, queued([1]), epoch)
    plan = queued([2])
    plan.ti_changes[1] = TIChange(id=1, expected=TIState.RUNNING, state=TIState.SUCCESS)
    plan.new_runs[2] = run(2)
    with pytest.raises(StoreError, match="task_instance 1 is queued, not running"):
        commit(db, plan, epoch)
    assert [ti.state for ti in read(db, list_tis, 1)] == [TIState.QUEUED, TIState.NONE]
    assert read(db, find_run, "sales", "run_2") is None


def test_a_row_that_is_missing_undoes_the_whole_plan_and_is_named(db: Database) -> None:
    epoch = lead(db)
    for plan, name in (
        (
            Plan(ti_changes={9: TIChange(id=9, expected=TIState.NONE, state=TIState.QUEUED)}),
            "task_instance 9 is missing",
        ),
        (Plan(try_changes={TryKey(9, 2): {"pid": 1}}), "task_try 9/2 is missing"),
        (Plan(run_changes={9: {"state": RunState.FAILED}}), "dag_run 9 is missing"),
        (Plan(dag_changes={"gone": {"paused": True}}), "dag gone is missing"),
    ):
        plan.set_pools = {"p": PoolRow(name="p", slots=1)}
        with pytest.raises(StoreError, match=name):
            commit(db, plan, epoch)
        assert read(db, get_pool, "p") is None


def test_a_change_that_was_made_before_is_refused(db: Database) -> None:
    epoch = lead(db)
    commit(db, new_run(1, [1]), epoch)
    commit(db, queued([1]), epoch)
    again = queued([1])
    again.new_tries.clear()
    with pytest.raises(StoreError, match="task_instance 1 may have changed before"):
        commit(db, again, epoch)


def test_a_run_id_that_is_taken_is_refused(db: Database) -> None:
    epoch = lead(db)
    commit(db, new_run(1, [1]), epoch)
    twin = msgspec.structs.replace(run(2), run_id="run_1")
    with pytest.raises(StoreError, match="dag_run"):
        commit(db, Plan(new_runs={2: twin}), epoch)
    assert [found.id for found in read(db, list_runs)] == [1]


def test_xcoms_of_an_earlier_try_go_before_new_ones_are_written(db: Database) -> None:
    epoch = lead(db)
    commit(db, new_run(1, [1]), epoch)
    old = {(1, key): XComRow(ti_id=1, key=key, value=b"1") for key in ("a", "b")}
    commit(db, Plan(xcoms=old), epoch)
    commit(db, Plan(drop_xcoms=[1], xcoms={(1, "b"): XComRow(ti_id=1, key="b", value=b"2")}), epoch)
    assert read(db, list_xcoms, 1) == [XComRow(ti_id=1, key="b", value=b"2")]


def test_large_xcoms_are_kept(db: Database) -> None:
    epoch = lead(db)
    commit(db, new_run(1, [1, 2, 3]), epoch)
    value = b'"' + b"x" * 12_000_000 + b'"'
    commit(db, Plan(xcoms={(n, "k"): XComRow(ti_id=n, key="k", value=value) for n in (1, 2, 3)}), epoch)
    found = read(db, get_xcoms, "sales", "run_1", "task_2", "k", None)
    assert found == [(-1, value)]


def test_text_that_no_database_holds_is_marked_instead_of_stopping_the_scheduler(db: Database) -> None:
    epoch = lead(db)
    commit(db, new_run(1, [1]), epoch)
    plan = queued([1])
    plan.ti_changes[1].values["detail"] = "a\0b\udcffc"
    plan.xcoms = {(1, "k\0"): XComRow(ti_id=1, key="k\0", value=b"1")}
    commit(db, plan, epoch)
    assert read(db, list_tis, 1)[0].detail == "a\ufffdb?c"
    assert read(db, get_xcoms, "sales", "run_1", "task_1", "k\0", -1) == [(-1, b"1")]


def test_a_command_is_answered_and_leaves_the_inbox_in_one_commit(db: Database) -> None:
    epoch = lead(db)
    save_dag(db, spec())
    command = SetPaused(dag_id="sales", paused=True)
    number = write(db, put, command, "eva", NOW)
    taken = read(db, take, 10)
    assert taken == [(number, SetPaused(dag_id="sales", paused=True, inbox_id=number))]
    assert read(db, answer, number) is None
    commit(db, Plan(dag_changes={"sales": {"paused": True}}, answers={number: Answer(value={"ok": 1})}), epoch)
    assert read(db, take, 10) == []
    assert read(db, answer, number) == Answer(value={"ok": 1})
    assert read(db, dag_row, "sales").paused
    with pytest.raises(StoreError, match="inbox"):
        commit(db, Plan(answers={number: Answer()}), epoch)
    write(db, forget_answer, number)
    assert read(db, answer, number) is None
    assert write(db, put, command, None, NOW) > number


def test_a_deleted_dag_leaves_no_row_and_its_numbers_never_come_back(db: Database) -> None:
    epoch = lead(db)
    save_dag(db, spec("sales"))
    save_dag(db, spec("other"))
    commit(db, new_run(1, [1], dag_id="other"), epoch)
    commit(db, new_run(2, [2, 3]), epoch)
    commit(db, queued([2, 3]), epoch)
    commit(db, ended([2, 3]), epoch)
    commit(db, Plan(delete_dags=["sales"]), epoch)
    assert read(db, dag_row, "sales") is None
    assert [found.dag_id for found in read(db, list_runs)] == ["other"]
    assert read(db, list_tries, 2) == [] == read(db, list_xcoms, 3)
    with db.reading() as conn:
        assert list(conn.execute(select(task_instance.c.id)).scalars()) == [1]
        snapshot = load_snapshot(conn)
    assert (snapshot.next_run, snapshot.next_ti) == (3, 4)
    # Its file is still there: the loader is to parse it again.
    assert read(db, files, "dags")["sales.py"].file_hash == ""
    assert write(db, save_file, "dags", parsed("sales.py", spec("sales")), "source", NOW) == ("sales",)


def test_a_dag_with_a_long_history_goes_at_once_and_its_task_instances_in_batches(db: Database) -> None:
    epoch = lead(db)
    save_dag(db, spec())
    commit(db, new_run(1, range(1, 6_002)), epoch)
    commit(db, Plan(delete_dags=["sales"]), epoch)
    assert read(db, find_run, "sales", "run_1") is None
    assert read(db, load_snapshot).runs == ()
    with db.reading() as conn:
        assert conn.execute(select(func.count()).select_from(task_instance)).scalar() == 1_001


def test_a_finished_run_is_loaded_with_its_version(db: Database) -> None:
    epoch = lead(db)
    save_dag(db, spec())
    version_id = read(db, dag_row, "sales").version_id
    commit(db, new_run(1, [2, 1], version_id=version_id, state=RunState.SUCCESS), epoch)
    live, version = read(db, load_run, "sales", "run_1")
    assert [ti.id for ti in live.tis] == [1, 2]
    assert version.spec == spec()
    assert read(db, load_run, "sales", "no") is None
