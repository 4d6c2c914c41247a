"""Queues: what waits in them, what runs from them, who serves them, and why what waits does not start."""

from collections.abc import Sequence
from shlex import quote

import msgspec

from airloom.model.processes import SchedulerState, WaitingFor
from airloom.model.reasons import Reason, ReasonKind
from airloom.model.states import TIState
from airloom.model.work import SERVED_BY_QUEUE
from airloom.operations.health import leading_state, read, refusal_of
from airloom.operations.ops import Ops
from airloom.operations.workers import Worker, WorkerStatus, workers_of
from airloom.store.queues import count_in_hand, count_live

#: the queue of tasks that name none
_DEFAULT = "default"
#: workers that one sentence names
_NAMED = 3


class QueueState(msgspec.Struct, frozen=True, kw_only=True):
    """A queue of an executor. queued, running: live tries; demand: both. workers: names of those that serve it, free:
    slots of theirs that are free (None: no limit). trouble: why nothing of what waits in it starts, if nothing does;
    kind: its ReasonKind."""

    name: str
    executor: str
    queued: int
    running: int
    demand: int
    workers: tuple[str, ...]
    slots: int | None
    free: int | None
    kind: str = ""
    trouble: str = ""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """Who serves a queue of an executor. others: living workers of the executor that do not. silent: those that did.
    why: the executor hands nothing to anybody, if it does not. refusal: why workers are refused the tries that they
    want, if they are."""

    executor: str
    queue: str
    workers: tuple[Worker, ...]
    others: tuple[Worker, ...]
    silent: tuple[Worker, ...]
    why: str
    refusal: str = ""

    @property
    def takers(self) -> tuple[Worker, ...]:
        """Those that take new work."""
        return tuple(worker for worker in self.workers if worker.status is WorkerStatus.RUNNING)

    @property
    def slots(self) -> int | None:
        """Tries that they take at once; None: any number."""
        slots = [worker.slots for worker in self.takers]
        return None if None in slots else sum(number or 0 for number in slots)

    @property
    def free(self) -> int | None:
        """How many more they take just now, by what they told last."""
        slots = [worker.slots for worker in self.takers]
        return None if None in slots else sum(max(0, (worker.slots or 0) - worker.running) for worker in self.takers)


def service_of(
    workers: Sequence[Worker], state: SchedulerState | None, executor: str, queue: str, refusal: str = ""
) -> Service:
    """Who serves that queue of that executor. state: of the scheduler that leads. refusal: as in Service."""
    uses = () if state is None or state.load is None else state.load.executors
    living = [worker for worker in workers if worker.executor == executor and not worker.silent]
    return Service(
        executor=executor,
        queue=queue,
        workers=tuple(worker for worker in living if worker.serves(executor, queue)),
        others=tuple(worker for worker in living if not worker.serves(executor, queue)),
        silent=tuple(worker for worker in workers if worker.silent and worker.is_for(executor, queue)),
        why=next((use.why for use in uses if use.name == executor), ""),
        refusal=refusal,
    )


def hold_of(service: Service) -> Reason | None:
    """What holds everything that waits in a queue; None: the next slot that its workers have is for it."""
    queue = service.queue
    if service.executor not in SERVED_BY_QUEUE:
        return None
    if service.why:
        return Reason(kind=ReasonKind.CAPACITY, text=service.why)
    if not service.workers:
        there = "; ".join(f"{worker.name} serves {_some(worker.queues)}" for worker in service.others[:_NAMED])
        hint = f" (of those that run, {there})" if there else ""
        if service.silent:
            hint = f" ({_some([worker.name for worker in service.silent])} did, and is silent)"
        text = f"no worker serves queue {queue}{hint}: `airloom worker -q {quote(queue)}` starts one"
        return Reason(kind=ReasonKind.NO_WORKER, text=text)
    if not service.takers:
        names = [worker.name for worker in service.workers]
        cut_off = [worker for worker in service.workers if worker.status is WorkerStatus.CUT_OFF]
        if cut_off:
            more = f" (and {len(cut_off) - 1} more are cut off)" if len(cut_off) > 1 else ""
            text = f"no worker takes from queue {queue}: {cut_off[0].name} {cut_off[0].trouble}{more}"
            return Reason(kind=ReasonKind.NO_WORKER, text=text)
        drained = [worker.name for worker in service.workers if worker.status is WorkerStatus.DRAINED]
        helps = (
            f"`airloom workers resume {quote(drained[0])}` has it go on" if drained else "another one has to be started"
        )
        text = f"every worker of queue {queue} is drained or stopping ({_some(names)}): {helps}"
        return Reason(kind=ReasonKind.DRAINED, text=text)
    if service.free == 0:
        many = len(service.takers) > 1
        where = f"its {len(service.takers)} workers" if many else f"its worker {service.takers[0].name}"
        text = f"no free slot on queue {queue}: {service.slots} of {service.slots} in use at {where}"
        return Reason(kind=ReasonKind.QUEUE, text=text)
    return Reason(kind=ReasonKind.CAPACITY, text=service.refusal) if service.refusal else None


def held(workers: Sequence[Worker], leader: SchedulerState, refusal: str = "") -> list[WaitingFor]:
    """The queues in which tries wait that nothing is done about just now, and why."""
    found = []
    for use in () if leader.load is None else leader.load.queues:
        hold = hold_of(service_of(workers, leader, use.executor, use.name, refusal)) if use.queued else None
        if hold is not None:
            name = use.executor if hold.kind is ReasonKind.CAPACITY else use.name
            found.append(WaitingFor(kind=hold.kind.value, name=name, text=hold.text, count=use.queued))
    return found


def list_queues(ops: Ops) -> list[QueueState]:
    """Every queue that has a live try or a worker that serves it by name, and `default` of each executor that there
    is, by executor and name."""
    return _look(ops, ())


def get_queue(ops: Ops, name: str, executor: str) -> QueueState:
    """One queue of an executor; one that nothing is known of is empty, and served by nobody."""
    return next(queue for queue in _look(ops, [(executor, name)]) if (queue.executor, queue.name) == (executor, name))


def _look(ops: Ops, asked: Sequence[tuple[str, str]]) -> list[QueueState]:
    """The queues that there are, and those, by executor and name, that are asked for."""
    known, now = read(ops), ops.now()
    counts: dict[tuple[str, str], dict[TIState, int]] = {queue: {} for queue in asked}
    with ops.db.reading() as conn:
        workers, leader = workers_of(known, now, count_in_hand(conn)), leading_state(known, now)
        for executor, queue, state, count in count_live(conn):
            counts.setdefault((executor, queue), {})[state] = count
    for worker in workers:
        if not worker.silent:
            for queue in worker.queues or (_DEFAULT,):
                counts.setdefault((worker.executor, queue), {})
    for use in () if leader is None or leader.load is None else leader.load.executors:
        counts.setdefault((use.name, _DEFAULT), {})
    refusal = refusal_of(known, now)
    return [
        _state(service_of(workers, leader, executor, queue, refusal), of_state)
        for (executor, queue), of_state in sorted(counts.items())
    ]


def _state(service: Service, counts: dict[TIState, int]) -> QueueState:
    queued, running = counts.get(TIState.QUEUED, 0), counts.get(TIState.RUNNING, 0)
    hold = hold_of(service) if queued else None
    return QueueState(
        name=service.queue,
        executor=service.executor,
        queued=queued,
        running=running,
        demand=queued + running,
        workers=tuple(worker.name for worker in service.workers),
        slots=service.slots,
        free=service.free,
        kind="" if hold is None else hold.kind.value,
        trouble="" if hold is None else hold.text,
    )


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
