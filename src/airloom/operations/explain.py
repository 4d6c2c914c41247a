"""Why a task is not running: asked of the leading scheduler, or, where none runs, worked out from the database."""

import msgspec

from airloom.decide.explain import MOST
from airloom.decide.explain import explain as explain_in
from airloom.decide.recovery import rebuild
from airloom.decide.state import WorldConfig
from airloom.model.errors import NoAnswer
from airloom.model.events import Explain
from airloom.model.reasons import Explanation, Reason, ReasonKind
from airloom.model.run import RunRow, TIRow
from airloom.model.states import RUN_FINISHED
from airloom.operations.asking import ask
from airloom.operations.lookup import find_run, find_tis
from airloom.operations.ops import Ops
from airloom.store import leadership
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
    if leader is not None and leader.expires_at > ops.now():
        try:
            command = Explain(dag_id=dag_id, run_id=run.run_id, task_id=task_id, map_index=map_index)
            return msgspec.convert(ask(ops, command), list[Explanation])
        except NoAnswer:
            pass
    return _without_scheduler(ops, run, task_id, map_index, config)


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
