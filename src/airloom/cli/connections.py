"""`airloom connections`. Passwords and extras are shown only on request."""

import sys
from typing import Annotated, Any

import msgspec
import typer

from airloom.cli.opening import json_object, opened
from airloom.cli.output import Format, Output, moment, show_record, show_rows
from airloom.cli.verbs import connections
from airloom.model.errors import InvalidRequest
from airloom.operations.environment import parse_connection
from airloom.operations.lookup import nearest
from airloom.store.connections import ConnectionRow

app = typer.Typer(no_args_is_help=True)

FIELDS = ("type", "host", "port", "schema", "login", "password", "extra", "description")

ConnId = Annotated[str, typer.Argument(help="The connection's id.", show_default=False)]


@app.callback()
def _root() -> None:
    """List, get, add and delete connections: where other systems are and how to log in there."""


@app.command("list")
def list_connections(output: Output = Format.TABLE) -> None:
    """List the connections, without what is secret of them."""
    with opened() as here:
        rows = [
            {
                "conn_id": info.conn_id,
                "conn_type": info.conn_type,
                "description": info.description,
                "updated_at": moment(info.updated_at),
            }
            for info in connections.list_connections(here.ops)
        ]
        show_rows(rows, ["conn_id", "conn_type", "description", "updated_at"], output, here.zone)


@app.command()
def get(
    conn_id: ConnId,
    show_secrets: bool = typer.Option(False, "--show-secrets", help="With the password and the extras' values."),
    output: Output = Format.TABLE,
) -> None:
    """Show a connection. The password and the values of extras are *** unless they are asked for."""
    with opened() as here:
        row = connections.get_connection(here.ops, conn_id)
        record = {
            "conn_id": row.conn_id,
            "conn_type": row.conn_type,
            "description": row.description,
            "host": row.host,
            "port": row.port,
            "schema": row.schema,
            "login": row.login,
            "password": row.password if show_secrets or not row.password else "***",
            "extra": row.extra if show_secrets else dict.fromkeys(row.extra, "***"),
        }
        show_record(record, output, here.zone)


@app.command()
def add(
    conn_id: ConnId,
    fields: Annotated[
        list[str] | None,
        typer.Argument(metavar="FIELD=VALUE...", help=f"{', '.join(FIELDS)}; - as a value reads it from stdin."),
    ] = None,
    uri: str = typer.Option("", help="All in one: type://login:password@host:port/schema; - reads it from stdin."),
    replace: bool = typer.Option(False, "--replace", help="Put it in the place of the one that is there."),
) -> None:
    """Add a connection.

    Examples:

    airloom connections add warehouse type=postgres host=db.example.org login=loader password=-

    airloom connections add warehouse --uri postgres://loader:secret@db.example.org/flights
    """
    if bool(uri) == bool(fields):
        raise InvalidRequest("give either --uri or fields, such as type=postgres host=db.example.org")
    row = parse_connection(conn_id, _stdin_or(uri)) if uri else _from_fields(conn_id, fields or [])
    with opened() as here:
        connections.add_connection(here.ops, row, replace=replace)
    typer.echo(f"connection {conn_id} is {'set' if replace else 'added'}")


@app.command()
def delete(conn_id: ConnId) -> None:
    """Delete a connection."""
    with opened() as here:
        connections.delete_connection(here.ops, conn_id)
    typer.echo(f"connection {conn_id} is deleted")


def _from_fields(conn_id: str, texts: list[str]) -> ConnectionRow:
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in FIELDS:
            close = nearest(name, FIELDS) if equals else ""
            raise InvalidRequest(f"a field is written as NAME=VALUE, where NAME is one of {', '.join(FIELDS)}{close}")
        values[name] = _stdin_or(value)
    if "extra" in values:
        values["extra"] = json_object(values["extra"], "extra")
    values["conn_type"] = values.pop("type", "")
    try:
        return msgspec.convert({**values, "conn_id": conn_id}, ConnectionRow, strict=False)
    except msgspec.ValidationError:
        raise InvalidRequest(f"a port is a number, not {values.get('port')!r}") from None


def _stdin_or(value: str) -> str:
    return sys.stdin.read().strip("\n") if value == "-" else value
