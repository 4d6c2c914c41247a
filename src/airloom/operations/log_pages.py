"""Reading logs in parts: from any place, from the end, filtered. No log is ever in memory as a whole.

A place is the byte at which a line begins and how many lines are before it; the line of the rendered fields counts as
none, and is shown by `read_rendered` only.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import msgspec

from airloom.model.log_lines import RENDERED, LogLine

#: bytes that are read, and characters that are given, for one part
_MOST_READ = 8 * 1024 * 1024
_MOST_GIVEN = 2 * 1024 * 1024
#: characters of a line that are shown
LONGEST_SHOWN = 20_000
#: bytes that no line of ours has
_NO_LINE = 8 * 1024 * 1024
_BLOCK = 256 * 1024
#: only a line's own key looks like this: in a text, quotes are escaped
_RENDERED_MARK = b'"source":"%s"' % RENDERED.encode()

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}

_decode = msgspec.json.Decoder(LogLine).decode


class Place(NamedTuple):
    """Where in a log: the byte at which the next line begins, and the lines before it."""

    offset: int = 0
    number: int = 0


class Numbered(NamedTuple):
    """A line and its number, from 1 on."""

    number: int
    line: LogLine


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Some lines, the place behind them, and whether nothing more was written then."""

    lines: list[Numbered]
    place: Place
    at_end: bool


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines: of this level at least, with this text in it (whatever its case)."""

    level: str = ""
    search: str = ""

    def takes(self, line: LogLine) -> bool:
        """Whether a line is one of these."""
        if self.level and LEVELS.get(line.level, 20) < LEVELS[self.level]:
            return False
        return not self.search or self.search.casefold() in line.text.casefold()


EVERYTHING = Wanted()


def read_part(file: BinaryIO, place: Place, limit: int, wanted: Wanted = EVERYTHING) -> Part:
    """At most `limit` lines from a place on; fewer where there is much to pass over. Raises what reading raises."""
    file.seek(place.offset)
    lines: list[Numbered] = []
    offset, number = place
    given = 0
    while len(lines) < limit and given < _MOST_GIVEN and offset - place.offset < _MOST_READ:
        raw = file.readline(_NO_LINE)
        if not raw.endswith(b"\n") and len(raw) < _NO_LINE:  # nothing, or a line that is being written
            return Part(lines=lines, place=Place(offset, number), at_end=True)
        offset += len(raw)
        if _RENDERED_MARK in raw or not raw.endswith(b"\n"):
            continue
        number += 1
        with contextlib.suppress(msgspec.MsgspecError):  # a line that a full disk has torn
            line = _decode(raw)
            if wanted.takes(line):
                lines.append(Numbered(number, line))
                given += len(line.text)
    return Part(lines=lines, place=Place(offset, number), at_end=False)


def shown(line: LogLine) -> LogLine:
    """A line as a page shows it: a very long one is cut."""
    if len(line.text) <= LONGEST_SHOWN:
        return line
    rest = len(line.text) - LONGEST_SHOWN
    text = f"{line.text[:LONGEST_SHOWN]}… (and {rest:,} more characters: the download has them)"
    return msgspec.structs.replace(line, text=text)


def place_from_end(file: BinaryIO, lines: int) -> Place:
    """The place from which on a log has this many lines now."""
    offset = _line_from_end(file, lines)
    return Place(offset, _count(file, offset))


def _line_from_end(file: BinaryIO, lines: int) -> int:
    """The byte at which the last `lines` lines begin."""
    end = file.seek(0, os.SEEK_END)
    found = 0
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        block = file.read(end - start)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            # The end of the line before the wanted ones.
            if found == lines:
                return start + at + 1
            found += 1
        end = start
    return 0


def _count(file: BinaryIO, end: int) -> int:
    """The lines before a byte."""
    file.seek(0)
    number = 0
    tail = b""
    while (left := end - file.tell()) > 0:
        block = file.read(min(_BLOCK, left))
        if not block:
            break
        number += block.count(b"\n") - (tail + block).count(_RENDERED_MARK)
        tail = block[-len(_RENDERED_MARK) + 1 :]
    return number


def all_lines(file: BinaryIO) -> Iterator[LogLine]:
    """Every line of a log as it is now, one after the other and uncut."""
    while (raw := file.readline(_NO_LINE)).endswith(b"\n"):
        if _RENDERED_MARK not in raw:
            with contextlib.suppress(msgspec.MsgspecError):
                yield _decode(raw)


def read_rendered(file: BinaryIO) -> dict[str, str] | None:
    """The template fields that the try was started with; None if the head of its log has none."""
    while file.tell() < _MOST_READ and (raw := file.readline(_NO_LINE)):
        if _RENDERED_MARK in raw:
            with contextlib.suppress(msgspec.MsgspecError):
                return msgspec.json.decode(_decode(raw).text, type=dict[str, str])
    return None
