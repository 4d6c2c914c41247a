"""Everything in which SQLite and PostgreSQL differ: engines, batches of rows, locks, and what their errors mean.

Batches go to the driver as text that is built once for each shape: on SQLite `executemany`, which steps one prepared
statement, on PostgreSQL one JSON document that the server unfolds, which costs the client a quarter of what arrays do.
"""

import importlib
import math
import sqlite3
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import msgspec
from sqlalchemy import URL, Connection, Engine, LargeBinary, Table, create_engine, event
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import QueuePool, StaticPool

from airloom.model.errors import StoreError

Rows = Sequence[Mapping[str, Any]]

#: How long a SQLite writer waits for the writer of another process; transactions here take milliseconds.
BUSY_SECONDS = 60
#: How long a thread waits for a connection when all are taken: then the database hangs, and so would everybody.
_POOL_SECONDS = 10
#: Connections that stay open, and the seconds after which an unused one is asked whether it lives.
_POOL_SIZE = 8
_UNUSED = 2.0
#: The rows of one statement on PostgreSQL, so that a batch of any size stays far below the server's limit of 1 GB.
_ROWS_PER_STATEMENT = 20_000
#: A leader that is frozen in a transaction keeps the leader's row locked: the server ends it, and a spare can lead.
_IDLE_IN_TRANSACTION = "15s"

_POSTGRESQL: Any = postgresql.dialect()  # type: ignore[no-untyped-call]

#: What an update looks for: the name in the rows -> the column.
Match = tuple[tuple[str, str], ...]


class Dialect(Protocol):
    """What differs between the databases. Rows of one call all have the same keys in the same order."""

    name: str

    @property
    def failures(self) -> type[Exception]:
        """The driver's errors."""
        ...

    @property
    def refusals(self) -> tuple[type[Exception], ...]:
        """Those of them by which the database refuses what it was given."""
        ...

    #: appended to a SELECT that locks what it reads until the transaction ends
    for_update: str
    #: gives the leader's epoch, locks its row until the transaction ends, and readies the transaction for batches
    begin_batches: str
    #: adds a row (at, data) to the feed; its number becomes visible after all lower ones
    add_to_feed: str

    def engines(self, url: URL) -> tuple[Engine, Engine]:
        """An engine whose transactions write, and one whose transactions see one moment and only read."""

    def insert(self, conn: Connection, table: Table, rows: Rows, replace: tuple[str, ...] = ()) -> None:
        """Insert rows. `replace`: the key under which a row that is there already is overwritten."""

    def update(self, conn: Connection, table: Table, match: Match, rows: Rows) -> int:
        """Set every key of each row that is not in `match`, where `match` holds; returns how many rows did."""

    def delete(self, conn: Connection, table: Table, column: str, values: Sequence[Any]) -> int:
        """Delete the rows whose `column` is one of `values`; returns how many."""

    def serialize(self, conn: Connection, what: str) -> None:
        """Be the only one who does what has this name, until this transaction ends; waits for another one."""

    def plain_message(self, error: BaseException, url: URL) -> str:
        """What a driver's error means to a user, and what to do about it."""


class SQLite:
    """SQLite: WAL, one writer, any number of readers; in memory, one connection for all."""

    name = "sqlite"
    failures = sqlite3.Error
    refusals = (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.ProgrammingError)
    for_update = ""
    begin_batches = "SELECT epoch FROM leader WHERE id = 1"
    add_to_feed = "INSERT INTO feed (at, data) VALUES (?, ?)"

    def engines(self, url: URL) -> tuple[Engine, Engine]:
        arguments = {"check_same_thread": False, "timeout": BUSY_SECONDS, "isolation_level": None}
        if not url.database:
            both = create_engine(url, connect_args=arguments, poolclass=StaticPool, hide_parameters=True)
            event.listen(both, "begin", _begin)
            return both, both
        options: dict[str, Any] = {"connect_args": arguments, "poolclass": QueuePool, "hide_parameters": True}
        writer = create_engine(url, pool_size=1, max_overflow=1, **options)
        reader = create_engine(url, pool_size=2, max_overflow=30, pool_timeout=_POOL_SECONDS, **options)
        event.listen(writer, "connect", prepare_writer)
        event.listen(writer, "begin", _begin_immediate)
        event.listen(reader, "connect", _prepare_reader)
        event.listen(reader, "begin", _begin)
        return writer, reader

    def insert(self, conn: Connection, table: Table, rows: Rows, replace: tuple[str, ...] = ()) -> None:
        if rows:
            _batch(conn, _sqlite_insert(table, tuple(rows[0]), replace), [tuple(row.values()) for row in rows])

    def update(self, conn: Connection, table: Table, match: Match, rows: Rows) -> int:
        if not rows:
            return 0
        # Parameters are taken by place: what is set comes first, what is matched last, as in the rows.
        statement = _sqlite_update(table, tuple(rows[0]), match)
        return _batch(conn, statement, [tuple(row.values()) for row in rows])

    def delete(self, conn: Connection, table: Table, column: str, values: Sequence[Any]) -> int:
        if not values:
            return 0
        statement = f"DELETE FROM {table.name} WHERE {column} = ?"
        return _batch(conn, statement, [(value,) for value in values])

    def serialize(self, conn: Connection, what: str) -> None:
        """BEGIN IMMEDIATE has done so."""

    def plain_message(self, error: BaseException, url: URL) -> str:
        path = Path(url.database or ":memory:")
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == 14:
            return _why_not_opened(path)
        wording = _SQLITE_ERRORS.get(code)
        return wording.format(path=path, error=error) if wording else f"the database {path} refused: {error}"


_SQLITE_ERRORS = {
    5: "the database {path} was locked by another process for more than a minute: look for a process that hangs with "
    "the file open (lsof shows it), end it, and try again",
    8: "the database {path} cannot be written: the file or its folder is read-only for this user",
    10: "the disk failed under the database {path} ({error}): nothing was committed; look at the disk and its space",
    11: "the database {path} is damaged ({error}): restore a backup, or move the file away and run "
    "`airloom db migrate` to begin with an empty one",
    13: "the disk of the database {path} is full: nothing was committed, and what was there before is whole; make room "
    "and try again",
    26: "{path} is not a database: give another path, or move the file away",
}


def _why_not_opened(path: Path) -> str:
    if not path.parent.is_dir():
        return f"the database {path} cannot be opened: the folder {path.parent} does not exist"
    if path.is_dir():
        return f"the database {path} cannot be opened: it is a folder"
    return (
        f"the database {path} cannot be opened: the file or its folder is read-only for this user, and SQLite writes "
        "beside the file even to read it"
    )


def prepare_writer(connection: Any, _record: object) -> None:
    """Make a fresh SQLite connection one that writes. Raises StoreError on a file system that does not allow WAL."""
    # The first process that opens a new file changes its journal mode; the others wait for it (busy timeout).
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreError(
            f"the database cannot be kept in WAL mode where it is (the mode stays {mode}): network file systems cannot "
            "do that; put it on a local disk, or use PostgreSQL"
        )
    # A commit survives a kill -9 of any process; only a power failure may take the last ones, never half of one.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("PRAGMA cache_size = -16384")


def _prepare_reader(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA query_only = ON")


def _begin(conn: Connection) -> None:
    conn.connection.cursor().execute("BEGIN")


def _begin_immediate(conn: Connection) -> None:
    conn.connection.cursor().execute("BEGIN IMMEDIATE")


def _batch(conn: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Execute a statement for each of `rows`; how many rows it touched. On the driver's own cursor: for a batch of a
    few rows SQLAlchemy's takes several times as long as SQLite itself."""
    cursor = conn.connection.cursor()
    cursor.executemany(statement, rows)
    return cursor.rowcount


def _on_conflict(columns: tuple[str, ...], replace: tuple[str, ...]) -> str:
    if not replace:
        return ""
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in replace)
    return f" ON CONFLICT ({', '.join(replace)}) DO UPDATE SET {changes}"


@cache
def _sqlite_insert(table: Table, columns: tuple[str, ...], replace: tuple[str, ...]) -> str:
    places = ", ".join("?" * len(columns))
    head = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({places})"
    return head + _on_conflict(columns, replace)


@cache
def _sqlite_update(table: Table, names: tuple[str, ...], match: Match) -> str:
    split = len(names) - len(match)
    if names[split:] != tuple(name for name, _ in match):
        raise ValueError(f"the rows must end with what is matched: {names}, {match}")
    changes = ", ".join(f"{name} = ?" for name in names[:split])
    where = " AND ".join(f"{column} = ?" for _, column in match)
    return f"UPDATE {table.name} SET {changes} WHERE {where}"


#: A server that vanished without a word is given up within seconds, not after a quarter of an hour.
_SILENCE = {"keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 15_000}


def _psycopg() -> Any:
    """The driver, 8 MB, is loaded only where PostgreSQL is used."""
    return importlib.import_module("psycopg")


class PostgreSQL:
    """PostgreSQL through psycopg 3: few connections, dead ones noticed, readers see one moment."""

    name = "postgresql"
    for_update = " FOR UPDATE"
    # The planner cannot know how few rows a JSON document has, and would read whole tables: batches go by the index.
    begin_batches = (
        "SELECT epoch, set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true), "
        "set_config('enable_seqscan', 'off', true) FROM leader WHERE id = 1 FOR UPDATE"
    )
    # The lock is taken before the number is drawn, and held until the commit. Listeners hear of it after the commit.
    add_to_feed = (
        "WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtext('airloom-feed'))) "
        "INSERT INTO feed (at, data) SELECT %s, %s FROM locked RETURNING pg_notify('airloom_feed', '')"
    )

    @property
    def failures(self) -> type[Exception]:
        failures: type[Exception] = _psycopg().Error
        return failures

    @property
    def refusals(self) -> tuple[type[Exception], ...]:
        driver = _psycopg()
        return driver.DataError, driver.IntegrityError, driver.ProgrammingError

    def engines(self, url: URL) -> tuple[Engine, Engine]:
        arguments = {"connect_timeout": 10, "application_name": "airloom", "keepalives_idle": 30} | _SILENCE
        writer = create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args={name: value for name, value in arguments.items() if name not in url.query},
            # What is used at once in an API process under load; a connection costs the server a process each time.
            pool_size=_POOL_SIZE,
            max_overflow=30,
            pool_timeout=_POOL_SECONDS,
            pool_use_lifo=True,
            pool_recycle=1800,
            hide_parameters=True,
        )
        event.listen(writer, "connect", _prepare_session)
        event.listen(writer, "checkin", _returned)
        event.listen(writer, "checkout", _ping_if_idle)
        reader = writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        return writer, reader

    def insert(self, conn: Connection, table: Table, rows: Rows, replace: tuple[str, ...] = ()) -> None:
        for start in range(0, len(rows), _ROWS_PER_STATEMENT):
            conn.exec_driver_sql(
                _postgresql_insert(table, tuple(rows[0]), replace),
                (_document(rows[start : start + _ROWS_PER_STATEMENT]),),
            )

    def update(self, conn: Connection, table: Table, match: Match, rows: Rows) -> int:
        done = 0
        for start in range(0, len(rows), _ROWS_PER_STATEMENT):
            part = rows[start : start + _ROWS_PER_STATEMENT]
            statement = _postgresql_update(table, tuple(rows[0]), match)
            done += conn.exec_driver_sql(statement, (_document(part),)).rowcount
        return done

    def delete(self, conn: Connection, table: Table, column: str, values: Sequence[Any]) -> int:
        if not values:
            return 0
        statement = f"DELETE FROM {table.name} WHERE {column} = ANY(%s)"
        return conn.exec_driver_sql(statement, (list(values),)).rowcount

    def serialize(self, conn: Connection, what: str) -> None:
        conn.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"airloom-{what}",))

    def plain_message(self, error: BaseException, url: URL) -> str:
        text = str(error).strip()
        if url.password:
            text = text.replace(str(url.password), "***")
        state = getattr(error, "sqlstate", None)
        where = url.render_as_string(hide_password=True)
        if state is None:
            return f"PostgreSQL at {where} cannot be reached: {text}"
        wording = _POSTGRESQL_ERRORS.get(state) or _POSTGRESQL_ERRORS.get(state[:2])
        return f"{wording} ({where}: {text})" if wording else f"PostgreSQL at {where} refused: {text}"


#: By SQLSTATE or its class.
_POSTGRESQL_ERRORS = {
    "3D000": "there is no such database: make it with `createdb`, or correct its address",
    "28": "PostgreSQL does not let this user in: correct the user or the password in the address",
    "42501": "this PostgreSQL user may not do that: grant it all rights on the database's schema",
    "25006": "PostgreSQL is read-only, as a standby is: give the address of the primary",
    "53100": "the disk of PostgreSQL is full: nothing was committed; make room and try again",
    "53300": "PostgreSQL has no connection left: raise max_connections, or stop what uses them",
    "57": "PostgreSQL ended the connection: nothing was committed",
    "08": "the connection to PostgreSQL was lost",
}


def _prepare_session(connection: Any, _record: object) -> None:
    connection.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_IN_TRANSACTION}'")
    connection.commit()


def _returned(_connection: Any, record: Any) -> None:
    record.info["returned"] = time.monotonic()


def _ping_if_idle(connection: Any, record: Any, _proxy: object) -> None:
    """Ask a connection that nobody used for a while whether it lives; the pool then makes another one. Asked each time,
    it would double the round trips."""
    if time.monotonic() - record.info.get("returned", math.inf) > _UNUSED:
        try:
            connection.autocommit = True
            connection.execute("SELECT 1")
            connection.autocommit = False
        except _psycopg().Error as error:
            raise DisconnectionError(str(error)) from error


def _document(rows: Rows) -> str:
    return msgspec.json.encode(rows).decode()


def _unfolded(table: Table, names: tuple[str, ...], columns: Mapping[str, str]) -> str:
    """The FROM item that gives the rows of a JSON document; bytes come as base64."""
    kinds = []
    for name in names:
        kind = table.c[columns.get(name, name)].type
        shown = "text" if isinstance(kind, LargeBinary) else kind.compile(_POSTGRESQL).split(" COLLATE")[0]
        kinds.append(f"{name} {shown}")
    return f"json_to_recordset(%s::json) AS v({', '.join(kinds)})"


def _value(table: Table, name: str) -> str:
    return f"decode(v.{name}, 'base64')" if isinstance(table.c[name].type, LargeBinary) else f"v.{name}"


@cache
def _postgresql_insert(table: Table, columns: tuple[str, ...], replace: tuple[str, ...]) -> str:
    values = ", ".join(_value(table, name) for name in columns)
    head = f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {values} FROM {_unfolded(table, columns, {})}"
    return head + _on_conflict(columns, replace)


@cache
def _postgresql_update(table: Table, names: tuple[str, ...], match: Match) -> str:
    columns = dict(match)
    changes = ", ".join(f"{name} = {_value(table, name)}" for name in names if name not in columns)
    where = " AND ".join(f"t.{column} = v.{name}" for name, column in match)
    return f"UPDATE {table.name} AS t SET {changes} FROM {_unfolded(table, names, columns)} WHERE {where}"


_DIALECTS: dict[str, Dialect] = {"sqlite": SQLite(), "postgresql": PostgreSQL()}


def dialect_of(conn: Connection | Engine) -> Dialect:
    """The dialect that a connection or an engine speaks."""
    return _DIALECTS[conn.dialect.name]


def dialect_named(name: str) -> Dialect | None:
    """The dialect of that name, if Airloom knows it."""
    return _DIALECTS.get(name)
