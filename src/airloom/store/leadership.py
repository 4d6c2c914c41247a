"""Which scheduler leads: one row with holder, epoch and expiry, and a lock that a dead process cannot keep.

The row is the truth: every plan is committed under its epoch. The lock makes a take-over quick and certain: whoever has
it knows that the former leader's process is gone, and need not wait for its lease to expire.
"""

import contextlib
import fcntl
import os
from pathlib import Path

import msgspec
from sqlalchemy import Connection, select, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from airloom.model.errors import StoreError
from airloom.store.database import Database
from airloom.store.dialects import dialect_of
from airloom.store.tables import leader


class LeaderRow(msgspec.Struct, frozen=True, kw_only=True):
    """Who leads, until when, and where it is. `holder` None: nobody does."""

    holder: str | None
    epoch: int
    expires_at: float
    host: str
    pid: int
    address: str


def acquire(
    conn: Connection,
    holder: str,
    now: float,
    ttl: float,
    force: bool = False,
    place: tuple[str, int, str] = ("", 0, ""),
) -> int | None:
    """Become the leader until `now` + `ttl` seconds. Returns the new epoch, or None if another one's lease is valid.

    `force`: take it though it is; right only for who has the LeaderLock. `place`: host, pid and address, to be shown.
    """
    row = conn.exec_driver_sql(
        f"SELECT holder, epoch, expires_at FROM leader WHERE id = 1{dialect_of(conn).for_update}"
    ).one()
    if row.holder not in (None, holder) and row.expires_at > now and not force:
        return None
    host, pid, address = place
    values = {"holder": holder, "epoch": row.epoch + 1, "expires_at": now + ttl}
    conn.execute(update(leader).values(**values, host=host, pid=pid, address=address))
    return int(row.epoch) + 1


def renew(conn: Connection, holder: str, epoch: int, now: float, ttl: float) -> bool:
    """Lead on until `now` + `ttl`. False: another one leads, or the lease was given back."""
    mine = update(leader).where(leader.c.holder == holder, leader.c.epoch == epoch)
    return conn.execute(mine.values(expires_at=now + ttl)).rowcount == 1


def release(conn: Connection, holder: str, epoch: int) -> None:
    """Stop leading: the next one need not wait. Nothing happens if another one leads already."""
    mine = update(leader).where(leader.c.holder == holder, leader.c.epoch == epoch)
    conn.execute(mine.values(holder=None, expires_at=0.0))


def current(conn: Connection) -> LeaderRow | None:
    """The leader's row, expired or not; None if nobody leads."""
    columns = [leader.c[name] for name in LeaderRow.__struct_fields__]
    row = conn.execute(select(*columns)).one()
    return None if row.holder is None else LeaderRow(**row._asdict())


def database_id(conn: Connection) -> str:
    """What tells this database from any other: random, made with it."""
    return str(conn.execute(select(leader.c.database_id)).scalar_one())


class LeaderLock:
    """A lock that ends with its process or its connection. PostgreSQL: a session's advisory lock on a connection of its
    own. A SQLite file: a lock on `<file>.leader`. In memory there is nobody else. `name`: what the holder leads in.
    """

    def __init__(self, db: Database, name: str = "leader") -> None:
        self._db = db
        self._name = name
        self._session: Connection | None = None
        self._file: int | None = None

    def acquire(self) -> bool:
        """Take it if it is free; True also when this object has it already. Raises StoreError."""
        if self.held():
            return True
        self.release()
        if self._db.path is not None:
            self._file = _lock_file(self._db.path.with_name(f"{self._db.path.name}.{self._name}"))
            return self._file is not None
        if self._db.in_memory:
            return True
        session = self._db.session()
        taken = False
        try:
            query = f"SELECT pg_try_advisory_lock(hashtext('airloom-{self._name}'))"
            taken = bool(session.exec_driver_sql(query).scalar())
        except DBAPIError as error:
            raise StoreError(self._db.dialect.plain_message(error.orig or error, self._db.url)) from error
        finally:
            if taken:
                self._session = session
            else:
                session.close()
        return taken

    def held(self) -> bool:
        """Whether this object still has it: a broken connection has lost it."""
        if self._session is None:
            return self._file is not None
        try:
            self._session.exec_driver_sql("SELECT 1")
        except DBAPIError:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Give it back, if this object has it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._session is not None:
            # At once, and not only when the server learns that the connection is gone.
            with contextlib.suppress(SQLAlchemyError):
                self._session.exec_driver_sql("SELECT pg_advisory_unlock_all()")
            # The connection goes with the lock: it must not come back to the pool with it.
            self._session.invalidate()
            self._session.close()
            self._session = None


def _lock_file(path: Path) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"the lock {path} cannot be made: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
