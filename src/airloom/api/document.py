"""Prints the OpenAPI document of the API: `python -m airloom.api.document`. It needs neither a server nor a database."""

import json
import time
from pathlib import Path
from typing import Any

from airloom.api.app import make_app
from airloom.api.state import Api
from airloom.decide.state import WorldConfig
from airloom.operations.ops import Ops
from airloom.settings import Settings
from airloom.store.database import connect
from airloom.store.notify import notifier
from airloom.store.secrets import Secrets, new_key


def document() -> dict[str, Any]:
    """The OpenAPI document, as JSON-like data."""
    # A database in memory that nothing is ever asked of.
    db = connect("sqlite://")
    ops = Ops(db=db, notifier=notifier(db, Path()), secrets=lambda: Secrets([new_key()]))
    api = Api(ops=ops, settings=Settings(), world_config=WorldConfig(), logs=Path(), now=time.time)
    return make_app(api).openapi()


if __name__ == "__main__":
    print(json.dumps(document(), indent=1, sort_keys=True))
