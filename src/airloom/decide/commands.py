"""What users and the loader ask of the leader. Each command is answered; one that cannot be done changes nothing."""

from collections.abc import Callable
from typing import Any

import msgspec

from airloom.decide import admission, lifecycle, marking, moves, progress
from airloom.decide.explain import explain
from airloom.decide.graph import Graph
from airloom.decide.pools import show_pools
from airloom.decide.recovery import put_run
from airloom.decide.state import DagState, Run, World
from airloom.model.errors import AirloomError, Conflict, InvalidRequest, NotFound
from airloom.model.events import (
    Answer,
    CancelRun,
    ClearTasks,
    DagGone,
    DagLoaded,
    DeleteDag,
    DeletePool,
    Event,
    Explain,
    MarkRun,
    MarkTasks,
    RunLoaded,
    SetPaused,
    SetPool,
    ShowPools,
    TriggerRun,
)
from airloom.model.run import DEFAULT_POOL, RunType, VersionRow
from airloom.model.spec import MAX_NUMBER
from airloom.model.states import FAILURES, FINISHED, LIVE_TRY, MARKS, RUN_FINISHED, RunState, TIState

_ERRORS: dict[type[AirloomError], str] = {NotFound: "not_found", Conflict: "conflict", InvalidRequest: "invalid"}


def handle(world: World, event: Event) -> None:
    """Do what is asked and answer it."""
    inbox_id = getattr(event, "inbox_id", None)
    try:
        answer = Answer(value=_VERBS[type(event)](world, event))
    except (NotFound, Conflict, InvalidRequest) as error:
        answer = Answer(error=_ERRORS[type(error)], message=str(error))
    world.ledger.answer(inbox_id, answer)


def _dag(world: World, dag_id: str) -> DagState:
    dag = world.dags.get(dag_id)
    if dag is None:
        raise NotFound(f"there is no dag {dag_id}")
    return dag


def _run(world: World, dag_id: str, run_id: str) -> Run:
    number = world.run_numbers.get((_dag(world, dag_id).row.dag_id, run_id))
    if number is None:
        raise NotFound(f"dag {dag_id} has no run {run_id}")
    return world.runs[number]


def _graph(world: World, version: VersionRow) -> Graph:
    if version.id not in world.graphs:
        world.graphs[version.id] = Graph(version)
    return world.graphs[version.id]


def _dag_loaded(world: World, event: DagLoaded) -> None:
    graph = _graph(world, event.version)
    # The same spec may be in another file, or in other code, by now: its runs follow.
    graph.version = event.version
    dag = world.dags.get(event.dag.dag_id)
    if dag is None:
        world.dags[event.dag.dag_id] = DagState(event.dag, graph)
    else:
        previous = dag.graph.version.id
        known = dag.row
        dag.graph = graph
        dag.row = msgspec.structs.replace(
            event.dag,
            paused=known.paused,
            last_run_after=known.last_run_after,
            last_logical=known.last_logical,
        )
        for task in graph.tasks:
            gate = dag.task_gates.get(task.task_id)
            if gate is not None:
                world.lines.change_limit(gate, task.max_active_tis_per_dag)
        if previous != graph.version.id and all(world.runs[n].row.version_id != previous for n in dag.runs):
            del world.graphs[previous]
    world.stirred[event.dag.dag_id] = None


def _dag_gone(world: World, event: DagGone) -> None:
    dag = _dag(world, event.dag_id)
    dag.row = msgspec.structs.replace(dag.row, active=False)


def _run_loaded(world: World, event: RunLoaded) -> None:
    dag = _dag(world, event.run.run.dag_id)
    _graph(world, event.version)
    put_run(world, dag, event.run)
    world.visitors.append(event.run.run.id)


def _trigger(world: World, event: TriggerRun) -> dict[str, Any]:
    dag = _dag(world, event.dag_id)
    if not dag.row.active:
        raise Conflict(f"the definition of dag {event.dag_id} is gone from its file; nothing new can be run of it")
    if event.run_id is not None and (event.dag_id, event.run_id) in world.run_numbers:
        raise Conflict(f"dag {event.dag_id} has a run {event.run_id} already")
    if event.run_type is RunType.MANUAL and (event.run_id or "").startswith(f"{RunType.SCHEDULED.value}__"):
        raise InvalidRequest(f"the run id {event.run_id} is one that a schedule makes: give another one")
    if event.logical_date is not None:
        same = [world.runs[n].row for n in dag.runs if world.runs[n].row.logical_date == event.logical_date]
        if same:
            raise Conflict(f"dag {event.dag_id} has a run with that logical date already: {same[0].run_id}")
    run = lifecycle.trigger(world, dag, event)
    return {"run_id": run.row.run_id}


def _set_paused(world: World, event: SetPaused) -> dict[str, Any]:
    dag = _dag(world, event.dag_id)
    if dag.row.paused != event.paused:
        dag.row = msgspec.structs.replace(dag.row, paused=event.paused)
        world.ledger.change_dag(event.dag_id, paused=event.paused)
        world.lines.change_limit(dag.gate, 0 if event.paused else None)
        world.stirred[event.dag_id] = None
    return {"dag_id": event.dag_id, "paused": event.paused}


def _delete_dag(world: World, event: DeleteDag) -> dict[str, Any]:
    dag = _dag(world, event.dag_id)
    if dag.row.active:
        raise Conflict(
            f"dag {event.dag_id} is still defined in {dag.row.rel_path}; remove it there first, or it would come back"
        )
    numbers = sorted(dag.runs)
    for number in numbers:
        run = world.runs[number]
        waiting = [slot for slot, state in enumerate(run.states) if state is TIState.SCHEDULED]
        admission.withdraw(world, run, waiting)
        for slot, state in enumerate(run.states):
            if state in LIVE_TRY:
                admission.cancel_try(world, run, slot, f"dag {event.dag_id} was deleted")
                admission.release(world, world.live.pop(run.ids[slot]))
        lifecycle.forget_run(world, run)
    world.graphs.pop(dag.graph.version.id, None)
    del world.dags[event.dag_id]
    world.ledger.plan.delete_dags.append(event.dag_id)
    return {"dag_id": event.dag_id, "runs_ended": len(numbers)}


def _cancel_run(world: World, event: CancelRun) -> dict[str, Any]:
    run = _run(world, event.dag_id, event.run_id)
    if run.state in RUN_FINISHED:
        raise Conflict(f"run {event.run_id} of dag {event.dag_id} has ended already ({run.state.value})")
    ended = 0
    run.cancelled = True
    world.ledger.change_run(run.row.id, cancelled_at=world.now)
    scheduled = [slot for slot, state in enumerate(run.states) if state is TIState.SCHEDULED]
    admission.withdraw(world, run, scheduled)
    for slot, state in enumerate(run.states):
        if state in LIVE_TRY:
            ended += 1
            admission.cancel_try(world, run, slot, f"the run was cancelled{f' by {event.by}' if event.by else ''}")
        elif state not in FINISHED and state is not TIState.NONE:
            run.retry_at.pop(slot, None)
            moves.move(world, run, slot, TIState.SKIPPED, ended_at=world.now, retry_at=None)
    lifecycle.begin(world, run)
    return {"run_id": event.run_id, "tries_ended": ended}


def _clear(world: World, event: ClearTasks) -> dict[str, Any]:
    run = _run(world, event.dag_id, event.run_id)
    if run.cancelled and run.state not in RUN_FINISHED:
        raise Conflict(f"run {event.run_id} of dag {event.dag_id} is being cancelled; clear it when it has ended")
    slots = [slot for slot in _chosen(run, event) if _clearable(run.states[slot], event)]
    if not event.dry_run:
        _clear_slots(world, run, slots)
    return {"cleared": [_ti_name(run, slot) for slot in slots]}


def _clearable(state: TIState, event: ClearTasks) -> bool:
    return state in FAILURES if event.only_failed else state is not TIState.NONE


def _mark_tasks(world: World, event: MarkTasks) -> dict[str, Any]:
    if event.state not in MARKS:
        raise InvalidRequest(f"a task is marked {', '.join(MARKS[:-1])} or {MARKS[-1]}, not {event.state.value}")
    run = _run(world, event.dag_id, event.run_id)
    if run.cancelled and run.state not in RUN_FINISHED:
        raise Conflict(f"run {event.run_id} of dag {event.dag_id} is being cancelled; mark it when it has ended")
    slots = [slot for slot in _chosen(run, event) if run.states[slot] not in (event.state, TIState.REMOVED)]
    names = [_ti_name(run, slot) for slot in slots]
    if not event.dry_run:
        marking.mark(world, run, slots, event.state, event.by)
    return {"marked": names}


def _mark_run(world: World, event: MarkRun) -> dict[str, Any]:
    if event.state not in RUN_FINISHED:
        raise InvalidRequest(f"a run is marked success or failed, not {event.state.value}")
    run = _run(world, event.dag_id, event.run_id)
    names = [_ti_name(run, slot) for slot in marking.run_slots(run, event.state)]
    if not event.dry_run:
        marking.mark_run(world, run, event.state, event.by)
    return {"marked": names}


def _chosen(run: Run, event: ClearTasks | MarkTasks) -> list[int]:
    """The slots that a command names, whatever their state."""
    named = set(range(len(run.graph.tasks)))
    if event.task_ids is not None:
        for task_id in event.task_ids:
            if task_id not in run.graph.index:
                raise NotFound(f"dag {event.dag_id} has no task {task_id} in the version that run {event.run_id} uses")
        named = {run.graph.index[task_id] for task_id in event.task_ids}
    tasks = set(named)
    for task in named:
        if event.upstream:
            tasks |= run.graph.reach(task, upstream=True)
        if event.downstream:
            tasks |= run.graph.reach(task)
    chosen = []
    for task in sorted(tasks):
        for slot in run.slots(task):
            # A map index is that of the named task: of what is cleared along with it, every instance is.
            if task not in named or event.map_index in (None, run.map_index[slot]):
                chosen.append(slot)
    return chosen


def _clear_slots(world: World, run: Run, slots: list[int]) -> None:
    admission.withdraw(world, run, [slot for slot in slots if run.states[slot] is TIState.SCHEDULED])
    for slot in slots:
        retries = run.graph.tasks[run.task_of[slot]].retries
        run.max_tries[slot] = run.tries[slot] + retries
        run.infra[slot] = 0
        values: dict[str, Any] = {"max_tries": run.max_tries[slot], "infra_failures": 0}
        if run.states[slot] is TIState.RESTARTING:
            continue
        if run.states[slot] in LIVE_TRY:
            moves.move(world, run, slot, TIState.RESTARTING, **values)
            admission.cancel_try(world, run, slot, "it was cleared while it was running")
            continue
        progress.reset(world, run, slot, **values)
    if not slots:
        return
    moves.recount(run)
    if run.state in RUN_FINISHED:
        lifecycle.revive(world, run)
    progress.apply_skips(world, run)
    if run.state is RunState.RUNNING:
        progress.stir(world, run)


def _ti_name(run: Run, slot: int) -> str:
    task_id = run.graph.tasks[run.task_of[slot]].task_id
    index = run.map_index[slot]
    return task_id if index < 0 else f"{task_id}[{index}]"


def _set_pool(world: World, event: SetPool) -> dict[str, Any]:
    pool = event.pool
    if not -1 <= pool.slots <= MAX_NUMBER:
        raise InvalidRequest(f"pool {pool.name}: {pool.slots} slots; give 0 to {MAX_NUMBER}, or -1 for no limit")
    world.pool_rows[pool.name] = pool
    world.ledger.plan.set_pools[pool.name] = pool
    limit = None if pool.slots == -1 else pool.slots
    why = admission.no_slots(pool.name) if limit == 0 else ""
    world.lines.change_limit(admission.pool_gate(world, pool.name), limit, why)
    return {"name": pool.name, "slots": pool.slots}


def _delete_pool(world: World, event: DeletePool) -> dict[str, Any]:
    if event.name == DEFAULT_POOL:
        raise InvalidRequest(f"{DEFAULT_POOL} cannot be deleted; set its slots instead")
    if world.pool_rows.pop(event.name, None) is None:
        raise NotFound(f"there is no pool {event.name}")
    world.ledger.plan.set_pools.pop(event.name, None)
    world.ledger.plan.delete_pools.append(event.name)
    world.lines.change_limit(world.pools[event.name], 0, admission.no_pool(event.name))
    return {"name": event.name}


def _show_pools(world: World, event: ShowPools) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(use) for use in show_pools(world, event.name)]


def _explain(world: World, event: Explain) -> list[dict[str, Any]]:
    found = explain(world, event.dag_id, event.run_id, event.task_id, event.map_index)
    return [msgspec.to_builtins(explanation) for explanation in found]


_VERBS: dict[type, Callable[..., Any]] = {
    DagLoaded: _dag_loaded,
    DagGone: _dag_gone,
    RunLoaded: _run_loaded,
    TriggerRun: _trigger,
    SetPaused: _set_paused,
    DeleteDag: _delete_dag,
    CancelRun: _cancel_run,
    ClearTasks: _clear,
    MarkTasks: _mark_tasks,
    MarkRun: _mark_run,
    SetPool: _set_pool,
    DeletePool: _delete_pool,
    ShowPools: _show_pools,
    Explain: _explain,
}
