"""The memory, made anew from the database: after a start, a take-over, a commit that failed."""

import msgspec

from airloom.decide import admission, lifecycle, moves, progress
from airloom.decide.graph import Graph
from airloom.decide.ledger import Ledger
from airloom.decide.state import DagState, LiveTry, Run, TimerKind, World, WorldConfig
from airloom.model.report import TryKey
from airloom.model.run import LiveRun, Snapshot, TIRow
from airloom.model.states import LIVE_TRY, RunState, TIState
from airloom.model.work import Cancel


def rebuild(snapshot: Snapshot, config: WorldConfig, now: float) -> World:
    """A World equal to the one whose last commit the snapshot shows.

    Executors' capacities are not in the database: until they are told, nothing is admitted.
    """
    world = World(config)
    world.now = now
    world.next_run, world.next_ti = snapshot.next_run, snapshot.next_ti
    for pool in snapshot.pools:
        world.pool_rows[pool.name] = pool
        gate = admission.pool_gate(world, pool.name)
        gate.limit = None if pool.slots == -1 else pool.slots
        gate.why = admission.no_slots(pool.name) if pool.slots == 0 else ""
    for version in snapshot.versions:
        world.graphs[version.id] = Graph(version)
    for dag in snapshot.dags:
        paused = dag.paused if config.foreground is None else dag.dag_id != config.foreground
        row = msgspec.structs.replace(dag, paused=paused)
        world.dags[dag.dag_id] = DagState(row, world.graphs[dag.version_id])
        world.stirred[dag.dag_id] = None
    for live_run in snapshot.runs:
        put_run(world, world.dags[live_run.run.dag_id], live_run)
    # Whatever was decided is in the database already: what loading wrote into the ledger is no news.
    world.ledger = Ledger()
    return world


def put_run(world: World, dag: DagState, live_run: LiveRun) -> None:
    """Put a run with its TIs, as the database has them, into the memory."""
    run = lifecycle.add_run(world, dag, live_run.run)
    for row in sorted(live_run.tis, key=lambda ti: ti.id):
        slot = moves.put_ti(run, run.graph.index[row.task_id], row)
        if row.map_length is not None:
            run.map_length[slot] = row.map_length
        if row.skip is not None:
            run.skips[slot] = row.skip
    moves.recount(run)
    for slot, row in enumerate(sorted(live_run.tis, key=lambda ti: ti.id)):
        _put_state(world, run, slot, row)
    if run.state is RunState.RUNNING:
        progress.stir(world, run)


def _put_state(world: World, run: Run, slot: int, row: TIRow) -> None:
    """What a TI's state means beyond the arrays: its place in a line, its try, its timer."""
    if row.state is TIState.SCHEDULED:
        admission.enqueue(world, run, slot)
    elif row.state is TIState.UP_FOR_RETRY:
        run.retry_at[slot] = world.now if row.retry_at is None else row.retry_at
        world.set_timer(run.retry_at[slot], TimerKind.RETRY, (run.row.id, slot))
    elif row.state in LIVE_TRY:
        live = LiveTry(
            run=run,
            slot=slot,
            lane=admission.lane_for(world, run, run.task_of[slot]),
            executor=row.executor or world.config.executors[0],
            queued_at=world.now if row.queued_at is None else row.queued_at,
            started_at=row.started_at,
        )
        admission.hold(live)
        world.live[row.id] = live


def pending_cancels(world: World) -> list[Cancel]:
    """Tries that were told to end before the restart, and may not have heard."""
    return [
        Cancel(key=TryKey(ti_id, live.run.tries[live.slot]), executor=live.executor, reason="the run was cancelled")
        for ti_id, live in world.live.items()
        if live.run.cancelled or live.run.states[live.slot] is TIState.RESTARTING
    ]
