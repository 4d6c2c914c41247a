"""`airloom version`."""

import importlib.metadata

import typer

app = typer.Typer()


@app.command()
def version() -> None:
    """Show the version of Airloom."""
    typer.echo(importlib.metadata.version("airloom"))
