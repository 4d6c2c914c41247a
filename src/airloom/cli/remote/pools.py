"""operations/pools.py on a server elsewhere."""

from typing import Any

from airloom.cli.remote.server import Server, path_of
from airloom.model.errors import NotFound
from airloom.model.run import PoolRow


def list_pools(ops: Server) -> list[PoolRow]:
    """As operations.pools.list_pools."""
    return [_row(data) for data in ops.get("/pools")]


def get_pool(ops: Server, name: str) -> PoolRow:
    """As operations.pools.get_pool."""
    return _row(ops.get(path_of("pools", name)))


def set_pool(
    ops: Server, name: str, slots: int, *, description: str | None = None, include_deferred: bool | None = None
) -> None:
    """As operations.pools.set_pool."""
    try:
        old = get_pool(ops, name)
    except NotFound:
        old = PoolRow(name=name, slots=slots)
    body = {
        "slots": slots,
        "description": old.description if description is None else description,
        "include_deferred": old.include_deferred if include_deferred is None else include_deferred,
    }
    ops.send("PUT", path_of("pools", name), body)


def delete_pool(ops: Server, name: str) -> None:
    """As operations.pools.delete_pool."""
    ops.send("DELETE", path_of("pools", name))


def _row(data: dict[str, Any]) -> PoolRow:
    return PoolRow(
        name=data["name"],
        slots=data["slots"],
        description=data["description"],
        include_deferred=data["include_deferred"],
    )
