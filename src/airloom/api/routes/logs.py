"""GET routes of the logs of tries: in pages, live, as a file; and the template fields as they were filled in."""

import asyncio
import contextlib
import os
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Annotated, Literal
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Depends, Header, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from airloom.api.access import By
from airloom.api.live import Live, Lively
from airloom.api.paging import Cursor, RowNumber, decode_cursor, encode_cursor
from airloom.api.problems import Refused
from airloom.api.routes.parameters import MapIndex, Number, RunName
from airloom.api.schemas import runs
from airloom.api.security.watch import Watch, Watching
from airloom.api.state import Served
from airloom.model.errors import AirloomError
from airloom.operations import browsing
from airloom.operations.ops import Ops
from airloom.runtime.log_pages import (
    Numbered,
    Part,
    Place,
    Wanted,
    all_lines,
    place_from_end,
    read_part,
    read_rendered,
)
from airloom.runtime.logs import log_path

router = APIRouter(tags=["logs"])

_LOG = "/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/tries/{try_number}"


class TryLog(msgspec.Struct, frozen=True, kw_only=True):
    """The log of a try: whose it is, and the file."""

    ops: Ops
    name: tuple[str, str]
    task_id: str
    map_index: int
    try_number: int
    path: str
    title: str

    def ended(self) -> bool:
        """Whether the try writes no more."""
        return browsing.try_ended(self.ops, self.name, self.task_id, self.map_index, self.try_number)


def _try_log(
    api: Served, caller: By, name: RunName, task_id: str, try_number: Number, map_index: MapIndex = -1
) -> TryLog:
    run = browsing.run_of_try(caller.ops, name, task_id, map_index, try_number)
    # Built from what the database has, never from what was asked for.
    path = log_path(str(api.logs.parent), run.dag_id, run.run_id, task_id, map_index, try_number)
    index = f"[{map_index}]" if map_index >= 0 else ""
    return TryLog(
        ops=caller.ops,
        name=(run.dag_id, run.run_id),
        task_id=task_id,
        map_index=map_index,
        try_number=try_number,
        path=path,
        title=f"{run.dag_id}.{run.run_id}.{task_id}{index}.{try_number}.log",
    )


OfTry = Annotated[TryLog, Depends(_try_log)]
Level = Annotated[
    Literal["debug", "info", "warning", "error", "critical"] | None, Query(description="This level or a higher one.")
]
Search = Annotated[str, Query(max_length=1000, description="Only lines with this text, in upper or lower case.")]
Tail = Annotated[int | None, Query(ge=0, le=10_000, description="Begin so many lines before the end; without cursor.")]


def _wanted(level: Level = None, search: Search = "") -> Wanted:
    return Wanted(level=(level or "").upper(), search=search)


Filter = Annotated[Wanted, Depends(_wanted)]


def _begin(log: TryLog, cursor: str | None, tail: int | None) -> Place:
    place = decode_cursor(cursor, tuple[RowNumber, RowNumber])
    if place is not None:
        return Place(*place)
    return Place() if tail is None else place_from_end(log.path, tail)


@router.get(f"{_LOG}/log")
def get_log(
    log: OfTry,
    wanted: Filter,
    cursor: Cursor = None,
    tail: Tail = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="How many lines at most.")] = 1000,
) -> runs.LogPage:
    """Lines of a log. `next` always leads on: to what is there already, or to what will be written."""
    # Whether the try has ended is read before its log: what it wrote until then is in what is read next.
    ended = log.ended()
    part = read_part(log.path, _begin(log, cursor, tail), limit, wanted)
    return runs.LogPage(
        lines=[_line(entry) for entry in part.lines], next=encode_cursor(part.place), ended=ended and part.at_end
    )


def _line(entry: Numbered) -> runs.LogLine:
    line = entry.line
    return runs.LogLine(number=entry.number, time=line.t, level=line.level, source=line.source, text=line.text)


@router.get(
    f"{_LOG}/log/download",
    response_class=StreamingResponse,
    responses={200: {"description": "The whole log as text.", "content": {"text/plain": {}}}},
)
def download_log(log: OfTry) -> StreamingResponse:
    """The whole log as a text file: time, level, text. Colours and control characters are taken out."""
    headers = {"Content-Disposition": _attachment(log.title), "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(_text(log.path), media_type="text/plain; charset=utf-8", headers=headers)


@router.get(f"{_LOG}/rendered")
def get_rendered(log: OfTry) -> runs.Rendered:
    """The template fields as they were filled in for the try. A try whose operator has none has no fields here."""
    return runs.Rendered(try_number=log.try_number, fields=read_rendered(log.path) or {})


_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_BLOCK = 64 * 1024


def _text(path: str) -> Iterator[bytes]:
    block: list[str] = []
    size = 0
    for line in all_lines(path):
        text = _CONTROLS.sub("\ufffd", _COLOURS.sub("", line.text))
        block.append(f"{line.t} {line.level} {text}\n")
        size += len(text)
        if size > _BLOCK:
            yield "".join(block).encode("utf-8", "replace")
            block, size = [], 0
    yield "".join(block).encode("utf-8", "replace")


def _attachment(title: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9_.+=@-]", "_", title)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(title, safe='')}"


# --- live -------------------------------------------------------------------------------------------------------------
#: seconds between two looks at the file while somebody watches it
_LOOK = 0.1
#: seconds between two questions whether the try has ended, while it writes nothing
_ASK = 1.0
_HEARTBEAT = 15.0
#: seconds after which the client has to connect again
_LONGEST_STREAM = 900.0
_LINES = 1000
#: logs that one server follows at once: each is looked at ten times a second
_MOST_STREAMS = 500


@router.get(
    f"{_LOG}/log/stream",
    response_class=StreamingResponse,
    responses={200: {"description": "A stream of events.", "content": {"text/event-stream": {}}}},
)
async def stream_log(
    live: Lively,
    watch: Watching,
    log: OfTry,
    wanted: Filter,
    cursor: Cursor = None,
    tail: Tail = None,
    last_event_id: Annotated[str | None, Header(max_length=2000)] = None,
) -> StreamingResponse:
    """A log as it is written. `lines`: data is {"lines": [LogLine]}. `end`: the try has ended and all was sent.

    The id of each event is a cursor; given as Last-Event-ID, the stream goes on from there.
    """
    if live.log_streams >= _MOST_STREAMS:
        detail = f"{_MOST_STREAMS} logs are followed here already: close some, or read this one in pages"
        raise Refused(429, "Too many requests", detail, {"Retry-After": "10"})
    place = await run_in_threadpool(_begin, log, last_event_id or cursor, tail)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = _counted(live, _events(log, wanted, place, watch))
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _counted(live: Live, events: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    live.log_streams += 1
    try:
        async with contextlib.aclosing(events):
            async for event in events:
                yield event
    finally:
        live.log_streams -= 1


async def _events(log: TryLog, wanted: Wanted, place: Place, watch: Watch) -> AsyncGenerator[bytes]:
    yield b"retry: 1000\n\n"
    begun = told = time.monotonic()
    asked = 0.0
    ended = False
    # The run may be deleted meanwhile, or the database be away: whoever comes again is told so.
    with contextlib.suppress(AirloomError):
        while (now := time.monotonic()) < begun + _LONGEST_STREAM and await watch.allows():
            if not ended and now >= asked + _ASK:
                ended, asked = await run_in_threadpool(log.ended), now
            # Whether there is more is asked of the file system, which is cheap; the file is read only then.
            if _size(log.path) > place.offset:
                part = await run_in_threadpool(read_part, log.path, place, _LINES, wanted)
            else:
                part = Part(lines=[], place=place, at_end=True)
            if part.place != place:
                place, told, asked = part.place, now, now
                yield _event("lines", place, _lines(part))
            elif ended:
                yield _event("end", place, b"{}")
                return
            else:
                if now >= told + _HEARTBEAT:
                    told = now
                    yield b":\n\n"
                await asyncio.sleep(_LOOK)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 -- done ten times a second for each who watches
    except OSError:
        return 0


def _lines(part: Part) -> bytes:
    lines = [
        {
            "number": entry.number,
            "time": entry.line.t,
            **{name: getattr(entry.line, name) for name in ("level", "source", "text")},
        }
        for entry in part.lines
    ]
    return msgspec.json.encode({"lines": lines})


def _event(kind: str, place: Place, data: bytes) -> bytes:
    return b"event: %b\nid: %b\ndata: %b\n\n" % (kind.encode(), encode_cursor(place).encode(), data)
