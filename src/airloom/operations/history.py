"""Verbs that show a dag's past and its near future: grid, durations, calendar, time line of a run."""

from collections.abc import Sequence
from typing import Any

import msgspec

from airloom.decide.critical_path import critical_path
from airloom.decide.schedule import advanced, next_run
from airloom.model.run import RunType
from airloom.model.spec import DagSpec
from airloom.model.states import RunState, TIState
from airloom.operations.browsing import run_named
from airloom.operations.catalogue import as_row
from airloom.operations.dag_lists import head_of
from airloom.operations.ops import Ops
from airloom.store import dag_lists, history
from airloom.store.dag_lists import RunHead
from airloom.store.history import DAY, Bar

#: tries that a time line shows
MOST_BARS = 10_000
#: runs ahead that a calendar counts
_MOST_PLANNED = 1_000

#: the letters of the states in a grid
LETTERS: dict[str, TIState] = {
    "n": TIState.NONE,
    "c": TIState.SCHEDULED,
    "q": TIState.QUEUED,
    "r": TIState.RUNNING,
    "s": TIState.SUCCESS,
    "f": TIState.FAILED,
    "k": TIState.SKIPPED,
    "u": TIState.UPSTREAM_FAILED,
    "x": TIState.REMOVED,
    "a": TIState.RESTARTING,
    "t": TIState.UP_FOR_RETRY,
    "w": TIState.UP_FOR_RESCHEDULE,
    "d": TIState.DEFERRED,
}
_LETTER_OF = {state.value: letter for letter, state in LETTERS.items()}
_NO_CELL = "."
#: of the instances of a mapped task the first of these states is shown: what failed, what goes on, what waits, ends
_MATTERS = (
    TIState.FAILED,
    TIState.UPSTREAM_FAILED,
    TIState.UP_FOR_RETRY,
    TIState.RESTARTING,
    TIState.RUNNING,
    TIState.QUEUED,
    TIState.DEFERRED,
    TIState.UP_FOR_RESCHEDULE,
    TIState.SCHEDULED,
    TIState.NONE,
    TIState.SUCCESS,
    TIState.SKIPPED,
    TIState.REMOVED,
)
_RANK = {state.value: rank for rank, state in enumerate(_MATTERS)}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the grid: a task."""

    task_id: str
    display_name: str | None
    group: str | None
    mapped: bool


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column of the grid: a run. mapped: task -> state -> how many instances."""

    run: RunHead
    version: int
    cells: str
    mapped: dict[str, dict[str, int]]


class GridView(msgspec.Struct, frozen=True, kw_only=True):
    """Runs by tasks; `spec`: of the newest version."""

    spec: DagSpec
    rows: list[Row]
    columns: list[Column]
    next: int | None


class GanttView(msgspec.Struct, frozen=True, kw_only=True):
    """The tries of a run and its critical path."""

    bars: list[Bar]
    path: list[tuple[str, int]]
    truncated: bool


def grid(
    ops: Ops, dag_id: str, limit: int, before: int | None, run_type: RunType | None, states: Sequence[RunState]
) -> GridView:
    """The newest runs before the run of number `before`. Raises NotFound."""
    with ops.db.reading() as conn:
        newest = head_of(conn, dag_id)
        heads = history.run_heads(conn, dag_id, limit + 1, before, run_type, states)
        runs = heads[:limit]
        versions = dict.fromkeys([newest.version_id, *(run.version_id for run in runs)])
        specs = {version: ops.catalogue.spec(conn, version) for version in versions}
        numbers = dag_lists.version_numbers(conn, versions)
        rows = _rows(specs.values())
        plain = history.cells(conn, [run.id for run in runs]) if runs else []
        mapped = (
            history.mapped_cells(conn, [run.id for run in runs]) if any(row.mapped for row in rows) and runs else []
        )
    place = {row.task_id: number for number, row in enumerate(rows)}
    cells = {run.id: [_NO_CELL] * len(rows) for run in runs}
    for run, task, state in plain:
        cells[run][place[task]] = _LETTER_OF[state]
    counts: dict[int, dict[str, dict[str, int]]] = {run.id: {} for run in runs}
    for run, task, state, count in mapped:
        counts[run].setdefault(task, {})[state] = count
    for run, tasks in counts.items():
        for task, of_state in tasks.items():
            cells[run][place[task]] = _LETTER_OF[min(of_state, key=_RANK.__getitem__)]
    columns = [
        Column(run=run, version=numbers[run.version_id], cells="".join(cells[run.id]), mapped=counts[run.id])
        for run in runs
    ]
    following = runs[-1].id if len(heads) > limit else None
    return GridView(spec=specs[newest.version_id], rows=rows, columns=columns, next=following)


def _rows(specs: Any) -> list[Row]:
    """The tasks of the first spec in its order, then those that only others have."""
    rows: dict[str, Row] = {}
    for spec in specs:
        for task in spec.tasks:
            if task.task_id not in rows:
                rows[task.task_id] = Row(
                    task_id=task.task_id,
                    display_name=task.display_name,
                    group=task.group,
                    mapped=task.map is not None,
                )
    return list(rows.values())


def durations(
    ops: Ops, dag_id: str, task_ids: Sequence[str], limit: int
) -> tuple[list[RunHead], dict[str, list[float | None]]]:
    """The newest runs, oldest first; of each task the seconds it took in each of them. Raises NotFound."""
    with ops.db.reading() as conn:
        runs = history.run_heads(conn, dag_id, limit)[::-1]
        if not runs:
            head_of(conn, dag_id)
        found = history.task_seconds(conn, [run.id for run in runs], task_ids) if runs and task_ids else {}
    return runs, {task: [found.get((run.id, task)) for run in runs] for task in task_ids}


def calendar(ops: Ops, dag_id: str, start: float, end: float) -> list[tuple[int, dict[RunState, int], int]]:
    """(day since the epoch in UTC, runs that were due then by state, runs that the schedule will make then).

    Of the future the first thousand runs are counted. Raises NotFound.
    """
    with ops.db.reading() as conn:
        head = head_of(conn, dag_id)
        counted = history.days(conn, dag_id, start, end)
        outline = ops.catalogue.outlines(conn, [head.version_id])[head.version_id]
    by_day: dict[int, dict[RunState, int]] = {}
    for day, state, count in counted:
        by_day.setdefault(day, {})[state] = count
    planned: dict[int, int] = {}
    now = ops.now()
    row = as_row(head, outline.spec)
    due = next_run(row.spec, row, now) if head.active and not head.paused and end > now else None
    for _ in range(_MOST_PLANNED):
        if due is None or due.run_after >= end:
            break
        if due.run_after >= start:
            day = int(due.run_after // DAY)
            planned[day] = planned.get(day, 0) + 1
        row = advanced(row, due)
        due = next_run(row.spec, row, now)
    return [(day, by_day.get(day, {}), planned.get(day, 0)) for day in sorted(by_day.keys() | planned.keys())]


def gantt(ops: Ops, dag_id: str, run_id: str) -> GanttView:
    """When the tries of a run ran. Raises NotFound, InvalidRequest."""
    with ops.db.reading() as conn:
        run = run_named(conn, dag_id, run_id)
        spec = ops.catalogue.spec(conn, run.version_id)
        bars = history.bars(conn, run.id, MOST_BARS + 1)
        spans = history.spans(conn, run.id)
    path = critical_path({task.task_id: task.upstream for task in spec.tasks}, spans)
    truncated = len(bars) > MOST_BARS
    bars = sorted(bars[:MOST_BARS], key=lambda bar: (bar.queued_at, bar.task_id, bar.map_index, bar.try_number))
    return GanttView(bars=bars, path=path, truncated=truncated)
