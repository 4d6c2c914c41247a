"""`airloom db`."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import typer

from airloom.cli.opening import confirm, load_settings
from airloom.cli.output import Format, Output, console, show_record
from airloom.operations import maintenance

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Migrate, check, downgrade and clean the database."""


@app.command()
def migrate() -> None:
    """Bring the database to this version's tables; make it if there is none."""
    with _working("migrating"):
        address = maintenance.migrate_database(load_settings().settings)
    typer.echo(f"{address} is up to date")


@app.command()
def check() -> None:
    """Say whether the database can be used; exit status 5 if it cannot."""
    typer.echo(f"{maintenance.check_database(load_settings().settings)} can be used")


@app.command()
def downgrade(
    revision: str = typer.Argument(help="The revision to go back to; `base` removes every table."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
) -> None:
    """Bring the database back to an older revision, for an older Airloom. Data that it cannot hold is lost."""
    loss = "Everything in it is deleted." if revision == "base" else "What that cannot hold is lost."
    confirm(f"Downgrade the database to {revision}? {loss}", yes=yes)
    with _working("downgrading"):
        address = maintenance.downgrade_database(load_settings().settings, revision)
    typer.echo(f"{address} is at revision {revision}")


@app.command()
def clean(
    days: float = typer.Option(..., help="What ended more than so many days ago is deleted."),
    keep_last: bool = typer.Option(False, "--keep-last", help="Keep the newest run of each DAG."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only count what would be deleted."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
    output: Output = Format.TABLE,
) -> None:
    """Delete old runs with their tasks, tries and XComs. Schedulers go on meanwhile.

    Example: airloom db clean --days 90 --dry-run
    """
    if not dry_run:
        confirm(f"Delete every run that ended more than {days:g} days ago?", yes=yes)
    with _working("counting" if dry_run else "deleting"):
        counts = maintenance.clean_database(load_settings().settings, days, dry_run=dry_run, keep_last=keep_last)
    record = msgspec.structs.asdict(counts)
    show_record({"runs": record.pop("runs"), "task_instances": record.pop("tis"), **record}, output)


@contextmanager
def _working(what: str) -> Iterator[None]:
    """A sign of life on a terminal."""
    with console(stderr=True).status(f"{what} ..."):
        yield
