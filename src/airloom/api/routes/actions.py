"""What is done to dags and runs: pause, trigger, clear, mark, cancel, delete.

Each is done to its end when the client goes away meanwhile: the scheduler has the command, and answers nobody.
"""

from datetime import datetime
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Response

from airloom.api.access import By, dag_is_there
from airloom.api.idempotency import Repeat
from airloom.api.live import in_turn
from airloom.api.routes.runs import run_of
from airloom.api.schemas.dags import DagPatch
from airloom.api.schemas.runs import ClearChoice, MarkChoice, Run, RunMark, RunTrigger, Touched
from airloom.model.errors import InvalidRequest
from airloom.model.events import ClearTasks, MarkTasks, TriggerRun
from airloom.model.states import RunState, TIState
from airloom.operations import browsing, dags, notes, runs
from airloom.operations.ops import Ops

router = APIRouter(tags=["actions"], dependencies=[dag_is_there, in_turn])

#: names that one answer holds
_NAMED = 1_000


@router.patch("/dags/{dag_id}", status_code=204)
def change_dag(dag_id: str, body: DagPatch, caller: By) -> None:
    """Pause or unpause a dag: what runs goes on, nothing new of it is started while it is paused."""
    dags.set_paused(caller.ops, dag_id, body.paused)


@router.delete("/dags/{dag_id}", status_code=204)
def delete_dag(dag_id: str, caller: By) -> None:
    """Forget a dag whose definition is gone from its file, with all its history."""
    dags.delete_dag(caller.ops, dag_id)


@router.post("/dags/{dag_id}/runs", status_code=201, response_model=Run)
def trigger_run(dag_id: str, body: RunTrigger, caller: By, repeat: Repeat, response: Response) -> Run:
    """Make a run."""
    made = repeat.once(body, Run, lambda since: _trigger(caller.ops, dag_id, body, since, repeat.key))
    response.headers["Location"] = f"/api/v1/dags/{quote(dag_id)}/runs/{quote(made.run_id)}"
    return made


@router.post("/dags/{dag_id}/clear", response_model=Touched)
def clear_tasks(dag_id: str, body: ClearChoice, caller: By) -> Touched:
    """Let tasks of runs run again: what has ended begins anew, what runs is ended first."""
    wanted = ClearTasks(
        dag_id=dag_id,
        run_id="",
        task_ids=None if body.tasks is None else tuple(body.tasks),
        map_index=body.map_index,
        upstream=body.upstream,
        downstream=body.downstream,
        only_failed=body.only_failed,
        dry_run=body.dry_run,
    )
    return _touched(runs.clear_runs(caller.ops, wanted, body.runs), body.dry_run)


@router.post("/dags/{dag_id}/mark", response_model=Touched)
def mark_tasks(dag_id: str, body: MarkChoice, caller: By) -> Touched:
    """Have tasks of runs count as ended. What runs is ended; what follows them follows by its trigger rule."""
    wanted = MarkTasks(
        dag_id=dag_id,
        run_id="",
        state=TIState(body.state),
        task_ids=None if body.tasks is None else tuple(body.tasks),
        map_index=body.map_index,
        upstream=body.upstream,
        downstream=body.downstream,
        dry_run=body.dry_run,
    )
    return _touched(runs.mark_tasks(caller.ops, wanted, body.runs), body.dry_run)


@router.post("/dags/{dag_id}/runs/{run_id}/cancel", response_model=Run)
def cancel_run(dag_id: str, run_id: str, caller: By) -> Run:
    """End a run as failed: what runs of it is stopped, the rest never starts."""
    return _run(caller.ops, dag_id, runs.cancel(caller.ops, dag_id, run_id))


@router.post("/dags/{dag_id}/runs/{run_id}/mark", response_model=Touched)
def mark_run(dag_id: str, run_id: str, body: RunMark, caller: By) -> Touched:
    """End a run as success or failed at once, or have one that has ended count so."""
    run = runs.get_run(caller.ops, dag_id, run_id)
    names = runs.mark_run(caller.ops, dag_id, run.run_id, RunState(body.state), dry_run=body.dry_run)
    return _touched([f"{run.run_id}/{name}" for name in names], body.dry_run)


def _trigger(ops: Ops, dag_id: str, body: RunTrigger, since: float | None, key: str | None) -> Run:
    wanted = TriggerRun(
        dag_id=dag_id,
        run_id=body.run_id,
        logical_date=_seconds(body.logical_date),
        run_after=_seconds(body.run_after),
        conf=body.conf,
        by=ops.by,
    )
    if since is not None:
        at = since if wanted.logical_date is None else wanted.logical_date
        run_id = body.run_id or runs.repeatable_run_id(at, f"{ops.by}\n{key}")
        wanted = msgspec.structs.replace(wanted, run_id=run_id)
    made = runs.make_run(ops, wanted, since)
    if body.note is not None:
        notes.set_run_note(ops, dag_id, made, body.note)
    return _run(ops, dag_id, made)


def _run(ops: Ops, dag_id: str, run_id: str) -> Run:
    return run_of(browsing.get_run(ops, dag_id, run_id))


def _seconds(moment: datetime | None) -> float | None:
    if moment is not None and moment.tzinfo is None:
        raise InvalidRequest(f"{moment.isoformat()} says nothing of its time zone: end it with Z for UTC")
    return None if moment is None else moment.timestamp()


def _touched(names: list[str], dry_run: bool) -> Touched:
    return Touched(dry_run=dry_run, total=len(names), instances=names[:_NAMED])
