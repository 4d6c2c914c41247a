"""What every route works with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from airloom.decide.state import WorldConfig
from airloom.operations.ops import Ops
from airloom.sections import Settings


@dataclass(frozen=True)
class Api:
    """One API server. ops: by nobody; a route takes its caller's (access.Caller). address: what a browser is given to
    come here. listens: where it does on this machine."""

    ops: Ops
    settings: Settings
    world_config: WorldConfig
    now: Callable[[], float]
    address: str = ""
    listens: tuple[str, ...] = ()


async def api_of(request: Request) -> Api:
    """The server that a request came to. A coroutine, because FastAPI hands anything else to a thread."""
    api: Api = request.app.state.api
    return api


Served = Annotated[Api, Depends(api_of)]
