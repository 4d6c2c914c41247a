"""Every process tells that it lives and what it does, in rows of the database that it renews: health, metrics and the
lists of workers and executors are read from there, whatever process is asked.
"""

import logging
import os
import socket
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from airloom import __version__
from airloom.decide.load import Tally, load
from airloom.decide.state import World
from airloom.executors.base import Executor
from airloom.executors.local import LocalExecutor
from airloom.model.errors import StoreError
from airloom.model.plan import Plan
from airloom.model.processes import (
    RENEWAL,
    Histogram,
    Load,
    ProcessKind,
    ProcessRow,
    SchedulerState,
)
from airloom.model.report import Cause
from airloom.runtime.fence import now as since_boot
from airloom.services.leader import Leadership
from airloom.store import feed, processes, worker_orders
from airloom.store.database import Database

log = logging.getLogger("airloom.reporting")

#: upper bounds of the histogram of turns, in seconds
_BOUNDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
#: a look at all that waits is taken no more often than this, and takes no more than this share of the scheduler's time
_LOOK_EVERY = 2.0
_SHARE = 0.01
#: seconds after which a process that was not seen is forgotten, and after which nobody resumes from a row of the feed
_FORGOTTEN = 86400.0
_TOLD = 600.0
#: seconds until the next renewal after processes have come or gone
_SOON = 1.0
#: seconds between two looks for such
_SWEEP_EVERY = 60.0


class Durations:
    """Counts how long something took. One thread adds; any may read."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS) + 1)
        self._seconds = 0.0

    def add(self, seconds: float) -> None:
        """It took so long, once more."""
        self._counts[bisect_left(_BOUNDS, seconds)] += 1
        self._seconds += seconds

    def histogram(self) -> Histogram:
        """All of it so far."""
        return Histogram(bounds=_BOUNDS, counts=tuple(self._counts), seconds=self._seconds)


class SchedulerReport:
    """What a scheduler tells about itself. `turns`: how long its turns took. keys: what its secret keys are known
    by."""

    def __init__(
        self,
        leadership: Leadership,
        turns: Durations,
        dropped: Callable[[], int] = lambda: 0,
        logs: Callable[[], str] = lambda: "",
        keys: tuple[str, ...] = (),
    ) -> None:
        self._leadership = leadership
        self._turns = turns
        self._dropped = dropped
        self._logs = logs
        self._keys = keys
        self._runs = 0
        self._tries = 0
        self._lost = 0
        self._tally = Tally()
        self._load: Load | None = None
        self._look_at = 0.0

    def on_commit(self, world: World, plan: Plan) -> None:
        """Count what a turn made, and look at the memory from time to time. In the scheduler's thread."""
        self._runs += len(plan.new_runs)
        self._tries += len(plan.new_tries)
        self._lost += sum(change.get("cause") is Cause.LOST for change in plan.try_changes.values())
        self._tally.note(world)
        now = time.monotonic()
        if now >= self._look_at:
            self._load = load(world, self._tally.instances(world))
            self._look_at = now + max(_LOOK_EVERY, (time.monotonic() - now) / _SHARE)

    def state(self, inbox: int) -> SchedulerState:
        """What there is to tell now. `inbox`: how many commands wait."""
        epoch = self._leadership.epoch
        return SchedulerState(
            leading=epoch is not None,
            epoch=epoch,
            load=None if epoch is None else self._load,
            turns=self._turns.histogram(),
            runs=self._runs,
            tries=self._tries,
            lost=self._lost,
            inbox=inbox,
            dropped=self._dropped(),
            logs=self._logs(),
            keys=self._keys,
        )


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a row is to say. id, host, pid, version: where they are not this process's."""

    kind: ProcessKind
    state: msgspec.Struct
    id: str = ""
    host: str = ""
    pid: int = 0
    version: str = __version__


def scheduler_tells(
    report: SchedulerReport, loaders: Callable[[], Iterable[Told]], executors: Mapping[str, Executor], inbox: int
) -> Iterator[Told]:
    """What a scheduler's process has to tell: of itself, of its loaders, and of the runners of its executors."""
    yield Told(kind=ProcessKind.SCHEDULER, state=report.state(inbox))
    yield from loaders()
    for executor in executors.values():
        found = executor.runner() if isinstance(executor, LocalExecutor) else None
        if found is not None:
            hello, state = found
            yield Told(
                kind=ProcessKind.RUNNER,
                state=state,
                id=hello.runner,
                host=hello.host,
                pid=hello.pid,
                version=hello.version,
            )


class Reporting:
    """The service. `tell` says what rows there are to be, given how many commands wait in the inbox. It also forgets
    what is old: processes that are long gone, and the feed's past."""

    name = "reporting"

    def __init__(self, db: Database, tell: Callable[[int], Iterable[Told]], now: Callable[[], float]) -> None:
        self._db = db
        self._tell = tell
        self._now = now
        self._began: dict[str, float] = {}
        self._sweep_at = 0.0
        self._failed = False
        self._told_at: float | None = None

    @property
    def away(self) -> float:
        """For how many seconds (the machine's sleep included) the rows have not been renewed because the database
        fails; 0.0 while they are."""
        told_at = self._told_at
        return since_boot() - told_at if self._failed and told_at is not None else 0.0

    def tick(self) -> float:
        """Renew the rows. Returns the seconds until that is due again."""
        now = self._now()
        try:
            changed = self._renew(now)
            self._failed, self._told_at = False, since_boot()
            # What has just come has more to tell in a moment.
            return _SOON if changed else RENEWAL
        except StoreError as error:
            if not self._failed:
                log.error("%s; this process looks dead to others until that is over", error)
            self._failed = True
        return RENEWAL

    def interrupt(self) -> None:
        """A tick takes no time."""

    def close(self) -> None:
        """This process ends in good order."""
        self._told_at = None
        try:
            with self._db.transaction() as conn:
                processes.remove(conn, list(self._began))
                feed.tell(conn, "processes")
        except StoreError as error:
            log.error("%s; it will be seen that this process has gone", error)

    def _renew(self, now: float) -> bool:
        """Whether other processes are told of than before."""
        with self._db.reading() as conn:
            inbox = processes.inbox_size(conn)
        before = set(self._began)
        rows = [self._row(told, now) for told in self._tell(inbox)]
        present = {row.id for row in rows}
        gone = before - present
        with self._db.transaction() as conn:
            processes.renew(conn, rows)
            processes.remove(conn, sorted(gone))
            if now >= self._sweep_at:
                processes.sweep(conn, now - _FORGOTTEN)
                worker_orders.sweep(conn)
                feed.trim(conn, now - _TOLD)
                self._sweep_at = now + _SWEEP_EVERY
            if present != before:
                processes.remove(conn, _replaced(processes.list_processes(conn), rows))
                feed.tell(conn, "processes")
        for name in gone:
            del self._began[name]
        return present != before

    def _row(self, told: Told, now: float) -> ProcessRow:
        host, pid = told.host or socket.gethostname(), told.pid or os.getpid()
        name = told.id or f"{told.kind.value}:{host}:{pid}"
        return ProcessRow(
            id=name,
            kind=told.kind,
            host=host,
            pid=pid,
            version=told.version,
            started_at=self._began.setdefault(name, now),
            seen_at=now,
            state=msgspec.to_builtins(told.state),
        )


def _replaced(there: Iterable[ProcessRow], mine: Iterable[ProcessRow]) -> list[str]:
    """The ids of rows whose processes must be dead: one of mine listens where they did."""
    places = {(row.host, tuple(row.state["listens"])): row.id for row in mine if row.state.get("listens")}
    return [row.id for row in there if places.get((row.host, tuple(row.state.get("listens", ()))), row.id) != row.id]
