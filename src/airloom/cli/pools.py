"""`airloom pools`."""

from typing import Annotated

import typer

from airloom.cli.opening import opened
from airloom.cli.output import Format, Output, show_record, show_rows
from airloom.cli.verbs import pools
from airloom.model.run import PoolRow

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The pool's name.", show_default=False)]


@app.callback()
def _root() -> None:
    """List, set and delete pools: slots that tasks share across DAGs."""


@app.command("list")
def list_pools(output: Output = Format.TABLE) -> None:
    """List the pools."""
    with opened() as here:
        rows = [_record(pool) for pool in pools.list_pools(here.ops)]
        show_rows(rows, ["name", "slots", "description", "include_deferred"], output, here.zone)


@app.command()
def get(name: Name, output: Output = Format.TABLE) -> None:
    """Show a pool."""
    with opened() as here:
        show_record(_record(pools.get_pool(here.ops, name)), output, here.zone)


@app.command("set", context_settings={"ignore_unknown_options": True})
def set_pool(
    name: Name,
    slots: Annotated[int, typer.Argument(help="How many slots it has; -1 for no limit.", show_default=False)],
    description: Annotated[str | None, typer.Argument(help="What it is for.", show_default=False)] = None,
    include_deferred: bool | None = typer.Option(
        None, "--include-deferred/--exclude-deferred", help="Whether deferred tasks keep their slots; at first: no."
    ),
) -> None:
    """Make a pool, or change what is given of it. A scheduler must be running.

    Example: airloom pools set warehouse 4 "connections to the warehouse"
    """
    with opened() as here:
        pools.set_pool(here.ops, name, slots, description=description, include_deferred=include_deferred)
    typer.echo(f"pool {name} has {'no limit' if slots == -1 else '1 slot' if slots == 1 else f'{slots} slots'}")


@app.command()
def delete(name: Name) -> None:
    """Delete a pool; tasks that name it wait until it is there again."""
    with opened() as here:
        pools.delete_pool(here.ops, name)
    typer.echo(f"pool {name} is deleted")


def _record(pool: PoolRow) -> dict[str, object]:
    return {
        "name": pool.name,
        "slots": pool.slots,
        "description": pool.description,
        "include_deferred": pool.include_deferred,
    }
