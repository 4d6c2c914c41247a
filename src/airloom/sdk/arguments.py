"""Checks on the arguments of DAGs and operators, and the lists of Airflow's arguments that are not served (yet)."""

import inspect
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

from airloom.model.queues import queue_fault
from airloom.model.spec import MAX_NUMBER
from airloom.sdk.naming import did_you_mean
from airloom.sdk.source import definition_error

#: Airflow's operator arguments that change what happens and that are not served yet; an error when set.
OPERATOR_UNSUPPORTED = frozenset(
    {
        "deferrable",
        "depends_on_past",
        "inlets",
        "ignore_first_depends_on_past",
        "on_execute_callback",
        "on_failure_callback",
        "on_retry_callback",
        "on_skipped_callback",
        "on_success_callback",
        "outlets",
        "resources",
        "retry_policy",
        "run_as_user",
        "sla",
        "start_from_trigger",
        "start_trigger_args",
        "wait_for_downstream",
        "wait_for_past_depends_before_skipping",
    }
)
#: Airflow's operator arguments that only describe; kept as attributes.
OPERATOR_DESCRIPTIVE = frozenset(
    {
        "allow_nested_operators",
        "doc_json",
        "doc_rst",
        "doc_yaml",
        "email",
        "email_on_failure",
        "email_on_retry",
        "logger_name",
        "map_index_template",
    }
)
DAG_UNSUPPORTED = frozenset(
    {
        "access_control",
        "allowed_run_types",
        "dagrun_timeout",
        "deadline",
        "disable_bundle_versioning",
        "fail_fast",
        "max_consecutive_failed_dag_runs",
        "on_failure_callback",
        "on_success_callback",
        "rerun_with_latest_version",
    }
)
#: Names that Airflow had before version 3 and what they are called now.
RENAMED = {
    "concurrency": "max_active_tasks",
    "schedule_interval": "schedule",
    "task_concurrency": "max_active_tis_per_dag",
    "timetable": "schedule",
}

E = TypeVar("E", bound=StrEnum)


def refuse(others: Mapping[str, Any], owner: str, unsupported: Collection[str], known: Iterable[str]) -> None:
    """Raise DagDefinitionError for `others`, unless they are unsupported arguments left at their default."""
    for name, value in others.items():
        if name in unsupported:
            if _is_default(name, value):
                continue
            raise definition_error(f"{owner}: the argument {name!r} is not supported yet; leave it out")
        if name in RENAMED:
            raise definition_error(f"{owner}: the argument {name!r} is called {RENAMED[name]!r} now")
        hint = did_you_mean(name, [*known, *unsupported])
        raise definition_error(f"{owner} has no argument {name!r}{hint}")


def _is_default(name: str, value: Any) -> bool:
    if name == "ignore_first_depends_on_past":
        return True  # without depends_on_past it says nothing
    return value is None or value is False or (isinstance(value, int | list | tuple | dict | set) and not value)


@cache
def constructor_arguments(cls: type) -> frozenset[str]:
    """The names of the arguments that a class and its parents take."""
    names: set[str] = set()
    for parent in cls.__mro__:
        constructor = vars(parent).get("__init__")
        if constructor is None or parent is object:
            continue
        for parameter in list(inspect.signature(constructor).parameters.values())[1:]:
            if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                names.add(parameter.name)
    return frozenset(names)


def whole_number(owner: str, name: str, value: Any, minimum: int | None = None) -> int:
    """`value` if it is an int that is neither too small nor too large to be kept."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise definition_error(f"{owner}: {name} must be a whole number, not {value!r}")
    if minimum is not None and value < minimum:
        raise definition_error(f"{owner}: {name} must be {minimum} or more, not {value}")
    if value > MAX_NUMBER:
        raise definition_error(f"{owner}: {name} must be at most {MAX_NUMBER:,}, not {value}")
    return value


def optional_number(owner: str, name: str, value: Any, minimum: int | None = None) -> int | None:
    """As whole_number; None passes."""
    return None if value is None else whole_number(owner, name, value, minimum)


def text(owner: str, name: str, value: Any) -> str:
    """`value` if it is a string that is not empty."""
    if not isinstance(value, str) or not value:
        raise definition_error(f"{owner}: {name} must be a name (a string), not {value!r}")
    return value


def queue_name(owner: str, value: Any) -> str:
    """`value` if a queue can be called that."""
    if fault := queue_fault(text(owner, "queue", value)):
        raise definition_error(f"{owner}: queue {value!r}: {fault}")
    return str(value)


def flag(owner: str, name: str, value: Any) -> bool:
    """`value` if it is True or False."""
    if not isinstance(value, bool):
        raise definition_error(f"{owner}: {name} must be True or False, not {value!r}")
    return value


def duration(owner: str, name: str, value: Any) -> timedelta:
    """A timedelta, or seconds, as a timedelta that is not negative."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            value = timedelta(seconds=value)
        except (OverflowError, ValueError):
            raise definition_error(f"{owner}: {name} cannot be {value!r} seconds") from None
    if not isinstance(value, timedelta):
        raise definition_error(f"{owner}: {name} must be a timedelta or a number of seconds, not {value!r}")
    if value < timedelta(0):
        raise definition_error(f"{owner}: {name} must not be negative, but is {value}")
    return value


def positive_duration(owner: str, name: str, value: Any) -> timedelta | None:
    """As duration, but not 0; None passes."""
    if value is None:
        return None
    span = duration(owner, name, value)
    if not span:
        raise definition_error(f"{owner}: {name} must be longer than 0 seconds")
    return span


def backoff(owner: str, value: Any) -> float:
    """The multiplier of exponential backoff: True is 2, False and 0 are none."""
    if value is True:
        return 2.0
    if not isinstance(value, int | float) or value < 0 or 0 < value < 1 or value != value or value == float("inf"):
        raise definition_error(
            f"{owner}: retry_exponential_backoff must be True, False or a multiplier of 1 or more, not {value!r}"
        )
    return float(value)


def one_of(owner: str, name: str, kind: type[E], value: Any) -> E:
    """A member of an enum, given as such or as its text."""
    if not isinstance(value, str):
        raise definition_error(f"{owner}: {name} must be one of {', '.join(kind)}, not {value!r}")
    try:
        return kind(value)
    except ValueError:
        pass
    hint = did_you_mean(value, list(kind)) or f"; there are {', '.join(kind)}"
    raise definition_error(f"{owner}: there is no {name} {value!r}{hint}")


_UNITS = {
    "": 1,
    "k": 1000,
    "m": 1000**2,
    "g": 1000**3,
    "t": 1000**4,
    "ki": 1024,
    "mi": 1024**2,
    "gi": 1024**3,
    "ti": 1024**4,
}


def memory(owner: str, value: Any) -> int | None:
    """Bytes, or text such as '512Mi' or '2GB', as bytes."""
    if value is None:
        return None
    if isinstance(value, str):
        number = value.strip().rstrip("bB")
        unit = number.lstrip("0123456789.").strip().lower()
        try:
            value = int(float(number[: len(number) - len(unit)]) * _UNITS[unit])
        except (KeyError, ValueError):
            raise definition_error(f"{owner}: memory_limit {value!r} is not a size such as 512Mi or 2G") from None
    return whole_number(owner, "memory_limit", value, 1)


def moment(owner: str, name: str, value: Any) -> datetime | None:
    """A datetime; one without a zone is UTC. None passes."""
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise definition_error(f"{owner}: {name} must be a datetime, not {value!r}")
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def mapping(owner: str, name: str, value: Any) -> dict[str, Any]:
    """A dict with text keys, copied; None is empty."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise definition_error(f"{owner}: {name} must be a dict with names as keys, not {type(value).__name__}")
    return dict(value)
