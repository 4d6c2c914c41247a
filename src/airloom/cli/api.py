"""`airloom api`: the API and the web UI alone."""

import os
from pathlib import Path
from typing import Annotated

import typer

from airloom import settings
from airloom.cli.output import console
from airloom.wiring import roles

app = typer.Typer()

Host = Annotated[
    str | None, typer.Option("--host", help="Address to listen at; 0.0.0.0 = every network of this machine.")
]
Port = Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Port to listen at; 0 = any free one.")]


@app.command()
def api(host: Host = None, port: Port = None, inherited: str = typer.Option("", "--inherited", hidden=True)) -> None:
    """Run the REST API and the web UI until Ctrl-C, beside a scheduler that works on the same database.

    `airloom users link NAME` makes a link that logs in.

    Example: airloom api --host 0.0.0.0 --port 8080
    """
    loaded = settings.listening_at(settings.load(os.environ, Path.cwd()), host, port)
    screen = console(stderr=True)

    def ready(link: str) -> None:
        once = "good for one login: " if "#code=" in link else ""
        screen.print(f"The API is running. In a browser, {once}{link}  Ctrl-C stops.", markup=False, soft_wrap=True)

    raise typer.Exit(roles.api(loaded, ready, inherited))
