"""Variables and connections that the environment sets: AIRLOOM_VAR_KEY, AIRLOOM_CONN_ID, or AIRFLOW_ instead."""

from collections.abc import Mapping
from typing import Any

import msgspec

from airloom.model.errors import InvalidRequest
from airloom.sdk.connection import Connection
from airloom.sdk.exceptions import AirflowException
from airloom.store.connections import ConnectionRow

_PREFIXES = ("AIRLOOM", "AIRFLOW")


def variable_from(env: Mapping[str, str], key: str) -> str | None:
    """The variable's text, if the environment sets it."""
    return _first(env, "VAR", key)[1]


def connection_from(env: Mapping[str, str], conn_id: str) -> ConnectionRow | None:
    """The connection, if the environment sets it. Raises InvalidRequest, which names the variable but not its value."""
    name, text = _first(env, "CONN", conn_id)
    if text is None:
        return None
    try:
        return parse_connection(conn_id, text)
    except InvalidRequest as error:
        raise InvalidRequest(f"the environment variable {name}: {error}") from None


def parse_connection(conn_id: str, text: str) -> ConnectionRow:
    """A connection from a URI, type://login:password@host:port/schema?extra=value, or from a JSON object of its fields.

    Raises InvalidRequest, without repeating the text: it may hold a password.
    """
    return _from_json(conn_id, text) if text.lstrip().startswith("{") else _from_uri(conn_id, text.strip())


def _first(env: Mapping[str, str], kind: str, id: str) -> tuple[str, str | None]:
    names = [f"{prefix}_{kind}_{id.upper()}" for prefix in _PREFIXES]
    return next(((name, env[name]) for name in names if name in env), ("", None))


def _from_json(conn_id: str, text: str) -> ConnectionRow:
    try:
        fields = msgspec.json.decode(text, type=dict[str, Any])
        extra = fields.get("extra")
        if isinstance(extra, str):
            fields["extra"] = msgspec.json.decode(extra, type=dict[str, Any]) if extra else {}
        elif extra is None:
            fields.pop("extra", None)
        known = {name: fields[name] for name in ConnectionRow.__struct_fields__ if name in fields}
        known["conn_type"] = known.get("conn_type", "")
        return msgspec.convert({**known, "conn_id": conn_id}, ConnectionRow, strict=False)
    except msgspec.MsgspecError:
        raise InvalidRequest(
            "the connection is no JSON object with conn_type, host, login, password, port, schema and extra (an object)"
        ) from None


def _from_uri(conn_id: str, text: str) -> ConnectionRow:
    try:
        made = Connection(conn_id=conn_id, uri=text)
        extra = msgspec.json.decode(made.extra, type=dict[str, Any]) if made.extra else {}
    except (AirflowException, msgspec.MsgspecError):
        raise InvalidRequest(
            "the connection is no URI such as postgres://login:password@host:5432/database?key=value"
        ) from None
    return ConnectionRow(
        conn_id=conn_id,
        conn_type=made.conn_type or "",
        host=made.host,
        schema=made.schema,
        login=made.login,
        password=made.password,
        port=made.port,
        extra=extra,
    )
