"""Verbs about pools."""

import dataclasses

import msgspec

from airloom.model.errors import InvalidRequest, NoAnswer, NotFound
from airloom.model.events import DeletePool, SetPool, ShowPools
from airloom.model.pool_state import PoolState
from airloom.model.run import DEFAULT_POOL, PoolRow
from airloom.operations.asking import ask
from airloom.operations.lookup import nearest
from airloom.operations.ops import Ops
from airloom.store import leadership, pools

_LONGEST_NAME = 250
#: seconds for the scheduler to tell what the pools have to do
_PATIENCE = 2.0


def list_pools(ops: Ops) -> list[PoolRow]:
    """Every pool, by name."""
    with ops.db.reading() as conn:
        return pools.list_pools(conn)


def get_pool(ops: Ops, name: str) -> PoolRow:
    """One pool. Raises NotFound."""
    rows = list_pools(ops)
    for row in rows:
        if row.name == name:
            return row
    raise NotFound(f"there is no pool {name!r}{nearest(name, [row.name for row in rows])}")


def pool_states(ops: Ops, name: str | None = None) -> dict[str, PoolState] | None:
    """What the pools have to do, by their names, or the one of that name with its holders and waiters; None when no
    scheduler runs, or does not tell soon."""
    with ops.db.reading() as conn:
        leader = leadership.current(conn)
    if leader is None or leader.expires_at <= ops.now():
        return None
    hurried = dataclasses.replace(ops, answer_timeout=min(ops.answer_timeout, _PATIENCE))
    try:
        found = msgspec.convert(ask(hurried, ShowPools(name=name)), list[PoolState])
    except (NoAnswer, NotFound):
        return None
    return {pool.name: pool for pool in found}


def set_pool(
    ops: Ops, name: str, slots: int, *, description: str | None = None, include_deferred: bool | None = None
) -> None:
    """Make or change a pool; what is not given stays as it is. Raises InvalidRequest, NoAnswer."""
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable() or "/" in name:
        raise InvalidRequest(
            f"{name[:60]!r} cannot be a pool's name: it has 1 to {_LONGEST_NAME} printable characters and no slash"
        )
    if slots < -1:
        raise InvalidRequest("a pool has 0 or more slots, or -1 for no limit")
    before = next((pool for pool in list_pools(ops) if pool.name == name), PoolRow(name=name, slots=slots))
    pool = PoolRow(
        name=name,
        slots=slots,
        description=before.description if description is None else description,
        include_deferred=before.include_deferred if include_deferred is None else include_deferred,
    )
    ask(ops, SetPool(pool=pool))


def delete_pool(ops: Ops, name: str) -> None:
    """Delete a pool; tasks that name it wait, and say so. Raises NotFound, InvalidRequest, NoAnswer."""
    if name == DEFAULT_POOL:
        raise InvalidRequest(f"{DEFAULT_POOL} cannot be deleted: it is where tasks go that name no pool")
    get_pool(ops, name)
    ask(ops, DeletePool(name=name))
