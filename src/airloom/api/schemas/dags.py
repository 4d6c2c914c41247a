"""DAGs, their versions, structure and history."""

from typing import Any

from pydantic import Field

from airloom.api.schemas.base import In, Moment, Out
from airloom.model.run import RunType
from airloom.model.spec import TriggerRule
from airloom.model.states import RunState


class RunBar(Out):
    """A run as one bar of a chart."""

    run_id: str
    run_type: RunType
    state: RunState
    run_after: Moment
    logical_date: Moment | None = None
    started_at: Moment | None = None
    ended_at: Moment | None = None


class Dag(Out):
    """A dag as lists show it."""

    dag_id: str
    display_name: str | None = None
    description: str | None = None
    tags: list[str]
    owner: str
    bundle: str
    rel_path: str
    version: int = Field(description="Number of the current version.")
    paused: bool
    active: bool = Field(description="False: its file or its definition is gone; its history is still here.")
    schedule: str = Field(description="For people: a cron expression, `every 10 min`, `once`, `when triggered`.")
    timezone: str
    next_run_after: Moment | None = Field(default=None, description="When its next scheduled run begins.")
    task_count: int
    has_import_errors: bool
    last_runs: list[RunBar] = Field(description="The newest runs, newest first.")
    can_edit: bool = Field(description="Whether the caller may trigger, clear, mark and pause it.")


class Tag(Out):
    """A tag, and how many active dags have it."""

    name: str
    dags: int


class DagDetails(Dag):
    """Everything about a dag but its tasks."""

    doc: str | None = None
    params: dict[str, Any] = Field(description="Each param: {value, schema}; schema is JSON Schema.")
    start_date: Moment | None = None
    end_date: Moment | None = None
    catchup: bool
    max_active_runs: int
    max_active_tasks: int
    first_seen: Moment
    file_hash: str


class DagPatch(In):
    """What can be changed of a dag."""

    paused: bool


class Version(Out):
    """One stored state of a dag."""

    number: int
    created_at: Moment
    spec_hash: str
    file_hash: str
    rel_path: str
    task_count: int


class Code(Out):
    """The DAG file of a version, as it was."""

    version: int
    rel_path: str
    file_hash: str
    source: str


class TaskNode(Out):
    """A task of a version."""

    task_id: str
    display_name: str | None = None
    operator: str
    group: str | None = None
    upstream: list[str]
    trigger_rule: TriggerRule
    mapped: bool
    pool: str
    pool_slots: int
    queue: str
    executor: str | None = None
    priority_weight: int
    retries: int
    retry_delay: float
    execution_timeout: float | None = None
    owner: str
    doc: str | None = None
    is_setup: bool
    is_teardown: bool
    ui_color: str | None = None
    ui_fgcolor: str | None = None


class GroupNode(Out):
    """A task group of a version."""

    group_id: str
    parent: str | None = None
    display_name: str | None = None
    tooltip: str
    ui_color: str | None = None


class Structure(Out):
    """The graph of a version. Tasks are in topological order."""

    version: int
    tasks: list[TaskNode]
    groups: list[GroupNode]
    edge_labels: dict[str, str] = Field(description='Keys are "upstream>downstream".')


class GridTask(Out):
    """A row of the grid."""

    task_id: str
    display_name: str | None = None
    group: str | None = None
    mapped: bool


class GridRun(RunBar):
    """A column of the grid."""

    id: int = Field(description="The run's number: runs that were made later have higher ones.")
    version: int
    cells: str = Field(
        description="One letter for each row, as `letters` says; `.`: the run has no such task. A mapped task has the "
        "letter of the state that matters most among its instances."
    )
    mapped: dict[str, dict[str, int]] = Field(
        description="For each mapped task of the run: how many instances are in each state."
    )


class Grid(Out):
    """Runs by tasks. Rows are the tasks of the newest version in its order, then those that only older runs have."""

    tasks: list[GridTask]
    groups: list[GroupNode]
    runs: list[GridRun] = Field(description="Newest first.")
    letters: dict[str, str] = Field(description="letter -> state of a task instance")
    next: str | None = None


class Durations(Out):
    """How long runs took, oldest first; with task ids, how long those tasks took in them."""

    runs: list[RunBar]
    seconds: list[float | None] = Field(description="Of each run, from its start to its end.")
    queued: list[float | None] = Field(description="Of each run, from when it was due to its start.")
    tasks: dict[str, list[float | None]] = Field(description="Task id -> seconds in each run.")


class CalendarDay(Out):
    """The runs of a day (UTC) by state."""

    day: str = Field(description="YYYY-MM-DD")
    counts: dict[RunState, int]
    planned: int = Field(default=0, description="Runs that the schedule will make that day.")


class Calendar(Out):
    """The runs of each day that has any."""

    days: list[CalendarDay]
