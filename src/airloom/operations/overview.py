"""What is to be known at a glance: what runs, what failed, what waits and for what, what comes next."""

from typing import Any

import msgspec

from airloom.decide.load import merged
from airloom.model.processes import WaitingFor
from airloom.model.run import RunRow
from airloom.model.states import RunState, TIState
from airloom.operations import browsing, dag_lists, queues
from airloom.operations.browsing import TICard
from airloom.operations.dag_lists import Sees
from airloom.operations.health import Known, leading_state, read, refusal_of
from airloom.operations.ops import Ops
from airloom.operations.workers import workers_of
from airloom.store import dag_lists as heads_of
from airloom.store import overview
from airloom.store.dag_lists import DagHead
from airloom.store.run_lists import RunChoice
from airloom.store.ti_lists import TIChoice

#: how many of each are shown
RUNNING, FAILED, AHEAD = 20, 10, 10
_DAY = 86400.0
#: more unfinished TIs than that are not counted anew: what the scheduler told in the last seconds has to do
_COUNTED = 20_000


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A run that a schedule will make."""

    dag_id: str
    run_after: float


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of it, for one who sees some dags or all."""

    dags: int
    paused: int
    import_errors: int
    runs: dict[RunState, int]
    instances: dict[TIState, int]
    running: list[TICard]
    failed: list[RunRow]
    waiting: list[WaitingFor]
    ahead: list[Planned]


def overview_of(ops: Ops, sees: Sees | None) -> Overview:
    """sees: which dags are shown; None: all. Raises StoreError."""
    now = ops.now()
    known = read(ops)
    with ops.db.reading() as conn:
        heads = [head for head in heads_of.dag_heads(conn) if sees is None or sees(head.dag_id)]
        only = None if sees is None else tuple(head.dag_id for head in heads)
        runs = overview.count_runs(conn, now - _DAY, only)
        instances = _instances(conn, known, now, only)
        active = [head for head in heads if head.active]
        ahead = _ahead(ops, conn, active, now)
    running, _ = browsing.list_tis(ops, TIChoice(states=(TIState.RUNNING,), dag_ids=only), None, RUNNING)
    failed, _ = browsing.list_runs(ops, RunChoice(states=(RunState.FAILED,), dag_ids=only), None, FAILED)
    return Overview(
        dags=len(active),
        paused=sum(head.paused for head in active),
        import_errors=len(dag_lists.import_errors(ops, sees)),
        runs=runs,
        instances=instances,
        running=running,
        failed=[card.run for card in failed],
        waiting=_waiting(known, now, sees),
        ahead=ahead,
    )


def _instances(conn: Any, known: Known, now: float, only: tuple[str, ...] | None) -> dict[TIState, int]:
    state = leading_state(known, now)
    told = {} if only is not None or state is None or state.load is None else state.load.instances
    if sum(told.values()) > _COUNTED:
        return {TIState(name): count for name, count in told.items()}
    return overview.count_live_tis(conn, only)


def _waiting(known: Known, now: float, sees: Sees | None) -> list[WaitingFor]:
    state = leading_state(known, now)
    if state is None or state.load is None:
        return []
    if sees is not None:
        return [entry for entry in state.load.waiting if entry.dag_id is not None and sees(entry.dag_id)]
    return list(merged((*state.load.waiting, *queues.held(workers_of(known, now), state, refusal_of(known, now)))))


def _ahead(ops: Ops, conn: Any, heads: list[DagHead], now: float) -> list[Planned]:
    outlines = ops.catalogue.outlines(conn, [head.version_id for head in heads])
    due = ((head.dag_id, ops.catalogue.next_run_after(head, outlines[head.version_id], now)) for head in heads)
    planned = [Planned(dag_id=dag_id, run_after=at) for dag_id, at in due if at is not None]
    return sorted(planned, key=lambda entry: (entry.run_after, entry.dag_id))[:AHEAD]
