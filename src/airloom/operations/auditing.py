"""The audit log: every change is recorded in the transaction that makes it, so that none is there without the other."""

from collections.abc import Callable
from typing import Any

from airloom.model.events import (
    CancelRun,
    ClearTasks,
    Command,
    DeleteDag,
    DeletePool,
    Explain,
    MarkRun,
    MarkTasks,
    Reload,
    Reported,
    SetPaused,
    SetPool,
    ShowPools,
    TriggerRun,
)
from airloom.operations.ops import Ops
from airloom.store import audit
from airloom.store.audit import AuditFilter, AuditRow

#: characters of a subject and of a detail that are kept: the log says what was done, it is no copy of the data
_LONGEST = 1000

#: the arguments of `record`; None: nothing is recorded
_Entry = dict[str, Any] | None


def record(
    conn: Any,
    ops: Ops,
    action: str,
    *,
    dag_id: str | None = None,
    run_id: str | None = None,
    subject: str | None = None,
    detail: str | None = None,
) -> None:
    """Record in the transaction of `conn` that whom `ops` stands for did `action`, such as run.trigger.

    subject: the name of what it was done to, where that is no dag or run. detail: more about it, for people. Neither
    may hold a secret; both are cut to a bounded length.
    """
    row = AuditRow(
        at=ops.now(),
        by=ops.by,
        via=ops.via,
        action=action,
        dag_id=_cut(dag_id),
        run_id=_cut(run_id),
        subject=_cut(subject),
        detail=_cut(detail),
        address=ops.address,
    )
    audit.put(conn, row)


def list_audit(ops: Ops, wanted: AuditFilter, limit: int, before: int | None = None) -> list[AuditRow]:
    """What was recorded, the newest first; `before`: only what has a smaller id."""
    with ops.db.reading() as conn:
        return audit.page(conn, wanted, limit, before)


def _cut(text: str | None) -> str | None:
    if text is None or len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - 1]}…"


def record_command(conn: Any, ops: Ops, command: Command) -> None:
    """Record a command for the scheduler, if it is one that changes something. What the scheduler refuses later was
    asked for all the same."""
    entry = _ENTRIES[type(command)](command)
    if entry is not None:
        record(conn, ops, **entry)


def _trigger(command: TriggerRun) -> _Entry:
    return {"action": "run.trigger", "dag_id": command.dag_id, "run_id": command.run_id}


def _pause(command: SetPaused) -> _Entry:
    return {"action": "dag.pause" if command.paused else "dag.unpause", "dag_id": command.dag_id}


def _clear(command: ClearTasks) -> _Entry:
    if command.dry_run:
        return None
    words = ["only_failed"] if command.only_failed else []
    detail = _which(command, words)
    return {"action": "run.clear", "dag_id": command.dag_id, "run_id": command.run_id, "detail": detail}


def _mark_tasks(command: MarkTasks) -> _Entry:
    if command.dry_run:
        return None
    detail = f"{command.state.value}: {_which(command, [])}"
    return {"action": "task.mark", "dag_id": command.dag_id, "run_id": command.run_id, "detail": detail}


def _mark_run(command: MarkRun) -> _Entry:
    if command.dry_run:
        return None
    detail = command.state.value
    return {"action": "run.mark", "dag_id": command.dag_id, "run_id": command.run_id, "detail": detail}


def _which(command: ClearTasks | MarkTasks, words: list[str]) -> str:
    """The tasks that a command is about."""
    names = "all tasks" if command.task_ids is None else ", ".join(command.task_ids)
    index = "" if command.map_index is None else f"[{command.map_index}]"
    words = [word for word in ("upstream", "downstream") if getattr(command, word)] + words
    return names + index + (f" ({', '.join(words)})" if words else "")


def _set_pool(command: SetPool) -> _Entry:
    return {"action": "pool.set", "subject": command.pool.name, "detail": f"slots {command.pool.slots}"}


#: what is recorded of each command; None: it changes nothing
_ENTRIES: dict[type, Callable[[Any], _Entry]] = {
    TriggerRun: _trigger,
    SetPaused: _pause,
    DeleteDag: lambda command: {"action": "dag.delete", "dag_id": command.dag_id},
    CancelRun: lambda command: {"action": "run.cancel", "dag_id": command.dag_id, "run_id": command.run_id},
    ClearTasks: _clear,
    MarkTasks: _mark_tasks,
    MarkRun: _mark_run,
    SetPool: _set_pool,
    DeletePool: lambda command: {"action": "pool.delete", "subject": command.name},
    ShowPools: lambda command: None,
    Explain: lambda command: None,
    Reload: lambda command: None,
    Reported: lambda command: None,
}
