"""What changes, as it changes: Server-Sent Events."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from airloom.api.access import By, Caller
from airloom.api.hub import Audience, Client, Hub
from airloom.api.live import Lively
from airloom.api.problems import Refused
from airloom.api.security.watch import Watch, Watching
from airloom.model.errors import StoreError

log = logging.getLogger("airloom.api")

router = APIRouter(tags=["events"])

#: seconds of silence after which a comment is sent, so that nobody on the way takes the line for dead
_HEARTBEAT = 15.0
#: milliseconds after which a browser connects again
_RETRY = b"retry: 1000\n\n"

#: streams that one server has at once
_MOST = 2000

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"description": "A stream of events.", "content": {"text/event-stream": {}}}},
)
async def events(
    live: Lively,
    watch: Watching,
    caller: By,
    dag_id: Annotated[str | None, Query(max_length=250, description="Only what is about that dag.")] = None,
    last_event_id: Annotated[int | None, Query(ge=0, description="As the header; that one counts more.")] = None,
    last_event_id_header: Annotated[int | None, Header(alias="Last-Event-ID", ge=0)] = None,
) -> StreamingResponse:
    """State changes within 100 ms of their commit.

    `ready`: what happens from now on will be told. `changes`: what changed; `data` is the schema Changes. `resync`:
    more was missed than can be told, fetch everything anew. The id of an event, as Last-Event-ID, resumes from there.
    """
    if dag_id is not None and not caller.sees(dag_id):
        raise Refused(404, "Not found", f"there is no dag {dag_id!r}")
    if live.hub.clients >= _MOST:
        detail = f"{_MOST} streams are open here already: close some"
        raise Refused(429, "Too many requests", detail, {"Retry-After": "10"})
    client = Client(_audience(caller, dag_id))
    last = last_event_id if last_event_id_header is None else last_event_id_header
    stream = _stream(live.hub, client, last, watch)
    return StreamingResponse(stream, media_type="text/event-stream", headers=_HEADERS)


def _audience(caller: Caller, dag_id: str | None) -> Audience:
    if dag_id is not None:
        return Audience(key=dag_id, sees=lambda other: other == dag_id)
    if caller.sees_all:
        return Audience()
    return Audience(key=caller.identity, sees=caller.sees)


async def _stream(hub: Hub, client: Client, last: int | None, watch: Watch) -> AsyncIterator[bytes]:
    try:
        event: bytes | None = _RETRY + await run_in_threadpool(hub.add, client, last)
        while event is not None and not hub.closed and await watch.allows():
            yield event
            try:
                async with asyncio.timeout(_HEARTBEAT):
                    event = await client.get()
            except TimeoutError:
                event = b":\n\n"
    except StoreError as error:
        # The client comes again in a second.
        log.error("a stream of events could not begin: %s", error)
    finally:
        hub.remove(client)
