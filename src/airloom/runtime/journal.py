"""Reports on disk until the server has them: what has ended is never lost, whoever is killed.

A file of frames, each a Reports or an Ack message of the wire protocol, in the order in which they happened. It is
written before a report is sent. No fsync: it is to survive the death of processes, not of the machine.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from airloom.model.report import Ended, HandedBack, Report, Started, TryKey
from airloom.model.wire import Ack, Reports, frame

_COMPACT_AT = 256 * 1024
_decoder: msgspec.msgpack.Decoder[Reports | Ack] = msgspec.msgpack.Decoder(Reports | Ack)


class Remains(msgspec.Struct, frozen=True):
    """What a runner has left: reports that no server took, and the starts of its unfinished tries; a start without a
    process is that of a try that was its by claim."""

    reports: list[Report]
    unfinished: list[Started]

    @property
    def pids(self) -> list[int]:
        """The processes of the unfinished tries."""
        return [started.pid for started in self.unfinished if started.pid]


class Journal:
    """The journal of one runner."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1
        self._size = 0
        #: what the file was when it was last written anew
        self._kept = 0
        self._unwritten = b""

    @property
    def written(self) -> bool:
        """Whether everything that was appended is in the file."""
        return not self._unwritten

    def append(self, message: Reports | Ack) -> None:
        """Write a message. If the disk does not take it now, it is written together with a later one."""
        data = self._unwritten + frame(message)
        try:
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
                self._size = os.fstat(self._fd).st_size
            written = os.write(self._fd, data)
        except OSError:
            self._unwritten = data
            return
        if written == len(data):
            self._size += written
            self._unwritten = b""
            return
        self._unwritten = data
        with contextlib.suppress(OSError):  # a torn frame would hide everything after it
            os.ftruncate(self._fd, self._size)

    def acknowledged(self, seq: int, unacked: Sequence[Reports], starts: Callable[[], list[Started]]) -> None:
        """Everything up to `seq` is acknowledged, `unacked` is not; `starts` gives those of the tries that go on.

        Keeps the file small: it is written anew when it has doubled.
        """
        if self._fd < 0 and not self._unwritten:
            return
        live = [] if unacked else starts()
        if not unacked and not live:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)
                self._size = self._kept = 0
            self._unwritten = b""
        elif self._size + len(self._unwritten) > max(_COMPACT_AT, 2 * self._kept):
            alive = Reports(seq=seq, reports=tuple(live or starts()))
            self._rewrite(b"".join(map(frame, (alive, Ack(seq=seq), *unacked))))
        else:
            self.append(Ack(seq=seq))

    def _rewrite(self, data: bytes) -> None:
        """Put `data` in the place of all that there is; beside it first, so that a kill leaves the one or the other."""
        fresh = self.path + ".new"
        try:
            fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError:
            return  # the old file holds all of it; the next acknowledgement tries again
        try:
            if os.write(fd, data) != len(data):
                raise OSError(errno.ENOSPC, "the disk is full")
            Path(fresh).replace(self.path)
        except OSError:
            os.close(fd)
            Path(fresh).unlink(missing_ok=True)
            return
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._size, self._kept, self._unwritten = fd, len(data), len(data), b""

    def close(self, remove: bool) -> None:
        """Free the file; `remove` it when nothing in it is needed."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if remove:
            Path(self.path).unlink(missing_ok=True)


def keep_ends(path: str, remains: Remains) -> None:
    """The processes of a dead runner have been ended: put what its journal holds besides into a file `*.ends` beside
    it, in the place of the journal."""
    ends = tuple(report for report in remains.reports if not isinstance(report, Started))
    if ends:
        fresh = Path(path + ".new")
        fresh.touch(0o600)  # there may be tokens in it
        fresh.write_bytes(frame(Reports(seq=1, reports=ends)))
        fresh.replace(Path(path).with_suffix(".ends"))
    Path(path).unlink(missing_ok=True)


def read_remains(path: str) -> Remains:
    """What the journal of a dead runner holds. A torn end, as a kill leaves it, is no error."""
    messages: list[Reports] = []
    acked = 0
    for message in _messages(Path(path).read_bytes()):
        if isinstance(message, Ack):
            acked = max(acked, message.seq)
        else:
            messages.append(message)
    unfinished: dict[TryKey, Started] = {}
    for message in messages:
        for report in message.reports:
            match report:
                case Started(key=key):
                    unfinished[key] = report
                case Ended(key=key) | HandedBack(key=key):
                    unfinished.pop(key, None)
    unsent = [report for message in messages if message.seq > acked for report in message.reports]
    return Remains(unsent, list(unfinished.values()))


def _messages(data: bytes) -> list[Reports | Ack]:
    found: list[Reports | Ack] = []
    start = 0
    while start + 4 <= len(data):
        end = start + 4 + int.from_bytes(data[start : start + 4], "big")
        if end > len(data):
            break
        try:
            found.append(_decoder.decode(data[start + 4 : end]))
        except msgspec.MsgspecError:
            break
        start = end
    return found
