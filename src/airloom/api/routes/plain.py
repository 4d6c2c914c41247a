"""Parts of answers as plain data, in the form that the schemas document: for lists of hundreds, where it is faster."""

from datetime import UTC, datetime
from typing import Any

from airloom.store.dag_lists import RunHead


def moment(at: float | None) -> datetime | None:
    """Seconds since the epoch as a moment in UTC."""
    return None if at is None else datetime.fromtimestamp(at, UTC)


def bar(run: RunHead) -> dict[str, Any]:
    """dags.RunBar."""
    return {
        "run_id": run.run_id,
        "run_type": run.run_type,
        "state": run.state,
        "run_after": moment(run.run_after),
        "logical_date": moment(run.logical_date),
        "started_at": moment(run.started_at),
        "ended_at": moment(run.ended_at),
    }
