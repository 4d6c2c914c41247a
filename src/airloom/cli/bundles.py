"""`airloom bundles`: where DAG code comes from."""

import msgspec
import typer

from airloom.cli.opening import load_settings
from airloom.cli.output import Format, Output, moment, show_rows
from airloom.cli.times import zone_of
from airloom.operations.bundles import list_bundles
from airloom.operations.ops import open_ops

app = typer.Typer(no_args_is_help=True)

_COLUMNS = ("name", "kind", "source", "version", "files", "seen_at", "trouble")
#: characters of a commit's hash that tell it from others
_SHORT = 12


@app.callback()
def _root() -> None:
    """Show the bundles: folders and repositories of DAG files."""


@app.command("list")
def list_all(output: Output = Format.TABLE) -> None:
    """List the bundles of the settings with the commit that the loader has come to, and what is wrong with them."""
    settings = load_settings().settings
    with open_ops(settings) as ops:
        rows = [msgspec.structs.asdict(bundle) for bundle in list_bundles(ops, settings.bundles)]
    for row in rows:
        row["seen_at"] = moment(row["seen_at"])
        if output is Format.TABLE:
            row["version"] = (row["version"] or "")[:_SHORT]
    show_rows(rows, _COLUMNS, output, zone_of(settings.cli.timezone))
