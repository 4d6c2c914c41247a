"""`airloom loader`: what parses DAG files, alone."""

import typer

from airloom.cli.opening import load_settings
from airloom.cli.output import console
from airloom.wiring import roles

app = typer.Typer()


@app.command()
def loader() -> None:
    """Watch the bundles and parse their DAG files until Ctrl-C.

    For schedulers with [scheduler] loader = false. Several may run: one parses, the others stand by and take over.
    """
    screen = console(stderr=True)
    said = "The loader is running. Ctrl-C stops."
    raise typer.Exit(roles.loader(load_settings(), on_ready=lambda: screen.print(said)))
