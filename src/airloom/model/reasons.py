"""Why a task instance is not running, as data: made by the code that decides, worded here once."""

from enum import StrEnum

import msgspec


class ReasonKind(StrEnum):
    """What holds a TI. docs/explain.md shows each with an example."""

    NO_SCHEDULER = "no_scheduler"
    PAUSED = "paused"
    RUN_QUEUED = "run_queued"
    RUN_AFTER = "run_after"
    UPSTREAM = "upstream"
    MAPPING = "mapping"
    RETRY = "retry"
    PARALLELISM = "parallelism"
    POOL = "pool"
    DAG_LIMIT = "dag_limit"
    TASK_LIMIT = "task_limit"
    CAPACITY = "capacity"
    NO_EXECUTOR = "no_executor"
    NO_WORKER = "no_worker"
    DRAINED = "drained"
    QUEUE = "queue"
    STARTING = "starting"
    RUNNING = "running"
    FINISHED = "finished"


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that holds a TI.

    text: a sentence for people. holders: who has what it waits for ("dag/run/task[index]"). place: 1 = next in line,
    of `of` in that line. until: when it ends by itself, if that is known.
    """

    kind: ReasonKind
    text: str
    holders: tuple[str, ...] = ()
    place: int | None = None
    of: int | None = None
    until: float | None = None


class Explanation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that holds one TI. `reasons` is empty only when nothing does."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str
    try_number: int
    reasons: tuple[Reason, ...] = ()
