"""Whether the parts of Airloom work: what their rows say, and whether the database can be read at all."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late

import msgspec

from airloom.model.errors import AirloomError
from airloom.model.processes import (
    ApiState,
    LoaderState,
    ProcessKind,
    ProcessRow,
    RunnerState,
    SchedulerState,
    WorkerOrder,
)
from airloom.operations.ops import Ops
from airloom.store import leadership, processes, worker_orders
from airloom.store.leadership import LeaderRow

OK, DEGRADED, DOWN = "ok", "degraded", "down"
_WORST = (DOWN, DEGRADED, OK)
#: kinds of parts without which nothing works
_NEEDED = ("database", "scheduler")
#: seconds that the database has to answer, and for which what was found is believed
_PATIENCE = 2.0
_BELIEVED = 1.0
#: seconds for which a process that has gone without a word is spoken of
_MISSED = 600.0
_OTHER_KEY = (
    "it has another secret key than the scheduler that leads: what the one starts the other refuses. Give every "
    "scheduler and API the same [core] secret_key, or the same file secret.key"
)
#: seconds by which a run may be late before that is a sign of trouble
_LATE = 30.0


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of Airloom. kind: database, scheduler, loader, api, executor, runner or logs."""

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
    """What the database says: who leads, the rows of processes, and what is wanted of workers."""

    leader: LeaderRow | None
    rows: list[ProcessRow]
    orders: list[WorkerOrder] = []


def read(ops: Ops) -> Known:
    """What there is to know. Raises StoreError."""
    with ops.db.reading() as conn:
        return Known(
            leader=leadership.current(conn),
            rows=processes.list_processes(conn),
            orders=worker_orders.orders(conn),
        )


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
            if self._found is None or self._clock() - self._found[0] >= _BELIEVED:
                found = self._look()
                # As of now: those who waited meanwhile must not each wait for a look of their own.
                self._found = (self._clock(), found)
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
    parts = (
        Part(kind="database", name="database", status=OK, text="it answers", seen_at=now),
        *_schedulers(known, now),
        *_loaders(known, now),
        *_executors(known, now),
        *_runners(known, now),
        *_apis(known, now),
    )
    if any(part.status == DOWN and part.kind in _NEEDED for part in parts):
        return Health(status=DOWN, parts=parts)
    return Health(status=OK if all(part.status == OK for part in parts) else DEGRADED, parts=parts)


def in_brief(health: Health) -> Health:
    """The same for whoever asks: how each kind of part is, and nothing of machines, names and files."""
    worst: dict[str, Part] = {}
    for part in health.parts:
        known = worst.get(part.kind)
        if known is None or _WORST.index(part.status) < _WORST.index(known.status):
            text = "it works" if part.status == OK else "a user who sees all dags is told what is wrong"
            worst[part.kind] = Part(kind=part.kind, name=part.kind, status=part.status, text=text)
    return Health(status=health.status, parts=tuple(worst.values()))


def leading_state(known: Known, now: float) -> SchedulerState | None:
    """What the scheduler that leads says of itself; None if none does, or has not yet."""
    row = _leader_row(known, now)
    return None if row is None else msgspec.convert(row.state, SchedulerState)


def _of(known: Known, kind: ProcessKind) -> list[ProcessRow]:
    return [row for row in known.rows if row.kind is kind]


def _part(row: ProcessRow, status: str, text: str) -> Part:
    return Part(kind=row.kind.value, name=f"{row.host}:{row.pid}", status=status, text=text, seen_at=row.seen_at)


def _leader_row(known: Known, now: float) -> ProcessRow | None:
    leader = known.leader
    if leader is None or leader.expires_at <= now:
        return None
    mine = [row for row in _of(known, ProcessKind.SCHEDULER) if (row.host, row.pid) == (leader.host, leader.pid)]
    return next((row for row in mine if row.alive(now)), None)


def _schedulers(known: Known, now: float) -> Iterator[Part]:
    leader, row = known.leader, _leader_row(known, now)
    if leader is None or leader.expires_at <= now:
        text = "no scheduler leads, so nothing is started: `airloom standalone` or `airloom scheduler` starts one"
        yield Part(kind="scheduler", name="leader", status=DOWN, text=text)
    elif row is None:
        # Its lease is good: it has just begun, or cannot write its row.
        text = "it leads, and has not told yet how it does"
        yield Part(kind="scheduler", name=f"{leader.host}:{leader.pid}", status=OK, text=text)
    else:
        load = msgspec.convert(row.state, SchedulerState).load
        late = 0.0 if load is None else load.schedule_lag
        text = f"a run of a schedule is {late:.0f} s late" if late > _LATE else "it leads"
        yield _part(row, DEGRADED if late > _LATE else OK, text)
    for other in _of(known, ProcessKind.SCHEDULER):
        if not other.alive(now):
            continue
        state = msgspec.convert(other.state, SchedulerState)
        if other is not row:
            foreign = _has_another_key(known, now, state.keys)
            yield _part(other, DEGRADED if foreign else OK, _OTHER_KEY if foreign else "it stands by")
        if state.logs:
            part = _part(other, DEGRADED, f"{state.logs}; finished logs stay where they are until then")
            yield msgspec.structs.replace(part, kind="logs")


def _apis(known: Known, now: float) -> Iterator[Part]:
    for row in _of(known, ProcessKind.API):
        if row.alive(now):
            foreign = _is_foreign(row, known, now)
            yield _part(row, DEGRADED if foreign else OK, _OTHER_KEY if foreign else "it serves")


def refusal_of(known: Known, now: float) -> str:
    """Why workers are refused the tries that they want to run; "" if they are not, as far as is known."""
    foreign = [row for row in _of(known, ProcessKind.API) if row.alive(now) and _is_foreign(row, known, now)]
    if not foreign:
        return ""
    who = f"the API on {foreign[0].host} (process {foreign[0].pid})"
    return (
        f"{who} refuses tries to workers, for it has another secret key than the scheduler that leads: give every "
        "scheduler and API the same [core] secret_key, or the same file secret.key"
    )


def _is_foreign(row: ProcessRow, known: Known, now: float) -> bool:
    return _has_another_key(known, now, msgspec.convert(row.state, ApiState).keys)


def _has_another_key(known: Known, now: float, keys: tuple[str, ...]) -> bool:
    leader = leading_state(known, now)
    return leader is not None and bool(leader.keys and keys) and set(leader.keys).isdisjoint(keys)


def _loaders(known: Known, now: float) -> Iterator[Part]:
    alive = [row for row in _of(known, ProcessKind.LOADER) if row.alive(now)]
    if not alive:
        text = "none runs, so changes of DAG files are not seen"
        yield Part(kind="loader", name="loader", status=DEGRADED, text=text)
    for row in alive:
        state = msgspec.convert(row.state, LoaderState)
        yield _part(row, DEGRADED if state.trouble else OK, state.trouble or _watches(state))


def _watches(state: LoaderState) -> str:
    return "it stands by" if state.standby else f"it watches {state.files} files of the bundle {state.bundle}"


def _executors(known: Known, now: float) -> Iterator[Part]:
    row = _leader_row(known, now)
    state = None if row is None else msgspec.convert(row.state, SchedulerState)
    if row is None or state is None or state.load is None:
        return
    for use in state.load.executors:
        status = DEGRADED if use.slots == 0 else OK
        text = use.why if use.slots == 0 else f"{use.used} of {'any number' if use.slots is None else use.slots} in use"
        yield Part(kind="executor", name=use.name, status=status, text=text, seen_at=row.seen_at)


def _runners(known: Known, now: float) -> Iterator[Part]:
    """Each runner of a scheduler's own, and each worker that is missed; of those that live, how many."""
    found = [(row, msgspec.convert(row.state, RunnerState)) for row in _of(known, ProcessKind.RUNNER)]
    workers = [(row, state) for row, state in found if state.worker and row.alive(now)]
    there = {state.worker for _, state in workers}
    if workers:
        running = sum(state.running for _, state in workers)
        seen_at = max(row.seen_at for row, _ in workers)
        text = f"workers: {len(workers)}; tries in hand: {running}"
        yield Part(kind="runner", name="workers", status=OK, text=text, seen_at=seen_at)
    for row, state in found:
        who = f"worker {state.worker}" if state.worker else "it"
        if row.alive(now) and not state.worker:
            yield _part(row, OK, f"it serves executor {state.executor}; tries in hand: {state.running}")
        elif row.alive(now) and state.trouble:
            yield _part(row, DEGRADED, f"{who} {state.trouble}")
        elif not row.alive(now) and now - row.seen_at <= _MISSED and state.worker not in there:
            yield _part(row, DOWN, f"{who} served executor {state.executor}, and is silent")
