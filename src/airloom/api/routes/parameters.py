"""Query and path parameters that several routes take."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Path, Query

from airloom.api.access import Caller
from airloom.operations import dag_lists

#: No database's text holds a NUL.
NO_NUL = "^[^\\x00]*$"
#: an id in a query
Id = Annotated[str | None, Query(max_length=250, pattern=NO_NUL)]
#: the number of a version or of a try
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
MapIndex = Annotated[
    int, Query(ge=-1, le=2**31 - 1, description="Which instance of a mapped task; -1: it is not mapped.")
]


def _run_name(dag_id: str, run_id: str) -> tuple[str, str]:
    return dag_id, run_id


#: dag id and run id of the path; the run id may be `latest`, or the beginning of one recent run's id
RunName = Annotated[tuple[str, str], Depends(_run_name)]


def seconds(at: datetime | None) -> float | None:
    """Seconds since the epoch of a time in a query; one without a zone is in UTC."""
    if at is None:
        return None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


def visible(caller: Caller) -> tuple[str, ...] | None:
    """The ids of the dags that the caller sees; None: all."""
    return None if caller.sees_all else dag_lists.visible(caller.ops, caller.sees)
