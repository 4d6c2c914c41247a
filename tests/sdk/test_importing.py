"""`import airloom`: quick, light, and complete."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import airloom

HEAVY = {"jinja2", "cronsim", "zoneinfo", "subprocess", "rich", "sqlalchemy", "asyncio", "logging", "typer", "pydantic"}


def modules_after(statement: str) -> set[str]:
    """What is imported once a fresh interpreter has executed `statement`."""
    code = f"{statement}\nimport sys\nsys.stdout.write(' '.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_the_bare_import_loads_nothing_of_the_package() -> None:
    assert {name for name in modules_after("import airloom") if name.startswith("airloom.")} == set()


def test_decorators_bring_no_heavy_module() -> None:
    assert modules_after("from airloom import DAG, dag, task, TaskGroup, BaseOperator, Param, chain") & HEAVY == set()


@pytest.mark.parametrize("name", [name for name in airloom.__all__ if name != "__version__"])
def test_every_exported_name_is_there(name: str) -> None:
    value = getattr(airloom, name)
    assert value is not None
    assert name in dir(airloom)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Dagg"):
        airloom.Dagg  # noqa: B018


def test_the_version_is_that_of_the_package() -> None:
    assert airloom.__version__ == version("airloom")
