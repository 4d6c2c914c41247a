"""Pools. The leader changes them, in its plans; everyone reads them."""

from sqlalchemy import Connection, delete, select

from airloom.model.run import PoolRow
from airloom.store.dialects import dialect_of
from airloom.store.rows import to_rows, to_structs
from airloom.store.tables import pool


def get_pool(conn: Connection, name: str) -> PoolRow | None:
    """A pool by its name."""
    return next(iter(to_structs(PoolRow, conn.execute(select(pool).where(pool.c.name == name)))), None)


def list_pools(conn: Connection) -> list[PoolRow]:
    """All pools by name."""
    return to_structs(PoolRow, conn.execute(select(pool).order_by(pool.c.name)))


def set_pool(conn: Connection, row: PoolRow) -> None:
    """Make a pool, or change the one of that name."""
    dialect_of(conn).insert(conn, pool, to_rows([row]), replace=("name",))


def delete_pool(conn: Connection, name: str) -> bool:
    """Delete a pool; False if there is none of that name."""
    return conn.execute(delete(pool).where(pool.c.name == name)).rowcount > 0
