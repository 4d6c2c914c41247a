"""Runs, task instances, tries, their logs and XComs, and what is done to them."""

from typing import Any, Literal

from pydantic import Field

from airloom.api.schemas.base import In, Moment, Out
from airloom.model.reasons import ReasonKind
from airloom.model.report import Cause
from airloom.model.run import RunType
from airloom.model.states import RunState, TIState


class Note(Out):
    """What somebody wrote about a run or a task instance."""

    text: str
    by: str
    at: Moment


class Run(Out):
    """A run."""

    id: int = Field(description="Its number: runs that were made later have higher ones.")
    dag_id: str
    run_id: str
    run_type: RunType
    state: RunState
    version: int = Field(description="Number of the dag version that it began with.")
    run_after: Moment
    logical_date: Moment | None = None
    data_interval_start: Moment | None = None
    data_interval_end: Moment | None = None
    conf: dict[str, Any]
    triggered_by: str | None = None
    commit: str | None = Field(
        default=None, description="The commit whose code its tries run, if its dag comes from a repository."
    )
    queued_at: Moment | None = None
    started_at: Moment | None = None
    ended_at: Moment | None = None
    cancelled_at: Moment | None = None
    counts: dict[TIState, int] | None = Field(default=None, description="Task instances by state, where asked for.")
    note: Note | None = None


class RunTrigger(In):
    """A run to be made."""

    run_id: str | None = Field(default=None, max_length=250)
    logical_date: Moment | None = None
    run_after: Moment | None = None
    conf: dict[str, Any] = {}
    note: str | None = Field(default=None, max_length=10_000)


class NoteText(In):
    """A note; an empty text removes it."""

    text: str = Field(max_length=10_000)


class TaskInstance(Out):
    """One task of one run at one map index."""

    id: int
    dag_id: str
    run_id: str
    task_id: str
    map_index: int = Field(description="-1: the task is not mapped.")
    state: TIState
    try_number: int = Field(description="Of the last try, or of the next one while it is scheduled; 0: none yet.")
    max_tries: int
    operator: str | None = None
    pool: str | None = None
    queue: str | None = None
    priority_weight: int | None = None
    executor: str | None = None
    retry_at: Moment | None = None
    scheduled_at: Moment | None = None
    queued_at: Moment | None = None
    started_at: Moment | None = None
    ended_at: Moment | None = None
    cause: Cause | None = None
    detail: str | None = None
    note: Note | None = None


class Try(Out):
    """One attempt at a task instance."""

    try_number: int
    state: TIState
    executor: str
    queue: str
    queued_at: Moment
    started_at: Moment | None = None
    ended_at: Moment | None = None
    runner: str | None = None
    host: str | None = None
    pid: int | None = None
    cause: Cause | None = None
    detail: str | None = None
    exit_code: int | None = None
    signal: int | None = None


class LogLine(Out):
    """A line of a task's log. It is untrusted text."""

    number: int = Field(description="From 1 on.")
    time: str | None = None
    level: str | None = None
    source: str | None = None
    text: str


class LogPage(Out):
    """A part of a try's log."""

    lines: list[LogLine]
    next: str | None = Field(default=None, description="The cursor of what follows, or of what will be written next.")
    ended: bool = Field(description="Whether nothing will follow: the try has ended, and its log was read to the end.")


class XCom(Out):
    """A value that a task left for others. `value` is JSON, as text; it is untrusted."""

    key: str
    size: int
    value: str | None = Field(default=None, description="Left out of lists, and cut off after 1 MB.")
    truncated: bool = False


class Rendered(Out):
    """Template fields as they were filled in for a try; secrets are masked."""

    try_number: int
    fields: dict[str, str]


class Reason(Out):
    """One thing that holds a task instance."""

    kind: ReasonKind
    text: str
    holders: list[str] = []
    place: int | None = None
    of: int | None = None
    until: Moment | None = None


class Explanation(Out):
    """Everything that holds one task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: TIState
    try_number: int
    reasons: list[Reason]


class GanttBar(Out):
    """A try on the time line of a run."""

    task_id: str
    map_index: int
    try_number: int
    state: TIState
    queued_at: Moment | None = None
    started_at: Moment | None = None
    ended_at: Moment | None = None


class Gantt(Out):
    """When the tries of a run ran, and the chain of task instances that its length is due to."""

    bars: list[GanttBar]
    critical_path: list[str] = Field(description='"task" or "task[index]", first to last')
    truncated: bool = False


class TaskChoice(In):
    """Which task instances of a dag's runs are meant."""

    runs: list[str] = Field(min_length=1, max_length=1000, description="Run ids.")
    tasks: list[str] | None = Field(default=None, max_length=1000, description="Task ids; null: all.")
    map_index: int | None = Field(default=None, ge=0, description="Only with exactly one task.")
    upstream: bool = False
    downstream: bool = False
    dry_run: bool = Field(default=False, description="Say what would be touched, and touch nothing.")


class ClearChoice(TaskChoice):
    """What is to run again."""

    only_failed: bool = False


class MarkChoice(TaskChoice):
    """What is to count as ended so."""

    state: Literal["success", "failed", "skipped"]


class Touched(Out):
    """What was, or would be, touched."""

    dry_run: bool
    total: int
    instances: list[str] = Field(description='"run/task" or "run/task[index]"; at most 1,000 of them.')


class RunMark(In):
    """Ends a run by hand: what runs of it is stopped, what has not ended counts as ended so."""

    state: Literal["success", "failed"]
    dry_run: bool = False
