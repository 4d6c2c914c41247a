"""Why a task is not running: asked of the leading scheduler, or, where none runs, worked out from the database."""

from collections.abc import Mapping
from contextlib import suppress

import msgspec

from airloom.decide.explain import MOST
from airloom.decide.explain import explain as explain_in
from airloom.decide.recovery import rebuild
from airloom.decide.state import WorldConfig
from airloom.model.errors import NoAnswer
from airloom.model.events import Explain
from airloom.model.reasons import Explanation, Reason, ReasonKind
from airloom.model.report import TryKey
from airloom.model.run import RunRow, TIRow
from airloom.model.states import RUN_FINISHED
from airloom.model.work import SERVED_BY_QUEUE
from airloom.operations.asking import ask
from airloom.operations.health import leading_state, read, refusal_of
from airloom.operations.lookup import find_run, find_tis
from airloom.operations.ops import Ops
from airloom.operations.queues import hold_of, service_of
from airloom.operations.workers import Worker, workers_of
from airloom.store import leadership
from airloom.store.queues import count_in_hand, handed
from airloom.store.snapshots import load_snapshot

_NO_SCHEDULER = Reason(
    kind=ReasonKind.NO_SCHEDULER, text="no scheduler is running, so nothing is started: `airloom standalone` starts one"
)


def explain(
    ops: Ops, dag_id: str, run_id: str, task_id: str, map_index: int | None = None, *, config: WorldConfig
) -> list[Explanation]:
    """What holds each TI of a task (or the one with that map index). `config`: what the scheduler would run with.

    Raises NotFound.
    """
    with ops.db.reading() as conn:
        run = find_run(conn, dag_id, run_id)
        tis = find_tis(conn, run, task_id, map_index)
        leader = leadership.current(conn)
    if run.state in RUN_FINISHED:
        return [_finished(run, ti) for ti in tis[:MOST]]
    found: list[Explanation] | None = None
    if leader is not None and leader.expires_at > ops.now():
        with suppress(NoAnswer):
            command = Explain(dag_id=dag_id, run_id=run.run_id, task_id=task_id, map_index=map_index)
            found = msgspec.convert(ask(ops, command), list[Explanation])
    if found is None:
        found = _without_scheduler(ops, run, task_id, map_index, config)
    return _at_workers(ops, {ti.map_index: ti.id for ti in tis}, found)


def _finished(run: RunRow, ti: TIRow) -> Explanation:
    text = f"the run has ended as {run.state.value}, and the task as {ti.state.value.replace('_', ' ')}"
    return _explanation(run, ti, (Reason(kind=ReasonKind.FINISHED, text=text),))


def _explanation(run: RunRow, ti: TIRow, reasons: tuple[Reason, ...]) -> Explanation:
    return Explanation(
        dag_id=run.dag_id,
        run_id=run.run_id,
        task_id=ti.task_id,
        map_index=ti.map_index,
        state=ti.state.value,
        try_number=ti.try_number,
        reasons=reasons,
    )


def _without_scheduler(
    ops: Ops, run: RunRow, task_id: str, map_index: int | None, config: WorldConfig
) -> list[Explanation]:
    """What would hold the TIs if a scheduler ran; that none does comes first. Which executors have room is unknown."""
    with ops.db.reading() as conn:
        snapshot = load_snapshot(conn)
    found = explain_in(rebuild(snapshot, config, ops.now()), run.dag_id, run.run_id, task_id, map_index)
    return [
        msgspec.structs.replace(
            one, reasons=(_NO_SCHEDULER, *(reason for reason in one.reasons if reason.kind is not ReasonKind.CAPACITY))
        )
        for one in found
    ]


def _at_workers(ops: Ops, ids: Mapping[int, int], found: list[Explanation]) -> list[Explanation]:
    """The same, with more about tries that were handed over and have not started: the scheduler does not know of queues
    and workers. ids: of the TIs, by map index."""
    waits = {one.map_index for one in found if any(_is_handed_over(reason) for reason in one.reasons)} & ids.keys()
    if not waits:
        return found
    with ops.db.reading() as conn:
        tries = handed(conn, [ids[index] for index in waits])
        in_hand = count_in_hand(conn)
    known, now = read(ops), ops.now()
    workers, leader = workers_of(known, now, in_hand), leading_state(known, now)

    def more(one: Explanation, reason: Reason) -> Reason:
        where = tries.get(TryKey(ids[one.map_index], one.try_number))
        if not _is_handed_over(reason) or where is None or where.executor not in SERVED_BY_QUEUE:
            return reason
        if where.runner is not None:
            return _claimed(where.runner, workers, now)
        service = service_of(workers, leader, where.executor, where.queue, refusal_of(known, now))
        hold = hold_of(service)
        if hold is None:
            text = f"it is in queue {where.queue}, and its workers have free slots: it starts in a moment"
            return Reason(kind=reason.kind, text=text)
        if hold.kind is ReasonKind.QUEUE:
            return msgspec.structs.replace(hold, place=reason.place, of=reason.of)
        return hold

    return [
        msgspec.structs.replace(one, reasons=tuple(more(one, reason) for reason in one.reasons))
        if one.map_index in waits
        else one
        for one in found
    ]


def _is_handed_over(reason: Reason) -> bool:
    return reason.kind is ReasonKind.STARTING


def _claimed(runner: str, workers: list[Worker], now: float) -> Reason:
    """Of a try that a runner has taken, and told no start of."""
    worker = next((worker for worker in workers if worker.id == runner), None)
    if worker is None:
        text = f"runner {runner} has it, and is not known any more: if it does not come back, another try is made"
    elif worker.silent:
        text = (
            f"worker {worker.name} has it, and has been silent for {now - worker.seen_at:.0f} s: if it stays so, "
            "another try is made"
        )
    else:
        text = f"worker {worker.name} has it and its process has not told of its start yet"
    return Reason(kind=ReasonKind.STARTING, text=text)
