"""How commands show what they found: a table for people, JSON or YAML for programs, plain lines for the shell.

A row is a dict of plain values; a time in it is a datetime, a length of time a timedelta.
"""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from airloom.cli.live import LOOKS
from airloom.cli.times import date_time, duration
from airloom.model.states import TIState

Row = Mapping[str, Any]


_LONGEST_DETAIL = 120


class Format(StrEnum):
    """The forms of output."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    PLAIN = "plain"


Output = Annotated[
    Format, typer.Option("--output", "-o", help="table, json, yaml, or plain: tab-separated lines without a heading.")
]


def moment(at: float | None) -> datetime | None:
    """Epoch seconds as a row has them."""
    return None if at is None else datetime.fromtimestamp(at, UTC)


def span(start: float | None, end: float | None) -> timedelta | None:
    """The time between two moments as a row has it."""
    return None if start is None or end is None else timedelta(seconds=end - start)


def console(*, stderr: bool = False) -> Console:
    """A console; as wide as its lines need where no terminal limits them."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else 1000, highlight=False)


def show_rows(rows: Iterable[Row], columns: Sequence[str], form: Format, zone: tzinfo | None = None) -> None:
    """Show a list. `columns`: which keys a table and plain lines have, in order; JSON and YAML have all."""
    rows = list(rows)
    if form is Format.JSON:
        typer.echo(_json(rows))
    elif form is Format.YAML:
        typer.echo(to_yaml(_data(rows)), nl=False)
    elif form is Format.PLAIN:
        for row in rows:
            typer.echo("\t".join(re.sub(r"\s+", " ", _text(_data(row.get(key)), zone)) for key in columns))
    else:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for key in columns:
            table.add_column(key.replace("_", " "), overflow="fold")
        for row in rows:
            table.add_row(*(_cell(key, _brief(key, row.get(key)), zone) for key in columns))
        console().print(table if rows else Text("nothing to show", style="dim"))


def show_record(record: Row, form: Format, zone: tzinfo | None = None) -> None:
    """Show one thing with all its fields."""
    if form is Format.JSON:
        typer.echo(_json(record))
    elif form is Format.YAML:
        typer.echo(to_yaml(_data(record)), nl=False)
    elif form is Format.PLAIN:
        for key, value in record.items():
            typer.echo(f"{key}\t{re.sub(chr(10), ' ', _text(_data(value), zone))}")
    else:
        table = Table.grid(padding=(0, 2))
        for key, value in record.items():
            table.add_row(Text(key.replace("_", " "), style="bold"), _cell(key, value, zone))
        console().print(table)


def to_yaml(data: Any, indent: int = 0) -> str:
    """JSON-like data as YAML: block style, strings quoted as JSON quotes them unless they are plain words."""
    pad = " " * indent
    if isinstance(data, Mapping) and data:
        return "".join(f"{pad}{_scalar(str(key))}:{_nested(value, indent + 2)}" for key, value in data.items())
    if isinstance(data, list) and data:
        return "".join(f"{pad}- {to_yaml(item, indent + 2).lstrip()}" for item in data)
    return f"{pad}{_scalar(data)}\n"


def _nested(value: Any, indent: int) -> str:
    return "\n" + to_yaml(value, indent) if isinstance(value, (Mapping, list)) and value else f" {_scalar(value)}\n"


_WORD = re.compile(r"[A-Za-z_][\w./-]*", re.ASCII)
_NOT_TEXT = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _WORD.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    return msgspec.json.encode(value).decode()


def _json(data: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(_data(data)), indent=2).decode()


def _data(value: Any) -> Any:
    """Plain JSON data of a row: times in ISO 8601 UTC, lengths in seconds."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {str(key): _data(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_data(item) for item in value]
    return str(value) if isinstance(value, StrEnum) else value


def _text(value: Any, zone: tzinfo | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return date_time(value.timestamp(), zone)
    if isinstance(value, timedelta):
        return duration(value.total_seconds())
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return msgspec.json.encode(_data(value)).decode() if isinstance(value, (Mapping, list, tuple)) else str(value)


def _brief(key: str, value: Any) -> Any:
    """What a row of a table has room for: of an error the first line, and not more than a sentence of it."""
    if key != "detail" or not isinstance(value, str):
        return value
    first = value.strip().partition("\n")[0]
    return first if len(first) <= _LONGEST_DETAIL else f"{first[: _LONGEST_DETAIL - 1]}…"


def _cell(key: str, value: Any, zone: tzinfo | None) -> Text:
    style = ""
    if key == "state" and value in set(TIState):
        style = LOOKS[TIState(value)][1]
    return Text(_text(value, zone), style=style)
