"""Verbs about task instances."""

from typing import Any

from airloom.model.log_lines import LogLine
from airloom.model.run import RunRow, TIRow, TryRow
from airloom.operations.log_pages import Place, read_part
from airloom.operations.lookup import find_run, find_tis
from airloom.operations.ops import Ops
from airloom.operations.try_logs import log_of, look, open_log
from airloom.store import runs

#: lines of a log that are read at once
_LINES = 1000


def list_tis(ops: Ops, dag_id: str, run_id: str) -> tuple[RunRow, list[TIRow]]:
    """A run and all its TIs, in the DAG's order and by map index. Raises NotFound."""
    with ops.db.reading() as conn:
        run = find_run(conn, dag_id, run_id)
        tis = runs.list_tis(conn, run.id)
    # The first TI of each task was made in the DAG's order; those of further map indexes came later.
    order: dict[str, int] = {}
    for ti in tis:
        order.setdefault(ti.task_id, len(order))
    return run, sorted(tis, key=lambda ti: (order[ti.task_id], ti.map_index))


def get_tis(
    ops: Ops, dag_id: str, run_id: str, task_id: str, map_index: int | None = None
) -> tuple[RunRow, list[TIRow]]:
    """A run and the TIs of one task in it: all, or the one with that map index. Raises NotFound."""
    with ops.db.reading() as conn:
        run = find_run(conn, dag_id, run_id)
        return run, find_tis(conn, run, task_id, map_index)


def list_tries(ops: Ops, run: RunRow, ti: TIRow) -> list[TryRow]:
    """Every try of a TI of that run, oldest first."""
    with ops.db.reading() as conn:
        return runs.list_tries(conn, ti.id)


def read_log(ops: Ops, run: RunRow, ti: TIRow, number: int, place: Any) -> tuple[list[LogLine], Any, bool]:
    """The lines of a try's log after `place` (None: from its beginning), the place after them, and whether that is the
    end for good. Raises StoreError, LogsAway, NotFound."""
    log = log_of(run, ti, number)
    # Whether the try has ended is looked at before its log: what it wrote until then is in what is read next.
    seen = look(ops, [log]).get(log.key)
    with open_log(ops, log) as file:
        part = read_part(file, place or Place(), _LINES)
    return [entry.line for entry in part.lines], part.place, part.at_end and (seen is None or seen.over)
