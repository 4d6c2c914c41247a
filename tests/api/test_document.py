"""The OpenAPI document as the UI's types are made from it."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TYPES = Path(__file__).parents[2] / "ui" / "src" / "api" / "schema.ts"


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What the command prints where there is no home and no database."""
    nowhere = tmp_path_factory.mktemp("nowhere")
    command = [sys.executable, "-m", "airloom.api.document"]
    env = {**os.environ, "AIRLOOM_HOME": str(nowhere / "missing")}
    return subprocess.run(command, cwd=nowhere, env=env, capture_output=True, check=True, timeout=60).stdout


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def test_every_schema_that_the_document_names_is_in_it(printed: bytes) -> None:
    document = json.loads(printed)
    named = {reference.removeprefix("#/components/schemas/") for reference in _references(document)}
    assert named
    assert named <= set(document["components"]["schemas"])


def test_the_types_of_the_ui_are_made_from_the_document_as_it_is(printed: bytes) -> None:
    found = re.search(r"^// document: (\w+)$", TYPES.read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    assert found[1] == hashlib.sha256(printed).hexdigest(), (
        "the API has changed: `npm run types` in ui/ makes them anew"
    )
