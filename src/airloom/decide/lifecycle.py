"""The life of runs: made by a schedule or by hand, started when their dag has room, ended when all their TIs have."""

import heapq

from airloom.decide import moves, progress, schedule
from airloom.decide.lanes import Gate
from airloom.decide.state import DagState, NextRun, Run, TimerKind, World
from airloom.model.events import TriggerRun
from airloom.model.reasons import ReasonKind
from airloom.model.run import RunRow, RunType, TIRow
from airloom.model.states import RUN_FINISHED, RunState


class DagFault(Exception):
    """Making or starting runs of one dag failed for a reason nobody foresaw; the others must not suffer from it."""

    def __init__(self, dag_id: str, file_hash: str) -> None:
        super().__init__(dag_id)
        self.dag_id = dag_id
        self.file_hash = file_hash


def start_runs(world: World) -> None:
    """For each dag that was stirred: make the runs that its schedule asks for, start those that wait and may."""
    while world.stirred:
        dag_id = next(iter(world.stirred))
        del world.stirred[dag_id]
        dag = world.dags.get(dag_id)
        if dag is None or world.faulty.get(dag_id) == dag.row.file_hash:
            continue
        try:
            _make_due_runs(world, dag)
            _start_waiting_runs(world, dag)
        except Exception as error:
            raise DagFault(dag_id, dag.row.file_hash) from error


def _make_due_runs(world: World, dag: DagState) -> None:
    """Scheduled runs are made one by one while the dag has room for them: a long catch-up never floods the database."""
    row = dag.row
    while (
        world.config.schedules
        and row.active
        and not row.paused
        and len(dag.runs) < dag.graph.version.spec.max_active_runs
    ):
        dag.next = schedule.next_run(dag.graph.version.spec, row, world.now)
        if dag.next is None:
            return
        if dag.next.run_after > world.now:
            world.set_timer(dag.next.run_after, TimerKind.DAG, row.dag_id)
            return
        due, last = dag.next, row.last_logical
        row = dag.row = schedule.advanced(row, due)
        world.ledger.change_dag(row.dag_id, last_run_after=due.run_after, last_logical=due.logical_date)
        name = schedule.run_name(RunType.SCHEDULED, due.logical_date)
        if last is not None and due.logical_date <= last:
            # The schedule was changed, and comes back to a date whose name a run in history may have.
            name = f"{name}_{world.next_run}"
        if (row.dag_id, name) not in world.run_numbers:
            make_run(world, dag, RunType.SCHEDULED, name, due)


def trigger(world: World, dag: DagState, event: TriggerRun) -> Run:
    """Make the run that someone asked for."""
    logical = world.now if event.logical_date is None else event.logical_date
    after = world.now if event.run_after is None else event.run_after
    name = event.run_id or _free_name(world, dag, event.run_type, logical)
    return make_run(world, dag, event.run_type, name, NextRun(logical, logical, logical, after), event)


def _free_name(world: World, dag: DagState, run_type: RunType, logical: float) -> str:
    """The usual name of a run; two that are asked for in the same microsecond differ by a count."""
    name = schedule.run_name(run_type, logical)
    count = 1
    while (dag.row.dag_id, name if count == 1 else f"{name}_{count}") in world.run_numbers:
        count += 1
    return name if count == 1 else f"{name}_{count}"


def make_run(
    world: World, dag: DagState, run_type: RunType, name: str, due: NextRun, asked: TriggerRun | None = None
) -> Run:
    """A run and its TIs come into being, pinned to the dag's version of now; it waits to be started."""
    row = RunRow(
        id=world.next_run,
        dag_id=dag.row.dag_id,
        run_id=name,
        version_id=dag.graph.version.id,
        run_type=run_type,
        state=RunState.QUEUED,
        run_after=due.run_after,
        logical_date=due.logical_date,
        data_interval_start=due.data_interval_start,
        data_interval_end=due.data_interval_end,
        conf={} if asked is None else asked.conf,
        triggered_by=None if asked is None else asked.by,
        queued_at=world.now,
        bundle_version=dag.graph.version.bundle_version,
    )
    world.next_run += 1
    world.ledger.new_run(row)
    run = add_run(world, dag, row)
    for number, task in enumerate(run.graph.tasks):
        ti = TIRow(id=world.next_ti, run_id=row.id, task_id=task.task_id, max_tries=task.retries)
        world.next_ti += 1
        world.ledger.new_ti(ti)
        moves.put_ti(run, number, ti)
    moves.recount(run)
    return run


def add_run(world: World, dag: DagState, row: RunRow) -> Run:
    """Put a run, without its TIs yet, into the memory."""
    graph = world.graphs[row.version_id]
    limit = graph.version.spec.max_active_tasks or None
    run = Run(row, graph, Gate(ReasonKind.DAG_LIMIT, f"{row.dag_id} / {row.run_id}", limit))
    world.runs[row.id] = run
    world.run_numbers[row.dag_id, row.run_id] = row.id
    dag.runs.add(row.id)
    if row.state is RunState.RUNNING:
        dag.running.add(row.id)
    elif row.state is RunState.QUEUED:
        wait_for_start(world, dag, run)
    return run


def wait_for_start(world: World, dag: DagState, run: Run) -> None:
    """A run stands in its dag's line of runs."""
    run.state = RunState.QUEUED
    heapq.heappush(dag.line, (run.row.run_after, run.row.id))
    world.stirred[dag.row.dag_id] = None


def _start_waiting_runs(world: World, dag: DagState) -> None:
    while dag.line and len(dag.running) < dag.graph.version.spec.max_active_runs:
        run_after, number = dag.line[0]
        run = world.runs.get(number)
        if run is not None and run.state is RunState.QUEUED:
            if dag.row.paused:
                return
            if run_after > world.now:
                world.set_timer(run_after, TimerKind.RUN, number)
                return
            begin(world, run)
        else:
            heapq.heappop(dag.line)


def begin(world: World, run: Run) -> None:
    """A run is under way from now on. A cancelled one does not wait for its turn: it has nothing to do but end."""
    if run.state is RunState.QUEUED:
        dag = world.dags[run.row.dag_id]
        _leave_line(dag, run)
        run.state = RunState.RUNNING
        run.started_at = world.now
        dag.running.add(run.row.id)
        world.ledger.change_run(run.row.id, state=RunState.RUNNING, started_at=world.now)
    progress.stir(world, run)


def _leave_line(dag: DagState, run: Run) -> None:
    entry = (run.row.run_after, run.row.id)
    if dag.line[0] == entry:
        heapq.heappop(dag.line)
        return
    dag.line.remove(entry)
    heapq.heapify(dag.line)


def end_runs(world: World) -> None:
    """Runs whose TIs have all ended get their state and leave the memory."""
    while world.ending:
        number = next(iter(world.ending))
        del world.ending[number]
        run = world.runs.get(number)
        if run is None or run.open or run.state is not RunState.RUNNING:
            continue
        world.ledger.change_run(number, state=verdict(run), ended_at=world.now)
        forget_run(world, run)


def verdict(run: Run) -> RunState:
    """The end of a run whose TIs have all ended."""
    return RunState.FAILED if run.failed or run.cancelled else RunState.SUCCESS


def end_by_hand(world: World, run: Run, state: RunState) -> None:
    """An unfinished run whose TIs have all ended has ended. It stays until all commands of the turn are through, for
    another one may be about it."""
    dag = world.dags[run.row.dag_id]
    if run.state is RunState.QUEUED:
        _leave_line(dag, run)
    dag.running.discard(run.row.id)
    run.state = state
    world.ledger.change_run(run.row.id, state=state, ended_at=world.now)
    world.visitors.append(run.row.id)


def revive(world: World, run: Run) -> None:
    """A finished run has something to do again: it waits for its turn, as when it was new."""
    run.cancelled, run.started_at = False, None
    again = {"started_at": None, "ended_at": None, "cancelled_at": None}
    world.ledger.change_run(run.row.id, state=RunState.QUEUED, **again)
    wait_for_start(world, world.dags[run.row.dag_id], run)


def send_visitors_away(world: World) -> None:
    """Finished runs that a command was about leave the memory again, unless it gave them something to do."""
    for number in world.visitors:
        run = world.runs.get(number)
        if run is not None and run.state in RUN_FINISHED:
            forget_run(world, run)
    world.visitors.clear()


def forget_run(world: World, run: Run) -> None:
    """A run leaves the memory; its dag may have room for another."""
    row = run.row
    world.gone[row.id] = world.runs.pop(row.id)
    del world.run_numbers[row.dag_id, row.run_id]
    dag = world.dags.get(row.dag_id)
    if dag is not None:
        dag.runs.discard(row.id)
        dag.running.discard(row.id)
        world.stirred[row.dag_id] = None
        current = dag.graph.version.id
        if row.version_id != current and all(world.runs[n].row.version_id != row.version_id for n in dag.runs):
            del world.graphs[row.version_id]
