"""Dags and versions as lists show them: rows without specs, which are large, and specs where they are asked for."""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection, TextClause, select, text

from airloom.model.run import RunType
from airloom.model.spec import DagSpec, decode
from airloom.model.states import RunState
from airloom.store.rows import to_structs
from airloom.store.tables import dag, dag_run, dag_version, import_error

#: how many values one statement is given: SQLite has limits
_PER_STATEMENT = 200


class DagHead(msgspec.Struct, frozen=True, kw_only=True):
    """A dag without its spec. version: the number of its current version, as users know it."""

    dag_id: str
    version_id: int
    version: int
    bundle: str
    rel_path: str
    file_hash: str
    paused: bool
    first_seen: float
    active: bool
    last_run_after: float | None = None
    last_logical: float | None = None


class VersionHead(msgspec.Struct, frozen=True, kw_only=True):
    """A version without its spec."""

    id: int
    dag_id: str
    number: int
    spec_hash: str
    file_hash: str
    rel_path: str
    created_at: float


class RunHead(msgspec.Struct, frozen=True, kw_only=True):
    """A run as one bar of a chart."""

    id: int
    dag_id: str
    run_id: str
    version_id: int
    run_type: RunType
    state: RunState
    run_after: float
    logical_date: float | None = None
    started_at: float | None = None
    ended_at: float | None = None


_HEAD_COLUMNS = [
    dag_version.c.number.label("version") if n == "version" else dag.c[n] for n in DagHead.__struct_fields__
]
_VERSION_COLUMNS = [dag_version.c[name] for name in VersionHead.__struct_fields__]
RUN_HEAD_COLUMNS = [dag_run.c[name] for name in RunHead.__struct_fields__]
#: only for statements in words
_RUN_HEAD_NAMES = ", ".join(RunHead.__struct_fields__)


def dag_heads(conn: Connection, dag_id: str | None = None) -> list[DagHead]:
    """All dags by id, or only the one."""
    query = select(*_HEAD_COLUMNS).join(dag_version, dag_version.c.id == dag.c.version_id).order_by(dag.c.dag_id)
    if dag_id is not None:
        query = query.where(dag.c.dag_id == dag_id)
    return to_structs(DagHead, conn.execute(query))


def dag_ids(conn: Connection) -> list[str]:
    """The ids of all dags."""
    return list(conn.execute(select(dag.c.dag_id).order_by(dag.c.dag_id)).scalars())


def specs(conn: Connection, version_ids: Collection[int]) -> dict[int, DagSpec]:
    """The specs of versions; those that do not exist are left out."""
    wanted = list(version_ids)
    found: dict[int, DagSpec] = {}
    for start in range(0, len(wanted), _PER_STATEMENT):
        part = wanted[start : start + _PER_STATEMENT]
        query = select(dag_version.c.id, dag_version.c.spec).where(dag_version.c.id.in_(part))
        found.update((number, decode(bytes(data))) for number, data in conn.execute(query))
    return found


def version_numbers(conn: Connection, version_ids: Collection[int]) -> dict[int, int]:
    """The numbers of versions, as users know them."""
    query = select(dag_version.c.id, dag_version.c.number).where(dag_version.c.id.in_(list(version_ids)))
    return {row.id: row.number for row in conn.execute(query)}


def version_heads(
    conn: Connection, dag_id: str, limit: int | None = None, before: int | None = None, number: int | None = None
) -> list[VersionHead]:
    """The versions of a dag, newest first. before: only those with a lower number. number: only that one."""
    query = select(*_VERSION_COLUMNS).where(dag_version.c.dag_id == dag_id).order_by(dag_version.c.number.desc())
    if before is not None:
        query = query.where(dag_version.c.number < before)
    if number is not None:
        query = query.where(dag_version.c.number == number)
    return to_structs(VersionHead, conn.execute(query.limit(limit)))


def newest_runs(conn: Connection) -> dict[str, tuple[int, RunState]]:
    """Number and state of the newest run of each dag that has any."""
    newest = (
        select(dag_run.c.id)
        .where(dag_run.c.dag_id == dag.c.dag_id)
        .order_by(dag_run.c.id.desc())
        .limit(1)
        .correlate(dag)
        .scalar_subquery()
    )
    query = select(dag_run.c.dag_id, dag_run.c.id, dag_run.c.state).where(
        dag_run.c.id.in_(select(newest).select_from(dag))
    )
    return {dag_id: (number, RunState(state)) for dag_id, number, state in conn.execute(query)}


def last_runs(conn: Connection, ids: Sequence[str], count: int) -> dict[str, list[RunHead]]:
    """The newest `count` runs of each of these dags, newest first."""
    found: dict[str, list[RunHead]] = {dag_id: [] for dag_id in ids}
    for start in range(0, len(ids), _PER_STATEMENT):
        part = ids[start : start + _PER_STATEMENT]
        values: dict[str, Any] = {f"d{number}": dag_id for number, dag_id in enumerate(part)}
        for head in to_structs(RunHead, conn.execute(_last_runs(len(part)), {**values, "count": count})):
            found[head.dag_id].append(head)
    for heads in found.values():
        heads.sort(key=lambda head: -head.id)
    return found


@cache
def _last_runs(dags: int) -> TextClause:
    """One look into the index for each dag, in one statement."""
    one = f"SELECT {_RUN_HEAD_NAMES} FROM dag_run WHERE dag_id = :d{{0}} ORDER BY id DESC LIMIT :count"
    return text(" UNION ALL ".join(f"SELECT * FROM ({one}) AS r{{0}}".format(number) for number in range(dags)))


def broken(conn: Connection) -> tuple[set[str], set[tuple[str, str]]]:
    """What has import errors: the ids of dags, and files that have errors of no single dag."""
    rows = conn.execute(select(import_error.c.dag_id, import_error.c.bundle, import_error.c.rel_path)).all()
    named = {row.dag_id for row in rows if row.dag_id is not None}
    return named, {(row.bundle, row.rel_path) for row in rows if row.dag_id is None}
