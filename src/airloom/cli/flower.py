"""`airloom flower`: Celery's monitor."""

import os
from pathlib import Path

import typer

from airloom import settings
from airloom.cli.output import console
from airloom.wiring import worker as role

app = typer.Typer()


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def flower(
    context: typer.Context,
    port: int = typer.Option(5555, "--port", help="Port to listen at.", envvar="FLOWER_PORT", min=0),
    address: str = typer.Option(
        "127.0.0.1", "--address", help="Address to listen at; 0.0.0.0 = every network.", envvar="FLOWER_ADDRESS"
    ),
) -> None:
    """Run Flower, which shows the messages and workers of Celery, until Ctrl-C.

    It asks for a password if it has one, in FLOWER_BASIC_AUTH (user:password) or in the file that
    FLOWER_BASIC_AUTH_FILE names, and needs one to be seen from elsewhere. Options of its own may follow, such as
    --url_prefix=flower; each can be a variable, too.

    Example: airloom flower --port 5555
    """
    screen = console(stderr=True)
    told = settings.load(os.environ, Path.cwd()).settings
    role.flower(told, address, port, context.args, lambda text: screen.print(text, markup=False, soft_wrap=True))
