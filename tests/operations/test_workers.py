"""Workers as their rows tell of them, and what people order: drained until resumed, stopped once."""

import json

import pytest

from airloom.model.errors import Conflict, InvalidRequest, NotFound
from airloom.model.processes import OrderKind, ProcessRow, WorkerOrder
from airloom.model.wire import PROTOCOL, Heartbeat, Hello
from airloom.operations import auditing, remote_runners, workers
from airloom.operations.ops import Ops
from airloom.operations.workers import Worker, WorkerStatus
from airloom.store import feed, processes, worker_orders
from airloom.store.audit import AuditFilter
from tests.operations import crew


def listed(ops: Ops) -> dict[str, Worker]:
    return {worker.name: worker for worker in workers.list_workers(ops)}


def states(ops: Ops) -> dict[str, str]:
    return {name: worker.status.value for name, worker in listed(ops).items()}


def order(ops: Ops, name: str) -> WorkerOrder | None:
    with ops.db.reading() as conn:
        return worker_orders.order_of(conn, name)


def told(ops: Ops) -> list[object]:
    with ops.db.reading() as conn:
        return [json.loads(row.data) for row in feed.after(conn, 0, 100)]


def recorded(ops: Ops) -> list[tuple[str, str | None]]:
    found = auditing.list_audit(ops, AuditFilter(), 100)
    return [(row.action, row.subject) for row in reversed(found) if row.action.startswith("worker.")]


@pytest.fixture
def pair(ops: Ops) -> Ops:
    """Two workers."""
    crew.put(ops, crew.worker_row("big", ops.now(), running=2), crew.worker_row("gpu", ops.now(), queues=("gpu",)))
    return ops


def test_a_worker_is_listed_with_all_that_it_told(ops: Ops) -> None:
    row = crew.worker_row("big", ops.now(), queues=("default", "etl"), running=2, clock=-95.0)
    crew.put(ops, row)
    crew.occupy(ops, row.id, 2)
    [worker] = workers.list_workers(ops)
    assert (worker.name, worker.host, worker.queues, worker.slots, worker.running) == (
        "big",
        "host-of-big",
        ("default", "etl"),
        4,
        2,
    )
    assert (worker.memory, worker.memory_free, worker.clock) == (8 * 2**30, 3 * 2**30, -95.0)
    assert (worker.status, worker.remote, worker.seen_at) == (WorkerStatus.RUNNING, True, row.seen_at)


def test_a_silent_worker_has_nothing_in_hand_and_gives_way_to_a_new_one_of_its_name(ops: Ops) -> None:
    crew.put(ops, crew.worker_row("big", ops.now(), silent=60, running=2))
    [worker] = workers.list_workers(ops)
    assert (worker.status, worker.running) == (WorkerStatus.SILENT, 0)
    crew.put(ops, crew.worker_row("big", ops.now(), runner="another"))
    [worker] = workers.list_workers(ops)
    assert (worker.id, worker.status) == ("another", WorkerStatus.RUNNING)


def test_a_drain_holds_for_whoever_bears_the_name_until_it_is_resumed(pair: Ops) -> None:
    workers.drain_worker(pair, "big")
    assert states(pair) == {"big": "drained", "gpu": "running"}
    assert (listed(pair)["big"].ordered_by, listed(pair)["gpu"].ordered_by) == (pair.by, None)
    with pair.db.transaction() as conn:
        processes.remove(conn, ["big-runner"])
    crew.put(pair, crew.worker_row("big", pair.now(), runner="another"))
    assert states(pair)["big"] == "drained"
    workers.resume_worker(pair, "big")
    assert states(pair)["big"] == "running"
    assert order(pair, "big") is None


def test_each_order_is_told_to_the_feed_and_recorded_once(pair: Ops) -> None:
    workers.drain_worker(pair, "big")
    workers.drain_worker(pair, "big")
    workers.resume_worker(pair, "big")
    workers.resume_worker(pair, "big")
    workers.stop_worker(pair, "gpu")
    workers.stop_worker(pair, "gpu")
    assert recorded(pair) == [("worker.drain", "big"), ("worker.resume", "big"), ("worker.stop", "gpu")]
    assert told(pair) == [{"topics": ["processes"]}] * 3


def test_a_stop_is_for_the_one_that_lives_now(pair: Ops) -> None:
    workers.stop_worker(pair, "big")
    found = order(pair, "big")
    assert found is not None
    assert (found.kind, found.stops("big-runner"), found.stops("another"), found.drains()) == (
        OrderKind.STOP,
        True,
        False,
        False,
    )
    assert states(pair)["big"] == "stopping"
    crew.put(pair, crew.worker_row("big", pair.now(), silent=60), crew.worker_row("big", pair.now(), runner="another"))
    assert states(pair)["big"] == "running"


@pytest.mark.parametrize("first", [workers.drain_worker, workers.stop_worker])
def test_a_drained_worker_can_be_stopped_and_stays_drained_when_it_is_back(pair: Ops, first: object) -> None:
    last = workers.stop_worker if first is workers.drain_worker else workers.drain_worker
    for verb in (first, last):
        verb(pair, "big")  # type: ignore[operator]
    assert states(pair)["big"] == "stopping"
    crew.put(pair, crew.worker_row("big", pair.now(), silent=60), crew.worker_row("big", pair.now(), runner="another"))
    assert states(pair)["big"] == "drained"
    workers.resume_worker(pair, "big")
    assert states(pair)["big"] == "running"


def test_a_worker_that_stops_is_not_called_back(pair: Ops) -> None:
    workers.stop_worker(pair, "big")
    with pytest.raises(Conflict, match="start it again"):
        workers.resume_worker(pair, "big")
    workers.drain_worker(pair, "big")
    workers.resume_worker(pair, "big")
    assert states(pair)["big"] == "stopping"


def test_a_worker_that_is_away_can_be_drained_and_resumed_but_not_stopped(ops: Ops) -> None:
    crew.put(ops, crew.worker_row("big", ops.now(), silent=60))
    workers.drain_worker(ops, "big")
    with pytest.raises(Conflict, match=r"silent for 6\d s"):
        workers.stop_worker(ops, "big")
    with ops.db.transaction() as conn:
        processes.remove(conn, ["big-runner"])
    workers.resume_worker(ops, "big")
    assert order(ops, "big") is None


VERBS = [workers.drain_worker, workers.resume_worker, workers.stop_worker]


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_name_is_told_with_the_one_that_was_meant(pair: Ops, verb: object) -> None:
    with pytest.raises(NotFound, match="there is no worker 'gpo'; did you mean gpu"):
        verb(pair, "gpo")  # type: ignore[operator]
    with pytest.raises(NotFound, match="airloom workers list"):
        verb(pair, "nothing like it")  # type: ignore[operator]


@pytest.mark.parametrize("verb", VERBS)
def test_the_runner_of_a_local_executor_obeys_its_scheduler_only(ops: Ops, verb: object) -> None:
    local: ProcessRow = crew.worker_row("", ops.now(), executor="local", queues=(), runner="r1")
    crew.put(ops, local)
    [worker] = workers.list_workers(ops)
    assert (worker.name, worker.remote) == ("host-of-:7", False)
    with pytest.raises(InvalidRequest, match="begins and ends with its scheduler"):
        verb(ops, worker.name)  # type: ignore[operator]


def test_orders_to_stop_runners_that_are_forgotten_are_forgotten_too(pair: Ops) -> None:
    workers.stop_worker(pair, "big")
    workers.drain_worker(pair, "gpu")
    with pair.db.transaction() as conn:
        assert worker_orders.sweep(conn) == 0
        processes.remove(conn, ["big-runner", "gpu-runner"])
        assert worker_orders.sweep(conn) == 1
        assert [found.worker for found in worker_orders.orders(conn)] == ["gpu"]


def test_a_worker_that_takes_leave_is_missed_by_nobody(ops: Ops) -> None:
    hello = Hello(protocol=PROTOCOL, runner="r1", host="h", pid=7, version="1", executor="celery", worker="big")
    remote_runners.register(ops, hello, "credential", None)
    remote_runners.renew(ops, "r1", "credential", None, Heartbeat(live=()), ())
    assert states(ops) == {"big": "running"}
    for _ in range(2):  # said again when no answer came
        cancels, wanted = remote_runners.renew(ops, "r1", "credential", None, Heartbeat(live=(), leaving=True), ())
        assert (cancels, wanted.stop) == ((), True)
    assert states(ops) == {}
