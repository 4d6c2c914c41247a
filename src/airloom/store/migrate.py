"""Brings a database to a revision, up or down, in one transaction: all of it or nothing."""

from collections.abc import Callable
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, delete, insert

from airloom.model.errors import StoreError
from airloom.store.database import Database
from airloom.store.revision import REVISIONS, check, compatible, revision

__all__ = ["check", "downgrade", "migrate"]

#: the revision that has a place for this
_FIRST_TOLD = "0003"


def migrate(db: Database) -> None:
    """Make the tables of an empty database, or bring an older one to this version. Does nothing to one that is current,
    or newer in a way that this version can work with.

    Raises StoreError if the database is another application's, or too new for this Airloom, or cannot be written.
    """
    with db.reading() as conn:
        found = revision(conn)
    if found is None or found in REVISIONS:
        _move(db, lambda config: command.upgrade(config, "head"))


def downgrade(db: Database, target: str) -> None:
    """Bring a database back to an older revision ("base": no tables, no data). Raises StoreError."""
    if target != "base" and target not in REVISIONS:
        raise StoreError(f"there is no revision {target!r}: the revisions are base, {', '.join(REVISIONS)}")
    with db.reading() as conn:
        found = revision(conn)
    if found is not None and found not in REVISIONS:
        raise StoreError(f"the database has revision {found} of a newer Airloom, which is what can bring it back")
    _move(db, lambda config: command.downgrade(config, target))


def _move(db: Database, act: Callable[[Config], Any]) -> None:
    # Looked at before it is opened for writing: what is not ours is not touched at all.
    with db.reading() as conn:
        revision(conn)
    with db.transaction() as conn:
        db.dialect.serialize(conn, "migrate")
        revision(conn)
        try:
            act(_config(conn))
        except CommandError as error:
            raise StoreError(f"the database cannot be migrated: {error}") from error
        _tell_older_ones(conn)


def _tell_older_ones(conn: Connection) -> None:
    """Write down the oldest release that can work with the database as it is now."""
    found = revision(conn)
    if found is not None and found >= _FIRST_TOLD:
        conn.execute(delete(compatible))
        conn.execute(insert(compatible).values(oldest=REVISIONS[found]))


def _config(conn: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "airloom.store:migrations")
    config.attributes["connection"] = conn
    return config
