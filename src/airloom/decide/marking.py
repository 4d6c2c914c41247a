"""Marks: a user says how tasks, or a whole run, have ended. What follows them follows by its rules, as after an end."""

from typing import Any

from airloom.decide import admission, lifecycle, moves, progress
from airloom.decide.state import Run, World
from airloom.model.report import Cause, TryKey
from airloom.model.states import FINISHED, LIVE_TRY, RUN_FINISHED, RunState, TIState


def mark(world: World, run: Run, slots: list[int], state: TIState, by: str | None) -> None:
    """Have TIs count as ended in `state`; the run goes on, or back to work, or is settled anew.

    TIs after them that could not run because of what failed get another chance when it counts as failed no more. Those
    that ran, or were skipped, stay as they are.
    """
    if not slots:
        return
    _end(world, run, slots, state, by)
    back = [] if state is TIState.FAILED else _shut_out(run, slots)
    for slot in back:
        progress.reset(world, run, slot)
    moves.recount(run)
    if run.state in RUN_FINISHED:
        if run.open:
            lifecycle.revive(world, run)
        else:
            _decide_run(world, run, lifecycle.verdict(run))
    progress.apply_skips(world, run)
    if run.state is RunState.RUNNING:
        progress.stir(world, run)


def run_slots(run: Run, state: RunState) -> list[int]:
    """The TIs that change when a run is marked: for success all that are neither that nor skipped, for failed those
    that have not ended."""
    if state is RunState.SUCCESS:
        kept = {TIState.SUCCESS, TIState.SKIPPED, TIState.REMOVED}
        return [slot for slot, now in enumerate(run.states) if now not in kept]
    return [slot for slot, now in enumerate(run.states) if now not in FINISHED]


def mark_run(world: World, run: Run, state: RunState, by: str | None) -> None:
    """End a run in `state` at once. Success: all of it counts as succeeded but what was skipped. Failed: what has a
    live try counts as failed, what has not started as skipped."""
    slots = run_slots(run, state)
    if state is RunState.SUCCESS:
        _end(world, run, slots, TIState.SUCCESS, by)
    else:
        live = [slot for slot in slots if run.states[slot] in LIVE_TRY]
        rest = [slot for slot in slots if run.states[slot] not in LIVE_TRY]
        _end(world, run, live, TIState.FAILED, by)
        _end(world, run, rest, TIState.SKIPPED, by)
    moves.recount(run)
    if state is RunState.SUCCESS and run.cancelled:
        run.cancelled = False
        world.ledger.change_run(run.row.id, cancelled_at=None)
    if run.state in RUN_FINISHED:
        _decide_run(world, run, state)
    else:
        lifecycle.end_by_hand(world, run, state)


def _end(world: World, run: Run, slots: list[int], state: TIState, by: str | None) -> None:
    """The caller has to `recount` when it is through."""
    why = f"marked {state.value}{f' by {by}' if by else ''}"
    admission.withdraw(world, run, [slot for slot in slots if run.states[slot] is TIState.SCHEDULED])
    for slot in slots:
        values: dict[str, Any] = {"cause": None, "detail": why, "retry_at": None}
        if run.states[slot] not in FINISHED:
            values["ended_at"] = world.now
        if run.states[slot] in LIVE_TRY:
            _drop_try(world, run, slot, why)
        run.retry_at.pop(slot, None)
        moves.move(world, run, slot, state, **values)


def _drop_try(world: World, run: Run, slot: int, why: str) -> None:
    """A live try is over for us, whatever its process still does: what it tells will be refused."""
    admission.cancel_try(world, run, slot, f"it was {why}")
    ti_id = run.ids[slot]
    admission.release(world, world.live.pop(ti_id))
    ended = {"state": TIState.FAILED, "ended_at": world.now, "cause": Cause.CANCELLED, "detail": why}
    world.ledger.change_try(TryKey(ti_id, run.tries[slot]), ended)


def _shut_out(run: Run, slots: list[int]) -> list[int]:
    """The TIs after those in `slots` that could not run because something before them had failed."""
    after: set[int] = set()
    for task in {run.task_of[slot] for slot in slots}:
        after |= run.graph.reach(task)
    chosen = set(slots)
    return [
        slot
        for task in sorted(after)
        for slot in run.slots(task)
        if run.states[slot] is TIState.UPSTREAM_FAILED and slot not in chosen
    ]


def _decide_run(world: World, run: Run, state: RunState) -> None:
    """A run that has ended gets another end."""
    if run.state is not state:
        run.state = state
        world.ledger.change_run(run.row.id, state=state)
