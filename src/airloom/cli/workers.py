"""`airloom workers`: who runs tasks, and what is wanted of them."""

from shlex import quote
from typing import Annotated, Any

import typer

from airloom.cli.opening import opened
from airloom.cli.output import Format, Output, moment, show_rows
from airloom.cli.verbs import workers
from airloom.operations.workers import Worker

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The worker's name.", show_default=False)]

_COLUMNS = ("name", "host", "state", "executor", "queues", "running", "slots", "memory_free", "version", "seen_at")
#: seconds by which a clock may be wrong before it is spoken of: runners correct their reports by more than that
_CLOCK = 2.0
_UNITS = ("B", "kB", "MB", "GB", "TB")


@app.callback()
def _root() -> None:
    """List, drain, resume and stop workers: what runs tasks, on this machine and on others."""


@app.command("list")
def list_workers(output: Output = Format.TABLE) -> None:
    """List the workers that were there in the last day, and the runners of local executors."""
    with opened() as here:
        found = workers.list_workers(here.ops)
        now = here.ops.now()
        columns = list(_COLUMNS)
        if any(abs(worker.clock) > _CLOCK for worker in found):
            columns.insert(-1, "clock")
        rows = [_record(worker, now) for worker in found]
        if output is Format.TABLE:
            if not rows:
                typer.echo("no worker has been here in the last day: `airloom worker -q default` starts one")
                return
            rows = [row | _for_people(worker, now) for row, worker in zip(rows, found, strict=True)]
        show_rows(rows, columns, output, here.zone)
        for worker in found if output is Format.TABLE else ():
            if worker.trouble:
                typer.echo(f"worker {worker.name} {worker.trouble}")


@app.command()
def drain(name: Name) -> None:
    """Have a worker take nothing new until it is resumed, even if it is restarted; what it has runs to its end.

    Example: airloom workers drain gpu-1
    """
    with opened() as here:
        workers.drain_worker(here.ops, name)
    typer.echo(f"worker {name} takes nothing new until `airloom workers resume {quote(name)}`")


@app.command()
def resume(name: Name) -> None:
    """Have a worker that is drained take work again."""
    with opened() as here:
        workers.resume_worker(here.ops, name)
    typer.echo(f"worker {name} is not drained")


@app.command()
def stop(name: Name) -> None:
    """Have the worker that lives now end when what it has is over, or its grace. What is started anew is not meant."""
    with opened() as here:
        workers.stop_worker(here.ops, name)
    typer.echo(f"worker {name} takes nothing new, and ends when what it has is over")


def _record(worker: Worker, now: float) -> dict[str, Any]:
    return {
        "name": worker.name,
        "host": worker.host,
        "pid": worker.pid,
        "state": worker.status.value,
        "executor": worker.executor,
        "queues": list(worker.queues),
        "running": worker.running,
        "slots": worker.slots,
        "memory": worker.memory or None,
        "memory_free": worker.memory_free if worker.memory else None,
        "version": worker.version,
        "clock": round(worker.clock, 3),
        "started_at": moment(worker.started_at),
        "seen_at": moment(worker.seen_at),
        "silent": round(now - worker.seen_at, 1) if worker.silent else None,
        "ordered_by": worker.ordered_by,
        "ordered_at": moment(worker.ordered_at),
        "trouble": worker.trouble or None,
        "id": worker.id,
    }


def _for_people(worker: Worker, now: float) -> dict[str, str]:
    """The cells that a table words."""
    state = worker.status.value.replace("_", " ")
    if worker.silent:
        state = f"silent for {now - worker.seen_at:.0f} s"
    elif worker.ordered_by is not None:
        state = f"{state} by {worker.ordered_by}"
    return {
        "state": state,
        "queues": ", ".join(worker.queues) or "any",
        "slots": "no limit" if worker.slots is None else str(worker.slots),
        "memory_free": f"{_size(worker.memory_free)} of {_size(worker.memory)}" if worker.memory else "",
        "clock": f"{worker.clock:+.0f} s" if abs(worker.clock) > _CLOCK else "",
    }


def _size(count: int) -> str:
    size, unit = float(count), 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{count} B"
