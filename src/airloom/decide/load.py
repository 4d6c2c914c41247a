"""What a World has in hand: what runs, what waits and for what, how full the limits are. Looked at, never changed."""

from collections import Counter
from collections.abc import Iterable

from msgspec.structs import replace

from airloom.decide.explain import gate_text
from airloom.decide.lanes import Gate, Lane
from airloom.decide.state import Run, World
from airloom.model.processes import ExecutorUse, Load, PoolUse, QueueUse, WaitingFor
from airloom.model.reasons import ReasonKind
from airloom.model.states import RunState, TIState

#: things that are waited for that are listed; of more, those that hold the most
MOST = 100
#: limits of one dag: who sees only other dags does not hear of them
_OF_A_DAG = (ReasonKind.PAUSED, ReasonKind.DAG_LIMIT, ReasonKind.TASK_LIMIT)


class Tally:
    """Counts the TIs of unfinished runs by state. A run is counted again only when it has changed."""

    def __init__(self) -> None:
        self._of_run: dict[Run, Counter[TIState]] = {}
        self._stale: set[Run] = set()

    def note(self, world: World) -> None:
        """To be called after each turn."""
        self._stale.update(world.moved)

    def instances(self, world: World) -> dict[str, int]:
        """State -> TIs."""
        known, self._of_run = self._of_run, {}
        total: Counter[TIState] = Counter()
        for run in world.runs.values():
            counts = None if run in self._stale else known.get(run)
            counts = self._of_run[run] = Counter(run.states) if counts is None else counts
            total.update(counts)
        self._stale.clear()
        return {state.value: count for state, count in total.items() if count}


def load(world: World, instances: dict[str, int]) -> Load:
    """What it has in hand. It costs a step for each run, lane of waiting TIs, live try and dag."""
    now = world.now
    queues = _queues(world)
    running = sum(use.running for use in queues)
    held: dict[int, int] = {}
    lanes: dict[int, Lane] = {}
    waiting: list[WaitingFor] = []
    retries: dict[str, int] = {}
    queued: dict[str, int] = {}
    for run in world.runs.values():
        dag_id = run.row.dag_id
        if run.retry_at:
            retries[dag_id] = retries.get(dag_id, 0) + len(run.retry_at)
        if run.state is RunState.QUEUED and run.row.run_after <= now:
            queued[dag_id] = queued.get(dag_id, 0) + run.open
        for lane in run.lanes.values():
            gate = lane.gate
            if gate is not None and lane.keys:
                held[id(gate)] = held.get(id(gate), 0) + len(lane.keys)
                lanes.setdefault(id(gate), lane)
    for key, lane in lanes.items():
        assert lane.gate is not None
        waiting.append(_at_gate(world.runs[lane.run], lane.gate, lane, held[key]))
    waiting += [_for_run(world, dag_id, count) for dag_id, count in queued.items()]
    waiting += [_for_retry(dag_id, count) for dag_id, count in retries.items()]
    at_executors = Counter((live.executor, live.held) for live in world.live.values() if live.held)
    waiting += [_at_executor(name, why, count) for (name, why), count in at_executors.items()]
    return Load(
        runs=len(world.runs),
        queued=len(world.live) - running,
        running=running,
        scheduled=world.lines.waiting,
        timers=len(world.timers),
        schedule_lag=_schedule_lag(world, now),
        instances=instances,
        waiting=merged(waiting),
        executors=tuple(_executor(gate) for gate in world.executors.values()),
        pools=tuple(
            PoolUse(name=name, used=world.pools[name].used, waiting=held.get(id(world.pools[name]), 0))
            for name in world.pool_rows
        ),
        queues=queues,
    )


def _queues(world: World) -> tuple[QueueUse, ...]:
    """The live tries by executor and queue."""
    queued: Counter[tuple[str, str]] = Counter()
    running: Counter[tuple[str, str]] = Counter()
    for live in world.live.values():
        run = live.run
        name = (live.executor, run.graph.tasks[run.task_of[live.slot]].queue)
        (queued if live.started_at is None else running)[name] += 1
    return tuple(
        QueueUse(executor=name[0], name=name[1], queued=queued[name], running=running[name])
        for name in sorted(queued.keys() | running.keys())
    )


def merged(waiting: Iterable[WaitingFor]) -> tuple[WaitingFor, ...]:
    """What the same thing holds together, the most first."""
    found: dict[tuple[str, str], WaitingFor] = {}
    for entry in waiting:
        key = (entry.kind, entry.name)
        known = found.get(key)
        found[key] = entry if known is None else replace(known, count=known.count + entry.count)
    return tuple(sorted(found.values(), key=lambda entry: (-entry.count, entry.kind, entry.name))[:MOST])


def _at_gate(run: Run, gate: Gate, lane: Lane, count: int) -> WaitingFor:
    dag_id = run.row.dag_id if gate.kind in _OF_A_DAG else None
    text = f"dag {gate.name} is paused" if gate.kind is ReasonKind.PAUSED else gate_text(gate, lane.need(gate))
    return WaitingFor(kind=gate.kind.value, name=gate.name, text=text, count=count, dag_id=dag_id)


def _for_run(world: World, dag_id: str, count: int) -> WaitingFor:
    dag = world.dags[dag_id]
    if dag.row.paused:
        return WaitingFor(
            kind=ReasonKind.PAUSED.value, name=dag_id, text=f"dag {dag_id} is paused", count=count, dag_id=dag_id
        )
    limit = dag.graph.version.spec.max_active_runs
    text = f"runs of dag {dag_id} wait to be started: {len(dag.running)} of {limit} are active"
    return WaitingFor(kind=ReasonKind.RUN_QUEUED.value, name=dag_id, text=text, count=count, dag_id=dag_id)


def _at_executor(name: str, why: str, count: int) -> WaitingFor:
    text = f"executor {name} cannot start them yet: {why}"
    return WaitingFor(kind=ReasonKind.STARTING.value, name=f"{name}: {why}", text=text, count=count)


def _for_retry(dag_id: str, count: int) -> WaitingFor:
    text = f"tries of dag {dag_id} failed; the next ones are made when their delays are over"
    return WaitingFor(kind=ReasonKind.RETRY.value, name=dag_id, text=text, count=count, dag_id=dag_id)


def _executor(gate: Gate) -> ExecutorUse:
    return ExecutorUse(name=gate.name, slots=gate.limit, used=gate.used, why=gate.why if gate.limit == 0 else "")


def _schedule_lag(world: World, now: float) -> float:
    """By how many seconds the run that is due longest is late, of dags that have room for another one."""
    due = (
        dag.next.run_after
        for dag in world.dags.values()
        if dag.next is not None
        and dag.row.active
        and not dag.row.paused
        and len(dag.runs) < dag.graph.version.spec.max_active_runs
    )
    return max(0.0, now - min(due, default=now)) if world.config.schedules else 0.0
