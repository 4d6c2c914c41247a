"""Verbs about the database itself. They work on one that the other verbs refuse, so they take no Ops."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from airloom.model.errors import Conflict, InvalidRequest
from airloom.sections import Settings
from airloom.store import cleanup, leadership, migrate
from airloom.store.cleanup import CleanCounts
from airloom.store.database import Database, connect
from airloom.store.revision import revision

DAY = 86400.0


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """The database that the settings name, as it is."""
    db = connect(settings.database.url)
    try:
        yield db
    finally:
        db.close()


def migrate_database(settings: Settings) -> str:
    """Bring the database to this version's tables, making it if there is none; its address, without a password."""
    with open_database(settings) as db:
        if db.path is not None:
            db.path.parent.mkdir(parents=True, exist_ok=True)
        migrate.migrate(db)
        return db.address


def check_database(settings: Settings) -> str:
    """Raise StoreError, with what to do, unless the database can be used; its address, without a password."""
    with open_database(settings) as db:
        migrate.check(db)
        return db.address


def downgrade_database(settings: Settings, revision: str) -> str:
    """Bring the database back to an older revision; its address, without a password.

    Raises StoreError, and Conflict while a scheduler works on it.
    """
    with open_database(settings) as db:
        _refuse_while_led(db)
        migrate.downgrade(db, revision)
        return db.address


def _refuse_while_led(db: Database) -> None:
    """Raise Conflict when a scheduler leads on the database, which would lose its tables under its hands."""
    with db.reading() as conn:
        leader = leadership.current(conn) if revision(conn) is not None else None
    if leader is not None and leader.expires_at > time.time():
        raise Conflict(f"a scheduler uses {db.address}: process {leader.pid} on {leader.host}; stop it first")


def clean_database(settings: Settings, days: float, *, dry_run: bool = False, keep_last: bool = False) -> CleanCounts:
    """Delete runs that ended more than `days` days ago, with all that belongs to them; how many rows went (or, with
    `dry_run`, would go). Schedulers go on meanwhile. Raises InvalidRequest, StoreError."""
    if days <= 0:
        raise InvalidRequest("give a number of days above 0; what ended before that is deleted")
    with open_database(settings) as db:
        migrate.check(db)
        return cleanup.clean(db, time.time() - days * DAY, dry_run=dry_run, keep_last=keep_last)
