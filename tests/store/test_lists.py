"""Lists in pages: nothing is lost or shown twice, whatever comes in between, and every statement goes by an index."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, Select

from airloom.model.plan import Plan
from airloom.model.report import TryKey
from airloom.model.run import RunType, TIRow, TryRow
from airloom.model.states import RunState, TIState
from airloom.store import dag_lists, history, run_lists, ti_lists
from airloom.store.database import Database
from airloom.store.merging import merge
from airloom.store.plans import apply_plan
from airloom.store.run_lists import RunChoice
from airloom.store.ti_lists import TIChoice
from tests.store.query_plans import explained, filled
from tests.store.rows import NOW, commit, lead, read, run, save_dag, spec, tis

DAGS = ("sales", "stock", "staff")
STATES = tuple(RunState)


def pages(db: Database, function: Callable[..., Any], choice: Any, *rest: Any, limit: int = 2) -> list[list[int]]:
    """The numbers on each page of a list, to its end."""
    found: list[list[int]] = []
    after = None
    while True:
        items, after = read(db, function, choice, *rest, after, limit)
        found.append([item.id for item in items])
        assert len(items) <= limit
        if after is None:
            return found


def flat(found: list[list[int]]) -> list[int]:
    """The pages as one."""
    return [number for page in found for number in page]


@pytest.fixture
def many(db: Database) -> list[Any]:
    """24 runs of three dags in all states, some of them due at the same time."""
    epoch = lead(db)
    runs = [
        run(
            number,
            dag_id=DAGS[number % 3],
            state=STATES[number % 4],
            run_type=RunType.SCHEDULED if number % 5 else RunType.MANUAL,
            run_after=NOW + (number * 7) % 10,
        )
        for number in range(1, 25)
    ]
    commit(db, Plan(new_runs={row.id: row for row in runs}), epoch)
    return runs


CHOICES: list[tuple[RunChoice, Callable[[Any], bool]]] = [
    (RunChoice(), lambda row: True),
    (RunChoice(dag_id="sales"), lambda row: row.dag_id == "sales"),
    (RunChoice(states=(RunState.FAILED,)), lambda row: row.state is RunState.FAILED),
    (RunChoice(states=(RunState.RUNNING,)), lambda row: row.state is RunState.RUNNING),
    (
        RunChoice(dag_id="stock", states=(RunState.QUEUED, RunState.RUNNING)),
        lambda row: row.dag_id == "stock" and row.state in (RunState.QUEUED, RunState.RUNNING),
    ),
    (
        RunChoice(states=(RunState.SUCCESS, RunState.FAILED)),
        lambda row: row.state in (RunState.SUCCESS, RunState.FAILED),
    ),
    (RunChoice(run_type=RunType.MANUAL), lambda row: row.run_type is RunType.MANUAL),
    (RunChoice(prefix="run_1"), lambda row: row.run_id.startswith("run_1")),
    (RunChoice(prefix="run_%"), lambda row: False),
    (RunChoice(after=NOW + 3, before=NOW + 6), lambda row: NOW + 3 <= row.run_after < NOW + 6),
    (RunChoice(dag_ids=("sales", "staff")), lambda row: row.dag_id != "stock"),
    (RunChoice(dag_ids=()), lambda row: False),
    (
        RunChoice(dag_ids=("sales", "staff"), states=(RunState.FAILED,), after=NOW + 2),
        lambda row: row.dag_id != "stock" and row.state is RunState.FAILED and row.run_after >= NOW + 2,
    ),
]


@pytest.mark.parametrize(("choice", "fits"), CHOICES)
def test_the_pages_of_runs_are_what_fits_in_order(
    db: Database, many: list[Any], choice: RunChoice, fits: Callable[[Any], bool]
) -> None:
    for by_time, ascending, stretch in itertools.product((False, True), (False, True), (3, 20_000)):
        wanted = msgspec.structs.replace(choice, by_time=by_time, ascending=ascending)
        expected = sorted(
            (row for row in many if fits(row)), key=lambda row: run_lists.place_of(wanted, row), reverse=not ascending
        )

        def function(conn: Connection, choice: RunChoice, after: Any, limit: int, stretch: int = stretch) -> Any:
            return run_lists.list_runs(conn, choice, after, limit, stretch)

        assert flat(pages(db, function, wanted)) == [row.id for row in expected], (by_time, ascending, stretch)


def test_a_run_made_between_two_pages_moves_nothing(db: Database, many: list[Any]) -> None:
    first, after = read(db, run_lists.list_runs, RunChoice(), None, 10)
    with db.transaction() as conn:
        apply_plan(conn, Plan(new_runs={99: run(99)}), 1, NOW)
    second, _ = read(db, run_lists.list_runs, RunChoice(), after, 10)
    assert [row.id for row in first + second] == list(range(24, 4, -1))


def test_many_visible_dags_are_found_among_others(db: Database, many: list[Any]) -> None:
    ids = ("stock", *(f"none_{number}" for number in range(40)))
    assert flat(pages(db, run_lists.list_runs, RunChoice(dag_ids=ids))) == [
        row.id for row in reversed(many) if row.dag_id == "stock"
    ]


# --- task instances ---------------------------------------------------------------------------------------------------
@pytest.fixture
def instances(db: Database) -> dict[int, TIRow]:
    """TIs in all states that are rare or live, of two dags."""
    epoch = lead(db)
    states = (TIState.FAILED, TIState.SUCCESS, TIState.UPSTREAM_FAILED, TIState.RUNNING, TIState.FAILED, TIState.QUEUED)
    rows = {
        number: TIRow(
            id=number, run_id=1 + number % 2, task_id=f"t{number % 3}", map_index=number, state=states[number % 6]
        )
        for number in range(1, 31)
    }
    live = {
        TryKey(number, 1): TryRow(
            ti_id=number, try_number=1, state=row.state, executor="local", queue="default", queued_at=NOW
        )
        for number, row in rows.items()
        if row.state in (TIState.RUNNING, TIState.QUEUED)
    }
    runs = {1: run(1, dag_id="sales"), 2: run(2, dag_id="stock")}
    commit(db, Plan(new_runs=runs, new_tis=rows, new_tries=live), epoch)
    return rows


@pytest.mark.parametrize("dag_id", [None, "sales"])
@pytest.mark.parametrize("task_id", [None, "t1"])
def test_rare_states_are_found_newest_first(
    db: Database, instances: dict[int, TIRow], dag_id: str | None, task_id: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ti_lists, "STRETCH", 3)
    choice = TIChoice(states=(TIState.FAILED,), dag_id=dag_id, task_id=task_id)
    found: list[int] = []
    before = None
    while True:
        views, before = read(db, ti_lists.remarkable_tis, choice, TIState.FAILED, before, 2)
        found += [view.id for view in views]
        if before is None:
            break
    assert found == [
        number
        for number, row in reversed(instances.items())
        if row.state is TIState.FAILED
        and (dag_id is None or row.run_id == 1)
        and (task_id is None or row.task_id == task_id)
    ]


def test_live_tries_are_found_newest_first_with_the_names_of_their_runs(
    db: Database, instances: dict[int, TIRow]
) -> None:
    choice = TIChoice(states=(TIState.RUNNING,), dag_ids=("stock",))
    views, end = read(db, ti_lists.live_tis, choice, None, 50)
    assert [view.id for view in views] == [27, 21, 15, 9, 3]
    assert {(view.dag_id, view.run_name) for view in views} == {("stock", "run_2")}
    assert end is None


def test_the_tis_of_a_run_go_on_behind_a_task_and_map_index(db: Database, instances: dict[int, TIRow]) -> None:
    first = read(db, ti_lists.tis_of_run, 1, ("t0", "t1"), (), None, 4)
    rest = read(db, ti_lists.tis_of_run, 1, ("t0", "t1"), (), (first[-1].task_id, first[-1].map_index), 50)
    places = [(ti.task_id, ti.map_index) for ti in first + rest]
    assert places == sorted(
        (row.task_id, row.map_index) for row in instances.values() if row.run_id == 1 and row.task_id != "t2"
    )


def test_merged_parts_wait_for_one_that_is_not_known_to_its_end() -> None:
    parts = [([9, 7, 5, 3], 3), ([8, 6], 6)]
    assert merge(parts, lambda number: number, 10) == ([9, 8, 7, 6], 6)
    assert merge(parts, lambda number: number, 2) == ([9, 8], 8)
    assert merge([([1, 4], None), ([2], 2)], lambda number: number, 10, ascending=True) == ([1, 2], 2)
    assert merge([([], None)], lambda number: number, 10) == ([], None)


# --- dags and their past ----------------------------------------------------------------------------------------------
def test_the_last_runs_of_many_dags_come_at_once(db: Database, many: list[Any]) -> None:
    found = read(db, dag_lists.last_runs, [*DAGS, "none"], 3)
    assert {dag_id: [head.id for head in heads] for dag_id, heads in found.items()} == {
        "sales": [24, 21, 18],
        "stock": [22, 19, 16],
        "staff": [23, 20, 17],
        "none": [],
    }


def test_the_newest_run_of_each_dag_is_known(db: Database, many: list[Any]) -> None:
    for dag_id in (*DAGS, "fresh"):
        save_dag(db, spec(dag_id))
    assert read(db, dag_lists.newest_runs) == {
        "sales": (24, STATES[0]),
        "staff": (23, STATES[3]),
        "stock": (22, STATES[2]),
    }


def test_the_days_of_a_calendar_begin_at_midnight_utc(db: Database) -> None:
    epoch = lead(db)
    midnight = 20_000 * 86400.0
    times = {1: midnight - 0.001, 2: midnight, 3: midnight + 86399.999, 4: midnight + 86400}
    commit(db, Plan(new_runs={n: run(n, run_after=at, state=RunState.SUCCESS) for n, at in times.items()}), epoch)
    found = read(db, history.days, "sales", midnight, midnight + 2 * 86400)
    assert sorted(found) == [(20_000, RunState.SUCCESS, 2), (20_001, RunState.SUCCESS, 1)]


# --- plans of queries, with much history ------------------------------------------------------------------------------
_HISTORY = 20_000


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def past(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A database with 20,000 finished runs of 2 tasks each, one in ten failed; a connection that reads it."""
    with filled(request, tmp_path_factory, _add_past) as conn:
        yield conn


def _add_past(db: Database) -> None:
    epoch = lead(db)
    plan = Plan()
    for number in range(1, _HISTORY + 1):
        bad = number % 10 == 0
        state = RunState.FAILED if bad else RunState.SUCCESS
        plan.new_runs[number] = run(number, dag_id=f"dag_{number % 200}", state=state, ended_at=NOW)
        ti_state = TIState.FAILED if bad else TIState.SUCCESS
        plan.new_tis.update(tis(number, range(number * 2, number * 2 + 2), state=ti_state))
        for ti in (number * 2, number * 2 + 1):
            plan.new_tries[TryKey(ti, 1)] = TryRow(
                ti_id=ti, try_number=1, state=ti_state, executor="x", queue="q", queued_at=NOW, ended_at=NOW
            )
    with db.transaction() as conn:
        apply_plan(conn, plan, epoch, NOW)


_PLACE = (NOW + 10_000, 10_000)
_FAILED = TIChoice(states=(TIState.FAILED,))
_QUERIES: dict[str, Select[Any]] = {
    "all runs": run_lists.runs_query(RunChoice(), None, None, 51),
    "all runs, later page": run_lists.runs_query(RunChoice(), _PLACE, None, 51),
    "all runs by time": run_lists.runs_query(RunChoice(by_time=True), None, None, 51),
    "all runs by time, later page": run_lists.runs_query(RunChoice(by_time=True), _PLACE, None, 51),
    "all runs of a time": run_lists.runs_query(RunChoice(by_time=True, after=NOW, before=NOW + 9), None, None, 51),
    "failed runs": run_lists.runs_query(RunChoice(states=(RunState.FAILED,)), _PLACE, None, 51),
    "live runs": run_lists.runs_query(RunChoice(states=(RunState.RUNNING,)), None, None, 51),
    "live runs of a dag": run_lists.runs_query(RunChoice(dag_id="dag_1", states=(RunState.RUNNING,)), None, None, 51),
    "runs of a dag": run_lists.runs_query(RunChoice(dag_id="dag_1"), None, None, 51),
    "runs of a dag, later page": run_lists.runs_query(RunChoice(dag_id="dag_1"), _PLACE, None, 51),
    "runs of a dag by time": run_lists.runs_query(RunChoice(dag_id="dag_1", by_time=True), _PLACE, None, 51),
    "runs of a type": run_lists.runs_query(RunChoice(run_type=RunType.BACKFILL), _PLACE, (9_000, 9_000), 51),
    "the end of a stretch": run_lists.stretch_query(RunChoice(run_type=RunType.BACKFILL), _PLACE, 1_000),
    "the end of a stretch of a dag": run_lists.stretch_query(RunChoice(dag_id="dag_1", prefix="x"), None, 1_000),
    "failed tis": ti_lists.remarkable_query(_FAILED, TIState.FAILED, 10_000, None, 51),
    "failed tis of a dag": ti_lists.remarkable_query(
        TIChoice(states=(TIState.FAILED,), dag_id="dag_10"), TIState.FAILED, 30_000, 20_000, 51
    ),
    "failed tis of a task": ti_lists.remarkable_query(
        TIChoice(states=(TIState.FAILED,), task_id="task_1"), TIState.FAILED, None, 20_000, 51
    ),
    "the end of a stretch of failed tis": ti_lists.remarkable_floor_query(TIState.FAILED, 10_000, 1_000),
    "live tis": ti_lists.live_query(TIChoice(states=(TIState.RUNNING,), dag_id="dag_1"), 10_000, 51),
    "tis of a run": ti_lists.tis_of_run_query(1_234, (), (), ("task_2468", -1), 51),
    "tis of tasks of a run": ti_lists.tis_of_run_query(1_234, ("task_2468",), (TIState.FAILED,), None, 51),
    "tasks of a run by state": ti_lists.tasks_in_query(1_234, (TIState.FAILED,)),
    "a dag's columns of the grid": history.run_heads_query("dag_1", 31, 10_000, None, ()),
    "days": history.days_query("dag_1", NOW, NOW + 1_000),
    "tries of a run": history.bars_query(1_234, 10_000),
}


@pytest.mark.parametrize("name", _QUERIES)
def test_no_list_reads_a_whole_table(past: Connection, name: str) -> None:
    plan = explained(past, _QUERIES[name])
    for table in ("task_instance", "task_try", "dag_run"):
        assert f"Seq Scan on {table}" not in plan
        # SQLite's word for a whole table, unless it is an index that is walked and left when the page is full.
        assert not any(line == f"SCAN {table}" and name != "all runs" for line in plan.splitlines()), plan
    assert "TEMP B-TREE FOR ORDER BY" not in plan or name in ("live runs", "live runs of a dag"), plan
