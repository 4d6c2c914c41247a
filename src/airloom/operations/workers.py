"""Who runs tries: runners, and the executors that give them their work, as their rows tell."""

import msgspec

from airloom.model.processes import ProcessKind, RunnerState
from airloom.operations.health import leading_state, read
from airloom.operations.ops import Ops


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A runner. queues empty: of every queue. slots None: no limit. running: tries in hand."""

    id: str
    host: str
    pid: int
    version: str
    executor: str
    queues: tuple[str, ...]
    slots: int | None
    running: int
    started_at: float
    seen_at: float
    alive: bool


class ExecutorState(msgspec.Struct, frozen=True, kw_only=True):
    """An executor of the scheduler that leads. why: it takes nothing, if it does not."""

    name: str
    slots: int | None
    used: int
    why: str
    seen_at: float


def list_workers(ops: Ops) -> list[Worker]:
    """Every runner that was heard of in the last day."""
    now = ops.now()
    return [
        Worker(
            id=row.id,
            host=row.host,
            pid=row.pid,
            version=row.version,
            executor=state.executor,
            queues=state.queues,
            slots=state.slots,
            running=state.running if row.alive(now) else 0,
            started_at=row.started_at,
            seen_at=row.seen_at,
            alive=row.alive(now),
        )
        for row in read(ops).rows
        if row.kind is ProcessKind.RUNNER
        for state in (msgspec.convert(row.state, RunnerState),)
    ]


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
