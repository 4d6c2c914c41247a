"""Traces of runs: a span for each run and one for each try in it, made from what was committed, sent by a thread of
their own. The scheduler never waits for that: what cannot be sent in time is dropped and counted.
"""

import importlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from airloom.decide.state import Run, World
from airloom.model.errors import SettingsError
from airloom.model.plan import Plan
from airloom.model.report import TryKey
from airloom.model.spans import Span
from airloom.model.states import RUN_FINISHED, RunState, TIState
from airloom.model.trace_ids import run_span_id, trace_id, try_span_id
from airloom.sections import OtelSection

log = logging.getLogger("airloom.tracing")

#: spans that wait to be sent at most, and that are sent at once
CAPACITY = 20_000
BATCH = 512
#: seconds that spans are gathered
_EVERY = 1.0


#: sends spans; False if they could not be sent
Send = Callable[[Sequence[Span]], bool]


def make_tracing(settings: OtelSection, database: str) -> "Tracing | None":
    """What sends traces, if they are asked for. Raises SettingsError where the packages for it are missing."""
    if not settings.endpoint:
        return None
    try:
        otlp = importlib.import_module("airloom.services.otlp")
    except ImportError:
        raise SettingsError(
            "[otel] endpoint is set, and what sends traces is not installed: pip install 'airloom[otel]'"
        ) from None
    sender = otlp.Otlp(settings.endpoint, settings.service)
    return Tracing(database, sender.send, sender.end)


class Tracing:
    """The service. `send` may take its time. database: the id of the database, so that no two share a trace."""

    name = "tracing"

    def __init__(self, database: str, send: Send, end: Callable[[], None]) -> None:
        self._database = database
        self._send = send
        self._end = end
        self._waiting: deque[Span] = deque()
        self._failing = False
        self.dropped = 0

    def on_commit(self, world: World, plan: Plan) -> None:
        """Make spans of what has ended. In the scheduler's thread: it must not fail, nor wait."""
        try:
            self._collect(world, plan)
        except Exception:
            log.exception("spans could not be made")

    def tick(self) -> float:
        """Send what waits. Returns the seconds until there is more to send."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            if not self._send(batch):
                self.dropped += len(batch)
                if not self._failing:
                    log.warning("traces cannot be sent; they are dropped until they can")
                self._failing = True
                return _EVERY
            self._failing = False
        return _EVERY

    def interrupt(self) -> None:
        """Sending ends by itself, within its time limit."""

    def close(self) -> None:
        """Send what is left, and end."""
        self.tick()
        self._end()

    def _collect(self, world: World, plan: Plan) -> None:
        ended = {key: values for key, values in plan.try_changes.items() if values.get("ended_at") is not None}
        if ended:
            for run, slots in world.moved.items():
                for slot in slots:
                    # A try that ended and was followed by another in the same turn is not the TI's newest.
                    for number in (run.tries[slot], run.tries[slot] - 1):
                        values = ended.get(TryKey(run.ids[slot], number))
                        if values is not None:
                            self._add(self._of_try(run, slot, TryKey(run.ids[slot], number), values))
        for number, values in plan.run_changes.items():
            if values.get("state") in RUN_FINISHED and "ended_at" in values:
                run = world.gone.get(number) or world.runs[number]
                self._add(self._of_run(run, values["state"], values["ended_at"]))
        for number, row in plan.new_runs.items():
            if row.ended_at is not None:
                self._add(self._of_run(world.gone[number], row.state, row.ended_at))

    def _add(self, span: Span) -> None:
        if len(self._waiting) >= CAPACITY:
            self.dropped += 1
        else:
            self._waiting.append(span)

    def _of_run(self, run: Run, state: RunState, ended_at: float) -> Span:
        row = run.row
        start = row.run_after if run.started_at is None else run.started_at
        return Span(
            name=row.dag_id,
            trace=trace_id(self._database, row.id),
            id=run_span_id(self._database, row.id, run.started_at),
            parent=None,
            start=min(start, ended_at),
            end=ended_at,
            attributes={
                "airloom.dag_id": row.dag_id,
                "airloom.run_id": row.run_id,
                "airloom.run_type": row.run_type.value,
                "airloom.state": state.value,
                "airloom.version": run.graph.version.number,
                "airloom.run_after": row.run_after,
            },
            problem="the run failed" if state is RunState.FAILED else None,
        )

    def _of_try(self, run: Run, slot: int, key: TryKey, values: dict[str, Any]) -> Span:
        row, task = run.row, run.graph.tasks[run.task_of[slot]]
        index = run.map_index[slot]
        state: TIState = values["state"]
        end: float = values["ended_at"]
        started = values.get("started_at")
        cause = values.get("cause")
        attributes: dict[str, str | int | float] = {
            "airloom.dag_id": row.dag_id,
            "airloom.run_id": row.run_id,
            "airloom.task_id": task.task_id,
            "airloom.map_index": index,
            "airloom.try_number": key.try_number,
            "airloom.state": state.value,
            "airloom.operator": task.operator,
            "airloom.pool": task.pool,
            "airloom.queue": task.queue,
        }
        attributes |= {f"airloom.{name}": values[name] for name in ("runner", "host", "pid") if values.get(name)}
        if cause is not None:
            attributes["airloom.cause"] = str(cause)
        return Span(
            name=task.task_id if index < 0 else f"{task.task_id}[{index}]",
            trace=trace_id(self._database, row.id),
            id=try_span_id(self._database, key),
            parent=run_span_id(self._database, row.id, run.started_at),
            start=end if started is None else min(started, end),
            end=end,
            attributes=attributes,
            problem=str(cause or state.value) if state is TIState.FAILED else None,
        )
