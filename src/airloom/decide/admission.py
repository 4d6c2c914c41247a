"""Which waiting TIs start now: limits are asked in order, and whoever is refused waits at what refused it.

Order of the limits: the dag is paused, the task's limits, the run's limit, the pool, the parallelism of the whole, the
executor's capacity. The narrow ones come first, so that nobody stands in a pool's line who could not run anyway.
"""

from airloom.decide.lanes import Gate, Lane, waiting_key
from airloom.decide.moves import NotMappable, map_lengths, move
from airloom.decide.state import LiveTry, Run, World
from airloom.model.reasons import ReasonKind
from airloom.model.report import TryKey
from airloom.model.run import TryRow
from airloom.model.states import TIState
from airloom.model.work import Cancel, Work


def enqueue(world: World, run: Run, slot: int) -> None:
    """A scheduled TI joins the lane of its kind."""
    world.lines.add(lane_for(world, run, run.task_of[slot]), _key(run, slot))


def withdraw(world: World, run: Run, slots: list[int]) -> None:
    """Scheduled TIs leave their lanes without running."""
    by_lane: dict[int, tuple[Lane, set[int]]] = {}
    for slot in slots:
        lane = lane_for(world, run, run.task_of[slot])
        by_lane.setdefault(id(lane), (lane, set()))[1].add(_key(run, slot))
    for lane, keys in by_lane.values():
        world.lines.discard(lane, keys)


def _key(run: Run, slot: int) -> int:
    return waiting_key(run.graph.weights[run.task_of[slot]], run.map_index[slot], slot)


def admit(world: World) -> None:
    """Start every TI that no limit refuses, best first."""
    lines = world.lines
    while True:
        lines.wake()
        lane = lines.pop_ready()
        if lane is None:
            if not lines.loosened:
                return
            continue
        woken_by, lane.woken_by = lane.woken_by, None
        refusal = next((gate for gate in lane.gates if gate.refuses(lane)), None)
        if refusal is None:
            _start(world, lane)
        else:
            lines.park(lane, refusal)
        # The gate that woke it may still have room for the next in its line.
        if woken_by is not None and woken_by is not refusal:
            lines.loosen(woken_by)


def _start(world: World, lane: Lane) -> None:
    run = world.runs[lane.run]
    slot = world.lines.take(lane)
    executor = lane.gates[-1].name
    for gate in lane.gates:
        gate.used += lane.need(gate)
    now = world.now
    ti_id = run.ids[slot]
    task = run.graph.tasks[run.task_of[slot]]
    move(
        world,
        run,
        slot,
        TIState.QUEUED,
        queued_at=now,
        started_at=None,
        ended_at=None,
        executor=executor,
        cause=None,
        detail=None,
        map_length=None,
        skip=None,
    )
    world.live[ti_id] = LiveTry(run=run, slot=slot, lane=lane, executor=executor, queued_at=now)
    if run.tries[slot] > 1:
        world.ledger.drop_xcoms(ti_id)
    world.ledger.new_try(
        TryRow(
            ti_id=ti_id,
            try_number=run.tries[slot],
            state=TIState.QUEUED,
            executor=executor,
            queue=task.queue,
            queued_at=now,
        )
    )
    world.ledger.submit(make_work(run, slot, executor))


def release(world: World, live: LiveTry) -> None:
    """A try is over: what it held is free for others."""
    for gate in live.lane.gates:
        gate.used -= live.lane.need(gate)
        world.lines.loosen(gate)


def cancel_try(world: World, run: Run, slot: int, why: str) -> None:
    """The executor is to end a TI's live try."""
    ti_id = run.ids[slot]
    key = TryKey(ti_id, run.tries[slot])
    world.ledger.cancel(Cancel(key=key, executor=world.live[ti_id].executor, reason=why))


def hold(live: LiveTry) -> None:
    """A try that was live when the memory was rebuilt takes what it holds, even if a limit is smaller by now."""
    for gate in live.lane.gates:
        gate.used += live.lane.need(gate)


def lane_for(world: World, run: Run, task: int) -> Lane:
    """The lane of a task's TIs, shared with the run's other tasks that are alike to all limits."""
    lane = run.lane_of[task]
    if lane is None:
        gates, pool = _gates(world, run, task)
        spec = run.graph.tasks[task]
        alike = (*(id(gate) for gate in gates), spec.pool_slots)
        lane = run.lanes.get(alike)
        if lane is None:
            lane = Lane(run.row.id, run.order_date(), run.ids, gates, pool, spec.pool_slots)
            run.lanes[alike] = lane
        run.lane_of[task] = lane
    return lane


def _gates(world: World, run: Run, task: int) -> tuple[tuple[Gate, ...], Gate]:
    spec = run.graph.tasks[task]
    dag = world.dags[run.row.dag_id]
    gates = [dag.gate]
    if spec.max_active_tis_per_dagrun is not None:
        name = f"{run.row.dag_id}.{spec.task_id} in {run.row.run_id}"
        gates.append(Gate(ReasonKind.TASK_LIMIT, name, spec.max_active_tis_per_dagrun))
    if spec.max_active_tis_per_dag is not None:
        gate = dag.task_gates.get(spec.task_id)
        if gate is None:
            # One limit for the runs of all versions: that of the dag's current one, if it has the task.
            number = dag.graph.index.get(spec.task_id)
            newest = spec if number is None else dag.graph.tasks[number]
            gate = Gate(ReasonKind.TASK_LIMIT, f"{run.row.dag_id}.{spec.task_id}", newest.max_active_tis_per_dag)
            dag.task_gates[spec.task_id] = gate
        gates.append(gate)
    pool = pool_gate(world, spec.pool)
    gates += [run.gate, pool, world.parallelism, executor_gate(world, spec.executor)]
    return tuple(gates), pool


def pool_gate(world: World, name: str) -> Gate:
    """A pool's gate; closed for a pool that does not exist."""
    gate = world.pools.get(name)
    if gate is None:
        gate = world.pools[name] = Gate(ReasonKind.POOL, name, 0, no_pool(name))
    return gate


def no_pool(name: str) -> str:
    """What holds a task whose pool does not exist."""
    return f"pool {name} does not exist; `airloom pools set {name} SLOTS` makes it"


def no_slots(name: str) -> str:
    """What holds a task whose pool has no slots at all."""
    return f"pool {name} has 0 slots; `airloom pools set {name} SLOTS` gives it some"


def executor_gate(world: World, name: str | None) -> Gate:
    """An executor's gate, the first one's for None; closed for one that is not configured."""
    name = name or world.config.executors[0]
    gate = world.executors.get(name)
    if gate is None:
        gate = world.executors[name] = Gate(
            ReasonKind.NO_EXECUTOR, name, 0, f"executor {name} is not configured: see [core] executors"
        )
    return gate


def make_work(run: Run, slot: int, executor: str) -> Work:
    """All that is needed to run the try that a TI has now."""
    graph, row, number = run.graph, run.row, run.task_of[slot]
    task, version = graph.tasks[number], graph.version
    return Work(
        key=TryKey(run.ids[slot], run.tries[slot]),
        dag_id=row.dag_id,
        task_id=task.task_id,
        run=run.info(),
        run_key=row.id,
        bundle=version.bundle,
        rel_path=version.rel_path,
        version_id=version.id,
        file_hash=version.file_hash,
        bundle_version=row.bundle_version,
        map_index=run.map_index[slot],
        map_size=1 + len(run.extra.get(number, ())) if task.map is not None else None,
        map_lengths=_lengths(run, number) if task.map is not None else (),
        upstream_sizes={graph.tasks[up].task_id: 1 + len(run.extra.get(up, ())) for up in graph.mapped_up[number]},
        max_tries=run.max_tries[slot],
        queue=task.queue,
        executor=executor,
        priority=graph.weights[number],
        execution_timeout=task.execution_timeout,
        memory_limit=task.memory_limit,
        isolation=task.isolation,
        executor_config=task.executor_config,
    )


def _lengths(run: Run, task: int) -> tuple[int, ...]:
    """The lengths of a mapped task's inputs; none if what it was mapped over is not mappable any more, because it was
    cleared and returned something else: the try then fails and says so."""
    try:
        return map_lengths(run, task)
    except NotMappable:
        return ()
