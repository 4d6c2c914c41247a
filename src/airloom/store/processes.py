"""The rows by which processes tell that they live, and what they do."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, func, select

from airloom.model.processes import ProcessKind, ProcessRow
from airloom.store.dialects import dialect_of
from airloom.store.tables import inbox, process


def renew(conn: Connection, rows: Iterable[ProcessRow]) -> None:
    """Write these, over what they said before."""
    values = [_to_row(row) for row in rows]
    dialect_of(conn).insert(conn, process, values, replace=("id",))


def reserve_worker(conn: Connection, name: str) -> None:
    """Nobody else decides who has this worker's name until the transaction ends; waits for one who does."""
    dialect_of(conn).serialize(conn, f"worker {name}")


def remove(conn: Connection, ids: Sequence[str]) -> None:
    """These have ended in good order, or are replaced."""
    dialect_of(conn).delete(conn, process, "id", ids)


def remove_silent(conn: Connection, seen: Mapping[str, float]) -> None:
    """Delete those of these processes that have not renewed their row since it said that they were seen then."""
    for name, at in seen.items():
        conn.execute(delete(process).where(process.c.id == name, process.c.seen_at == at))


def sweep(conn: Connection, before: float) -> int:
    """Delete what was not seen since `before`; how many."""
    return conn.execute(delete(process).where(process.c.seen_at < before)).rowcount


def list_processes(conn: Connection, kind: ProcessKind | None = None) -> list[ProcessRow]:
    """All that are known but pods, of which there may be thousands; or those of one kind. By kind, host and start."""
    query = select(process).order_by(process.c.kind, process.c.host, process.c.started_at, process.c.id)
    chosen = process.c.kind != ProcessKind.POD.value if kind is None else process.c.kind == kind.value
    query = query.where(chosen)
    return [_to_struct(row) for row in conn.execute(query)]


def get_process(conn: Connection, process_id: str) -> ProcessRow | None:
    """The process of that id."""
    row = conn.execute(select(process).where(process.c.id == process_id)).first()
    return None if row is None else _to_struct(row)


def inbox_size(conn: Connection) -> int:
    """How many commands wait for the leader."""
    return int(conn.execute(select(func.count()).select_from(inbox)).scalar_one())


def _to_row(row: ProcessRow) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(row)
    values["state"] = msgspec.json.encode(row.state).decode()
    return values


def _to_struct(row: Row[Any]) -> ProcessRow:
    # Exactly str: some of SQLAlchemy's names are a subclass of it.
    values = {str(name): value for name, value in row._mapping.items()}
    values["state"] = msgspec.json.decode(values["state"])
    return msgspec.convert(values, ProcessRow)
