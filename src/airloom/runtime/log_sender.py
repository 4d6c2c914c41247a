"""Sends the logs of tries to a server that does not see this machine's disk: while they are written, and to their end.

A note on disk for each log that is not at the server to its end lets the next runner of this home go on. A log that the
server has whole goes from this disk.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from airloom.model.report import TryKey
from airloom.model.wire import LogAck, LogChunk
from airloom.model.work import Work
from airloom.runtime.logs import remove_log
from airloom.runtime.loop import Loop

#: seconds that lines are gathered, and before a log that does not come forward is tried again
_GATHER, _AFTER_STALL = 0.1, 5.0
#: bytes of one chunk, and chunks on their way at once: a sign of life has to wait for those before it
_CHUNK, _ON_THEIR_WAY = 256 * 1024, 4


class Note(msgspec.Struct, frozen=True):
    """A log that is to be sent."""

    key: TryKey
    token: str
    path: str


class _Log:
    """sent: as far as the server has it. on_its_way: a chunk is. full: the server takes no more. end: where the log
    ends, once that is said. whole: the server has it up to there."""

    __slots__ = ("end", "ended", "full", "note", "on_its_way", "sent", "whole")

    def __init__(self, note: Note) -> None:
        self.note = note
        self.sent = 0
        self.end = -1
        self.on_its_way = self.ended = self.full = self.whole = False


class LogSender:
    """The logs of one runner. `folder`: of the notes. `send` drops what cannot be sent; `reconnected` begins anew."""

    def __init__(self, loop: Loop, folder: str, send: Callable[[LogChunk], None]) -> None:
        self._loop = loop
        self._folder = Path(folder)
        self._send = send
        self._logs: dict[TryKey, _Log] = {}
        #: those that may have more to send, in the order in which they may
        self._due: dict[TryKey, None] = {}
        self._timer_set = False

    @property
    def settled(self) -> bool:
        """Whether the server has all of it."""
        return not self._logs

    def inherit(self) -> None:
        """Go on with the logs that dead runners left."""
        for path in sorted(self._folder.glob("*.note")):
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                note = msgspec.json.decode(path.read_bytes(), type=Note)
                self._logs[note.key] = log = _Log(note)
                log.ended = True
                self._due[note.key] = None

    def follow(self, work: Work, path: str) -> Callable[[], None]:
        """A try begins, with its log at `path`. Gives what is to be called when something was written to it."""
        note = Note(work.key, work.token, path)
        self._logs[work.key] = _Log(note)
        with contextlib.suppress(OSError):  # without it, the log's end may be lost with this process
            place = self._path(work.key)
            place.touch(0o600)
            place.write_bytes(msgspec.json.encode(note))
        return lambda: self._written(work.key)

    def ended(self, key: TryKey) -> None:
        """Nothing more is written to the log of a try. What can be sent goes at once: before the word of its end."""
        log = self._logs.get(key)
        if log is not None:
            log.ended = True
            self._due[key] = None
            self._pump()

    def heard(self, ack: LogAck) -> None:
        """The server says how far it has a log."""
        log = self._logs.get(ack.key)
        if log is None:
            return
        before, was_on_its_way = log.sent, log.on_its_way
        log.on_its_way = False
        if ack.offset is None:
            log.full = True
        else:
            log.sent = ack.offset
            log.whole = ack.offset == log.end
        if was_on_its_way and log.sent == before and not log.full and self._rest(log):
            self._loop.later(_AFTER_STALL, lambda: self._written(ack.key))
        else:
            self._due[ack.key] = None
        self._pump()

    def reconnected(self) -> None:
        """What was on its way may be lost."""
        for key, log in self._logs.items():
            log.on_its_way = False
            self._due[key] = None
        self._loop.later(0.0, self._pump)

    def _written(self, key: TryKey) -> None:
        self._due[key] = None
        if not self._timer_set:
            self._timer_set = True
            self._loop.later(_GATHER, self._pump)

    def _pump(self) -> None:
        self._timer_set = False
        count = sum(log.on_its_way for log in self._logs.values())
        while self._due and count < _ON_THEIR_WAY:
            key = next(iter(self._due))
            del self._due[key]
            log = self._logs.get(key)
            if log is None or log.on_its_way:
                continue
            data = b"" if log.full or log.whole else self._rest(log)
            last = log.ended and len(data) < _CHUNK
            # That a log ends is said by itself where all of it was sent before, and of an empty one not at all.
            if data or (last and log.sent and not log.full and not log.whole):
                log.on_its_way = True
                log.end = log.sent + len(data) if last else -1
                count += 1
                self._send(LogChunk(key=key, offset=log.sent, data=data, token=log.note.token, last=last))
            elif log.ended:
                self._done(key, log)

    def _done(self, key: TryKey, log: _Log) -> None:
        del self._logs[key]
        with contextlib.suppress(OSError):
            if log.whole:
                remove_log(Path(log.note.path))
            self._path(key).unlink(missing_ok=True)

    def _rest(self, log: _Log) -> bytes:
        """The next bytes of a log that the server does not have."""
        try:
            with Path(log.note.path).open("rb") as file:
                file.seek(log.sent)
                return file.read(_CHUNK)
        except OSError:
            return b""

    def _path(self, key: TryKey) -> Path:
        return self._folder / f"{key.ti_id}-{key.try_number}.note"
