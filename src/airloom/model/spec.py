"""A DAG as data: what the scheduler knows of it. Made by sdk/, stored by version, hashed canonically.

A spec holds no Python object of the author's: the task's code stays in its file and is imported only where a try runs.
Adding an optional field with a default keeps every older spec readable and every hash unchanged (defaults are not
encoded).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

#: The largest count that a spec or a pool may name: some room below what 32 bits hold.
MAX_NUMBER = 1_000_000_000


class TriggerRule(StrEnum):
    """When a task may run, given how its upstream tasks ended. Exact meanings: decide/trigger_rules.py."""

    ALL_SUCCESS = "all_success"
    ALL_FAILED = "all_failed"
    ALL_DONE = "all_done"
    ALL_DONE_MIN_ONE_SUCCESS = "all_done_min_one_success"
    ALL_DONE_SETUP_SUCCESS = "all_done_setup_success"
    ONE_SUCCESS = "one_success"
    ONE_FAILED = "one_failed"
    ONE_DONE = "one_done"
    NONE_FAILED = "none_failed"
    NONE_FAILED_MIN_ONE_SUCCESS = "none_failed_min_one_success"
    NONE_SKIPPED = "none_skipped"
    ALL_SKIPPED = "all_skipped"
    ALWAYS = "always"


class WeightRule(StrEnum):
    """How a task's priority is made from its own weight and its neighbours'."""

    DOWNSTREAM = "downstream"
    UPSTREAM = "upstream"
    ABSOLUTE = "absolute"


class Isolation(StrEnum):
    """fork: a process of its own for each try. reuse: one process runs many tries of one DAG file version."""

    FORK = "fork"
    REUSE = "reuse"


class LiteralInput(msgspec.Struct, frozen=True, kw_only=True, tag="literal", omit_defaults=True):
    """An `expand` argument whose length is known when the file is parsed."""

    arg: str
    length: int


class XComInput(msgspec.Struct, frozen=True, kw_only=True, tag="xcom", omit_defaults=True):
    """An `expand` argument that is an upstream task's XCom: its length is known when that task has ended."""

    arg: str
    task_id: str
    key: str = "return_value"


MapInput = LiteralInput | XComInput


class MapSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many TIs a mapped task has: the product of its inputs' lengths (the last input varies fastest).

    kwargs: `expand_kwargs`, one input, a list of dicts.
    """

    inputs: tuple[MapInput, ...]
    kwargs: bool = False


class TaskSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One task. Durations in seconds. `upstream` is sorted, so that the hash does not depend on the order of edges."""

    task_id: str
    operator: str = "BaseOperator"
    upstream: tuple[str, ...] = ()
    trigger_rule: TriggerRule = TriggerRule.ALL_SUCCESS
    #: nothing to execute (EmptyOperator): the scheduler settles it without an executor
    empty: bool = False
    map: MapSpec | None = None
    retries: int = 0
    retry_delay: float = 300.0
    #: multiplier of exponential backoff; 0 = the delay is constant
    retry_exponential_backoff: float = 0.0
    max_retry_delay: float | None = None
    execution_timeout: float | None = None
    pool: str = "default_pool"
    pool_slots: int = 1
    priority_weight: int = 1
    weight_rule: WeightRule = WeightRule.DOWNSTREAM
    queue: str = "default"
    executor: str | None = None
    executor_config: dict[str, Any] = {}
    isolation: Isolation | None = None
    #: bytes of resident memory at which a try is killed; None = no limit of its own
    memory_limit: int | None = None
    max_active_tis_per_dag: int | None = None
    max_active_tis_per_dagrun: int | None = None
    #: the innermost task group, or None
    group: str | None = None
    owner: str = "airloom"
    display_name: str | None = None
    doc: str | None = None
    ui_color: str | None = None
    ui_fgcolor: str | None = None
    template_fields: tuple[str, ...] = ()
    is_setup: bool = False
    is_teardown: bool = False
    on_failure_fail_dagrun: bool = False


class GroupSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task group, for display and for group ids in dependencies."""

    group_id: str
    parent: str | None = None
    display_name: str | None = None
    tooltip: str = ""
    ui_color: str | None = None
    ui_fgcolor: str | None = None


class Never(msgspec.Struct, frozen=True, tag="never"):
    """Runs only when triggered (`schedule=None`)."""


class Once(msgspec.Struct, frozen=True, tag="once"):
    """One run, at the start date or at once (`@once`)."""


class Cron(msgspec.Struct, frozen=True, kw_only=True, tag="cron", omit_defaults=True):
    """A five-field cron expression, read in `timezone`.

    interval=False: logical date = the tick (as Airflow 3 does). interval=True: the run at a tick covers the data
    interval that ended there, and its logical date is the interval's start (Airflow 2).
    """

    expression: str
    timezone: str = "UTC"
    interval: bool = False


class Delta(msgspec.Struct, frozen=True, kw_only=True, tag="delta", omit_defaults=True):
    """Every `seconds` from the start date on. `interval` as in Cron."""

    seconds: float
    interval: bool = False


Schedule = Never | Once | Cron | Delta


def schedule_text(schedule: Schedule) -> str:
    """A schedule for people."""
    match schedule:
        case Never():
            return "when triggered"
        case Once():
            return "once"
        case Cron(expression=expression):
            return expression
        case Delta(seconds=seconds):
            return _every(seconds)


def _every(seconds: float) -> str:
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"every {seconds / size:g} {name}"
    return f"every {seconds:g} s"


class DagSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A whole DAG. `tasks` are in topological order, ties by task id, so that equal DAGs have equal specs."""

    dag_id: str
    tasks: tuple[TaskSpec, ...] = ()
    groups: tuple[GroupSpec, ...] = ()
    #: (upstream, downstream) -> label, as "up>down" keys
    edge_labels: dict[str, str] = {}
    schedule: Schedule = Never()
    start_date: float | None = None
    end_date: float | None = None
    timezone: str = "UTC"
    catchup: bool = False
    max_active_tasks: int = 16
    max_active_runs: int = 16
    #: JSON schema and default of each param: {name: {"value": ..., "schema": {...}}}
    params: dict[str, Any] = {}
    description: str | None = None
    display_name: str | None = None
    doc: str | None = None
    tags: tuple[str, ...] = ()
    owner: str = ""
    is_paused_upon_creation: bool | None = None


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(DagSpec)


def encode(spec: DagSpec) -> bytes:
    """The canonical bytes of a spec: equal specs give equal bytes."""
    return _encoder.encode(spec)


def decode(data: bytes) -> DagSpec:
    """The spec in `data`; raises msgspec.ValidationError if it is none."""
    return _decoder.decode(data)


def edge_key(upstream: str, downstream: str) -> str:
    """The key of an edge in `edge_labels`."""
    return f"{upstream}>{downstream}"


def param_defaults(params: Mapping[str, Any]) -> dict[str, Any]:
    """The default value of each param that has one."""
    return {name: param["value"] for name, param in params.items() if "value" in param}
