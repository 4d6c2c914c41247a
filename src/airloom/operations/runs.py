"""Verbs about runs."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from airloom.decide.schedule import run_name
from airloom.model.errors import AirloomError, Conflict, InvalidRequest, NoAnswer, NotFound
from airloom.model.events import CancelRun, ClearTasks, MarkRun, MarkTasks, TriggerRun
from airloom.model.run import RunRow, RunType
from airloom.model.states import MARKS, RUN_FINISHED, RunState
from airloom.operations.asking import ask, ask_all
from airloom.operations.lookup import LATEST, find_dag, find_run, find_tis
from airloom.operations.ops import Ops
from airloom.sdk.params import run_params
from airloom.store import choices, runs
from airloom.store.notes import notes_on

_LONGEST_RUN_ID = 250
#: bytes; lists of runs show the conf of each
_LARGEST_CONF = 256 * 1024
#: seconds
_CLOCKS_DIFFER = 2.0
#: what can be told as a date in any time zone
_FIRST_DATE, _LAST_DATE = -62_135_400_000.0, 253_402_100_000.0
#: runs that the scheduler gets at once: those that have ended it has to read, and others wait meanwhile
_AT_ONCE = 25


def trigger(
    ops: Ops,
    dag_id: str,
    *,
    conf: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    logical_date: float | None = None,
    run_after: float | None = None,
) -> str:
    """Make a run of a dag; its run id.

    Raises NotFound (no such dag), InvalidRequest (a bad run id, a conf that breaks the dag's params), Conflict (the run
    id or the logical date is taken, or the dag is gone from its file), NoAnswer.
    """
    wanted = TriggerRun(
        dag_id=dag_id,
        run_id=run_id,
        logical_date=logical_date,
        run_after=run_after,
        conf=dict(conf or {}),
        by=ops.by,
    )
    return make_run(ops, wanted)


def make_run(ops: Ops, wanted: TriggerRun, since: float | None = None) -> str:
    """As `trigger`. since: the same may have been asked for before, at that moment or later; if it was done, it is not
    done again. Then `wanted` needs a run id."""
    if since is None:
        _check_trigger(ops, wanted)
        return str(ask(ops, wanted)["run_id"])
    if not _is_made(ops, wanted, since):
        try:
            _check_trigger(ops, wanted)
            ask(ops, wanted)
        except Conflict:
            if not _is_made(ops, wanted, since):
                raise
    return str(wanted.run_id)


def _check_trigger(ops: Ops, wanted: TriggerRun) -> None:
    """Raise what is wrong with a run that is asked for, as far as the database can tell."""
    dag_id, run_id = wanted.dag_id, wanted.run_id
    with ops.db.reading() as conn:
        dag = find_dag(conn, dag_id)
        if not dag.active:
            raise Conflict(f"dag {dag_id} is gone from {dag.rel_path}; bring it back there to run it again")
        _check_conf(wanted.conf)
        run_params(dag.spec.params, wanted.conf)
        for at in (wanted.logical_date, wanted.run_after):
            if at is not None and not _FIRST_DATE <= at <= _LAST_DATE:
                raise InvalidRequest("a run's dates lie in the years 1 to 9999")
        if run_id is not None:
            _check_run_id(run_id)
            if runs.find_run(conn, dag_id, run_id) is not None:
                raise Conflict(f"dag {dag_id} has a run {run_id!r} already; give the new one another id")
        if wanted.logical_date is not None:
            other = runs.run_with_logical_date(conn, dag_id, wanted.logical_date)
            if other is not None:
                raise Conflict(f"run {other.run_id} of dag {dag_id} has this logical date already")


def _is_made(ops: Ops, wanted: TriggerRun, since: float) -> bool:
    """Whether the run was made since then, for whom it is asked for."""
    with ops.db.reading() as conn:
        run = runs.find_run(conn, wanted.dag_id, wanted.run_id or "")
    # The clock of the scheduler may differ a little from the asking machine's.
    return run is not None and run.triggered_by == wanted.by and (run.queued_at or 0.0) >= since - _CLOCKS_DIFFER


def repeatable_run_id(at: float, key: str) -> str:
    """The id of the run that is asked for at a moment, under a key that is nobody else's: the same each time."""
    mark = hashlib.blake2b(key.encode(), digest_size=5).hexdigest()
    return f"{run_name(RunType.MANUAL, at)}_{mark}"


def list_runs(ops: Ops, *, dag_id: str | None = None, state: RunState | None = None, limit: int = 50) -> list[RunRow]:
    """The newest runs first. Raises NotFound when there is no such dag."""
    with ops.db.reading() as conn:
        if dag_id is not None:
            find_dag(conn, dag_id)
        return runs.list_runs(conn, dag_id=dag_id, state=state, limit=limit)


def get_run(ops: Ops, dag_id: str, run_id: str) -> RunRow:
    """One run, by its id, by `latest` or by the beginning of its id. Raises NotFound, InvalidRequest."""
    with ops.db.reading() as conn:
        return find_run(conn, dag_id, run_id)


def cancel(ops: Ops, dag_id: str, run_id: str) -> str:
    """End a run as failed: live tries are cancelled, the rest never starts. The whole run id is returned.

    Raises NotFound, Conflict (it has ended already), NoAnswer.
    """
    run = get_run(ops, dag_id, run_id)
    if run.state in RUN_FINISHED:
        raise Conflict(f"run {run.run_id} of dag {dag_id} has ended already, as {run.state.value}")
    ask(ops, CancelRun(dag_id=dag_id, run_id=run.run_id, by=ops.by))
    return run.run_id


def clear(ops: Ops, wanted: ClearTasks) -> list[str]:
    """Let tasks of a run run again; "task" or "task[index]" of each that was cleared (or would be, with `dry_run`).

    The run may be named as `find_run` takes it. Raises NotFound, InvalidRequest, NoAnswer.
    """
    if wanted.map_index is not None and len(wanted.task_ids or ()) != 1:
        raise InvalidRequest("a map index needs exactly one task")
    with ops.db.reading() as conn:
        run = find_run(conn, wanted.dag_id, wanted.run_id)
        for task_id in wanted.task_ids or ():
            find_tis(conn, run, task_id, wanted.map_index)
    return list(ask(ops, msgspec.structs.replace(wanted, run_id=run.run_id))["cleared"])


def clear_runs(ops: Ops, wanted: ClearTasks, run_ids: Sequence[str]) -> list[str]:
    """`clear` over several runs, which are named by their whole ids; "run/task" of each that was cleared.

    A run that has none of the tasks is left out. Raises NotFound, InvalidRequest, Conflict, NoAnswer.
    """
    return _over_runs(ops, wanted, run_ids, "cleared")


def mark_tasks(ops: Ops, wanted: MarkTasks, run_ids: Sequence[str]) -> list[str]:
    """Have tasks of several runs count as ended in `wanted.state`; "run/task" of each that was (or, with `dry_run`,
    would be) changed. What runs of them is ended; what follows them follows by its trigger rule.

    The runs are named by their whole ids; one that has none of the tasks is left out. Raises NotFound, InvalidRequest,
    Conflict, NoAnswer.
    """
    if wanted.state not in MARKS:
        raise InvalidRequest(f"a task is marked {', '.join(MARKS[:-1])} or {MARKS[-1]}, not {wanted.state.value}")
    return _over_runs(ops, msgspec.structs.replace(wanted, by=ops.by), run_ids, "marked")


def mark_run(ops: Ops, dag_id: str, run_id: str, state: RunState, *, dry_run: bool = False) -> list[str]:
    """End a run in `state` at once, success or failed, or have one that has ended count so; "task" or "task[index]" of
    each task instance that was (or would be) changed.

    Success: all of it counts as succeeded, but what was skipped. Failed: what runs of it fails, what has not started is
    skipped. Raises NotFound, InvalidRequest, NoAnswer.
    """
    if state not in RUN_FINISHED:
        raise InvalidRequest(f"a run is marked success or failed, not {state.value}")
    run = get_run(ops, dag_id, run_id)
    command = MarkRun(dag_id=dag_id, run_id=run.run_id, state=state, dry_run=dry_run, by=ops.by)
    return list(ask(ops, command)["marked"])


C = TypeVar("C", ClearTasks, MarkTasks)


def _over_runs(ops: Ops, wanted: C, run_ids: Sequence[str], done: str) -> list[str]:
    """Ask the same of several runs, once all of them and all tasks are known to be there."""
    if wanted.map_index is not None and len(wanted.task_ids or ()) != 1:
        raise InvalidRequest("a map index needs exactly one task")
    names = list(dict.fromkeys(run_ids))
    with ops.db.reading() as conn:
        found = choices.find_runs(conn, wanted.dag_id, names)
        missing = [name for name in names if name not in found]
        if missing:
            find_dag(conn, wanted.dag_id)
            raise NotFound(f"dag {wanted.dag_id} has no run {missing[0]!r}")
        commands = [msgspec.structs.replace(wanted, run_id=name) for name in names]
        if wanted.task_ids is not None:
            commands = _narrowed(conn, found, commands, wanted.task_ids)
    touched: list[str] = []
    refused: list[AirloomError] = []
    for start in range(0, len(commands), _AT_ONCE):
        part = commands[start : start + _AT_ONCE]
        try:
            answers = ask_all(ops, part)
        except NoAnswer as error:
            asked = start + len(part)
            if asked == len(commands):
                raise
            raise NoAnswer(
                f"{error}. That is so for {asked} of {len(commands)} runs; no other one is touched"
            ) from None
        for command, answer in zip(part, answers, strict=True):
            if isinstance(answer, AirloomError):
                refused.append(answer)
            else:
                touched += [f"{command.run_id}/{name}" for name in answer[done]]
    if refused:
        if len(refused) == len(commands):
            raise refused[0]
        rest = f"; it was done for {len(commands) - len(refused)} of {len(commands)} runs"
        raise type(refused[0])(f"{refused[0]}{rest}")
    return touched


def _narrowed(conn: Any, found: Mapping[str, RunRow], commands: Sequence[C], task_ids: Sequence[str]) -> list[C]:
    """The commands, each with those of the tasks that its run has."""
    has = choices.tasks_of(conn, [run.id for run in found.values()], task_ids)
    known = set[str]().union(*has.values())
    missing = [task_id for task_id in task_ids if task_id not in known]
    if missing:
        raise NotFound(f"none of these runs has a task {missing[0]!r}")
    narrowed = []
    for command in commands:
        names = has.get(found[command.run_id].id, set())
        if names:
            kept = tuple(task_id for task_id in task_ids if task_id in names)
            narrowed.append(msgspec.structs.replace(command, task_ids=kept))
    return narrowed


def get_note(ops: Ops, dag_id: str, run_id: str) -> str | None:
    """What somebody wrote about a run. Raises NotFound, InvalidRequest."""
    with ops.db.reading() as conn:
        key = (find_run(conn, dag_id, run_id).id, 0)
        note = notes_on(conn, [key]).get(key)
    return None if note is None else note.text


def _check_conf(conf: Mapping[str, Any]) -> None:
    try:
        json.dumps(conf, allow_nan=False)
        size = len(msgspec.msgpack.encode(conf))
    except RecursionError:
        raise InvalidRequest("the conf is nested too deep to be carried to the tasks") from None
    except (ValueError, OverflowError):
        raise InvalidRequest(
            "the conf holds a number that cannot be carried to the tasks: NaN, an infinite one, or a whole one of more "
            "than 64 bits; give it as a text"
        ) from None
    if size > _LARGEST_CONF:
        raise InvalidRequest(
            f"the conf has {size:,} bytes, and {_LARGEST_CONF:,} at most are carried along with a run: keep large data "
            "in a file or an object store, and say in the conf where it is"
        )


def _check_run_id(run_id: str) -> None:
    if run_id in (".", "..", LATEST):
        raise InvalidRequest(f"{run_id!r} cannot be a run id: it means something else in addresses")
    if not run_id.strip() or len(run_id) > _LONGEST_RUN_ID or not run_id.isprintable() or "/" in run_id:
        raise InvalidRequest(
            f"{run_id[:60]!r} cannot be a run id: it has 1 to {_LONGEST_RUN_ID} printable characters and no slash"
        )
