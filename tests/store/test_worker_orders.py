"""Orders to workers: one for each name, replaced and removed; those for runners that are forgotten go too."""

from airloom.model.processes import OrderKind, ProcessKind, ProcessRow, WorkerOrder
from airloom.store import processes, worker_orders
from airloom.store.database import Database
from tests.store.rows import NOW, read, write


def order(worker: str, kind: OrderKind = OrderKind.DRAIN, runner: str | None = None) -> WorkerOrder:
    return WorkerOrder(worker=worker, kind=kind, runner=runner, by="ada", at=NOW)


def test_an_order_is_the_last_one_that_was_given_to_a_name(db: Database) -> None:
    assert read(db, worker_orders.order_of, "big") is None
    write(db, worker_orders.put, order("big"))
    write(db, worker_orders.put, order("a'b\nc"))
    last = order("big", OrderKind.STOP, "r1")
    write(db, worker_orders.put, last)
    assert read(db, worker_orders.order_of, "big") == last
    assert read(db, worker_orders.orders) == [order("a'b\nc"), last]
    assert read(db, worker_orders.orders, ["big", "other"]) == [last]
    assert read(db, worker_orders.orders, []) == []
    assert write(db, worker_orders.remove, "big")
    assert not write(db, worker_orders.remove, "big")


def test_only_orders_to_stop_what_is_gone_are_swept(db: Database) -> None:
    row = ProcessRow(
        id="r1", kind=ProcessKind.RUNNER, host="h", pid=1, version="1", started_at=NOW, seen_at=NOW, state={}
    )
    write(db, processes.renew, [row])
    for one in (order("a", OrderKind.STOP, "r1"), order("b", OrderKind.STOP, "r2"), order("c", runner="r2")):
        write(db, worker_orders.put, one)
    assert write(db, worker_orders.sweep) == 1
    assert [found.worker for found in read(db, worker_orders.orders)] == ["a", "c"]
