"""GET routes of the logs of tries: in pages, live, as a file; and the template fields as they were filled in."""

import contextlib
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Annotated, BinaryIO, Literal
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
from airloom.model.errors import AirloomError, NotFound
from airloom.operations import browsing
from airloom.operations.log_pages import (
    Numbered,
    Part,
    Place,
    Wanted,
    all_lines,
    place_from_end,
    read_part,
    read_rendered,
    shown,
)
from airloom.operations.ops import Ops
from airloom.operations.try_logs import Seen, TryLog, log_of, look, open_log

router = APIRouter(tags=["logs"])

_LOG = "/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/tries/{try_number}"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A log that somebody may read."""

    ops: Ops
    log: TryLog

    @property
    def title(self) -> str:
        """What a download of it is called."""
        log = self.log
        index = f"[{log.map_index}]" if log.map_index >= 0 else ""
        return f"{log.dag_id}.{log.run_id}.{log.task_id}{index}.{log.key.try_number}.log"

    def over(self) -> bool:
        """Whether the try writes no more. Raises NotFound."""
        seen = look(self.ops, [self.log]).get(self.log.key)
        if seen is None:
            raise NotFound("the run of this log was deleted")
        return seen.over

    def part(self, place: Place, limit: int, wanted: Wanted) -> Part:
        """Some of its lines."""
        with open_log(self.ops, self.log) as file:
            return read_part(file, place, limit, wanted)


def _found(caller: By, name: RunName, task_id: str, try_number: Number, map_index: MapIndex = -1) -> Found:
    run, ti = browsing.find_try(caller.ops, name, task_id, map_index, try_number)
    # Named by what the database has, never by what was asked for.
    return Found(ops=caller.ops, log=log_of(run, ti, try_number))


OfTry = Annotated[Found, Depends(_found)]
Level = Annotated[
    Literal["debug", "info", "warning", "error", "critical"] | None, Query(description="This level or a higher one.")
]
Search = Annotated[str, Query(max_length=1000, description="Only lines with this text, in upper or lower case.")]
Tail = Annotated[int | None, Query(ge=0, le=10_000, description="Begin so many lines before the end; without cursor.")]


def _wanted(level: Level = None, search: Search = "") -> Wanted:
    return Wanted(level=(level or "").upper(), search=search)


Filter = Annotated[Wanted, Depends(_wanted)]


def _begin(log: Found, cursor: str | None, tail: int | None) -> Place:
    place = decode_cursor(cursor, tuple[RowNumber, RowNumber])
    if place is not None:
        return Place(*place)
    if tail is None:
        return Place()
    with open_log(log.ops, log.log) as file:
        return place_from_end(file, tail)


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
    ended = log.over()
    part = log.part(_begin(log, cursor, tail), limit, wanted)
    return runs.LogPage(
        lines=[_line(entry) for entry in part.lines], next=encode_cursor(part.place), ended=ended and part.at_end
    )


def _line(entry: Numbered) -> runs.LogLine:
    line = shown(entry.line)
    return runs.LogLine(number=entry.number, time=line.t, level=line.level, source=line.source, text=line.text)


@router.get(
    f"{_LOG}/log/download",
    response_class=StreamingResponse,
    responses={200: {"description": "The whole log as text.", "content": {"text/plain": {}}}},
)
def download_log(log: OfTry) -> StreamingResponse:
    """The whole log as a text file: time, level, text. Colours and control characters are taken out."""
    headers = {"Content-Disposition": _attachment(log.title), "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(_text(open_log(log.ops, log.log)), media_type="text/plain; charset=utf-8", headers=headers)


@router.get(f"{_LOG}/rendered")
def get_rendered(log: OfTry) -> runs.Rendered:
    """The template fields as they were filled in for the try. A try whose operator has none has no fields here."""
    with open_log(log.ops, log.log) as file:
        return runs.Rendered(try_number=log.log.key.try_number, fields=read_rendered(file) or {})


_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_BLOCK = 64 * 1024


def _text(file: BinaryIO) -> Iterator[bytes]:
    block: list[str] = []
    size = 0
    with file:
        for line in all_lines(file):
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
_HEARTBEAT = 15.0
#: seconds after which the client has to connect again
_LONGEST_STREAM = 900.0
_LINES = 1000
#: logs that one server follows at once
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
    stream = _counted(live, _events(live, log, wanted, place, watch))
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _counted(live: Live, events: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    live.log_streams += 1
    try:
        async with contextlib.aclosing(events):
            async for event in events:
                yield event
    finally:
        live.log_streams -= 1


async def _events(live: Live, log: Found, wanted: Wanted, place: Place, watch: Watch) -> AsyncGenerator[bytes]:
    yield b"retry: 1000\n\n"
    begun = told = time.monotonic()
    seen: Seen | None = None
    # The run may be deleted meanwhile, or the database be away: whoever comes again is told so.
    with contextlib.suppress(AirloomError):
        while (now := time.monotonic()) < begun + _LONGEST_STREAM and await watch.allows():
            before = place
            if seen is None or seen.size > place.offset:
                part = await run_in_threadpool(log.part, place, _LINES, wanted)
                place = part.place
                if place != before:
                    told = now
                    yield _event("lines", place, _lines(part))
                    if not part.at_end:
                        continue
            # What was written before it was over has been read by now.
            if seen is not None and seen.over and place == before:
                yield _event("end", place, b"{}")
                return
            if now >= told + _HEARTBEAT:
                told = now
                yield b":\n\n"
            seen = await live.log_looks.at(log.log)
            if seen is None:
                return


def _lines(part: Part) -> bytes:
    lines = [
        {"number": number, "time": line.t, **{name: getattr(line, name) for name in ("level", "source", "text")}}
        for number, line in ((entry.number, shown(entry.line)) for entry in part.lines)
    ]
    return msgspec.json.encode({"lines": lines})


def _event(kind: str, place: Place, data: bytes) -> bytes:
    return b"event: %b\nid: %b\ndata: %b\n\n" % (kind.encode(), encode_cursor(place).encode(), data)
