"""`airloom config`."""

import os
from pathlib import Path

import typer

from airloom import settings
from airloom.cli.output import Format, Output, show_rows
from airloom.model.errors import InvalidRequest
from airloom.sections import Settings

app = typer.Typer(no_args_is_help=True, help="Settings.")


@app.callback()
def _root() -> None:
    """Settings: defaults, then airloom.toml, then environment variables AIRLOOM__SECTION__KEY; the last one wins."""


@app.command("list")
def list_settings(
    output: Output = Format.TABLE,
    section: str = typer.Option("", help="Only this section."),
) -> None:
    """Show every setting with its value and where that comes from.

    Example: airloom config list --section core
    """
    if section and section not in Settings.__struct_fields__:
        sections = Settings.__struct_fields__
        raise InvalidRequest(f"there is no section {section!r}; there are {', '.join(sections)}")
    rows = [
        {"section": info.section, "key": info.key, "value": info.value, "origin": info.origin, "meaning": info.doc}
        for info in settings.describe(settings.load(os.environ, Path.cwd()))
        if section in ("", info.section)
    ]
    show_rows(rows, ["section", "key", "value", "origin", "meaning"], output)
