"""A run's arrays and counters: the one way to change a TI's state, and what is counted along."""

from typing import Any

from airloom.decide.state import Run, World
from airloom.decide.trigger_rules import Counts
from airloom.model.run import TIRow
from airloom.model.spec import LiteralInput
from airloom.model.states import FAILURES, FINISHED, TIState, check_move

_COUNTER = {
    TIState.SUCCESS: "n_success",
    TIState.SKIPPED: "n_skipped",
    TIState.FAILED: "n_failed",
    TIState.UPSTREAM_FAILED: "n_upstream_failed",
    TIState.REMOVED: "n_removed",
}


def move(world: World, run: Run, slot: int, to: TIState, **values: Any) -> None:
    """The one way to change a TI's state: checks the move, keeps the counters, writes the ledger.

    If it had ended before, the caller has to `recount` when it is through with all of them.
    """
    start = run.states[slot]
    check_move(start, to)
    run.states[slot] = to
    task = run.task_of[slot]
    if start is TIState.NONE:
        run.pending[task] -= 1
    world.ledger.change_ti(run.ids[slot], start, to, values)
    moved = world.moved.get(run)
    if moved is None:
        moved = world.moved[run] = {}
    moved[slot] = None
    if to is TIState.NONE:
        _begin_anew(world, run, slot, start)
    elif to in FINISHED:
        run.open -= 1
        if to in FAILURES and not run.graph.down[task]:
            run.failed += 1
        _count(world, run, task, to)
        if run.open == 0:
            world.ending[run.row.id] = None


def _begin_anew(world: World, run: Run, slot: int, start: TIState) -> None:
    """A TI is to run again. If it had ended, the caller has to `recount` when it is through with all of them."""
    for facts in (run.retry_at, run.map_length, run.skips):
        facts.pop(slot, None)
    task = run.task_of[slot]
    for downstream in run.graph.down[task]:
        run.map_lengths.pop(downstream, None)
    run.pending[task] += 1
    run.open += start in FINISHED
    world.dirty[run.row.id, task] = None


def _count(world: World, run: Run, task: int, state: TIState) -> None:
    counter: list[int] = getattr(run, _COUNTER[state])
    for downstream in run.graph.down[task]:
        counter[downstream] += 1
        if run.pending[downstream]:
            world.dirty[run.row.id, downstream] = None


def recount(run: Run) -> None:
    """Make all counters anew from the states: when a run comes into memory, and after a clear."""
    graph = run.graph
    for name in _COUNTER.values():
        setattr(run, name, [0] * len(graph.tasks))
    run.n_total = [0] * len(graph.tasks)
    run.pending = [0] * len(graph.tasks)
    run.open = run.failed = 0
    for slot, state in enumerate(run.states):
        task = run.task_of[slot]
        done = state in FINISHED
        run.open += not done
        run.pending[task] += state is TIState.NONE
        run.failed += state in FAILURES and not graph.down[task]
        counter: list[int] | None = getattr(run, _COUNTER[state]) if done else None
        for downstream in graph.down[task]:
            run.n_total[downstream] += 1
            if counter is not None:
                counter[downstream] += 1


def counts(run: Run, task: int) -> Counts:
    """How the upstream TIs of a task have ended so far."""
    return Counts(
        run.n_success[task],
        run.n_skipped[task],
        run.n_failed[task],
        run.n_upstream_failed[task],
        run.n_removed[task],
        run.n_total[task],
    )


def put_ti(run: Run, task: int, row: TIRow) -> int:
    """Give a TI's row a slot in the run's arrays. The first TIs of all tasks are put in the order of tasks."""
    slot = len(run.ids)
    if slot >= len(run.graph.tasks):
        run.extra.setdefault(task, []).append(slot)
    run.ids.append(row.id)
    run.task_of.append(task)
    run.map_index.append(row.map_index)
    run.states.append(row.state)
    run.tries.append(row.try_number)
    run.max_tries.append(row.max_tries)
    run.infra.append(row.infra_failures)
    return slot


class NotMappable(Exception):
    """What a task was to be mapped over is no list and no dict; the text says which."""


def map_lengths(run: Run, task: int) -> tuple[int, ...]:
    """The lengths of a mapped task's inputs, as they were when it was expanded. Raises NotMappable."""
    lengths = run.map_lengths.get(task)
    if lengths is None:
        lengths = run.map_lengths[task] = _measure(run, task)
    return lengths


def _measure(run: Run, task: int) -> tuple[int, ...]:
    spec = run.graph.tasks[task].map
    lengths: list[int] = []
    for entry in spec.inputs if spec is not None else ():
        if isinstance(entry, LiteralInput):
            lengths.append(entry.length)
            continue
        upstream = run.graph.index[entry.task_id]
        if run.graph.tasks[upstream].map is not None:
            lengths.append(sum(run.states[slot] is TIState.SUCCESS for slot in run.slots(upstream)))
        elif upstream in run.map_length:
            lengths.append(run.map_length[upstream])
        elif run.states[upstream] is TIState.SUCCESS:
            raise NotMappable(f"{entry.task_id} returned no list or dict, so {entry.arg} cannot be mapped over it")
        else:
            lengths.append(0)
    return tuple(lengths)
