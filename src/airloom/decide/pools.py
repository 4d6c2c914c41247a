"""What the pools have to do, read off their gates: the same that decide who starts."""

import heapq

from airloom.decide.lanes import Gate, Lane, slot_of
from airloom.decide.state import Run, World
from airloom.model.errors import NotFound
from airloom.model.pool_state import PoolState, PoolTask

#: holders, and waiters, that one answer names
MOST = 100


def show_pools(world: World, name: str | None = None) -> list[PoolState]:
    """Every pool by name, or the one of that name with who holds it and who waits. Raises NotFound."""
    if name is None:
        return [_use(world, pool) for pool in sorted(world.pool_rows)]
    if name not in world.pool_rows:
        raise NotFound(f"there is no pool {name}")
    return [_use(world, name, members=True)]


def _use(world: World, name: str, *, members: bool = False) -> PoolState:
    gate = world.pools.get(name)
    if gate is None:
        return PoolState(name=name, used=0, waiting=0)
    lanes = _waiting(gate)
    return PoolState(
        name=name,
        used=gate.used,
        waiting=sum(len(lane.keys) for lane in lanes),
        holders=_holders(world, gate) if members else (),
        waiters=_waiters(world, lanes) if members else (),
    )


def _waiting(gate: Gate) -> list[Lane]:
    """The lanes that are parked at the gate; in its heap are also older places of lanes that have moved on."""
    in_line = [lane for _, stamp, lane in gate.line if lane.gate is gate and lane.stamp == stamp and lane.keys]
    return in_line + [lane for lane in gate.never if lane.gate is gate and lane.keys]


def _holders(world: World, gate: Gate) -> tuple[PoolTask, ...]:
    live = [entry for entry in world.live.values() if entry.lane.pool is gate]
    first = heapq.nsmallest(MOST, live, key=lambda entry: entry.queued_at)
    return tuple(_task(entry.run, entry.slot, entry.lane.pool_slots, since=entry.queued_at) for entry in first)


def _waiters(world: World, lanes: list[Lane]) -> tuple[PoolTask, ...]:
    first = [(lane.order_of(key), key, lane) for lane in lanes for key in heapq.nsmallest(MOST, lane.keys)]
    first.sort(key=lambda entry: entry[0])
    return tuple(
        _task(world.runs[lane.run], slot_of(key), lane.pool_slots, place=number)
        for number, (_, key, lane) in enumerate(first[:MOST], 1)
    )


def _task(run: Run, slot: int, slots: int, *, since: float | None = None, place: int | None = None) -> PoolTask:
    return PoolTask(
        dag_id=run.row.dag_id,
        run_id=run.row.run_id,
        task_id=run.graph.tasks[run.task_of[slot]].task_id,
        map_index=run.map_index[slot],
        slots=slots,
        since=since,
        place=place,
    )
