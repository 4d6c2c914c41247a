"""Verbs about connections. What the environment sets comes before the database, for tasks and for people alike."""

import re
from typing import Any

import msgspec

from airloom.model.errors import Conflict, InvalidRequest, NotFound
from airloom.operations.auditing import record
from airloom.operations.environment import connection_from
from airloom.operations.lookup import nearest
from airloom.operations.ops import Ops
from airloom.sdk.secrecy import is_secret
from airloom.store import connections
from airloom.store.connections import ConnectionInfo, ConnectionRow, StoredConnection
from airloom.store.feed import tell

_LONGEST_ID = 250
_TOPIC = "connections"
#: stands for a secret that is not shown
HIDDEN = "***"
#: as in scheme://user:password@host, up to the last @: it may be in the password too
_PASSWORD_IN_ADDRESS = re.compile(r"(?<=://)(?P<user>[^/\s:@]*):[^/\s]+(?=@)")


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
    _check(row)
    with ops.db.transaction() as conn:
        if not replace and any(info.conn_id == row.conn_id for info in connections.list_connections(conn)):
            raise Conflict(f"there is a connection {row.conn_id!r} already; `--replace` puts the new one in its place")
        _put(ops, conn, row)


def show_connections(ops: Ops, conn_id: str | None = None) -> list[StoredConnection]:
    """The connections of the database, or the one of that id, with what may be shown of them: no password, and *** in
    place of what is secret in `extra`. Raises NotFound.
    """
    with ops.db.reading() as conn:
        found = connections.read_connections(conn, ops.secrets(), conn_id)
    if conn_id is not None and not found:
        raise _unknown(ops, conn_id)
    return [_shown(stored) for stored in found]


def save_connection(ops: Ops, row: ConnectionRow) -> bool:
    """Make or change a connection; whether it is new. A password of None or *** stays as it is, an empty one goes; what
    was shown as *** elsewhere stays what it was. Raises InvalidRequest."""
    _check(row)
    with ops.db.transaction() as conn:
        found = connections.read_connections(conn, ops.secrets(), row.conn_id)
        before = (found[0].row if found else None) or ConnectionRow(conn_id=row.conn_id, conn_type=row.conn_type)
        password = before.password if row.password in (None, HIDDEN) else row.password
        extra, host = restore(row.extra, before.extra), restore(row.host, before.host)
        _put(ops, conn, msgspec.structs.replace(row, password=password or None, extra=extra, host=host))
    return not found


def hide(value: Any, secret: bool = False) -> Any:
    """JSON with *** in place of what has a secret's name (sdk/secrecy.py), whatever that holds, and of passwords in
    addresses."""
    if isinstance(value, dict):
        return {key: hide(entry, secret or is_secret(key)) for key, entry in value.items()}
    if isinstance(value, list):
        return [hide(entry, secret) for entry in value]
    if isinstance(value, str) and not secret:
        return _PASSWORD_IN_ADDRESS.sub(rf"\g<user>:{HIDDEN}", value)
    return HIDDEN if secret and value not in (None, "") else value


def restore(value: Any, before: Any, secret: bool = False) -> Any:
    """JSON in which what was hidden is what it was before, at the same place. Raises InvalidRequest where a *** stands
    for nothing."""
    if isinstance(value, dict):
        olds = before if isinstance(before, dict) else {}
        return {key: restore(entry, olds.get(key), secret or is_secret(key)) for key, entry in value.items()}
    if isinstance(value, list):
        places = before if isinstance(before, list) and len(before) == len(value) else [None] * len(value)
        return [restore(entry, old, secret) for entry, old in zip(value, places, strict=True)]
    if before is not None and value == hide(before, secret):
        return before
    if value == HIDDEN:
        raise InvalidRequest(f"{HIDDEN} stands for a secret that stays as it is, and there was none at this place")
    return value


def _shown(stored: StoredConnection) -> StoredConnection:
    if stored.row is None:
        return stored
    row = stored.row
    password = HIDDEN if row.password else None
    row = msgspec.structs.replace(row, password=password, extra=hide(row.extra), host=hide(row.host))
    return msgspec.structs.replace(stored, row=row)


def _check(row: ConnectionRow) -> None:
    if not row.conn_id.strip() or len(row.conn_id) > _LONGEST_ID or not row.conn_id.isprintable():
        raise InvalidRequest(f"a connection's id has 1 to {_LONGEST_ID} printable characters")
    if not row.conn_type:
        raise InvalidRequest("a connection needs a type, such as postgres or http")
    if row.port is not None and not 0 < row.port < 65536:
        raise InvalidRequest(f"a port is a number from 1 to 65535, not {row.port}")


def _put(ops: Ops, conn: Any, row: ConnectionRow) -> None:
    connections.set_connection(conn, row, ops.secrets(), ops.now())
    record(conn, ops, "connection.set", subject=row.conn_id, detail=f"type {row.conn_type}")
    tell(conn, _TOPIC)


def delete_connection(ops: Ops, conn_id: str) -> None:
    """Delete a connection from the database. Raises NotFound."""
    with ops.db.transaction() as conn:
        deleted = connections.delete_connection(conn, conn_id)
        if deleted:
            record(conn, ops, "connection.delete", subject=conn_id)
            tell(conn, _TOPIC)
    if not deleted:
        raise _unknown(ops, conn_id)


def _unknown(ops: Ops, conn_id: str) -> NotFound:
    known = [info.conn_id for info in list_connections(ops)]
    return NotFound(f"there is no connection {conn_id!r}{nearest(conn_id, known)}")
