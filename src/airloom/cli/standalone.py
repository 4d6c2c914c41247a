"""`airloom standalone`: the whole of Airloom on one machine, in the foreground."""

import os
from pathlib import Path

import typer

from airloom import settings
from airloom.bundles.definitions import where
from airloom.cli.api import Host, Port
from airloom.cli.output import console
from airloom.wiring import roles

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
    host: Host = None,
    port: Port = None,
) -> None:
    """Run scheduler, loader, local executor, API and web UI until Ctrl-C.

    Everything it keeps is in the home folder, AIRLOOM_HOME (default ~/airloom); the folder and the database are made
    when they are not there.

    Example: airloom standalone --dags ./dags
    """
    loaded = settings.listening_at(settings.load(os.environ, Path.cwd()), host, port)
    if dags is not None:
        loaded = settings.with_dags_folder(loaded, dags.resolve())
    bundles = ", ".join(where(bundle) for bundle in loaded.settings.bundles.values())
    screen = console(stderr=True)

    def ready(link: str) -> None:
        screen.print(
            f"Airloom is running. DAG files: {bundles}   home: {loaded.settings.core.home}\n"
            f"In a browser{', good for one login' if '#code=' in link else ''}: {link}\n"
            "In another terminal: airloom dags list; airloom dags trigger DAG. Ctrl-C stops.",
            markup=False,
            soft_wrap=True,
        )

    raise typer.Exit(roles.standalone(loaded, on_ready=ready))
