"""Whether the parts of Airloom work: what their rows say, and whether the database can be read at all."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late

import msgspec

from airloom.model.errors import AirloomError
from airloom.model.processes import LoaderState, ProcessKind, ProcessRow, RunnerState, SchedulerState
from airloom.operations.ops import Ops
from airloom.store import leadership, processes
from airloom.store.leadership import LeaderRow

OK, DEGRADED, DOWN = "ok", "degraded", "down"
_WORST = (DOWN, DEGRADED, OK)
#: seconds that the database has to answer, and for which what was found is believed
_PATIENCE = 2.0
_BELIEVED = 1.0
#: seconds for which a process that has gone without a word is spoken of
_MISSED = 600.0
#: seconds by which a run may be late before that is a sign of trouble
_LATE = 30.0


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of Airloom. kind: database, scheduler, loader, api, executor or runner."""

    kind: str
    name: str
    status: str
    text: str
    seen_at: float | None = None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the parts work. status: down if the database or the scheduler is, degraded if any other is not well."""

    status: str
    parts: tuple[Part, ...]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the database says: who leads, and the rows of processes."""

    leader: LeaderRow | None
    rows: list[ProcessRow]


def read(ops: Ops) -> Known:
    """What there is to know. Raises StoreError."""
    with ops.db.reading() as conn:
        return Known(leader=leadership.current(conn), rows=processes.list_processes(conn))


class Examiner:
    """Looks at the health of the parts, once a second at most, however many ask. Any thread may."""

    def __init__(self, ops: Ops, clock: Callable[[], float] = time.monotonic) -> None:
        self._ops = ops
        self._clock = clock
        self._lock = threading.Lock()
        self._reader = ThreadPoolExecutor(1, "health")
        self._reading: Future[Known] | None = None
        self._found: tuple[float, Health] | None = None

    def examine(self) -> Health:
        """How the parts are. Takes no longer than the database may."""
        with self._lock:
            now = self._clock()
            if self._found is None or now - self._found[0] >= _BELIEVED:
                self._found = (now, self._look())
            return self._found[1]

    def close(self) -> None:
        """End the thread; does not wait for a database that hangs."""
        self._reader.shutdown(wait=False, cancel_futures=True)

    def _look(self) -> Health:
        # A look that hangs is waited for again: there is never a second one.
        reading = self._reading or self._reader.submit(read, self._ops)
        try:
            known = reading.result(_PATIENCE)
        except (Late, AirloomError) as error:
            self._reading = reading if isinstance(error, Late) else None
            text = f"it did not answer within {_PATIENCE:g} s" if isinstance(error, Late) else str(error)
            return Health(status=DOWN, parts=(Part(kind="database", name="database", status=DOWN, text=text),))
        self._reading = None
        return judge(known, self._ops.now())


def judge(known: Known, now: float) -> Health:
    """How the parts are, by what is known of them."""
    parts = [Part(kind="database", name="database", status=OK, text="it answers", seen_at=now)]
    parts += _schedulers(known, now)
    parts += _loaders(known, now)
    parts += _runners(known, now)
    apis = [row for row in known.rows if row.kind is ProcessKind.API and row.alive(now)]
    parts += [_part(row, OK, "it serves") for row in apis]
    needed = {part.status for part in parts if part.kind == "database" or (part.kind, part.name) == ("scheduler", "")}
    others = {DEGRADED if part.status == DOWN else part.status for part in parts}
    return Health(status=next(status for status in _WORST if status in needed | others), parts=tuple(parts))
