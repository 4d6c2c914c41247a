"""`airloom health`: how all parts of Airloom are, and whether the one of this machine does its work."""

import http.client
import importlib
import os
import socket
import ssl
from enum import StrEnum
from typing import Annotated

import typer

from airloom.cli.opening import load_settings
from airloom.cli.output import Format, Output, moment, show_record, show_rows
from airloom.cli.statuses import Status
from airloom.cli.times import zone_of
from airloom.executors.unix_socket import connect
from airloom.model.errors import AirloomError, InvalidRequest
from airloom.model.processes import ProcessKind
from airloom.model.wire import FrameError, FromIntake, Standing
from airloom.runtime.channel import Channel, Closed
from airloom.sections import ApiSection, Settings

app = typer.Typer()

#: seconds that a part of this machine has to answer
_PATIENCE = 5.0
_FLOWER_PORT = 5555
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}


class Role(StrEnum):
    """What a process of this machine is for."""

    API = "api"
    SCHEDULER = "scheduler"
    LOADER = "loader"
    WORKER = "worker"
    FLOWER = "flower"


@app.command()
def health(
    role: Annotated[
        Role | None, typer.Argument(help="Only the one of this machine, by the same settings.", show_default=False)
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Show how all parts are, as the database knows them; or ask one part of this machine. Exit status 1: not well.

    The second is for the health checks of containers. A worker is well while it takes work.

    Example: airloom health scheduler
    """
    settings = load_settings().settings
    if role is None:
        _show_all(settings, output)
        return
    text = _worker(settings) if role is Role.WORKER else _served(settings, role) or _told(settings, role)
    if output is Format.TABLE:
        typer.echo(text)
    else:
        show_record({"role": role.value, "status": "ok", "text": text}, output)


def _show_all(settings: Settings, output: Format) -> None:
    """What the database tells of every part."""
    operations = importlib.import_module("airloom.operations.health")
    with importlib.import_module("airloom.operations.ops").open_ops(settings) as ops:
        found = operations.judge(operations.read(ops), ops.now())
    columns = ["kind", "name", "status", "text", "seen_at"]
    rows = [{key: getattr(part, key) for key in columns} | {"seen_at": moment(part.seen_at)} for part in found.parts]
    show_rows(rows, columns, output, zone_of(settings.cli.timezone))
    if found.status == operations.DOWN:
        raise typer.Exit(Status.FAILED)


def _told(settings: Settings, role: Role) -> str:
    """What is said of a part of this machine that renews its row in the database. Raises AirloomError."""
    # The database's library takes longer to import than the other checks take.
    operations = importlib.import_module("airloom.operations.health")
    with importlib.import_module("airloom.operations.ops").open_ops(settings) as ops:
        rows, now = operations.read(ops).rows, ops.now()
    here = socket.gethostname()
    seen = [now - row.seen_at for row in rows if row.kind is ProcessKind(role) and row.host == here and row.alive(now)]
    if not seen:
        raise AirloomError(f"no {role} of this machine, {here}, has told the database of itself lately")
    return f"the {role} told the database of itself {max(0.0, min(seen)):.0f} s ago"


def _served(settings: Settings, role: Role) -> str:
    """What a part says that serves HTTP on this machine; "" for one that does not. Raises AirloomError."""
    if role is Role.API:
        # What needs neither a login nor a scheduler: the question is whether this process is well.
        return _asked(_local(settings.api), "/api/v1/login", "the API")
    if role is Role.FLOWER:
        host, port, prefix = (os.environ.get(f"FLOWER_{name}", "") for name in ("ADDRESS", "PORT", "URL_PREFIX"))
        place = (_EVERYWHERE.get(host, host), int(port) if port.isdigit() else _FLOWER_PORT)
        path = f"{'/' * bool(prefix)}{prefix.strip('/')}/healthcheck"
        return _asked(http.client.HTTPConnection(*place, timeout=_PATIENCE), path, "Flower")
    return ""


def _local(api: ApiSection) -> http.client.HTTPConnection:
    if not api.port:
        raise InvalidRequest("[api] port is 0, any free one: give it a number, so that it can be asked")
    host = _EVERYWHERE.get(api.host, api.host)
    if not api.tls_certificate:
        return http.client.HTTPConnection(host, api.port, timeout=_PATIENCE)
    # The certificate is for the name that others use, and nothing is told to the server that it does not know.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, api.port, timeout=_PATIENCE, context=context)


def _asked(connection: http.client.HTTPConnection, path: str, what: str) -> str:
    place = f"{connection.host}:{connection.port}"
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise AirloomError(f"{what} does not answer at {place}: {why}") from None
    finally:
        connection.close()
    if status != http.client.OK:
        raise AirloomError(f"{what} answers at {place} with status {status}")
    return f"{what} answers at {place}"


def _worker(settings: Settings) -> str:
    """What the runner of this machine's worker says at its work socket. Raises AirloomError."""
    path = str(settings.core.home / "celery.work.sock")
    try:
        with connect(path) as sock:
            sock.settimeout(_PATIENCE)
            said: list[FromIntake] = []
            channel: Channel[FromIntake] = Channel(sock, FromIntake)
            while not said:
                said = channel.receive()
    except (OSError, Closed, FrameError) as error:
        why = (error.strerror if isinstance(error, OSError) else str(error)) or error.__cause__ or "it went away"
        raise AirloomError(f"no worker answers at {path}: {why}") from None
    standing = said[0]
    if isinstance(standing, Standing) and not standing.taking:
        raise AirloomError(f"the worker takes no work: {standing.why}")
    if isinstance(standing, Standing) and standing.trouble:
        raise AirloomError(f"the worker takes no work: it {standing.trouble}")
    return "the worker takes work"
