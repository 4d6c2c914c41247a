"""Connections: where outside systems are and how to log in there, encrypted in the database but for their type."""

from typing import Any

import msgspec
from sqlalchemy import Connection, delete, select

from airloom.model.errors import Rejected
from airloom.store.dialects import dialect_of
from airloom.store.secrets import Secrets
from airloom.store.tables import connection


class ConnectionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A connection. `extra`: whatever else its hook wants."""

    conn_id: str
    conn_type: str
    description: str | None = None
    host: str | None = None
    schema: str | None = None
    login: str | None = None
    password: str | None = None
    port: int | None = None
    extra: dict[str, Any] = {}


class ConnectionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of connections shows: nothing that is secret."""

    conn_id: str
    conn_type: str
    description: str | None
    updated_at: float


class _Hidden(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields that are encrypted."""

    host: str | None = None
    schema: str | None = None
    login: str | None = None
    password: str | None = None
    port: int | None = None
    extra: dict[str, Any] = {}


def get_connection(conn: Connection, conn_id: str, secrets: Secrets) -> ConnectionRow | None:
    """A connection with all its secrets. Raises StoreError if it was encrypted with another key."""
    row = conn.execute(select(connection).where(connection.c.conn_id == conn_id)).one_or_none()
    return None if row is None else _decrypted(row, secrets)


class StoredConnection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection of the database. row None: it was encrypted with another key."""

    info: ConnectionInfo
    row: ConnectionRow | None


def read_connections(conn: Connection, secrets: Secrets, conn_id: str | None = None) -> list[StoredConnection]:
    """All connections by id, or the one of that id, with their secrets."""
    query = select(connection).order_by(connection.c.conn_id)
    if conn_id is not None:
        query = query.where(connection.c.conn_id == conn_id)
    return [_stored(row, secrets) for row in conn.execute(query)]


def _stored(row: Any, secrets: Secrets) -> StoredConnection:
    info = ConnectionInfo(**{name: getattr(row, name) for name in ConnectionInfo.__struct_fields__})
    try:
        return StoredConnection(info=info, row=_decrypted(row, secrets))
    except Rejected:
        return StoredConnection(info=info, row=None)


def _decrypted(row: Any, secrets: Secrets) -> ConnectionRow:
    data = secrets.decrypt(bytes(row.secret), f"the connection {row.conn_id!r}")
    hidden = msgspec.json.decode(data, type=_Hidden)
    return ConnectionRow(
        conn_id=row.conn_id, conn_type=row.conn_type, description=row.description, **msgspec.structs.asdict(hidden)
    )


def list_connections(conn: Connection) -> list[ConnectionInfo]:
    """All connections by id, without their secrets."""
    columns = [connection.c[name] for name in ConnectionInfo.__struct_fields__]
    return [ConnectionInfo(**row._asdict()) for row in conn.execute(select(*columns).order_by(connection.c.conn_id))]


def set_connection(conn: Connection, row: ConnectionRow, secrets: Secrets, now: float) -> None:
    """Make a connection, or replace the one of that id."""
    hidden = _Hidden(**{name: getattr(row, name) for name in _Hidden.__struct_fields__})
    values = {
        "conn_id": row.conn_id,
        "conn_type": row.conn_type,
        "description": row.description,
        "secret": secrets.encrypt(msgspec.json.encode(hidden)),
        "updated_at": now,
    }
    dialect_of(conn).insert(conn, connection, [values], replace=("conn_id",))


def delete_connection(conn: Connection, conn_id: str) -> bool:
    """Delete a connection; False if there is none of that id."""
    return conn.execute(delete(connection).where(connection.c.conn_id == conn_id)).rowcount > 0
