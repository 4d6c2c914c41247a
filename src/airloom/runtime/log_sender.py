"""Sends the logs of tries to a server that does not see this machine's disk: while they are written, and to their end.

A note on disk for each log that is not at the server to its end lets the next runner of this home go on. A log that the
server has whole goes from this disk; one that it does not take, as after a change of its key, some days later.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
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
#: seconds for which a log is kept that the server does not take, and between two looks for such
_REFUSED, _LOOK = 7 * 86400.0, 3600.0


class Note(msgspec.Struct, frozen=True):
    """A log that is to be sent."""

    key: TryKey
    token: str
    path: str


class _Log:
    """sent: as far as the server has it. on_its_way: a chunk is. full: the server takes no more. end: where the log
    ends, once that is said. whole: the server has it up to there. noted: its note is on disk."""

    __slots__ = ("end", "ended", "full", "note", "noted", "on_its_way", "sent", "whole")

    def __init__(self, note: Note) -> None:
        self.note = note
        self.sent = 0
        self.end = -1
        self.on_its_way = self.ended = self.full = self.whole = self.noted = False


class LogSender:
    """The logs of one runner. `folder`: of the notes. `send` drops what cannot be sent; `reconnected` begins anew."""

    def __init__(
        self,
        loop: Loop,
        folder: str,
        send: Callable[[LogChunk], None],
        shown: Callable[[str], None] | None = None,
    ) -> None:
        """`shown` is called with the path of a log when something was written to it."""
        self._loop = loop
        self._shown = shown
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
        """Go on with the logs that dead runners left, and see to those that the server did not take."""
        self._tidy_up()
        for path in sorted(self._folder.glob("*.note")):
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                note = msgspec.json.decode(path.read_bytes(), type=Note)
                self._logs[note.key] = log = _Log(note)
                log.ended = log.noted = True
                self._due[note.key] = None

    def follow(self, work: Work, path: str) -> Callable[[], None]:
        """A try begins, with its log at `path`. Gives what is to be called before its file is made, and when something
        was written to it."""
        self._logs[work.key] = log = _Log(Note(work.key, work.token, path))

        def written() -> None:
            self._written(log)
            if self._shown is not None:
                self._shown(path)

        return written

    def ended(self, key: TryKey) -> None:
        """Nothing more is written to the log of a try. Its end is to be told together with `last_words`."""
        log = self._logs.get(key)
        if log is not None and not log.noted:
            del self._logs[key]  # there is none
        elif log is not None:
            log.ended = True
            self._due[key] = None

    def last_words(self) -> list[LogChunk]:
        """What can be sent now: it is to be at the server when the ends of tries are."""
        return list(self._next())

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
            self._loop.later(_AFTER_STALL, lambda: self._written(log))
        else:
            self._due[ack.key] = None
        self._pump()

    def reconnected(self) -> None:
        """What was on its way may be lost."""
        for key, log in self._logs.items():
            log.on_its_way = False
            self._due[key] = None
        self._loop.later(0.0, self._pump)

    def _written(self, log: _Log) -> None:
        if not log.noted:
            log.noted = True
            with contextlib.suppress(OSError):  # without it, the log's end may be lost with this process
                self._write(log.note)
        self._due[log.note.key] = None
        if not self._timer_set:
            self._timer_set = True
            self._loop.later(_GATHER, self._pump)

    def _pump(self) -> None:
        self._timer_set = False
        for chunk in self._next():
            self._send(chunk)

    def _next(self) -> Iterator[LogChunk]:
        """What is to be sent, which is on its way from then on."""
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
                yield LogChunk(key=key, offset=log.sent, data=data, token=log.note.token, last=last)
            elif log.ended:
                self._done(key, log)

    def _done(self, key: TryKey, log: _Log) -> None:
        del self._logs[key]
        with contextlib.suppress(OSError):
            note = self._path(key)
            if log.full:
                self._write(log.note)  # its time counts, from now on
                note.replace(note.with_suffix(".refused"))
                return
            if log.whole:
                remove_log(Path(log.note.path))
            note.unlink(missing_ok=True)

    def _write(self, note: Note) -> None:
        place = self._path(note.key)
        place.touch(0o600)
        place.write_bytes(msgspec.json.encode(note))

    def _tidy_up(self) -> None:
        """Remove the logs that the server did not take long ago."""
        for path in self._folder.glob("*.refused"):
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                if time.time() - path.stat().st_mtime > _REFUSED:
                    remove_log(Path(msgspec.json.decode(path.read_bytes(), type=Note).path))
                    path.unlink()
        self._loop.later(_LOOK, self._tidy_up)

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
