"""What of a turn's decisions people see: which runs, task instances, dags and pools changed, as compact JSON.

All moves of a TI in one turn are one change, to the state that it has in the end. A run that is new has all its TIs in
state none; only what differs from that is told.
"""

from collections.abc import Callable, Iterable

import msgspec

from airloom.decide.state import Run, World
from airloom.model.plan import Plan
from airloom.model.states import RUN_FINISHED

#: changes of one run that are listed; of more, only that there are many is told
MOST = 1_000

#: (task id, map index, state, try number)
TIChange = tuple[str, int, str, int]

_encoder = msgspec.json.Encoder()


class RunChange(msgspec.Struct, frozen=True, kw_only=True):
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
    changes: list[TIChange] = []
    many: bool = False


class Changes(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What changed. dags: ids of dags that are new, gone, paused, unpaused, or have a new version. topics: names of
    what else did, that the scheduler does not decide about."""

    runs: list[RunChange] = []
    tis: list[TIChanges] = []
    dags: list[str] = []
    pools: bool = False
    topics: list[str] = []


_decoder = msgspec.json.Decoder(Changes)


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
    # In the ledger's plan a run that is new has its changes in its row already.
    row, changes = plan.new_runs.get(number, run.row), plan.run_changes.get(number)
    state = row.state if changes is None else changes.get("state", run.state)
    ended_at = row.ended_at if changes is None else changes.get("ended_at", row.ended_at)
    return RunChange(
        dag_id=row.dag_id,
        run_id=row.run_id,
        id=number,
        state=state,
        run_type=row.run_type,
        run_after=row.run_after,
        version=run.graph.version.number,
        logical_date=row.logical_date,
        started_at=run.started_at,
        # A run that was read back, and was cleared, still has the row of its first end.
        ended_at=ended_at if state in RUN_FINISHED else None,
    )


def _tis(run: Run, slots: dict[int, None]) -> TIChanges:
    dag_id, run_id = run.row.dag_id, run.row.run_id
    if len(slots) > MOST:
        return TIChanges(dag_id=dag_id, run_id=run_id, many=True)
    tasks, task_of = run.graph.tasks, run.task_of
    map_index, states, tries = run.map_index, run.states, run.tries
    changes: list[TIChange] = [
        (tasks[task_of[slot]].task_id, map_index[slot], states[slot], tries[slot]) for slot in slots
    ]
    return TIChanges(dag_id=dag_id, run_id=run_id, changes=changes)


def decode(data: bytes) -> Changes:
    """What `changes_of` encoded."""
    return _decoder.decode(data)


def merge(parts: Iterable[Changes]) -> Changes:
    """Changes that followed one another, as one: of what changed twice, only how it is in the end."""
    runs: dict[int, RunChange] = {}
    tis: dict[tuple[str, str], dict[tuple[str, int], TIChange] | None] = {}
    dags: dict[str, None] = {}
    topics: dict[str, None] = {}
    pools = False
    for part in parts:
        runs.update((run.id, run) for run in part.runs)
        for of_run in part.tis:
            name = (of_run.dag_id, of_run.run_id)
            known = tis.setdefault(name, {})
            if of_run.many or known is None:
                tis[name] = None
            else:
                known.update((change[:2], change) for change in of_run.changes)
        dags.update(dict.fromkeys(part.dags))
        topics.update(dict.fromkeys(part.topics))
        pools = pools or part.pools
    return Changes(
        runs=list(runs.values()),
        tis=[_of_run(*name, changes) for name, changes in tis.items()],
        dags=list(dags),
        pools=pools,
        topics=list(topics),
    )


def _of_run(dag_id: str, run_id: str, changes: dict[tuple[str, int], TIChange] | None) -> TIChanges:
    if changes is None or len(changes) > MOST:
        return TIChanges(dag_id=dag_id, run_id=run_id, many=True)
    return TIChanges(dag_id=dag_id, run_id=run_id, changes=list(changes.values()))


def about_dags(changes: Changes, sees: Callable[[str], bool]) -> Changes | None:
    """What of it is about dags that `sees` accepts; None if nothing is."""
    part = Changes(
        runs=[run for run in changes.runs if sees(run.dag_id)],
        tis=[tis for tis in changes.tis if sees(tis.dag_id)],
        dags=[dag_id for dag_id in changes.dags if sees(dag_id)],
    )
    return part if part.runs or part.tis or part.dags else None
