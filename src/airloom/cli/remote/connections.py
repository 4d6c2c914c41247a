"""operations/connections.py on a server elsewhere. Its secrets never come here."""

from typing import Any

from airloom.cli.remote.server import Server, path_of, seconds
from airloom.model.errors import Conflict, NotFound
from airloom.store.connections import ConnectionInfo, ConnectionRow


def list_connections(ops: Server) -> list[ConnectionInfo]:
    """As operations.connections.list_connections."""
    return [
        ConnectionInfo(
            conn_id=data["conn_id"],
            conn_type=data["conn_type"],
            description=data["description"],
            updated_at=seconds(data["updated_at"]) or ops.now(),
        )
        for data in ops.get("/connections")
    ]


def get_connection(ops: Server, conn_id: str) -> ConnectionRow:
    """As operations.connections.get_connection, with *** for the secrets."""
    data = ops.get(path_of("connections", conn_id))
    return ConnectionRow(
        conn_id=data["conn_id"],
        conn_type=data["conn_type"],
        description=data["description"],
        host=data["host"],
        schema=data["schema"],
        login=data["login"],
        password="***" if data["has_password"] else None,
        port=data["port"],
        extra=data["extra"],
    )


def add_connection(ops: Server, row: ConnectionRow, *, replace: bool = False) -> None:
    """As operations.connections.add_connection."""
    if not replace and _is_there(ops, row.conn_id):
        raise Conflict(f"there is a connection {row.conn_id!r} already; `--replace` puts the new one in its place")
    body: dict[str, Any] = {
        "conn_type": row.conn_type,
        "description": row.description,
        "host": row.host,
        "port": row.port,
        "login": row.login,
        "schema": row.schema,
        # One that is replaced does not keep the password of the one before.
        "password": row.password or "",
        "extra": row.extra,
    }
    ops.send("PUT", path_of("connections", row.conn_id), body)


def delete_connection(ops: Server, conn_id: str) -> None:
    """As operations.connections.delete_connection."""
    ops.send("DELETE", path_of("connections", conn_id))


def _is_there(ops: Server, conn_id: str) -> bool:
    try:
        ops.get(path_of("connections", conn_id))
    except NotFound:
        return False
    return True
