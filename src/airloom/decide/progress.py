"""What a TI's end sets free: trigger rules are asked, mapped tasks expanded, branches skipped."""

import math
from typing import Any

from airloom.decide import admission
from airloom.decide.moves import NotMappable, counts, map_lengths, move, put_ti
from airloom.decide.state import Run, World
from airloom.decide.trigger_rules import Verdict
from airloom.model.report import Cause, Skip
from airloom.model.run import TIRow
from airloom.model.states import FAILURES, FINISHED, RunState, TIState


def stir(world: World, run: Run) -> None:
    """Ask the rules of all tasks that have TIs waiting for them."""
    for task, pending in enumerate(run.pending):
        if pending:
            world.dirty[run.row.id, task] = None
    if run.open == 0:
        world.ending[run.row.id] = None


def settle(world: World) -> None:
    """Ask the rules of all tasks whose counters changed, until nothing changes any more."""
    dirty = world.dirty
    while dirty:
        number, task = next(iter(dirty))
        del dirty[number, task]
        run = world.runs.get(number)
        if run is None or run.state is not RunState.RUNNING or not run.pending[task]:
            continue
        if run.cancelled:
            _end_pending(world, run, task, TIState.SKIPPED)
        else:
            _ask(world, run, task)


def judge(run: Run, task: int) -> Verdict:
    """What becomes of a task's TIs by its trigger rule, and by what it is mapped over."""
    verdict = run.graph.rules[task](counts(run, task)) if run.n_total[task] else Verdict.RUN
    if verdict is not Verdict.RUN:
        return verdict
    for source in run.graph.mapped_over[task]:
        states = {run.states[slot] for slot in run.slots(source)}
        if not states <= FINISHED:
            return Verdict.WAIT
        if TIState.SUCCESS not in states:
            return Verdict.FAIL if states & FAILURES else Verdict.SKIP
    return Verdict.RUN


def _ask(world: World, run: Run, task: int) -> None:
    verdict = judge(run, task)
    if verdict is Verdict.WAIT:
        return
    if verdict is Verdict.SKIP:
        _end_pending(world, run, task, TIState.SKIPPED)
    elif verdict is Verdict.FAIL:
        _end_pending(world, run, task, TIState.UPSTREAM_FAILED)
    elif run.graph.tasks[task].map is None or _expand(world, run, task):
        for slot in run.slots(task):
            if run.states[slot] is TIState.NONE:
                _schedule(world, run, slot)


def _end_pending(world: World, run: Run, task: int, state: TIState) -> None:
    for slot in run.slots(task):
        if run.states[slot] is TIState.NONE:
            move(world, run, slot, state, ended_at=world.now)


def _schedule(world: World, run: Run, slot: int) -> None:
    """A TI's dependencies are met: it waits to be admitted, or is settled at once if there is nothing to execute."""
    if run.graph.tasks[run.task_of[slot]].empty:
        move(world, run, slot, TIState.SUCCESS, started_at=world.now, ended_at=world.now)
        return
    run.tries[slot] += 1
    move(world, run, slot, TIState.SCHEDULED, try_number=run.tries[slot], scheduled_at=world.now, retry_at=None)
    admission.enqueue(world, run, slot)


def retry(world: World, run: Run, slot: int) -> None:
    """A TI's delay between tries is over."""
    run.retry_at.pop(slot, None)
    _schedule(world, run, slot)


def apply_skip(world: World, run: Run, slot: int, skip: Skip) -> None:
    """A branch or short circuit succeeded: what it skips is skipped now, whatever else it waits for.

    One instance of a mapped branch cannot skip what the others may follow.
    """
    if run.map_index[slot] != -1:
        return
    for task in run.graph.skipped_by(run.task_of[slot], skip):
        _end_pending(world, run, task, TIState.SKIPPED)


def apply_skips(world: World, run: Run) -> None:
    """What a branch that has ended has skipped stays skipped, when it was put back to run."""
    for slot, skip in sorted(run.skips.items()):
        apply_skip(world, run, slot, skip)


def reset(world: World, run: Run, slot: int, **values: Any) -> None:
    """A TI that has no live try forgets how it went, and is to run; the caller has to `recount` when it is through."""
    nothing = dict.fromkeys(
        ("retry_at", "scheduled_at", "queued_at", "started_at", "ended_at", "executor", "cause", "detail")
    )
    run.lacks.pop(slot, None)
    move(world, run, slot, TIState.NONE, **values, **nothing, map_length=None, skip=None)
    world.ledger.drop_xcoms(run.ids[slot])


def _expand(world: World, run: Run, task: int) -> bool:
    """Make a mapped task's TIs as many as its inputs say. False if it has none to run."""
    run.map_lengths.pop(task, None)
    size, problem = 0, None
    try:
        size = math.prod(map_lengths(run, task))
    except NotMappable as error:
        problem = str(error)
    if size > world.config.max_map_length:
        problem = f"it would have {size} map indexes; the limit is {world.config.max_map_length}"
    if problem is not None:
        for slot in run.slots(task):
            if run.states[slot] is TIState.NONE:
                values = {"cause": Cause.ERROR, "detail": problem, "ended_at": world.now}
                move(world, run, slot, TIState.UPSTREAM_FAILED, **values)
        return False
    if size == 0:
        _end_pending(world, run, task, TIState.SKIPPED)
        return False
    for index, slot in enumerate(run.slots(task)):
        if index >= size and run.states[slot] is TIState.NONE:
            move(world, run, slot, TIState.REMOVED, ended_at=world.now)
    if run.map_index[task] != 0:
        run.map_index[task] = 0
        world.ledger.change_ti(run.ids[task], run.states[task], run.states[task], {"map_index": 0})
    present = 1 + len(run.extra.get(task, ()))
    for index in range(present, size):
        add_ti(world, run, task, index)
    if size > present:
        for downstream in run.graph.down[task]:
            run.n_total[downstream] += size - present
    return True


def add_ti(world: World, run: Run, task: int, map_index: int) -> None:
    """One more TI of a task comes into being, in state none."""
    spec = run.graph.tasks[task]
    row = TIRow(id=world.next_ti, run_id=run.row.id, task_id=spec.task_id, map_index=map_index, max_tries=spec.retries)
    world.next_ti += 1
    world.ledger.new_ti(row)
    put_ti(run, task, row)
    run.open += 1
    run.pending[task] += 1
