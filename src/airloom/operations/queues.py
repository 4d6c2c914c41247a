"""Verbs about queues: what waits in them, what runs from them, who serves them."""

import msgspec

from airloom.model.processes import ProcessKind, RunnerState
from airloom.model.states import TIState
from airloom.operations.ops import Ops
from airloom.store.processes import list_processes
from airloom.store.queues import count_live


class QueueState(msgspec.Struct, frozen=True, kw_only=True):
    """A queue. queued, running: live tries. workers: ids of the runners that take its work."""

    name: str
    queued: int
    running: int
    workers: tuple[str, ...]


def list_queues(ops: Ops) -> list[QueueState]:
    """Every queue that has a live try or a runner that serves it by name, and `default`, by name."""
    now = ops.now()
    with ops.db.reading() as conn:
        counts: dict[str, dict[TIState, int]] = {"default": {}}
        for queue, state, count in count_live(conn):
            counts.setdefault(queue, {})[state] = count
        runners = [row for row in list_processes(conn, ProcessKind.RUNNER) if row.alive(now)]
    serves = {row.id: msgspec.convert(row.state, RunnerState).queues for row in runners}
    for queues in serves.values():
        for queue in queues:
            counts.setdefault(queue, {})
    return [
        QueueState(
            name=queue,
            queued=counts[queue].get(TIState.QUEUED, 0),
            running=counts[queue].get(TIState.RUNNING, 0),
            workers=tuple(sorted(row_id for row_id, queues in serves.items() if not queues or queue in queues)),
        )
        for queue in sorted(counts)
    ]
