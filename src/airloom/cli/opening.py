"""What most commands begin with: the settings, the database, and the arguments that are JSON or need a yes."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any

import msgspec
import typer

from airloom import settings
from airloom.cli.elsewhere import named_server
from airloom.cli.times import zone_of
from airloom.model.errors import InvalidRequest
from airloom.operations.ops import Ops, open_ops
from airloom.sections import Settings


@dataclass(frozen=True)
class Opened:
    """What a command works with."""

    settings: Settings
    ops: Ops
    zone: tzinfo | None


def load_settings() -> settings.Loaded:
    """The settings of this process. Raises SettingsError."""
    return settings.load(os.environ, Path.cwd())


@contextmanager
def opened() -> Iterator[Opened]:
    """Settings and database, or the server elsewhere that `--server` names. Raises SettingsError, StoreError."""
    loaded = load_settings().settings
    address = named_server.get() or os.environ.get("AIRLOOM_SERVER")
    if address:
        remote = importlib.import_module("airloom.cli.remote.server").Server(address, os.environ.get("AIRLOOM_TOKEN"))
        with closing(remote):
            yield Opened(settings=loaded, ops=remote, zone=zone_of(loaded.cli.timezone))
        return
    with open_ops(loaded) as ops:
        yield Opened(settings=loaded, ops=ops, zone=zone_of(loaded.cli.timezone))


def json_object(text: str, what: str) -> dict[str, Any]:
    """The JSON object that an argument holds; nothing gives an empty one. Raises InvalidRequest."""
    if not text.strip():
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise InvalidRequest(f"""{what} is no JSON object such as '{{"key": "value"}}': {error}""") from None


def confirm(question: str, *, yes: bool) -> None:
    """Ask for a yes, unless it is given. Raises InvalidRequest where nobody can be asked; a no ends the command."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidRequest(f"{question} Nothing was done: confirm it with --yes")
    typer.confirm(question, abort=True, err=True)
