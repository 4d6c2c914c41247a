"""What was answered to requests that may come again, by who sent them and the key that they gave."""

from typing import NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, select, text, update

from airloom.store.tables import idempotency

#: one that is being put by another transaction is waited for
_TAKE = text(
    "INSERT INTO idempotency (username, key, request, created_at) VALUES (:username, :key, :request, :created_at) "
    "ON CONFLICT DO NOTHING"
)
#: seconds for which an answer is kept
KEPT = 86400.0


class Key(NamedTuple):
    """Who asks, and the key of their request."""

    username: str
    key: str


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A request under a key. status None: it is being done, or who did it has died."""

    request: bytes
    created_at: float
    status: int | None = None
    body: bytes | None = None


def begin(conn: Connection, key: Key, request: bytes, now: float) -> Attempt | None:
    """Take the key for a request; None when that is done, or what is there already. Older ones are forgotten."""
    conn.execute(delete(idempotency).where(idempotency.c.created_at < now - KEPT))
    row = {"username": key.username, "key": key.key, "request": request, "created_at": now}
    if conn.execute(_TAKE, row).rowcount:
        return None
    return find(conn, key)


def find(conn: Connection, key: Key) -> Attempt | None:
    """What is known of a key."""
    columns = [idempotency.c[name] for name in Attempt.__struct_fields__]
    row = conn.execute(select(*columns).where(*_is(key))).one_or_none()
    if row is None:
        return None
    body = None if row.body is None else bytes(row.body)
    return Attempt(request=bytes(row.request), created_at=row.created_at, status=row.status, body=body)


def finish(conn: Connection, key: Key, status: int, body: bytes) -> None:
    """Keep the answer."""
    conn.execute(update(idempotency).where(*_is(key)).values(status=status, body=body))


def forget(conn: Connection, key: Key) -> None:
    """The request was refused and has changed nothing: it may be made again."""
    conn.execute(delete(idempotency).where(*_is(key), idempotency.c.status.is_(None)))


def _is(key: Key) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return idempotency.c.username == key.username, idempotency.c.key == key.key
