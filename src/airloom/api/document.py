"""Prints the API's OpenAPI document: `python -m airloom.api.document`. It needs neither a server nor a database."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from airloom.api.app import make_app
from airloom.api.state import Api
from airloom.decide.state import WorldConfig
from airloom.operations.ops import Ops
from airloom.settings import load
from airloom.store.database import connect
from airloom.store.notify import notifier
from airloom.store.secrets import Secrets, new_key

#: a folder that is never looked into
_NOWHERE = Path("/nonexistent")


def document() -> dict[str, Any]:
    """The OpenAPI document, as JSON-like data."""
    # A database in memory that nothing is ever asked of.
    db = connect("sqlite://")
    ops = Ops(db=db, notifier=notifier(db, _NOWHERE), secrets=lambda: Secrets([new_key()]))
    settings = load({"AIRLOOM_HOME": str(_NOWHERE)}, _NOWHERE).settings
    return make_app(Api(ops=ops, settings=settings, world_config=WorldConfig(), now=time.time)).openapi()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=1, sort_keys=True) + "\n")
