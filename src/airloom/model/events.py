"""What the scheduler is told. Reports of tries (report.py) are events too.

A command carries the number of its inbox row, if it has one: the plan answers it, and the row goes in the same commit.
"""

from typing import Any

import msgspec

from airloom.model.report import Ended, HandedBack, Report, Started, Waiting
from airloom.model.run import DagRow, LiveRun, PoolRow, RunType, VersionRow
from airloom.model.states import RunState, TIState


class DagLoaded(msgspec.Struct, frozen=True, kw_only=True, tag="dag_loaded"):
    """A dag is new, or has a new version, or is back. The loader has stored the version already."""

    dag: DagRow
    version: VersionRow
    inbox_id: int | None = None


class DagGone(msgspec.Struct, frozen=True, kw_only=True, tag="dag_gone"):
    """A dag's file, or its definition in the file, is gone."""

    dag_id: str
    inbox_id: int | None = None


class CapacityChanged(msgspec.Struct, frozen=True, kw_only=True, tag="capacity"):
    """How many tries an executor takes at once. None: as many as come. `why`: said when it is 0."""

    executor: str
    slots: int | None
    why: str = ""


class RunLoaded(msgspec.Struct, frozen=True, kw_only=True, tag="run_loaded"):
    """A finished run was read back into the working set, because a command that follows is about it."""

    run: LiveRun
    version: VersionRow


class TriggerRun(msgspec.Struct, frozen=True, kw_only=True, tag="trigger"):
    """Make a run. The answer is {"run_id": ...}. `run_id` and `logical_date` are known to be unused in the store."""

    dag_id: str
    run_id: str | None = None
    run_type: RunType = RunType.MANUAL
    logical_date: float | None = None
    run_after: float | None = None
    conf: dict[str, Any] = {}
    by: str | None = None
    inbox_id: int | None = None


class SetPaused(msgspec.Struct, frozen=True, kw_only=True, tag="pause"):
    """Pause or unpause a dag: running tasks go on, nothing new of it is started."""

    dag_id: str
    paused: bool
    inbox_id: int | None = None


class DeleteDag(msgspec.Struct, frozen=True, kw_only=True, tag="delete_dag"):
    """Forget a dag with all its history. Live tries are cancelled."""

    dag_id: str
    inbox_id: int | None = None


class CancelRun(msgspec.Struct, frozen=True, kw_only=True, tag="cancel_run"):
    """End a run as failed: live tries are cancelled, the rest never starts."""

    dag_id: str
    run_id: str
    by: str | None = None
    inbox_id: int | None = None


class ClearTasks(msgspec.Struct, frozen=True, kw_only=True, tag="clear"):
    """Let tasks of a run run again. task_ids None = all of them; only_failed keeps what did not fail.

    The answer is {"cleared": ["task" or "task[index]", ...]}.
    """

    dag_id: str
    run_id: str
    task_ids: tuple[str, ...] | None = None
    map_index: int | None = None
    upstream: bool = False
    downstream: bool = False
    only_failed: bool = False
    dry_run: bool = False
    inbox_id: int | None = None


class MarkTasks(msgspec.Struct, frozen=True, kw_only=True, tag="mark_tasks"):
    """Have tasks of a run count as ended: `state` is success, failed or skipped. Their live tries are cancelled, and
    what follows them follows by its trigger rules. task_ids None = all of them.

    The answer is {"marked": ["task" or "task[index]", ...]}: those that were in another state.
    """

    dag_id: str
    run_id: str
    state: TIState
    task_ids: tuple[str, ...] | None = None
    map_index: int | None = None
    upstream: bool = False
    downstream: bool = False
    dry_run: bool = False
    by: str | None = None
    inbox_id: int | None = None


class MarkRun(msgspec.Struct, frozen=True, kw_only=True, tag="mark_run"):
    """Have a run count as ended: `state` is success or failed. The answer is that of MarkTasks."""

    dag_id: str
    run_id: str
    state: RunState
    dry_run: bool = False
    by: str | None = None
    inbox_id: int | None = None


class SetPool(msgspec.Struct, frozen=True, kw_only=True, tag="set_pool"):
    """Make or change a pool."""

    pool: PoolRow
    inbox_id: int | None = None


class DeletePool(msgspec.Struct, frozen=True, kw_only=True, tag="delete_pool"):
    """Delete a pool that is not default_pool; tasks that name it wait, and say so."""

    name: str
    inbox_id: int | None = None


class ShowPools(msgspec.Struct, frozen=True, kw_only=True, tag="show_pools"):
    """Ask what the pools have to do: of all, or of the one of that name, which is told with its members.

    The answer is a list of PoolState.
    """

    name: str | None = None
    inbox_id: int | None = None


class Explain(msgspec.Struct, frozen=True, kw_only=True, tag="explain"):
    """Ask why a TI is not running. The answer is an Explanation per TI."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int | None = None
    inbox_id: int | None = None


class Reload(msgspec.Struct, frozen=True, kw_only=True, tag="reload"):
    """The loader stored something new about `dag_ids`: the service reads it and makes DagLoaded or DagGone of it."""

    dag_ids: tuple[str, ...]
    inbox_id: int | None = None


class Reported(msgspec.Struct, frozen=True, kw_only=True, tag="reported"):
    """Reports of runners on other machines, as the task API took them. The leader folds them in; nobody is answered."""

    reports: tuple[Report, ...]
    inbox_id: int | None = None


Command = (
    Reported
    | TriggerRun
    | SetPaused
    | DeleteDag
    | CancelRun
    | ClearTasks
    | MarkTasks
    | MarkRun
    | SetPool
    | DeletePool
    | ShowPools
    | Explain
    | Reload
)
Event = (
    Started
    | Ended
    | HandedBack
    | Waiting
    | DagLoaded
    | DagGone
    | CapacityChanged
    | RunLoaded
    | TriggerRun
    | SetPaused
    | DeleteDag
    | CancelRun
    | ClearTasks
    | MarkTasks
    | MarkRun
    | SetPool
    | DeletePool
    | ShowPools
    | Explain
)


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The leader's answer to a command: a value, or an error that names its kind (not_found, conflict, invalid)."""

    value: Any = None
    error: str | None = None
    message: str | None = None
