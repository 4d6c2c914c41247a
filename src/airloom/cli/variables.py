"""`airloom variables`."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from airloom.cli.opening import json_object, opened
from airloom.cli.output import Format, Output, moment, show_record, show_rows
from airloom.cli.verbs import variables
from airloom.model.errors import InvalidRequest

app = typer.Typer(no_args_is_help=True)

Key = Annotated[str, typer.Argument(help="The variable's key.", show_default=False)]


@app.callback()
def _root() -> None:
    """List, get, set, delete, import and export variables: texts that tasks read, encrypted in the database."""


@app.command("list")
def list_variables(output: Output = Format.TABLE) -> None:
    """List the variables, without their values."""
    with opened() as here:
        rows = [
            {"key": info.key, "description": info.description, "updated_at": moment(info.updated_at)}
            for info in variables.list_variables(here.ops)
        ]
        show_rows(rows, ["key", "description", "updated_at"], output, here.zone)


@app.command()
def get(key: Key, output: Output = Format.TABLE) -> None:
    """Print a variable's value, and nothing else."""
    with opened() as here:
        value = variables.get_variable(here.ops, key)
        if output in (Format.JSON, Format.YAML):
            show_record({"key": key, "value": value}, output, here.zone)
        else:
            typer.echo(value)


@app.command("set")
def set_variable(
    key: Key,
    value: Annotated[str, typer.Argument(help="The value; - reads it from stdin.", show_default=False)],
    description: str | None = typer.Option(None, help="What it is for."),
) -> None:
    """Make a variable, or change it.

    Example: airloom variables set target_table flights
    """
    text = sys.stdin.read().removesuffix("\n") if value == "-" else value
    with opened() as here:
        variables.set_variable(here.ops, key, text, description)
    typer.echo(f"variable {key} is set")


@app.command()
def delete(key: Key) -> None:
    """Delete a variable."""
    with opened() as here:
        variables.delete_variable(here.ops, key)
    typer.echo(f"variable {key} is deleted")


@app.command("import")
def import_variables(
    file: Annotated[Path, typer.Argument(help="A JSON object of keys and values; - reads stdin.", show_default=False)],
) -> None:
    """Set every variable of a JSON file, all or none.

    Example: airloom variables import variables.json
    """
    values = json_object(_read(file), str(file))
    with opened() as here:
        number = variables.import_variables(here.ops, values)
    typer.echo(f"{number} variables are set")


@app.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="Where to; default: stdout.", show_default=False)] = None,
) -> None:
    """Write every variable, with its value in clear text, as a JSON object.

    Example: airloom variables export variables.json
    """
    with opened() as here:
        values = variables.export_variables(here.ops)
    text = msgspec.json.format(msgspec.json.encode(values), indent=2).decode() + "\n"
    if file is None:
        typer.echo(text, nl=False)
        return
    try:
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidRequest(f"{file} cannot be written: {error.strerror}") from None
    typer.echo(f"{len(values)} variables are in {file}")


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidRequest(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidRequest(f"{file} is no UTF-8 text") from None
