"""Who runs tries: workers and the runners of local executors, as their rows tell; and what people want of them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from airloom.model.errors import Conflict, InvalidRequest, NotFound
from airloom.model.processes import OrderKind, ProcessKind, ProcessRow, RunnerState, WorkerOrder
from airloom.operations.auditing import record
from airloom.operations.health import Known, leading_state, read
from airloom.operations.lookup import nearest
from airloom.operations.ops import Ops
from airloom.store import processes, worker_orders
from airloom.store.feed import tell
from airloom.store.queues import count_in_hand

#: what is told when something here changes
_TOPIC = "processes"
_SEE_ALL = "; `airloom workers list` shows all that were there in the last day"


class WorkerStatus(StrEnum):
    """What a worker does. cut_off: no work comes to it, and its trouble says why. silent: it was not heard of lately,
    whatever is wanted of it."""

    RUNNING = "running"
    CUT_OFF = "cut_off"
    DRAINED = "drained"
    STOPPING = "stopping"
    SILENT = "silent"


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A runner. name: of its worker; of a local executor's runner its host and pid. queues empty: of every queue.
    slots None: no limit. running: tries in hand. memory: bytes, 0 if not known; memory_free: of it. clock: seconds by
    which its clock is ahead of the server's. remote: it is a worker, no part of a scheduler's process. ordered_by,
    ordered_at: who wants it drained or stopped, since when. trouble: why no work comes to it, as the end of a sentence
    that begins with it."""

    id: str
    name: str
    host: str
    pid: int
    version: str
    executor: str
    queues: tuple[str, ...]
    slots: int | None
    running: int
    memory: int
    memory_free: int
    clock: float
    started_at: float
    seen_at: float
    status: WorkerStatus
    remote: bool
    ordered_by: str | None = None
    ordered_at: float | None = None
    trouble: str = ""

    @property
    def silent(self) -> bool:
        """Whether it was not heard of lately."""
        return self.status is WorkerStatus.SILENT

    def is_for(self, executor: str, queue: str) -> bool:
        """Whether it was started for the tries of that queue."""
        return self.executor == executor and (not self.queues or queue in self.queues)

    def serves(self, executor: str, queue: str) -> bool:
        """Whether it is there for the tries of that queue, if it takes any."""
        return not self.silent and self.is_for(executor, queue)


class ExecutorState(msgspec.Struct, frozen=True, kw_only=True):
    """An executor of the scheduler that leads. why: it takes nothing, if it does not."""

    name: str
    slots: int | None
    used: int
    why: str
    seen_at: float


def list_workers(ops: Ops) -> list[Worker]:
    """Every worker that was heard of in the last day, and the runners of local executors, by name."""
    with ops.db.reading() as conn:
        in_hand = count_in_hand(conn)
    return workers_of(read(ops), ops.now(), in_hand)


def workers_of(known: Known, now: float, in_hand: Mapping[str, int] | None = None) -> list[Worker]:
    """The workers that the rows tell of. Of those that bear one name, the silent ones are left out if another lives.

    in_hand: how many tries each runner has taken. Without it that is what they told last, some seconds ago.
    """
    orders = {order.worker: order for order in known.orders}
    found = [_worker(row, orders, now) for row in known.rows if row.kind is ProcessKind.RUNNER]
    if in_hand is not None:
        found = [
            msgspec.structs.replace(worker, running=in_hand.get(worker.id, 0))
            if worker.remote and not worker.silent
            else worker
            for worker in found
        ]
    there = {worker.name for worker in found if not worker.silent}
    shown = [worker for worker in found if not worker.silent or worker.name not in there]
    return sorted(shown, key=lambda worker: (worker.name, -worker.seen_at, worker.id))


def list_executors(ops: Ops) -> list[ExecutorState]:
    """The executors of the scheduler that leads; none while none does."""
    known = read(ops)
    state = leading_state(known, ops.now())
    if state is None or state.load is None:
        return []
    seen_at = max(row.seen_at for row in known.rows if row.kind is ProcessKind.SCHEDULER)
    return [
        ExecutorState(name=use.name, slots=use.slots, used=use.used, why=use.why, seen_at=seen_at)
        for use in state.load.executors
    ]


def drain_worker(ops: Ops, name: str) -> None:
    """Have a worker take nothing new, until it is resumed; what it has runs to its end. It need not live just now, and
    the order outlives its restarts. Raises NotFound, InvalidRequest."""
    with ops.db.transaction() as conn:
        _named(conn, ops, name)
        before = worker_orders.order_of(conn, name)
        if before is not None and before.drains():
            return
        runner = None if before is None else before.runner
        worker_orders.put(conn, WorkerOrder(worker=name, kind=OrderKind.DRAIN, runner=runner, by=ops.by, at=ops.now()))
        record(conn, ops, "worker.drain", subject=name)
        tell(conn, _TOPIC)


def resume_worker(ops: Ops, name: str) -> None:
    """Have a worker that is drained take work again. One that was told to stop ends all the same.
    Raises NotFound, InvalidRequest, Conflict."""
    with ops.db.transaction() as conn:
        before = worker_orders.order_of(conn, name)
        if before is None or not before.drains():
            if _named(conn, ops, name).status is WorkerStatus.STOPPING:
                raise Conflict(f"worker {name} was told to stop, and is not drained: start it again to have it back")
            return
        if before.runner is None:
            worker_orders.remove(conn, name)
        else:
            worker_orders.put(conn, msgspec.structs.replace(before, kind=OrderKind.STOP))
        record(conn, ops, "worker.resume", subject=name)
        tell(conn, _TOPIC)


def stop_worker(ops: Ops, name: str) -> None:
    """Have the worker that lives now take nothing new, and end when what it has is over, or its grace. What is started
    under its name later is not meant. Raises NotFound, InvalidRequest, Conflict."""
    with ops.db.transaction() as conn:
        runner = _named(conn, ops, name)
        if runner.silent:
            raise Conflict(f"worker {name} has been silent for {ops.now() - runner.seen_at:.0f} s: nothing is to stop")
        before = worker_orders.order_of(conn, name)
        if before is not None and before.stops(runner.id):
            return
        kind = OrderKind.STOP if before is None else before.kind
        worker_orders.put(conn, WorkerOrder(worker=name, kind=kind, runner=runner.id, by=ops.by, at=ops.now()))
        record(conn, ops, "worker.stop", subject=name, detail=runner.id)
        tell(conn, _TOPIC)


def _worker(row: ProcessRow, orders: dict[str, WorkerOrder], now: float) -> Worker:
    state = msgspec.convert(row.state, RunnerState)
    alive = row.alive(now)
    order = orders.get(state.worker) if state.worker else None
    if order is not None and not order.drains() and not order.stops(row.id):
        order = None
    status = WorkerStatus.RUNNING
    if not alive:
        status = WorkerStatus.SILENT
    elif order is not None and order.stops(row.id):
        status = WorkerStatus.STOPPING
    elif order is not None or state.drained:
        status = WorkerStatus.DRAINED
    elif state.trouble:
        status = WorkerStatus.CUT_OFF
    return Worker(
        id=row.id,
        name=state.worker or f"{row.host}:{row.pid}",
        host=row.host,
        pid=row.pid,
        version=row.version,
        executor=state.executor,
        queues=state.queues,
        slots=state.slots,
        running=state.running if alive else 0,
        memory=state.memory,
        memory_free=state.memory_free,
        clock=state.clock,
        started_at=row.started_at,
        seen_at=row.seen_at,
        status=status,
        remote=bool(state.worker),
        ordered_by=None if order is None else order.by,
        ordered_at=None if order is None else order.at,
        trouble=state.trouble if alive else "",
    )


def _named(conn: Any, ops: Ops, name: str) -> Worker:
    """The worker of that name; of several the one that was heard of last. Raises NotFound, InvalidRequest."""
    known = Known(
        leader=None, rows=processes.list_processes(conn, ProcessKind.RUNNER), orders=worker_orders.orders(conn)
    )
    workers = {worker.name: worker for worker in reversed(workers_of(known, ops.now()))}
    if name not in workers:
        names = [worker.name for worker in workers.values() if worker.remote]
        raise NotFound(f"there is no worker {name!r}{nearest(name, names) or _SEE_ALL}")
    if not workers[name].remote:
        raise InvalidRequest(
            f"{name} is the runner of a scheduler's own executor {workers[name].executor}: it begins and ends with "
            "its scheduler"
        )
    return workers[name]
