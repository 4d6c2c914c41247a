"""The logs of tries for all who read them, wherever they are: in the database, in the object store, in a file of this
machine. A byte of a log has the same place in each of them, so a reader goes on while a log moves.
"""

import io
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from airloom.model.errors import LogsAway
from airloom.model.log_lines import LogLine, log_folder, log_name
from airloom.model.report import TryKey
from airloom.model.run import RunRow, TIRow
from airloom.model.wire import LogChunk
from airloom.operations.ops import Ops
from airloom.store import log_chunks
from airloom.store.log_chunks import LogHead, LogState, Piece, Terms

#: seconds after the end of a try in which the rest of its log is still taken: its worker may have been out of touch
GRACE = 7 * 86400.0
#: seconds after the end of a try in which a log that is not complete may still grow: one that has begun, and one that
#: nothing came of
_STALLED, _EMPTY = 30.0, 2.0
#: a runner stops its logs at the same limit, and then says so in the log
_LIMIT_NOTICE = 4096
_BLOCK = 256 * 1024


class TryLog(msgspec.Struct, frozen=True, kw_only=True):
    """Whose log it is."""

    key: TryKey
    dag_id: str
    run_id: str
    task_id: str
    map_index: int

    @property
    def name(self) -> str:
        """Its file below the folder of logs."""
        return log_name(self.dag_id, self.run_id, self.task_id, self.map_index, self.key.try_number)

    @property
    def object_name(self) -> str:
        """What it is called in an object store: a run that is made again after it was deleted has other ones."""
        folder = log_folder(self.dag_id, self.run_id, self.task_id, self.map_index)
        return f"{folder}/attempt={self.key.try_number}.{self.key.ti_id}.log"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """How a log is now. size: bytes. over: nothing is added any more, as far as can be known."""

    size: int
    over: bool


def log_of(run: RunRow, ti: TIRow, try_number: int) -> TryLog:
    """The log of a try."""
    return TryLog(
        key=TryKey(ti.id, try_number),
        dag_id=run.dag_id,
        run_id=run.run_id,
        task_id=ti.task_id,
        map_index=ti.map_index,
    )


# --- reading ----------------------------------------------------------------------------------------------------------
def open_log(ops: Ops, log: TryLog) -> BinaryIO:
    """A log as it is now, and grows; an empty one where there is none. The caller closes it. Opening and reading raise
    LogsAway, StoreError, and NotFound when the object store does not have it any more."""
    with ops.db.reading() as conn:
        head = log_chunks.head_of(conn, log.key)
    if head is not None:
        return cast(BinaryIO, io.BufferedReader(_Stored(ops, head), _BLOCK))
    path = _path(ops, log)
    try:
        return io.BytesIO() if path is None else path.open("rb", buffering=_BLOCK)
    except FileNotFoundError:
        return io.BytesIO()
    except OSError as error:
        raise LogsAway(f"the log {path} cannot be read: {error.strerror}") from None


class _Stored(io.RawIOBase):
    """A log of the database, which may move to the object store meanwhile."""

    def __init__(self, ops: Ops, head: LogHead) -> None:
        self._ops = ops
        self._key = head.key
        self._size = head.size
        self._offset = 0
        self._object = self._opened(head)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._offset = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._offset, io.SEEK_END: self._size}[whence]
        return self._offset

    def tell(self) -> int:
        return self._offset

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        self._offset += len(data)
        return len(data)

    def close(self) -> None:
        if self._object is not None:
            self._object.close()
        super().close()

    def _read(self, size: int) -> bytes:
        if self._object is None:
            with self._ops.db.reading() as conn:
                data = log_chunks.read(conn, self._key, self._offset, size)
                head = None if data else log_chunks.head_of(conn, self._key)
            self._object = None if head is None else self._opened(head)
        if self._object is None or self._ops.logs.store is None:
            return data
        return self._ops.logs.store.read(self._object, self._offset, size)

    def _opened(self, head: LogHead) -> BinaryIO | None:
        if head.object is None:
            return None
        if self._ops.logs.store is None:
            raise LogsAway("this log is in an object store, and none is set here: give [logs] store as it was")
        return self._ops.logs.store.open(head.object)


def look(ops: Ops, logs: Collection[TryLog]) -> dict[TryKey, Seen]:
    """How logs are now; those of tries that are not there any more are left out. Raises StoreError."""
    with ops.db.reading() as conn:
        states = log_chunks.states(conn, [log.key for log in logs])
    now = ops.now()
    return {log.key: _seen(ops, log, states[log.key], now) for log in logs if log.key in states}


def _seen(ops: Ops, log: TryLog, state: LogState, now: float) -> Seen:
    head, ended_at = state.head, state.ended_at
    path = _path(ops, log) if head is None else None
    here = path is not None and path.exists()
    size = head.size if head is not None else path.stat().st_size if path is not None and here else 0
    if ended_at is None:
        over = state.finished
    elif head is None:
        over = here or now - ended_at > _EMPTY
    else:
        over = head.complete or now - max(ended_at, head.at) > _STALLED
    return Seen(size=size, over=over)


def _path(ops: Ops, log: TryLog) -> Path | None:
    return None if ops.logs.folder is None else ops.logs.folder / log.name


# --- keeping what runners send ----------------------------------------------------------------------------------------
def keep_chunks(ops: Ops, chunks: Sequence[LogChunk], limit: int) -> list[int | None]:
    """Commit pieces of logs, of which each may have `limit` bytes; for each how far its log goes then, as in a LogAck.
    Raises StoreError."""
    if not chunks:
        return []
    pieces, terms = pieces_of(ops, chunks, limit)
    with ops.db.transaction() as conn:
        return log_chunks.append(conn, pieces, terms, ops.now())


def pieces_of(ops: Ops, chunks: Sequence[LogChunk], limit: int) -> tuple[list[Piece], Terms]:
    """Compressed, and on which terms they are kept: for log_chunks.append."""
    text = f"this log has reached its limit of {limit:,} bytes: the rest is dropped"
    at = datetime.fromtimestamp(ops.now(), UTC).isoformat(timespec="microseconds")
    notice = LogLine(at, "WARNING", "runner", text)
    terms = Terms(
        limit=limit + _LIMIT_NOTICE,
        notice=b"\n" + msgspec.json.encode(notice) + b"\n",
        ended_after=ops.now() - GRACE,
        settle=ops.logs.store is None,
    )
    pieces = [Piece(chunk.key, chunk.offset, chunk.data, log_chunks.packed(chunk.data), chunk.last) for chunk in chunks]
    return pieces, terms
