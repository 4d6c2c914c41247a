"""Verbs about variables. What the environment sets comes before the database, for tasks and for people alike."""

import json
from collections.abc import Mapping
from typing import Any

from airloom.model.errors import InvalidRequest, NotFound
from airloom.operations.auditing import record
from airloom.operations.environment import variable_from
from airloom.operations.lookup import nearest
from airloom.operations.ops import Ops
from airloom.sdk.secrecy import is_secret
from airloom.store import variables
from airloom.store.feed import tell
from airloom.store.variables import VariableInfo

_LONGEST_KEY = 250
_TOPIC = "variables"


def list_variables(ops: Ops) -> list[VariableInfo]:
    """Every variable in the database, by key, without its value."""
    with ops.db.reading() as conn:
        return variables.list_variables(conn)


def get_variable(ops: Ops, key: str) -> str:
    """A variable's text. Raises NotFound."""
    value = find_variable(ops, key)
    if value is None:
        raise _unknown(key, list_variables(ops))
    return value


def find_variable(ops: Ops, key: str) -> str | None:
    """A variable's text, or None."""
    value = variable_from(ops.env, key)
    if value is not None:
        return value
    with ops.db.reading() as conn:
        return variables.get_variable(conn, key, ops.secrets())


def read_variable(ops: Ops, key: str) -> tuple[VariableInfo, str | None]:
    """A variable of the database, with its text unless its key says that it is a secret. Raises NotFound.

    A key is a secret's if it holds one of the words in sdk/secrecy.py: such a variable can be set here, and is read by
    tasks, and by whoever may use the command line beside the database.
    """
    with ops.db.reading() as conn:
        info = variables.variable_info(conn, key)
        if info is None:
            raise _unknown(key, variables.list_variables(conn))
        return info, None if is_secret(key) else variables.get_variable(conn, key, ops.secrets())


def set_variable(ops: Ops, key: str, value: str, description: str | None = None) -> None:
    """Make or change a variable; `description` None leaves the one that is there. Raises InvalidRequest."""
    _check_key(key)
    with ops.db.transaction() as conn:
        variables.set_variable(conn, key, value, ops.secrets(), ops.now(), description)
        record(conn, ops, "variable.set", subject=key)
        tell(conn, _TOPIC)


def delete_variable(ops: Ops, key: str) -> None:
    """Delete a variable from the database. Raises NotFound."""
    if not drop_variable(ops, key):
        raise _unknown(key, list_variables(ops))


def drop_variable(ops: Ops, key: str) -> bool:
    """Delete a variable from the database; False if there is none of that key."""
    with ops.db.transaction() as conn:
        deleted = variables.delete_variable(conn, key)
        if deleted:
            record(conn, ops, "variable.delete", subject=key)
            tell(conn, _TOPIC)
    return deleted


def export_variables(ops: Ops) -> dict[str, str]:
    """Every variable of the database with its text."""
    with ops.db.reading() as conn:
        keys = [info.key for info in variables.list_variables(conn)]
        found = {key: variables.get_variable(conn, key, ops.secrets()) for key in keys}
    return {key: value for key, value in found.items() if value is not None}


def import_variables(ops: Ops, values: Mapping[str, Any]) -> int:
    """Set all or, if one cannot be set, none; how many. What is no text is kept as JSON. Raises InvalidRequest."""
    for key in values:
        _check_key(key)
    with ops.db.transaction() as conn:
        for key, value in values.items():
            text = value if isinstance(value, str) else json.dumps(value)
            variables.set_variable(conn, key, text, ops.secrets(), ops.now())
            record(conn, ops, "variable.set", subject=key, detail="by an import")
        tell(conn, _TOPIC)
    return len(values)


def _unknown(key: str, known: list[VariableInfo]) -> NotFound:
    return NotFound(f"there is no variable {key!r}{nearest(key, [info.key for info in known])}")


def _check_key(key: str) -> None:
    if not key.strip() or len(key) > _LONGEST_KEY or not key.isprintable():
        raise InvalidRequest(f"{key[:60]!r} cannot be a key: it has 1 to {_LONGEST_KEY} printable characters")
