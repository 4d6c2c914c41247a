"""Verbs about connections. What the environment sets comes before the database, for tasks and for people alike."""

from airloom.model.errors import Conflict, InvalidRequest, NotFound
from airloom.operations.auditing import record
from airloom.operations.environment import connection_from
from airloom.operations.lookup import nearest
from airloom.operations.ops import Ops
from airloom.store import connections
from airloom.store.connections import ConnectionInfo, ConnectionRow

_LONGEST_ID = 250


def list_connections(ops: Ops) -> list[ConnectionInfo]:
    """Every connection in the database, by id, without its secrets."""
    with ops.db.reading() as conn:
        return connections.list_connections(conn)


def get_connection(ops: Ops, conn_id: str) -> ConnectionRow:
    """A connection with its secrets. Raises NotFound."""
    row = find_connection(ops, conn_id)
    if row is None:
        raise _unknown(ops, conn_id)
    return row


def find_connection(ops: Ops, conn_id: str) -> ConnectionRow | None:
    """A connection with its secrets, or None. Raises InvalidRequest when the environment sets an unreadable one."""
    row = connection_from(ops.env, conn_id)
    if row is not None:
        return row
    with ops.db.reading() as conn:
        return connections.get_connection(conn, conn_id, ops.secrets())


def add_connection(ops: Ops, row: ConnectionRow, *, replace: bool = False) -> None:
    """Make a connection. Raises InvalidRequest, and Conflict when there is one of that id and `replace` is not set."""
    if not row.conn_id.strip() or len(row.conn_id) > _LONGEST_ID or not row.conn_id.isprintable():
        raise InvalidRequest(f"a connection's id has 1 to {_LONGEST_ID} printable characters")
    if not row.conn_type:
        raise InvalidRequest("a connection needs a type, such as postgres or http")
    if row.port is not None and not 0 < row.port < 65536:
        raise InvalidRequest(f"a port is a number from 1 to 65535, not {row.port}")
    with ops.db.transaction() as conn:
        if not replace and any(info.conn_id == row.conn_id for info in connections.list_connections(conn)):
            raise Conflict(f"there is a connection {row.conn_id!r} already; `--replace` puts the new one in its place")
        connections.set_connection(conn, row, ops.secrets(), ops.now())
        record(conn, ops, "connection.set", subject=row.conn_id, detail=f"type {row.conn_type}")


def delete_connection(ops: Ops, conn_id: str) -> None:
    """Delete a connection from the database. Raises NotFound."""
    with ops.db.transaction() as conn:
        deleted = connections.delete_connection(conn, conn_id)
        if deleted:
            record(conn, ops, "connection.delete", subject=conn_id)
    if not deleted:
        raise _unknown(ops, conn_id)


def _unknown(ops: Ops, conn_id: str) -> NotFound:
    known = [info.conn_id for info in list_connections(ops)]
    return NotFound(f"there is no connection {conn_id!r}{nearest(conn_id, known)}")
