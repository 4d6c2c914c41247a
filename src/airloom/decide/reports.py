"""What comes back from executors: starts, ends, works handed back, capacities.

A report from any but the live try of its TI changes nothing: the try's key is its fencing token.
"""

from typing import Any

from airloom.decide import admission, moves, progress
from airloom.decide.outcome import Tries, after_failure, code_pause
from airloom.decide.state import Lack, LiveTry, TimerKind, World
from airloom.model.events import CapacityChanged, Event
from airloom.model.report import Cause, Ended, HandedBack, Outcome, Started, TryKey, Waiting
from airloom.model.states import TIState


def handle(world: World, event: Event) -> bool:
    """Take a report; False if the event is none."""
    if isinstance(event, Started):
        _started(world, event)
    elif isinstance(event, Ended):
        _ended(world, event)
    elif isinstance(event, HandedBack):
        _handed_back(world, event)
    elif isinstance(event, Waiting):
        if (live := _live(world, event.key)) is not None:
            live.held = event.why
    elif isinstance(event, CapacityChanged):
        gate = admission.executor_gate(world, event.executor)
        why = f"executor {event.executor} takes nothing: {event.why}" if event.why else ""
        world.lines.change_limit(gate, event.slots, why)
    else:
        return False
    return True


def _live(world: World, key: TryKey) -> LiveTry | None:
    live = world.live.get(key.ti_id)
    return live if live is not None and live.run.tries[live.slot] == key.try_number else None


def _started(world: World, report: Started) -> None:
    live = _live(world, report.key)
    if live is None or live.started_at is not None:
        return
    live.started_at, live.held = report.at, ""
    run, slot = live.run, live.slot
    run.lacks.pop(slot, None)
    if run.states[slot] is TIState.QUEUED:
        moves.move(world, run, slot, TIState.RUNNING, started_at=report.at)
    else:
        # It was cleared meanwhile, and stays restarting until its end is told.
        world.ledger.change_ti(run.ids[slot], run.states[slot], run.states[slot], {"started_at": report.at})
    values = {"started_at": report.at, "runner": report.runner, "host": report.host, "pid": report.pid}
    world.ledger.change_try(report.key, {"state": TIState.RUNNING, **values})


def _ended(world: World, report: Ended) -> None:
    live = _live(world, report.key)
    if live is None:
        return
    _close(world, report.key, live)
    run, slot = live.run, live.slot
    run.lacks.pop(slot, None)
    started_at = live.started_at if report.started_at is None else report.started_at
    state, values = _next_state(world, live, report)
    attempt: dict[str, Any] = {
        "state": TIState(report.outcome.value),
        "started_at": started_at,
        "ended_at": report.at,
        "cause": report.cause,
        "detail": report.detail,
        "exit_code": report.exit_code,
        "signal": report.signal,
    }
    if report.runner:
        attempt |= {"runner": report.runner, "host": report.host, "pid": report.pid}
    world.ledger.change_try(report.key, attempt)
    if state is TIState.NONE:
        moves.move(world, run, slot, state, started_at=None, executor=None)
        return
    for value in report.xcoms:
        world.ledger.keep_xcom(report.key.ti_id, value.key, value.value)
    values |= {"started_at": started_at, "ended_at": report.at, "cause": report.cause, "detail": report.detail}
    moves.move(world, run, slot, state, **values)
    if state is TIState.SUCCESS:
        if report.skip is not None:
            progress.apply_skip(world, run, slot, report.skip)
    elif state is TIState.UP_FOR_RETRY:
        run.retry_at[slot] = values["retry_at"]
        world.set_timer(values["retry_at"], TimerKind.RETRY, (run.row.id, slot))


def _next_state(world: World, live: LiveTry, report: Ended) -> tuple[TIState, dict[str, Any]]:
    """Where the TI goes, and the columns that go with it, once its try has ended."""
    run, slot = live.run, live.slot
    if run.states[slot] is TIState.RESTARTING:
        return (TIState.FAILED if run.cancelled else TIState.NONE), {}
    if report.outcome is Outcome.SUCCESS:
        if report.map_length is not None:
            run.map_length[slot] = report.map_length
        if report.skip is not None:
            run.skips[slot] = report.skip
        return TIState.SUCCESS, {"map_length": report.map_length, "skip": report.skip}
    if report.outcome is Outcome.SKIPPED:
        return TIState.SKIPPED, {}
    if run.cancelled:
        return TIState.FAILED, {}
    task = run.graph.tasks[run.task_of[slot]]
    before = Tries(run.tries[slot], run.max_tries[slot], run.infra[slot])
    seed = f"{run.row.dag_id}#{task.task_id}#{run.row.run_id}#{run.map_index[slot]}"
    verdict = after_failure(task, report.cause, before, world.config.infrastructure_retries, seed)
    run.max_tries[slot], run.infra[slot] = verdict.tries.allowed, verdict.tries.infrastructure
    values: dict[str, Any] = {}
    if verdict.tries != before:
        values = {"max_tries": verdict.tries.allowed, "infra_failures": verdict.tries.infrastructure}
    if verdict.retry_after is None:
        return TIState.FAILED, values
    return TIState.UP_FOR_RETRY, {**values, "retry_at": max(report.at, world.now) + verdict.retry_after}


def _handed_back(world: World, report: HandedBack) -> None:
    """The try ends without having been one: the TI may have another in its place."""
    live = _live(world, report.key)
    if live is None:
        return
    _close(world, report.key, live)
    run, slot = live.run, live.slot
    ended = {"state": TIState.REMOVED, "ended_at": report.at, "cause": Cause.LAUNCH, "detail": report.detail}
    world.ledger.change_try(report.key, ended)
    if run.states[slot] is TIState.RESTARTING:
        moves.move(world, run, slot, TIState.FAILED if run.cancelled else TIState.NONE)
    elif run.cancelled:
        moves.move(world, run, slot, TIState.FAILED, ended_at=report.at)
    elif not (report.lacks and _waits_for_code(world, live, report)):
        run.max_tries[slot] += 1
        run.tries[slot] += 1
        values = {"max_tries": run.max_tries[slot], "try_number": run.tries[slot], "queued_at": None}
        if run.states[slot] is TIState.RUNNING:
            moves.move(world, run, slot, TIState.UP_FOR_RETRY)
        moves.move(world, run, slot, TIState.SCHEDULED, started_at=None, executor=None, **values)
        admission.enqueue(world, run, slot)


def _waits_for_code(world: World, live: LiveTry, report: HandedBack) -> bool:
    """Let a TI whose code could not be had wait before it is tried again, or fail; False: it is tried again at once."""
    run, slot = live.run, live.slot
    times = run.lacks[slot].times + 1 if slot in run.lacks else 1
    run.lacks[slot] = Lack(times, report.detail)
    values: dict[str, Any] = {"started_at": None, "ended_at": report.at, "cause": Cause.LAUNCH}
    pause = code_pause(times)
    if pause is None:
        del run.lacks[slot]
        detail = f"given up after {times} times: {report.detail}"
        moves.move(world, run, slot, TIState.FAILED, **values, detail=detail)
    elif pause:
        run.max_tries[slot] += 1
        run.retry_at[slot] = due = max(report.at, world.now) + pause
        values |= {"max_tries": run.max_tries[slot], "retry_at": due}
        moves.move(world, run, slot, TIState.UP_FOR_RETRY, **values, detail=report.detail)
        world.set_timer(due, TimerKind.RETRY, (run.row.id, slot))
    return pause is None or pause > 0.0


def _close(world: World, key: TryKey, live: LiveTry) -> None:
    del world.live[key.ti_id]
    admission.release(world, live)
