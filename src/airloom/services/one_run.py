"""One run in the foreground: the same scheduler and executors, driven until that run has ended."""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec

from airloom.decide.state import World
from airloom.model.errors import AirloomError
from airloom.model.events import CancelRun, TriggerRun
from airloom.model.plan import Plan
from airloom.model.run import RunRow, TIRow
from airloom.model.spec import DagSpec
from airloom.model.states import RUN_FINISHED
from airloom.services.scheduler import Scheduler
from airloom.services.service import Bell
from airloom.store import inbox
from airloom.store.database import Database


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is over. logs: the folder of its tasks' logs."""

    dag_id: str
    run_id: str
    state: str
    tasks: tuple[TIRow, ...]
    logs: str


class RunObserver(Protocol):
    """Is told how the run goes on."""

    def on_start(self, spec: DagSpec, run_id: str) -> None: ...

    def on_change(self, rows: Iterable[TIRow]) -> None: ...

    def on_cancel(self) -> None: ...


class RunRecord:
    """What the plans say about one run: the observer's view is made from commits, not from looks into the database."""

    def __init__(self, spec: DagSpec, observer: RunObserver) -> None:
        self._spec = spec
        self._observer = observer
        self._order = {task.task_id: number for number, task in enumerate(spec.tasks)}
        self.run: RunRow | None = None
        self._tis: dict[int, TIRow] = {}

    def on_commit(self, world: World, plan: Plan) -> None:
        """Take what a plan changed."""
        for run in plan.new_runs.values():
            if self.run is None and run.dag_id == self._spec.dag_id:
                self.run = run
                self._observer.on_start(self._spec, run.run_id)
        if self.run is None:
            return
        if self.run.id in plan.run_changes:
            self.run = msgspec.structs.replace(self.run, **plan.run_changes[self.run.id])
        changed = {ti.id: ti for ti in plan.new_tis.values() if ti.run_id == self.run.id}
        for ti_id, change in plan.ti_changes.items():
            if ti_id in self._tis:
                changed[ti_id] = msgspec.structs.replace(self._tis[ti_id], state=change.state, **change.values)
        self._tis.update(changed)
        if changed:
            self._observer.on_change(changed.values())

    def on_cancel(self) -> None:
        """The user asked for its end."""
        self._observer.on_cancel()

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self.run is not None and self.run.state in RUN_FINISHED

    def summary(self, logs: str) -> RunSummary:
        """The run as it ended, its TIs in the DAG's order."""
        assert self.run is not None
        tasks = sorted(self._tis.values(), key=lambda ti: (self._order[ti.task_id], ti.map_index))
        state = self.run.state.value
        return RunSummary(dag_id=self.run.dag_id, run_id=self.run.run_id, state=state, tasks=tuple(tasks), logs=logs)


def drive(db: Database, scheduler: Scheduler, bell: Bell, command: TriggerRun, record: RunRecord) -> None:
    """Make the run and turn the scheduler until it has ended. The first Ctrl-C cancels it, in good order.

    Raises AirloomError when the run cannot be made, and KeyboardInterrupt at the second Ctrl-C.
    """
    with db.transaction() as conn:
        number = inbox.put(conn, command, command.by, 0.0)
    with _interrupts(bell) as interrupted:
        cancelled = False
        while not record.over:
            delay = scheduler.tick()
            if record.run is None:
                _raise_refusal(db, number)
            elif interrupted() and not cancelled:
                cancelled = True
                record.on_cancel()
                with db.transaction() as conn:
                    inbox.put(conn, CancelRun(dag_id=command.dag_id, run_id=record.run.run_id), command.by, 0.0)
                scheduler.hint()
                delay = 0.0
            if not record.over:
                bell.wait(delay)


def _raise_refusal(db: Database, number: int) -> None:
    with db.reading() as conn:
        answer = inbox.answer(conn, number)
    if answer is not None and answer.error is not None:
        raise AirloomError(answer.message or answer.error)


@contextmanager
def _interrupts(bell: Bell) -> Iterator[Callable[[], bool]]:
    """While it lasts, the first SIGINT or SIGTERM only asks; the second one interrupts."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    count = 0

    def on_signal(number: int, frame: Any) -> None:
        nonlocal count
        count += 1
        bell.ring()
        if count > 1:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: count > 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
