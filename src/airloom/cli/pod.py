"""`airloom pod`: what the pods of the Kubernetes executor run."""

import os

import typer

from airloom.runtime import pod as role

app = typer.Typer()


@app.command()
def pod(
    fetch: bool = typer.Option(False, "--fetch", help="Only get the code of the try from its repository."),
) -> None:
    """Run the one try that this pod was made for, and end with it.

    The executor kubernetes makes the pods, and gives them what they need. Exit statuses: 0 the try has ended well; 1 it
    has failed; 75 it could not begin; 76 the server could not be told how it ended; 143 the pod was ended.

    Example: airloom pod
    """
    raise typer.Exit(role.fetch(os.environ) if fetch else role.run(os.environ))
