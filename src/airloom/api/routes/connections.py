"""Connections. Passwords, and what else is secret, can be set here and never be read."""

import msgspec
from fastapi import APIRouter, Response

from airloom.api.access import By
from airloom.api.schemas.admin import Connection, ConnectionText
from airloom.operations import connections
from airloom.store.connections import ConnectionRow, StoredConnection

router = APIRouter(tags=["connections"])


@router.get("/connections", response_model=list[Connection])
def list_connections(caller: By) -> list[Connection]:
    """Every connection by id, without its secrets."""
    return [_shown(stored) for stored in connections.show_connections(caller.ops)]


@router.get("/connections/{conn_id:path}", response_model=Connection)
def get_connection(conn_id: str, caller: By) -> Connection:
    """A connection without its secrets."""
    [stored] = connections.show_connections(caller.ops, conn_id)
    return _shown(stored)


@router.put("/connections/{conn_id:path}", response_model=Connection, responses={201: {"model": Connection}})
def set_connection(conn_id: str, body: ConnectionText, caller: By, response: Response) -> Connection:
    """Make or change a connection. A password that is left out stays, and so does each *** in `extra`."""
    row = ConnectionRow(
        conn_id=conn_id,
        conn_type=body.conn_type,
        description=body.description,
        host=body.host,
        schema=body.schema_,
        login=body.login,
        password=body.password,
        port=body.port,
        extra=body.extra,
    )
    response.status_code = 201 if connections.save_connection(caller.ops, row) else 200
    [stored] = connections.show_connections(caller.ops, conn_id)
    return _shown(stored)


@router.delete("/connections/{conn_id:path}", status_code=204)
def delete_connection(conn_id: str, caller: By) -> None:
    """Delete a connection."""
    connections.delete_connection(caller.ops, conn_id)


def _shown(stored: StoredConnection) -> Connection:
    info, row = stored.info, stored.row
    if row is None:
        return Connection.model_validate({**msgspec.structs.asdict(info), "readable": False})
    values = {**msgspec.structs.asdict(row), "has_password": row.password is not None, "updated_at": info.updated_at}
    return Connection.model_validate(values)
