"""`airloom worker`: a Celery worker."""

import os
from pathlib import Path

import typer

from airloom import settings
from airloom.cli.output import console
from airloom.model.errors import InvalidRequest
from airloom.wiring import worker as role

app = typer.Typer()


@app.command()
def worker(
    queues: str = typer.Option(
        "", "--queues", "-q", help="The queues whose tasks it runs, with commas; default: [worker] queues."
    ),
    concurrency: str = typer.Option(
        "", "--concurrency", "-c", help="Tasks at once: 16, or 4..32 by load and free memory; default: cores."
    ),
    name: str = typer.Option("", "--name", help="What it is called; default: the name of this machine."),
    server: str = typer.Option("", "--server", help="Address of the API; default: [worker] server."),
    token_file: str = typer.Option("", "--token-file", help="File of its token; default: runner.token at home."),
) -> None:
    """Run the tasks of some queues on this machine, for a scheduler with the executor celery.

    It needs the broker, the API and a token of `airloom tokens add-runner`; no database. Ctrl-C or SIGTERM: it takes
    nothing more and ends when its tasks have, [worker] grace at the latest; a second one, or SIGQUIT, ends them to run
    elsewhere.

    Example: airloom worker -q gpu,default -c 16
    """
    named = tuple(part.strip() for part in queues.split(",") if part.strip())
    if queues and not named:
        raise InvalidRequest(f"--queues {queues!r} names no queue: write them as gpu,default")
    options = role.Options(
        name=name,
        queues=named,
        concurrency=concurrency,
        server=server,
        token_file=token_file,
    )
    screen = console(stderr=True)
    told = settings.load(os.environ, Path.cwd()).settings
    raise typer.Exit(role.worker(told, options, lambda text: screen.print(text, markup=False, soft_wrap=True)))
