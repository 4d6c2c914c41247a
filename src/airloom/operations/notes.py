"""Verbs about notes on runs and task instances."""

from airloom.model.errors import InvalidRequest
from airloom.operations.auditing import record
from airloom.operations.lookup import find_run, find_tis
from airloom.operations.ops import Ops
from airloom.store import notes
from airloom.store.notes import NoteRow

_LONGEST = 10_000


def set_run_note(ops: Ops, dag_id: str, run_id: str, text: str) -> NoteRow | None:
    """Write a note about a run in place of the one before; an empty text removes it.

    Raises NotFound, InvalidRequest.
    """
    return _set(ops, dag_id, run_id, None, text)


def set_ti_note(ops: Ops, dag_id: str, run_id: str, task: tuple[str, int | None], text: str) -> NoteRow | None:
    """As `set_run_note`, about one task instance: `task` is its task id and its map index, if it has one."""
    return _set(ops, dag_id, run_id, task, text)


def _set(ops: Ops, dag_id: str, run_id: str, task: tuple[str, int | None] | None, text: str) -> NoteRow | None:
    if len(text) > _LONGEST:
        raise InvalidRequest(f"a note has at most {_LONGEST} characters")
    with ops.db.transaction() as conn:
        run = find_run(conn, dag_id, run_id)
        ti_id, subject = 0, None
        if task is not None:
            tis = find_tis(conn, run, *task)
            if len(tis) > 1:
                raise InvalidRequest(f"task {task[0]} has {len(tis)} instances in this run: choose one by map index")
            ti_id, subject = tis[0].id, task[0]
        action = "note.set" if text.strip() else "note.remove"
        record(conn, ops, action, dag_id=run.dag_id, run_id=run.run_id, subject=subject)
        if not text.strip():
            notes.remove_note(conn, run.id, ti_id)
            return None
        row = NoteRow(run_id=run.id, ti_id=ti_id, text=text, by=ops.by, at=ops.now())
        notes.set_note(conn, row)
        return row
