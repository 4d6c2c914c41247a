"""The first page: what runs, what failed, what waits; and the health of the parts."""

from typing import Any, Literal

from pydantic import Field

from airloom.api.schemas.base import Moment, Out
from airloom.api.schemas.dags import RunBar
from airloom.api.schemas.runs import TaskInstance
from airloom.model.states import RunState, TIState


class DagRun(RunBar):
    """A run with its dag."""

    dag_id: str


class Planned(Out):
    """A run that a schedule will make."""

    dag_id: str
    run_after: Moment


class Waiting(Out):
    """How many task instances wait for the same thing."""

    kind: str
    name: str = Field(description="Of the pool, dag, executor ... that they wait for.")
    text: str
    count: int


class Part(Out):
    """A part of Airloom."""

    kind: Literal["database", "scheduler", "loader", "api", "executor", "runner"]
    name: str
    status: Literal["ok", "degraded", "down"]
    text: str
    seen_at: Moment | None = None


class Health(Out):
    """Whether the parts work. `status` is the worst of what is needed."""

    status: Literal["ok", "degraded", "down"]
    parts: list[Part]


class Home(Out):
    """What is to be known at a glance."""

    dags: int
    paused: int
    import_errors: int
    runs: dict[RunState, int] = Field(description="Unfinished runs by state, and those that ended in the last 24 h.")
    instances: dict[TIState, int] = Field(description="Task instances of unfinished runs, by state.")
    running: list[TaskInstance]
    failed: list[DagRun] = Field(description="The newest failed runs.")
    waiting: list[Waiting]
    ahead: list[Planned] = Field(description="The next runs that schedules will make.")
    health: Health


class Changes(Out):
    """What one or several commits changed: the data of an event of /events."""

    at: float
    runs: list[dict[str, Any]] = []
    tis: list[dict[str, Any]] = []
    dags: list[str] = []
    pools: bool = False
    topics: list[str] = []
