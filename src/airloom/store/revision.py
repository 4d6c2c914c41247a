"""Whether a database can be used: by its revision, without loading what migrates it.

A newer release migrates a database while processes of the older one go on. Whether these can work with it as it is
then, the newer one knows, and writes it where the older one can read it.
"""

from sqlalchemy import Connection, MetaData, Table, Text, inspect, select
from sqlalchemy.schema import Column

from airloom.model.errors import StoreError
from airloom.store.database import Database

#: Oldest to newest, each with the oldest one whose code can work with a database of that revision: its own, unless
#: the migration only adds. The last is the one that this version of Airloom was made for.
REVISIONS = {"0001": "0001", "0002": "0002", "0003": "0003"}
LATEST = next(reversed(REVISIONS))
#: Airloom's own name for it, so that another application's tables are never taken for ours.
VERSION_TABLE = "airloom_revision"
_revision = Table(VERSION_TABLE, MetaData(), Column("version_num", Text))
#: Since revision 0003: the value of REVISIONS for the database's revision.
COMPATIBLE_TABLE = "compatible"
compatible = Table(COMPATIBLE_TABLE, MetaData(), Column("oldest", Text))


def revision(conn: Connection) -> str | None:
    """The revision of the database; None if it is empty. Raises StoreError if it belongs to something else, or to a
    newer Airloom and nothing older can work with it."""
    tables = set(inspect(conn).get_table_names())
    if VERSION_TABLE not in tables:
        if tables:
            shown = ", ".join(sorted(tables)[:5])
            raise StoreError(
                f"the database is not Airloom's: it has other tables ({shown}); give another database or an empty one"
            )
        return None
    found = conn.execute(select(_revision.c.version_num)).scalar()
    if found is not None and found not in REVISIONS:
        oldest = conn.execute(select(compatible.c.oldest)).scalar() if COMPATIBLE_TABLE in tables else None
        if oldest not in REVISIONS:
            raise StoreError(
                f"the database is newer than this Airloom: it has revision {found}, and {LATEST} is the newest one "
                "known here; upgrade Airloom"
            )
    return found


def check(db: Database) -> None:
    """Raise StoreError unless `db` can be used as it is; the text says what to do."""
    path = db.path
    if path is not None and not path.exists() and path.parent.is_dir():
        raise StoreError(f"there is no database at {path}: run `airloom db migrate` to make it")
    with db.reading() as conn:
        found = revision(conn)
    if found is None:
        raise StoreError(f"the database {db.address} is empty: run `airloom db migrate`")
    if found in REVISIONS and found != LATEST:
        raise StoreError(
            f"the database {db.address} has revision {found}, this Airloom needs {LATEST}: "
            "make a backup and run `airloom db migrate`"
        )


def is_current(db: Database) -> bool:
    """Whether `db` has the newest revision, or one that is newer still. Raises StoreError if it cannot be used."""
    path = db.path
    if path is not None and not path.exists():
        return False
    with db.reading() as conn:
        found = revision(conn)
    return found is not None and (found == LATEST or found not in REVISIONS)
