"""Verbs that show runs and task instances to people, in pages."""

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from airloom.model.errors import NotFound
from airloom.model.run import RunRow, TIRow, TryRow
from airloom.model.spec import TaskSpec
from airloom.model.states import FINISHED, LIVE_TRY, RunState, TIState
from airloom.operations.dag_lists import head_of
from airloom.operations.lookup import find_run, find_tis, nearest
from airloom.operations.ops import Ops
from airloom.store import dag_lists, run_lists, runs, ti_lists, xcoms
from airloom.store.merging import merge
from airloom.store.notes import NoteRow, notes_on
from airloom.store.run_lists import Place, RunChoice
from airloom.store.ti_lists import REMARKABLE, TIChoice, TIView

#: seconds that a request looks for what no index knows; what comes later is on the next page
_PATIENCE = 0.06
#: tasks of one statement
_TASKS = 400
#: runs that are looked into at a time
_RUNS = 50
#: behind every task id
_BEHIND_ALL = "\x7f"
#: bytes of an XCom that are shown
LONGEST_XCOM = 1024 * 1024


class RunCard(msgspec.Struct, frozen=True, kw_only=True):
    """A run with the number of its version; with its TIs by state and its note where they were asked for."""

    run: RunRow
    version: int
    counts: dict[str, int] | None = None
    note: NoteRow | None = None


class TICard(msgspec.Struct, frozen=True, kw_only=True):
    """A task instance with the names of its run and what its version says of its task."""

    ti: TIRow
    dag_id: str
    run_id: str
    task: TaskSpec | None
    note: NoteRow | None = None


def run_named(conn: Any, dag_id: str, run_id: str) -> RunRow:
    """As lookup.find_run, but nothing is told of other dags. Raises NotFound, InvalidRequest."""
    row = runs.find_run(conn, dag_id, run_id)
    if row is None:
        head_of(conn, dag_id)
        row = find_run(conn, dag_id, run_id)
    return row


def list_runs(
    ops: Ops, choice: RunChoice, after: Place | None, limit: int, *, counts: bool = False
) -> tuple[list[RunCard], Place | None]:
    """A page of runs, and the place behind it. Raises NotFound when there is no such dag."""
    with ops.db.reading() as conn:
        found, following = run_lists.list_runs(conn, choice, after, limit)
        if not found and choice.dag_id is not None:
            head_of(conn, choice.dag_id)
        numbers = dag_lists.version_numbers(conn, {run.version_id for run in found})
        by_state = runs.count_tis(conn, [run.id for run in found]) if counts and found else {}
    cards = [RunCard(run=run, version=numbers[run.version_id], counts=by_state.get(run.id)) for run in found]
    return cards, following


def get_run(ops: Ops, dag_id: str, run_id: str) -> RunCard:
    """One run with everything. Raises NotFound, InvalidRequest."""
    with ops.db.reading() as conn:
        run = run_named(conn, dag_id, run_id)
        return RunCard(
            run=run,
            version=dag_lists.version_numbers(conn, [run.version_id])[run.version_id],
            counts=runs.count_tis(conn, [run.id])[run.id],
            note=notes_on(conn, [(run.id, 0)]).get((run.id, 0)),
        )


def list_tis_of_run(
    ops: Ops,
    name: tuple[str, str],
    states: tuple[TIState, ...],
    task_id: str | None,
    after: tuple[int, int] | None,
    limit: int,
) -> tuple[list[TICard], tuple[int, int] | None]:
    """TIs of the run of that (dag id, run id), in the order of its version's tasks and by map index.

    after: (place of the task, map index) of the last one that is known already. Raises NotFound, InvalidRequest.
    """
    with ops.db.reading() as conn:
        run = run_named(conn, *name)
        tasks = ops.catalogue.spec(conn, run.version_id).tasks
        places = {task.task_id: place for place, task in enumerate(tasks)}
        if task_id is not None and task_id not in places:
            find_tis(conn, run, task_id)
        wanted = tasks if task_id is None else (tasks[places[task_id]],)
        if after is not None:
            wanted = tuple(task for task in wanted if places[task.task_id] >= after[0])
        if states:
            there = ti_lists.tasks_in(conn, run.id, states)
            wanted = tuple(task for task in wanted if task.task_id in there)
        begun = after is not None and wanted != () and places[wanted[0].task_id] == after[0]
        found = _in_order(conn, run.id, wanted, states, after[1] if after is not None and begun else None, limit + 1)
        part = found[:limit]
        notes = notes_on(conn, [(run.id, ti.id) for ti in part])
    cards = [_card(ti, run, tasks[places[ti.task_id]], notes.get((run.id, ti.id))) for ti in part]
    return cards, (places[part[-1].task_id], part[-1].map_index) if len(found) > limit else None


def get_ti(ops: Ops, name: tuple[str, str], task_id: str, map_index: int) -> TICard:
    """One TI of the run of that (dag id, run id). Raises NotFound, InvalidRequest."""
    with ops.db.reading() as conn:
        run, ti = _find(conn, name, task_id, map_index)
        spec = ops.catalogue.spec(conn, run.version_id)
        note = notes_on(conn, [(run.id, ti.id)]).get((run.id, ti.id))
    return _card(ti, run, next((task for task in spec.tasks if task.task_id == task_id), None), note)


def list_tries(ops: Ops, name: tuple[str, str], task_id: str, map_index: int) -> tuple[RunRow, TIRow, list[TryRow]]:
    """A TI with its run and its tries, first to last. Raises NotFound, InvalidRequest."""
    with ops.db.reading() as conn:
        run, ti = _find(conn, name, task_id, map_index)
        return run, ti, runs.list_tries(conn, ti.id)


def find_try(ops: Ops, name: tuple[str, str], task_id: str, map_index: int, try_number: int) -> tuple[RunRow, TIRow]:
    """The run and the TI of a try that was made. Raises NotFound, InvalidRequest."""
    with ops.db.reading() as conn:
        run, ti = _find(conn, name, task_id, map_index)
    if try_number > ti.try_number:
        last = f"the last one is {ti.try_number}" if ti.try_number else "none was made yet"
        raise NotFound(f"task {task_id} has no try {try_number} in this run: {last}")
    return run, ti


def list_tis(
    ops: Ops, choice: TIChoice, after: tuple[int, str, int] | None, limit: int
) -> tuple[list[TICard], tuple[int, str, int] | None]:
    """TIs of any run, newest first, and the place behind them: a page may be short although there is more.

    after: (number of the TI, "", 0) where the wanted states are rare ones or those of live tries, otherwise (number of
    the run, task id, map index). Raises NotFound when there is no such dag.
    """
    with ops.db.reading() as conn:
        if choice.dag_id is not None:
            head_of(conn, choice.dag_id)
        states = set(choice.states)
        by_number = bool(states) and states <= REMARKABLE | LIVE_TRY
        found, following = (_by_number if by_number else _by_run)(conn, choice, after, limit)
        specs = {version: ops.catalogue.spec(conn, version) for version in {view.version_id for view in found}}
    tasks = {version: {task.task_id: task for task in spec.tasks} for version, spec in specs.items()}
    cards = [
        TICard(ti=view, dag_id=view.dag_id, run_id=view.run_name, task=tasks[view.version_id].get(view.task_id))
        for view in found
    ]
    return cards, following


def list_xcoms(ops: Ops, name: tuple[str, str], task_id: str, map_index: int) -> list[tuple[str, int]]:
    """(key, size in bytes) of each XCom of a TI, by key. Raises NotFound, InvalidRequest."""
    with ops.db.reading() as conn:
        _, ti = _find(conn, name, task_id, map_index)
        return xcoms.xcom_sizes(conn, ti.id)


def get_xcom(ops: Ops, name: tuple[str, str], task_id: str, map_index: int, key: str) -> tuple[int, bytes]:
    """Size and JSON of an XCom; of a large one, the first LONGEST_XCOM bytes. Raises NotFound, InvalidRequest."""
    with ops.db.reading() as conn:
        _, ti = _find(conn, name, task_id, map_index)
        found = xcoms.xcom_head(conn, ti.id, key, LONGEST_XCOM)
        if found is None:
            hint = nearest(key, [name for name, _ in xcoms.xcom_sizes(conn, ti.id)])
            raise NotFound(f"task {task_id} has no XCom {key!r} in this run{hint}")
    return found


def _find(conn: Any, name: tuple[str, str], task_id: str, map_index: int) -> tuple[RunRow, TIRow]:
    run = run_named(conn, *name)
    ti = ti_lists.one_ti(conn, run.id, task_id, map_index)
    return run, find_tis(conn, run, task_id, map_index)[0] if ti is None else ti


def _card(ti: TIRow, run: RunRow, task: TaskSpec | None, note: NoteRow | None) -> TICard:
    return TICard(ti=ti, dag_id=run.dag_id, run_id=run.run_id, task=task, note=note)


def _in_order(
    conn: Any, run: int, tasks: Sequence[TaskSpec], states: tuple[TIState, ...], after: int | None, limit: int
) -> list[TIRow]:
    """TIs of these tasks, in their order. after: of the first task only those with a higher map index."""
    found: list[TIRow] = []
    places = {task.task_id: place for place, task in enumerate(tasks)}
    at = 0
    while at < len(tasks) and len(found) < limit:
        room = limit - len(found)
        if tasks[at].map is not None or after is not None:
            behind = None if after is None else (tasks[at].task_id, after)
            found += ti_lists.tis_of_run(conn, run, [tasks[at].task_id], states, behind, room)
            after = None
            at += 1
            continue
        end = at
        while end < len(tasks) and tasks[end].map is None and end - at < min(_TASKS, room):
            end += 1
        part = ti_lists.tis_of_run(conn, run, [task.task_id for task in tasks[at:end]], states, None, end - at)
        found += sorted(part, key=lambda ti: places[ti.task_id])
        at = end
    return found[:limit]


def _by_number(
    conn: Any, choice: TIChoice, after: tuple[int, str, int] | None, limit: int
) -> tuple[list[TIView], tuple[int, str, int] | None]:
    """Along the indexes of rare states and of live tries."""
    before = None if after is None else after[0]
    parts: list[tuple[list[TIView], int | None]] = [
        ti_lists.remarkable_tis(conn, choice, state, before, limit) for state in choice.states if state in REMARKABLE
    ]
    if LIVE_TRY & set(choice.states):
        parts.append(ti_lists.live_tis(conn, choice, before, limit))
    found, following = merge(parts, lambda view: view.id, limit)
    return found, None if following is None else (following, "", 0)


def _by_run(
    conn: Any, choice: TIChoice, after: tuple[int, str, int] | None, limit: int
) -> tuple[list[TIView], tuple[int, str, int] | None]:
    """Run by run, newest first, for as long as the caller may be kept waiting."""
    states = set(choice.states)
    live = (RunState.QUEUED, RunState.RUNNING) if states and not states & FINISHED else ()
    wanted = RunChoice(dag_id=choice.dag_id, dag_ids=choice.dag_ids, states=live)
    task_ids = [] if choice.task_id is None else [choice.task_id]
    give_up = time.monotonic() + _PATIENCE
    found: list[TIView] = []
    place: Place | None = None
    if after is not None:
        # The run that the page before ended in is gone on with, unless it was done.
        first = after[0] + (after[1] != _BEHIND_ALL)
        place = (first, first)
    while True:
        part, place = run_lists.list_runs(conn, wanted, place, _RUNS)
        for run in part:
            behind = (after[1], after[2]) if after is not None and run.id == after[0] else None
            tis = ti_lists.tis_of_run(conn, run.id, task_ids, choice.states, behind, limit - len(found))
            found += [_view(ti, run) for ti in tis]
            if len(found) == limit:
                return found, (run.id, tis[-1].task_id, tis[-1].map_index)
            if time.monotonic() > give_up:
                return found, (run.id, _BEHIND_ALL, 0)
        if place is None:
            return found, None
        if time.monotonic() > give_up:
            return found, (place[1], _BEHIND_ALL, 0)


def _view(ti: TIRow, run: RunRow) -> TIView:
    fields = {name: getattr(ti, name) for name in TIRow.__struct_fields__}
    return TIView(**fields, dag_id=run.dag_id, run_name=run.run_id, version_id=run.version_id)
