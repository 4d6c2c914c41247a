"""Pools, and who holds and waits for their slots."""

from typing import Any

import msgspec
from fastapi import APIRouter, Response

from airloom.api.access import By
from airloom.api.live import in_turn
from airloom.api.schemas.admin import Pool, PoolDetails, PoolText
from airloom.model.pool_state import PoolState
from airloom.model.run import PoolRow
from airloom.operations import pools
from airloom.operations.ops import Ops

router = APIRouter(tags=["pools"], dependencies=[in_turn])


@router.get("/pools", response_model=list[Pool])
def list_pools(caller: By) -> list[Pool]:
    """Every pool by name."""
    states = pools.pool_states(caller.ops) or {}
    return [Pool.model_validate(_values(row, states.get(row.name))) for row in pools.list_pools(caller.ops)]


@router.get("/pools/{name}", response_model=PoolDetails)
def get_pool(name: str, caller: By) -> PoolDetails:
    """A pool with who holds it and who waits."""
    return _details(caller.ops, name)


@router.put("/pools/{name}", response_model=PoolDetails, responses={201: {"model": PoolDetails}})
def set_pool(name: str, body: PoolText, caller: By, response: Response) -> PoolDetails:
    """Make or change a pool."""
    new = all(row.name != name for row in pools.list_pools(caller.ops))
    pools.set_pool(caller.ops, name, body.slots, description=body.description, include_deferred=body.include_deferred)
    response.status_code = 201 if new else 200
    return _details(caller.ops, name)


@router.delete("/pools/{name}", status_code=204)
def delete_pool(name: str, caller: By) -> None:
    """Delete a pool; tasks that name it wait, and say so."""
    pools.delete_pool(caller.ops, name)


def _details(ops: Ops, name: str) -> PoolDetails:
    row = pools.get_pool(ops, name)
    state = (pools.pool_states(ops, name) or {}).get(name)
    return PoolDetails.model_validate({"holders": [], "waiters": [], **_values(row, state)})


def _values(row: PoolRow, state: PoolState | None) -> dict[str, Any]:
    return {**msgspec.to_builtins(row), **({} if state is None else msgspec.to_builtins(state))}
