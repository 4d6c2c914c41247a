"""How the databases mean to answer a query, on one that has much history."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Select, text

from airloom.store.database import Database, connect


@contextmanager
def filled(
    request: pytest.FixtureRequest, folders: pytest.TempPathFactory, fill: Callable[[Database], None]
) -> Iterator[Connection]:
    """A migrated database of the kind that the fixture's parameter names, filled; a connection that reads it."""
    if request.param == "sqlite":
        path = folders.mktemp("filled") / "airloom.db"
        path.write_bytes(request.getfixturevalue("migrated_sqlite").read_bytes())
        db = connect(f"sqlite:///{path}")
    else:
        server = request.getfixturevalue("postgres_server")
        db = connect(server.url(server.create(request.getfixturevalue("migrated_postgres"))))
    fill(db)
    if request.param == "postgresql":
        with db.session() as conn:
            conn.execute(text("ANALYZE"))
    with db.reading() as conn:
        yield conn
    db.close()


def explained(conn: Connection, query: Select[Any]) -> str:
    """The plan of a query, a line for each step."""
    return explain(conn, str(query.compile(conn, compile_kwargs={"literal_binds": True})))


def explain(conn: Connection, statement: str) -> str:
    """The plan of a statement, a line for each step."""
    keyword = "EXPLAIN QUERY PLAN" if conn.dialect.name == "sqlite" else "EXPLAIN"
    return "\n".join(str(row[-1]) for row in conn.execute(text(f"{keyword} {statement}")))
