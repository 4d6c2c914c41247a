"""What of a turn's decisions people see: which runs, task instances, dags and pools changed, as compact JSON.

All moves of a TI in one turn are one change, to the state that it has in the end. A run that is new has all its TIs in
state none; only what differs from that is told.
"""

from typing import Any

import msgspec

from airloom.decide.state import Run, World
from airloom.model.plan import Plan

#: changes of one run that are listed; of more, only that there are many is told
MOST = 1_000

_encoder = msgspec.json.Encoder()


class RunChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run that is new or has changed, as it is now. id: its number. version: the number of its dag version."""

    dag_id: str
    run_id: str
    id: int
    state: str
    run_type: str
    run_after: float
    version: int
    logical_date: float | None = None
    started_at: float | None = None
    ended_at: float | None = None


class TIChanges(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The TIs of one run that changed: (task id, map index, state, try number) of each, or that they are many."""

    dag_id: str
    run_id: str
    changes: list[tuple[str, int, str, int]] = []
    many: bool = False


class Changes(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What changed. dags: ids of dags that are new, gone, paused, unpaused, or have a new version. topics: names of
    what else did, that the scheduler does not decide about."""

    runs: list[RunChange] = []
    tis: list[TIChanges] = []
    dags: list[str] = []
    pools: bool = False
    topics: list[str] = []


def changes_of(world: World, plan: Plan) -> bytes | None:
    """What people see of a turn that has just been decided, as JSON of Changes; None if that is nothing."""
    pools = bool(plan.set_pools or plan.delete_pools)
    numbers = {**plan.new_runs, **plan.run_changes} if plan.new_runs else plan.run_changes
    dags = _dags(world, plan) if plan.dag_changes or plan.delete_dags or world.reloaded else []
    if not (world.moved or numbers or dags or pools):
        return None
    return _encoder.encode(
        Changes(
            runs=[_run(world, plan, number) for number in numbers],
            tis=[_tis(run, slots) for run, slots in world.moved.items()],
            dags=dags,
            pools=pools,
        )
    )


def _dags(world: World, plan: Plan) -> list[str]:
    """Dags of which more has changed than how far their schedule has come: that shows in the runs it made."""
    changed = dict.fromkeys(dag_id for dag_id, values in plan.dag_changes.items() if "paused" in values)
    return list(changed | world.reloaded | dict.fromkeys(plan.delete_dags))


def _run(world: World, plan: Plan, number: int) -> RunChange:
    run = world.runs.get(number) or world.gone[number]
    row, changes = run.row, plan.run_changes.get(number) or {}
    new = plan.new_runs.get(number)
    return RunChange(
        dag_id=row.dag_id,
        run_id=row.run_id,
        id=number,
        state=changes.get("state", run.state) if new is None else new.state,
        run_type=row.run_type,
        run_after=row.run_after,
        version=run.graph.version.number,
        logical_date=row.logical_date,
        started_at=run.started_at,
        ended_at=changes.get("ended_at") if new is None else new.ended_at,
    )


def _tis(run: Run, slots: dict[int, None]) -> TIChanges:
    dag_id, run_id = run.row.dag_id, run.row.run_id
    if len(slots) > MOST:
        return TIChanges(dag_id=dag_id, run_id=run_id, many=True)
    tasks, task_of = run.graph.tasks, run.task_of
    map_index, states, tries = run.map_index, run.states, run.tries
    changes = [(tasks[task_of[slot]].task_id, map_index[slot], states[slot], tries[slot]) for slot in slots]
    return TIChanges(dag_id=dag_id, run_id=run_id, changes=changes)
