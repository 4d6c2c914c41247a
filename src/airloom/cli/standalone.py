"""`airloom standalone`: the whole of Airloom on one machine, in the foreground."""

import os
from pathlib import Path

import typer

from airloom import settings, wiring
from airloom.cli.output import console

app = typer.Typer()


@app.command()
def standalone(
    dags: Path | None = typer.Option(
        None,
        "--dags",
        help="The folder of DAG files; default: the setting [core] dags_folder.",
        exists=True,
        file_okay=False,
    ),
) -> None:
    """Run scheduler, loader and local executor until Ctrl-C.

    Everything it keeps is in the home folder, AIRLOOM_HOME (default ~/airloom); the folder and the database are made
    when they are not there.

    Example: airloom standalone --dags ./dags
    """
    loaded = settings.load(os.environ, Path.cwd())
    folder = dags.resolve() if dags else loaded.settings.core.dags_folder
    screen = console(stderr=True)

    def ready() -> None:
        screen.print(
            f"Airloom is running. DAG files: {folder}   home: {loaded.settings.core.home}\n"
            "In another terminal: airloom dags list; airloom dags trigger DAG. Ctrl-C stops.",
            markup=False,
            soft_wrap=True,
        )

    raise typer.Exit(wiring.standalone(loaded, dags_folder=folder, on_ready=ready))
