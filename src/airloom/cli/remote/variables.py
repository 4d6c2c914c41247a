"""operations/variables.py on a server elsewhere. What the environment here sets does not count there."""

import json
from collections.abc import Mapping
from typing import Any

from airloom.cli.remote.server import Server, path_of, seconds
from airloom.model.errors import InvalidRequest
from airloom.store.variables import VariableInfo


def list_variables(ops: Server) -> list[VariableInfo]:
    """As operations.variables.list_variables."""
    return [
        VariableInfo(
            key=data["key"], description=data["description"], updated_at=seconds(data["updated_at"]) or ops.now()
        )
        for data in ops.get("/variables")
    ]


def get_variable(ops: Server, key: str) -> str:
    """As operations.variables.get_variable; InvalidRequest for a secret, which never leaves the server."""
    value = ops.get(path_of("variables", key))["value"]
    if value is None:
        raise InvalidRequest(f"the key {key!r} says that its value is a secret: it never leaves the server")
    return str(value)


def set_variable(ops: Server, key: str, value: str, description: str | None = None) -> None:
    """As operations.variables.set_variable."""
    ops.send("PUT", path_of("variables", key), {"value": value, "description": description})


def delete_variable(ops: Server, key: str) -> None:
    """As operations.variables.delete_variable."""
    ops.send("DELETE", path_of("variables", key))


def export_variables(ops: Server) -> dict[str, str]:
    """As operations.variables.export_variables. Raises InvalidRequest if one is a secret."""
    return {info.key: get_variable(ops, info.key) for info in list_variables(ops)}


def import_variables(ops: Server, values: Mapping[str, Any]) -> int:
    """As operations.variables.import_variables, one by one: what was set before one is refused stays set."""
    for key, value in values.items():
        set_variable(ops, key, value if isinstance(value, str) else json.dumps(value))
    return len(values)
