"""The log of a try on the machine where it runs: where its file is, how lines get into it (masked, bounded, never at
the try's cost), how it goes.
"""

import contextlib
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from airloom.model.log_lines import RENDERED, LogLine, log_name
from airloom.model.work import Work
from airloom.runtime.masking import Masker
from airloom.runtime.messages import LONGEST_RECORD
from airloom.sdk.rendered import LONGEST as LONGEST_FIELD

LONGEST_LINE = 1024 * 1024
#: how often a folder is made for a log, which somebody else may find empty and remove
_TRIES = 3

_encode = msgspec.json.Encoder().encode


def log_path(home: str, dag_id: str, run_id: str, task_id: str, map_index: int, try_number: int) -> str:
    """Where the log of a try is, under the home folder."""
    return f"{home}/logs/{log_name(dag_id, run_id, task_id, map_index, try_number)}"


def log_path_of(home: str, work: Work) -> str:
    """Where the log of this work is."""
    return log_path(home, work.dag_id, work.run.run_id, work.task_id, work.map_index, work.key.try_number)


class TryLog:
    """Writes the log of one try. `masker` may learn more secrets at any time; `limit` is in bytes.

    Nothing here raises for a disk that is full or read-only: the lines are dropped and counted, which the log says
    as soon as it can be written again. The file is made with its first line.
    """

    def __init__(self, path: str, masker: Masker, limit: int, wrote: Callable[[], None] | None = None) -> None:
        """`wrote` is called before the file is made, and after something was written."""
        self._path = path
        self._wrote = wrote
        self._masker = masker
        self._room = limit
        self._limit = limit
        self._fd = -1
        self._full = False
        self._dropped = 0
        self._torn = False
        self._head: tuple[float, dict[str, str]] | None = None
        self._partial = {"stdout": bytearray(), "stderr": bytearray()}

    def use(self, masker: Masker) -> None:
        """Mask with another masker, one that knows more."""
        self._masker = masker

    def output(self, source: str, data: bytes) -> None:
        """Take what came through the pipe of stdout or stderr. Lines are written when they are whole."""
        if self._full:
            return
        partial = self._partial[source]
        partial += data
        cut = partial.rfind(b"\n") + 1
        if cut:
            block = bytes(partial[:cut])
            del partial[:cut]
            self._write_output(source, block.decode("utf-8", "replace")[:-1])
        while len(partial) >= LONGEST_LINE + self._masker.longest:
            text = partial.decode("utf-8", "replace")
            at = self._masker.safe_cut(text, LONGEST_LINE)
            self._write_output(source, text[:at])
            partial[:] = text[at:].encode("utf-8", "replace")

    def record(self, at: float, level: str, logger: str, text: str) -> None:
        """Write a record of the task's logging, cut at LONGEST_RECORD."""
        text = self._masker.mask_head(text, LONGEST_RECORD)
        self._write([LogLine(_iso(at), level, "task", text, logger)])

    def rendered(self, at: float, fields: dict[str, str]) -> None:
        """Have the template fields, each cut at LONGEST_FIELD, written before the next line, or by `show` or `close`:
        making a file takes longer than a short try may be kept waiting."""
        self._head = at, fields

    @property
    def waits(self) -> bool:
        """Whether there is something that was not written yet."""
        return self._head is not None

    def show(self) -> None:
        """Write what waits."""
        if self._head is not None:
            self._write([])

    def note(self, text: str, level: str = "INFO") -> None:
        """Write a line of the runner's own."""
        self._write([LogLine(_iso(time.time()), level, "runner", self._masker.mask(text))])

    def finish_lines(self) -> None:
        """The process writes no more: what is left without a line's end is a line."""
        for source, partial in self._partial.items():
            if partial:
                self._write_output(source, partial.decode("utf-8", "replace"))
                partial.clear()

    def close(self) -> None:
        """Finish the lines and free the file."""
        self.finish_lines()
        if self._dropped or self._head is not None:
            self._write([])
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write_output(self, source: str, block: str) -> None:
        t = _iso(time.time())
        level = "INFO" if source == "stdout" else "WARNING"
        lines = self._masker.mask(block).split("\n")
        self._write([LogLine(t, level, source, line.removesuffix("\r")[:LONGEST_LINE]) for line in lines])

    def _write(self, lines: list[LogLine]) -> None:
        if self._full:
            return
        if self._head is not None:
            (at, fields), self._head = self._head, None
            shown = {name: self._masker.mask_head(text, LONGEST_FIELD) for name, text in fields.items()}
            lines = [LogLine(_iso(at), "INFO", RENDERED, _encode(shown).decode()), *lines]
        encoded = [_encode(line) + b"\n" for line in lines]
        if self._dropped:
            encoded.insert(0, _notice(f"{self._dropped} lines of this log are lost: they could not be written"))
        kept: list[bytes] = []
        for line in encoded:
            self._room -= len(line)
            if self._room < 0:
                self._full = True
                kept.append(_notice(f"this log has reached its limit of {self._limit:,} bytes: the rest is dropped"))
                break
            kept.append(line)
        self._append(kept, len(lines))

    def _append(self, lines: list[bytes], count: int) -> None:
        data = b"".join(lines)
        try:
            if self._fd < 0:
                if self._wrote is not None:
                    self._wrote()
                self._fd = _open(self._path)
            written = os.write(self._fd, b"\n" + data if self._torn else data) - self._torn
        except OSError:
            self._dropped += count
            return
        whole = written == len(data)
        self._torn = not whole and data[max(written, 0) - 1 : written] != b"\n"
        self._dropped = 0 if whole else self._dropped + data[max(written, 0) :].count(b"\n")
        if self._wrote is not None:
            self._wrote()


def _open(path: str) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    for _ in range(_TRIES):
        try:
            return os.open(path, flags, 0o640)
        except FileNotFoundError:
            with contextlib.suppress(FileNotFoundError):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, flags, 0o640)


def remove_log(path: Path) -> None:
    """Remove a log that is kept elsewhere, and the folders of its run and task that are empty then. Raises OSError."""
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        for folder in path.parents:
            if "=" not in folder.name:
                break
            folder.rmdir()


def _notice(text: str) -> bytes:
    return _encode(LogLine(_iso(time.time()), "WARNING", "runner", text)) + b"\n"


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")
