"""Notes on runs and task instances."""

from typing import Annotated

from fastapi import APIRouter, Query

from airloom.api.access import By, dag_is_there
from airloom.api.schemas.runs import Note, NoteText
from airloom.operations import notes

router = APIRouter(tags=["notes"], dependencies=[dag_is_there])


@router.put("/dags/{dag_id}/runs/{run_id}/note", response_model=Note | None)
def set_run_note(dag_id: str, run_id: str, body: NoteText, caller: By) -> Note | None:
    """Write a note on a run in place of the one before; an empty text removes it, and null is the answer."""
    row = notes.set_run_note(caller.ops, dag_id, run_id, body.text)
    return None if row is None else Note.model_validate(row)


@router.put("/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/note", response_model=Note | None)
def set_task_note(
    dag_id: str,
    run_id: str,
    task_id: str,
    body: NoteText,
    caller: By,
    map_index: Annotated[int | None, Query(ge=-1, description="Needed where the task has several instances.")] = None,
) -> Note | None:
    """Write a note on a task instance in place of the one before; an empty text removes it, and null is the answer."""
    row = notes.set_ti_note(caller.ops, dag_id, run_id, (task_id, map_index), body.text)
    return None if row is None else Note.model_validate(row)
