"""What people want of workers, a row each: written by the verbs of operations/workers.py, read for the runners."""

from collections.abc import Iterable

from sqlalchemy import Connection, delete, select

from airloom.model.processes import OrderKind, WorkerOrder
from airloom.store.dialects import dialect_of
from airloom.store.rows import to_rows, to_structs
from airloom.store.tables import process, worker_order


def order_of(conn: Connection, worker: str) -> WorkerOrder | None:
    """What is wanted of a worker; None: nothing."""
    query = select(worker_order).where(worker_order.c.worker == worker)
    return next(iter(to_structs(WorkerOrder, conn.execute(query))), None)


def orders(conn: Connection, workers: Iterable[str] | None = None) -> list[WorkerOrder]:
    """What is wanted of all workers, or of these, by name."""
    query = select(worker_order).order_by(worker_order.c.worker)
    if workers is not None:
        query = query.where(worker_order.c.worker.in_(list(workers)))
    return to_structs(WorkerOrder, conn.execute(query))


def put(conn: Connection, order: WorkerOrder) -> None:
    """Write this in the place of what was wanted of the worker before."""
    dialect_of(conn).insert(conn, worker_order, to_rows([order]), replace=("worker",))


def remove(conn: Connection, worker: str) -> bool:
    """Nothing is wanted of the worker any more; False if nothing was."""
    return conn.execute(delete(worker_order).where(worker_order.c.worker == worker)).rowcount > 0


def sweep(conn: Connection) -> int:
    """Delete the orders to stop runners that nobody remembers; how many."""
    gone = worker_order.c.runner.not_in(select(process.c.id))
    return conn.execute(delete(worker_order).where(worker_order.c.kind == OrderKind.STOP.value, gone)).rowcount
