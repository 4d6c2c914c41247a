"""The command line, called in this process, on a home of the test's own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from airloom.cli.main import app
from airloom.sections import Settings
from tests.operations.leading import FLIGHTS, WEATHER, make_home, save_dags


class Result:
    """How a command ended and what it said."""

    def __init__(self, status: int, stdout: str, stderr: str) -> None:
        self.status = status
        self.stdout = stdout
        self.stderr = stderr


Airloom = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home that AIRLOOM_HOME names; times are in UTC."""
    home = tmp_path / "home"
    monkeypatch.setenv("AIRLOOM_HOME", str(home))
    monkeypatch.setenv("AIRLOOM__CLI__TIMEZONE", "UTC")
    monkeypatch.setenv("AIRLOOM__SCHEDULER__ANSWER_TIMEOUT", "20")
    monkeypatch.delenv("AIRLOOM_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)
    return home


@pytest.fixture
def settings(home: Path) -> Settings:
    """A home with a database and two dags; `weather` is paused."""
    settings = make_home(home)
    save_dags(settings, FLIGHTS, WEATHER)
    return settings


@pytest.fixture
def airloom(home: Path) -> Airloom:
    """Runs a command."""

    def run(*args: str, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(app, args, input=stdin, prog_name="airloom")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Result(result.exit_code, result.stdout, result.stderr)

    return run
