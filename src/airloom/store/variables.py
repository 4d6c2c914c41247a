"""Variables: named texts that tasks read, encrypted in the database."""

import msgspec
from sqlalchemy import Connection, delete, select

from airloom.store.dialects import dialect_of
from airloom.store.secrets import Secrets
from airloom.store.tables import variable


class VariableInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of variables shows: everything but the value."""

    key: str
    description: str | None
    updated_at: float


def get_variable(conn: Connection, key: str, secrets: Secrets) -> str | None:
    """A variable's value. Raises StoreError if it was encrypted with another key."""
    token = conn.execute(select(variable.c.value).where(variable.c.key == key)).scalar()
    return None if token is None else secrets.decrypt(bytes(token), f"the variable {key!r}").decode()


def list_variables(conn: Connection) -> list[VariableInfo]:
    """All variables by key, without their values."""
    query = select(variable.c.key, variable.c.description, variable.c.updated_at).order_by(variable.c.key)
    return [VariableInfo(**row._asdict()) for row in conn.execute(query)]


def variable_info(conn: Connection, key: str) -> VariableInfo | None:
    """A variable without its value."""
    query = select(variable.c.key, variable.c.description, variable.c.updated_at).where(variable.c.key == key)
    row = conn.execute(query).one_or_none()
    return None if row is None else VariableInfo(**row._asdict())


def set_variable(
    conn: Connection, key: str, value: str, secrets: Secrets, now: float, description: str | None = None
) -> None:
    """Make or change a variable. `description` None leaves the one that is there."""
    row = {"key": key, "value": secrets.encrypt(value.encode()), "updated_at": now}
    if description is not None:
        row["description"] = description
    dialect_of(conn).insert(conn, variable, [row], replace=("key",))


def delete_variable(conn: Connection, key: str) -> bool:
    """Delete a variable; False if there is none of that key."""
    return conn.execute(delete(variable).where(variable.c.key == key)).rowcount > 0
