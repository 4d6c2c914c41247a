"""The audit log: one row for each change that somebody asked for. Rows are only ever added, and go by their age."""

import msgspec
from sqlalchemy import Connection, delete, insert, select

from airloom.store.tables import audit


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what. id: given by the database, 0 in a row that is not stored yet."""

    at: float
    by: str
    via: str
    action: str
    dag_id: str | None = None
    run_id: str | None = None
    subject: str | None = None
    detail: str | None = None
    address: str | None = None
    id: int = 0


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows are wanted; None does not narrow. since: epoch seconds."""

    by: str | None = None
    dag_id: str | None = None
    action: str | None = None
    since: float | None = None


def put(conn: Connection, row: AuditRow) -> None:
    """Add a row; the database numbers it."""
    values = msgspec.structs.asdict(row)
    del values["id"]
    conn.execute(insert(audit).values(values))


def page(conn: Connection, wanted: AuditFilter, limit: int, before: int | None = None) -> list[AuditRow]:
    """The newest rows first, at most `limit`; `before`: only those with a smaller id."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.id < before)
    for name in ("by", "dag_id", "action"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(audit.c[name] == value)
    if wanted.since is not None:
        query = query.where(audit.c.at >= wanted.since)
    return [AuditRow(**row._asdict()) for row in conn.execute(query)]


def forget(conn: Connection, before: float, limit: int) -> int:
    """Delete up to `limit` rows from before that moment; how many."""
    old = select(audit.c.id).where(audit.c.at < before).order_by(audit.c.at).limit(limit)
    return conn.execute(delete(audit).where(audit.c.id.in_(old))).rowcount
