"""Ops on a home of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from airloom.operations.ops import Ops, open_ops
from airloom.sections import Settings
from tests.operations.leading import FLIGHTS, WEATHER, make_home, save_dags


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home with a database and two dags; `weather` is paused."""
    settings = make_home(tmp_path / "home")
    save_dags(settings, FLIGHTS, WEATHER)
    return settings


@pytest.fixture
def ops(settings: Settings) -> Iterator[Ops]:
    """Ops on that home."""
    with open_ops(settings) as ops:
        yield ops
