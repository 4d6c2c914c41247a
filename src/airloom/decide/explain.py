"""Why a TI is not running: the gates, counters and timers that decide, asked what they hold.

It asks what admission and progress ask: the same rules over the same counters, the same gates.
"""

from bisect import bisect_left

from airloom.decide import admission, moves
from airloom.decide.lanes import Gate, Lane, Order
from airloom.decide.outcome import CODE_TIMES
from airloom.decide.state import LiveTry, Run, World
from airloom.decide.trigger_rules import NEEDS
from airloom.model.errors import NotFound
from airloom.model.reasons import Explanation, Reason, ReasonKind
from airloom.model.spec import TaskSpec, XComInput
from airloom.model.states import FINISHED, LIVE_TRY, RunState, TIState
from airloom.model.work import SERVED_BY_QUEUE, priority_step

#: Holders, or upstream TIs, that one reason names.
_NAMED = 10
#: TIs of a mapped task that one answer explains, those that wait first.
MOST = 50


def explain(world: World, dag_id: str, run_id: str, task_id: str, map_index: int | None = None) -> list[Explanation]:
    """What holds each TI of a task in an unfinished run. Raises NotFound."""
    number = world.run_numbers.get((dag_id, run_id))
    if number is None:
        raise NotFound(f"dag {dag_id} has no unfinished run {run_id}")
    run = world.runs[number]
    if task_id not in run.graph.index:
        raise NotFound(f"dag {dag_id} has no task {task_id} in the version that run {run_id} uses")
    slots = [slot for slot in run.slots(run.graph.index[task_id]) if map_index in (None, run.map_index[slot])]
    if not slots:
        raise NotFound(f"task {task_id} has no map index {map_index} in run {run_id}")
    lines = _Lines(world)
    return [
        Explanation(
            dag_id=dag_id,
            run_id=run_id,
            task_id=task_id,
            map_index=run.map_index[slot],
            state=run.states[slot].value,
            try_number=run.tries[slot],
            reasons=tuple(_reasons(world, run, slot, lines)),
        )
        for slot in sorted(slots, key=lambda slot: run.states[slot] in FINISHED)[:MOST]
    ]


class _Lines:
    """Who holds a gate and who waits there, looked up once for all TIs that are explained together."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._holders: dict[int, tuple[str, ...]] = {}
        self._orders: dict[int, list[Order]] = {}
        self._queues: dict[tuple[str, str], dict[int, int]] = {}

    def holders(self, gate: Gate) -> tuple[str, ...]:
        """The first of those who hold it, by the time they got it."""
        if id(gate) not in self._holders:
            live = [entry for entry in self._world.live.values() if gate in entry.lane.gates]
            live.sort(key=lambda entry: entry.queued_at)
            self._holders[id(gate)] = tuple(_name(entry) for entry in live[:_NAMED])
        return self._holders[id(gate)]

    def place(self, gate: Gate, lane: Lane, slot: int) -> tuple[int, int]:
        """A TI's place in the gate's line, and how many wait there."""
        if id(gate) not in self._orders:
            lanes = [entry for _, stamp, entry in gate.line if entry.gate is gate and entry.stamp == stamp]
            self._orders[id(gate)] = sorted(entry.order_of(key) for entry in lanes for key in entry.keys)
        orders = self._orders[id(gate)]
        return 1 + bisect_left(orders, lane.order_at(slot)), len(orders)

    def place_in_queue(self, live: LiveTry) -> tuple[int, int]:
        """The place of a try that has not started among those of its queue, in the order in which a broker gives them
        out, and how many those are."""
        queue = (live.executor, _task_of(live).queue)
        if queue not in self._queues:
            tries = (one for one in self._world.live.values() if one.started_at is None)
            line = [one for one in tries if (one.executor, _task_of(one).queue) == queue]
            self._queues[queue] = {id(one): at for at, one in enumerate(sorted(line, key=_order_at_broker), 1)}
        places = self._queues[queue]
        return places[id(live)], len(places)


def _reasons(world: World, run: Run, slot: int, lines: _Lines) -> list[Reason]:
    state = run.states[slot]
    if state in FINISHED:
        return [Reason(kind=ReasonKind.FINISHED, text=f"it has ended: {state.value}")]
    if state in LIVE_TRY:
        return [_live_reason(run, world.live[run.ids[slot]], lines)]
    dag = world.dags[run.row.dag_id]
    reasons = []
    if dag.row.paused:
        reasons.append(
            Reason(
                kind=ReasonKind.PAUSED, text=f"dag {dag.row.dag_id} is paused: `airloom dags unpause {dag.row.dag_id}`"
            )
        )
    if run.state is RunState.QUEUED and not (dag.row.paused and run.row.run_after <= world.now):
        reasons.append(_run_reason(world, run))
    if state is TIState.UP_FOR_RETRY:
        until = run.retry_at[slot]
        text = f"try {run.tries[slot]} failed; the next one is made when its delay is over"
        if slot in run.lacks:
            lack = run.lacks[slot]
            text = f"it could not begin ({lack.times} of {CODE_TIMES} times), it is tried again: {lack.why}"
        reasons.append(Reason(kind=ReasonKind.RETRY, text=text, until=until))
    elif state is TIState.NONE:
        reasons += _upstream_reasons(run, run.task_of[slot])
    lane = admission.lane_for(world, run, run.task_of[slot])
    for gate in lane.gates:
        if gate.kind is not ReasonKind.PAUSED and _holds(gate, lane, waiting=state is TIState.SCHEDULED):
            reasons.append(_gate_reason(lines, gate, lane, slot if state is TIState.SCHEDULED else None))
    return reasons


def _holds(gate: Gate, lane: Lane, *, waiting: bool) -> bool:
    """Whether a gate would refuse the lane now, or has refused it."""
    if waiting and (lane.gate is gate or gate.refuses(lane)):
        return True
    return not gate.has_room(lane.need(gate))


def _live_reason(run: Run, live: LiveTry, lines: _Lines) -> Reason:
    if live.started_at is None:
        text = f"it was given to executor {live.executor} and its process has not told of its start yet"
        if live.held:
            text = f"it was given to executor {live.executor}, and waits there: {live.held}"
        place, of = lines.place_in_queue(live) if live.executor in SERVED_BY_QUEUE else (None, None)
        return Reason(kind=ReasonKind.STARTING, text=text, place=place, of=of)
    state = run.states[live.slot]
    text = "it is being ended, to run again" if state is TIState.RESTARTING else "it is running"
    return Reason(kind=ReasonKind.RUNNING, text=text)


def _run_reason(world: World, run: Run) -> Reason:
    dag = world.dags[run.row.dag_id]
    if run.row.run_after > world.now:
        return Reason(kind=ReasonKind.RUN_AFTER, text="its run starts later", until=run.row.run_after)
    ahead = sum(entry < (run.row.run_after, run.row.id) for entry in dag.line)
    limit = dag.graph.version.spec.max_active_runs
    holders = tuple(world.runs[number].row.run_id for number in sorted(dag.running))[:_NAMED]
    text = f"its run waits to be started: {len(dag.running)} of {limit} runs of dag {dag.row.dag_id} are active"
    return Reason(kind=ReasonKind.RUN_QUEUED, text=text, holders=holders, place=ahead + 1, of=len(dag.line))


def _upstream_reasons(run: Run, task: int) -> list[Reason]:
    """The upstream TIs that have not ended, and those that ended in a way the rule still waits to outweigh."""
    graph, counts = run.graph, moves.counts(run, task)
    if run.state is RunState.QUEUED or counts.total == 0:
        return []
    open_tis: list[str] = []
    for upstream in graph.up[task]:
        for slot in run.slots(upstream):
            if run.states[slot] not in FINISHED:
                index = f"[{run.map_index[slot]}]" if run.map_index[slot] >= 0 else ""
                open_tis.append(f"{graph.tasks[upstream].task_id}{index} ({run.states[slot].value})")
    rule = graph.tasks[task].trigger_rule
    text = f"it needs {NEEDS[rule]} ({rule.value}); {counts.done} of {counts.total} have ended"
    named = open_tis[:_NAMED]
    if len(open_tis) > _NAMED:
        named.append(f"and {len(open_tis) - _NAMED} more")
    return [Reason(kind=ReasonKind.UPSTREAM, text=text, holders=tuple(named)), *_mapping_reasons(run, task)]


def _mapping_reasons(run: Run, task: int) -> list[Reason]:
    spec = run.graph.tasks[task].map
    sources = {entry.task_id for entry in spec.inputs if isinstance(entry, XComInput)} if spec is not None else set()
    unknown = sorted(
        name for name in sources if any(run.states[s] not in FINISHED for s in run.slots(run.graph.index[name]))
    )
    if not unknown:
        return []
    text = "how many instances it will have depends on what is not there yet"
    return [Reason(kind=ReasonKind.MAPPING, text=text, holders=tuple(unknown))]


def _gate_reason(lines: _Lines, gate: Gate, lane: Lane, slot: int | None) -> Reason:
    place = of = None
    if slot is not None and lane.gate is gate and not gate.fits_never(lane.need(gate)):
        place, of = lines.place(gate, lane, slot)
    text = gate_text(gate, lane.need(gate))
    # Where nobody is let in at all, those who are in are not to blame.
    holders = lines.holders(gate) if gate.limit != 0 else ()
    return Reason(kind=gate.kind, text=text, holders=holders, place=place, of=of)


def gate_text(gate: Gate, need: int) -> str:
    """Why a gate lets nobody in who takes `need` of it, as a sentence for people."""
    if gate.limit == 0:
        return gate.why
    name = _GATE_NAMES[gate.kind].format(gate.name)
    if gate.fits_never(need):
        return f"{name} has {gate.limit} slots in all and the task asks for {need}: it can never start"
    slots = f"{need} slots" if need > 1 else "a slot"
    if gate.has_room(need):
        return f"{name} has {slots} free, but others are before it in line"
    return f"{name} is full ({gate.used} of {gate.limit} in use); it needs {slots}"


_GATE_NAMES = {
    ReasonKind.POOL: "pool {}",
    ReasonKind.PARALLELISM: "the scheduler's parallelism",
    ReasonKind.DAG_LIMIT: "max_active_tasks of {}",
    ReasonKind.TASK_LIMIT: "the limit of active instances of task {}",
    ReasonKind.CAPACITY: "executor {}",
    ReasonKind.NO_EXECUTOR: "executor {}",
}


def _task_of(live: LiveTry) -> TaskSpec:
    return live.run.graph.tasks[live.run.task_of[live.slot]]


def _order_at_broker(live: LiveTry) -> tuple[int, float]:
    return -priority_step(live.run.graph.weights[live.run.task_of[live.slot]]), live.queued_at


def _name(live: LiveTry) -> str:
    run = live.run
    index = run.map_index[live.slot]
    suffix = f"[{index}]" if index >= 0 else ""
    return f"{run.row.dag_id} / {run.row.run_id} / {run.graph.tasks[run.task_of[live.slot]].task_id}{suffix}"
