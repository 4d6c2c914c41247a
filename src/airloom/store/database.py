"""The metadata database as one object: it opens connections, begins and ends transactions, and words every failure."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from airloom.model.errors import Rejected, StoreError
from airloom.store.dialects import Dialect, dialect_named

#: Others name the type of what they hand on without importing SQLAlchemy.
__all__ = ["Connection", "Database", "connect"]


class Database:
    """One metadata database. Any thread may use it; it is opened when it is first used, and again after a loss."""

    def __init__(self, url: URL, dialect: Dialect) -> None:
        self.url = url
        self.dialect = dialect
        self._writer, self._reader = dialect.engines(url)
        #: SQLite has one writer at a time: threads wait here, without polling
        self._lock = threading.Lock() if dialect.name == "sqlite" else None
        self._owner: int | None = None
        self._kept: Connection | None = None

    @property
    def address(self) -> str:
        """The address, fit to be shown: without its password."""
        return self.url.render_as_string(hide_password=True)

    @property
    def path(self) -> Path | None:
        """The file of a SQLite database; None for any other."""
        return Path(self.url.database) if self.dialect.name == "sqlite" and self.url.database else None

    @property
    def in_memory(self) -> bool:
        """Whether it ends with this process."""
        return self.dialect.name == "sqlite" and not self.url.database

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection whose changes are committed together at the end, and all undone if anything is raised.

        Not to be nested. Raises StoreError when the database fails; then nothing was committed, unless the connection
        to a server broke in the very moment of the commit.
        """
        with self._alone(), self._begun(self._writer) as conn:
            yield conn

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one moment of the database and waits for no writer. Raises StoreError."""
        if self.in_memory:
            with self._alone(), self._begun(self._reader) as conn:
                yield conn
        else:
            with self._begun(self._reader) as conn:
                yield conn

    def session(self) -> Connection:
        """A connection of its own that commits each statement; the caller closes it. Raises StoreError."""
        with self._worded():
            return self._writer.connect().execution_options(isolation_level="AUTOCOMMIT")

    def close(self) -> None:
        """Close what is open; the database can be used again."""
        if self._lock is not None:
            with self._lock:
                self._drop_kept()
        self._reader.dispose()
        self._writer.dispose()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._lock is None:
            yield
            return
        if self._owner == threading.get_ident():
            raise RuntimeError("a transaction was begun inside another one of the same thread")
        with self._lock:
            self._owner = threading.get_ident()
            try:
                yield
            finally:
                self._owner = None

    @contextmanager
    def _begun(self, engine: Engine) -> Iterator[Connection]:
        with self._worded():
            if engine is self._writer and self.path is not None:
                with self._begun_again() as conn:
                    yield conn
            else:
                with engine.begin() as conn:
                    yield conn

    @contextmanager
    def _begun_again(self) -> Iterator[Connection]:
        """A transaction on the one connection that writes to a file. It stays open: taking it from the pool and giving
        it back would cost more than the commit of a few rows. After a failure it is made anew."""
        if self._kept is None:
            self._kept = self._writer.connect()
        try:
            with self._kept.begin():
                yield self._kept
        except BaseException:
            self._drop_kept()
            raise

    def _drop_kept(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    @contextmanager
    def _worded(self) -> Iterator[None]:
        try:
            yield
        except (DataError, IntegrityError, ProgrammingError) as error:
            raise Rejected(self.dialect.plain_message(error.orig or error, self.url)) from error
        except DBAPIError as error:
            raise StoreError(self.dialect.plain_message(error.orig or error, self.url)) from error
        except self.dialect.failures as error:
            kind = Rejected if isinstance(error, self.dialect.refusals) else StoreError
            raise kind(self.dialect.plain_message(error, self.url)) from error
        except PoolTimeout as error:
            raise StoreError(f"no connection to {self.address} came free in time") from error


def connect(url: str) -> Database:
    """The database at `url`: `sqlite:///path/to/file.db`, `sqlite://` (in memory) or `postgresql://user:...@host/name`.

    Nothing is opened yet. Raises StoreError when `url` is no such address.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The text may hold a password: it is not repeated.
        raise StoreError(
            "the database address cannot be read: write sqlite:///path/to/file.db or postgresql://user:password@host/name"
        ) from None
    name = parsed.drivername.partition("+")[0]
    dialect = dialect_named("postgresql" if name == "postgres" else name)
    if dialect is None:
        raise StoreError(
            f"no database of the kind {name!r} can be used: give an address that begins with sqlite: or postgresql:"
        )
    if dialect.name == "sqlite":
        database = parsed.database if parsed.database not in (None, "", ":memory:") else None
        # Absolute, so that it stays the same file if the process changes its folder.
        parsed = URL.create("sqlite", database=str(Path(database).expanduser().absolute()) if database else None)
    return Database(parsed, dialect)
