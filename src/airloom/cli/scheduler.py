"""`airloom scheduler`: a scheduler alone."""

import os
from pathlib import Path

import typer

from airloom import settings
from airloom.cli.output import console
from airloom.wiring import roles

app = typer.Typer()


@app.command()
def scheduler() -> None:
    """Run a scheduler with its loader and executors until Ctrl-C.

    On PostgreSQL several may run: one leads, the others stand by and take over. On SQLite a second one refuses.
    """
    loaded = settings.load(os.environ, Path.cwd())
    screen = console(stderr=True)
    raise typer.Exit(roles.scheduler(loaded, on_ready=lambda: screen.print("The scheduler is running. Ctrl-C stops.")))
