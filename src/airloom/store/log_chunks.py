"""Logs of tries that ran on other machines, kept in the database: pieces as they come, put together in the background.

Whatever comes twice, overlaps, or comes to two servers at once leaves one text: its row in try_log, locked while a log
grows, says how far it goes.
"""

import zlib
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple, TypeVar

import msgspec
from sqlalchemy import Connection, Update, and_, bindparam, delete, func, insert, select, text, tuple_, update

from airloom.model.report import TryKey
from airloom.model.states import FINISHED
from airloom.store.dialects import dialect_of
from airloom.store.tables import dag_run, doomed_log, log_chunk, task_instance, task_try, try_log

#: bytes of one row that was put together, before it was compressed
ROW = 256 * 1024
#: pieces of a log that are left as they came, and of a log that grows still
FEW, MANY = 4, 32
#: how much time is spent on compressing: what comes, which somebody waits for, and what is put together
_FAST, _WELL = 1, 6
#: keys in one statement
_KEYS = 500
#: bytes of logs, before they were compressed, that one transaction deletes
_AT_ONCE = 256 * 1024 * 1024


class Piece(NamedTuple):
    """Bytes of a log, from `offset` on. packed: the same compressed. last: the log ends with them."""

    key: TryKey
    offset: int
    data: bytes
    packed: bytes
    last: bool


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """On which pieces are taken. limit: bytes of one log, after which `notice` ends it. ended_after: tries that ended
    before begin no log. settle: a log that is complete, and not in many pieces, needs nothing more done."""

    limit: int
    notice: bytes
    ended_after: float
    settle: bool


class LogHead(msgspec.Struct, frozen=True, kw_only=True):
    """A log of the database. As in the table try_log."""

    key: TryKey
    size: int
    loose: int
    at: float
    complete: bool
    settled_at: float | None = None
    object: str | None = None


class LogState(msgspec.Struct, frozen=True, kw_only=True):
    """A try and its log. finished: its TI has ended, or does another try. head None: nothing of it is here."""

    ended_at: float | None
    finished: bool
    head: LogHead | None


def packed(data: bytes) -> bytes:
    """Compressed as a piece is kept. To be called before the transaction that keeps it."""
    return zlib.compress(data, _FAST)


# --- growing ----------------------------------------------------------------------------------------------------------
class _Growing:
    """A log to which is added."""

    __slots__ = ("complete", "key", "loose", "settled", "size")

    def __init__(self, head: LogHead) -> None:
        self.key = head.key
        self.size, self.loose = head.size, head.loose
        self.complete, self.settled = head.complete, head.settled_at is not None

    def add(self, piece: Piece, terms: Terms) -> tuple[int | None, bytes, bytes]:
        """How far the log goes with this piece, and what of it is new: as it is, and compressed."""
        end = piece.offset + len(piece.data)
        if self.size >= terms.limit or (self.settled and end > self.size >= piece.offset):
            return None, b"", b""
        if self.settled or piece.offset > self.size:
            return self.size, b"", b""
        fresh = piece.data[self.size - piece.offset :]
        full = len(fresh) > terms.limit - self.size
        if full:
            fresh = fresh[: terms.limit - self.size] + terms.notice
        self.size += len(fresh)
        self.loose += bool(fresh)
        self.complete = self.complete or full or (piece.last and end == self.size)
        self.settled = terms.settle and self.complete and self.loose <= FEW
        whole = len(fresh) == len(piece.data) and not full
        return None if full else self.size, fresh, piece.packed if whole else packed(fresh)


def append(conn: Connection, pieces: Sequence[Piece], terms: Terms, now: float) -> list[int | None]:
    """Keep pieces of logs. For each, how far its log goes then: less than its offset if something before is missing;
    None if nothing more of that log is taken, for there is no such try, or it is closed or full."""
    heads = _locked(conn, {piece.key for piece in pieces}, terms, now)
    logs = {key: _Growing(head) for key, head in heads.items()}
    rows = []
    places: list[int | None] = []
    for piece in pieces:
        log = logs.get(piece.key)
        if log is None:
            places.append(None)
            continue
        start = log.size
        place, fresh, data = log.add(piece, terms)
        places.append(place)
        if fresh:
            rows.append({**_named(piece.key), "start": start, "size": len(fresh), "data": data})
    if rows:
        conn.execute(_add_chunks, rows)
    changes = [
        {
            "ti": log.key.ti_id,
            "number": log.key.try_number,
            "size": log.size,
            "loose": log.loose,
            "at": now,
            "complete": log.complete,
            "settled_at": now if log.settled else None,
        }
        for log in logs.values()
        if (log.size, log.complete) != (heads[log.key].size, heads[log.key].complete)
    ]
    if changes:
        conn.execute(_grow, changes)
    return places


_grow = update(try_log).where(
    try_log.c.ti_id == bindparam("ti"), try_log.c.try_number == bindparam("number"), try_log.c.settled_at.is_(None)
)


def _without_log(conn: Connection, wanted: Collection[TryKey], terms: Terms) -> list[TryKey]:
    """Those of the tries that there are, and that did not end too long ago to begin a log."""
    query = (
        select(task_try.c.ti_id, task_try.c.try_number, task_try.c.ended_at)
        .join(task_instance, task_instance.c.id == task_try.c.ti_id)
        .join(dag_run, dag_run.c.id == task_instance.c.run_id)
        .where(task_try.c.ti_id.in_({key.ti_id for key in wanted}))
        # Until the log is there its run is not deleted: what belongs to it would not be found. One that is being
        # deleted has none; waiting for that, while others wait for the logs locked here, might be for ever.
        .with_for_update(read=True, key_share=True, skip_locked=True, of=dag_run)
    )
    found = [(TryKey(row.ti_id, row.try_number), row.ended_at) for row in conn.execute(query)]
    return sorted(key for key, at in found if key in wanted and (at is None or at > terms.ended_after))


_begin_log = text(
    "INSERT INTO try_log (ti_id, try_number, size, loose, at, complete) "
    "VALUES (:ti_id, :try_number, 0, 0, :at, :complete) ON CONFLICT DO NOTHING"
)


def _locked(conn: Connection, keys: Collection[TryKey], terms: Terms, now: float) -> dict[TryKey, LogHead]:
    """The logs, made where they are new; nobody else adds to them until the end of the transaction."""
    found = _heads(conn, keys, lock=True)
    unknown = [key for key in keys if key not in found]
    # A log that has begun is taken until it is settled: its try is not looked at again.
    new = _without_log(conn, unknown, terms) if unknown else []
    if new:
        conn.execute(_begin_log, [{**_named(key), "at": now, "complete": False} for key in new])
        found |= _heads(conn, new, lock=True)
    return found


def _heads(conn: Connection, keys: Collection[TryKey], *, lock: bool = False) -> dict[TryKey, LogHead]:
    if not keys:
        return {}
    rows = conn.execute(_lock_heads if lock else _get_heads, {"ids": list({key.ti_id for key in keys})})
    found = map(_head, rows)
    return {head.key: head for head in found if head.key in keys}


# Made once: building and hashing them for each chunk takes as long as the database does.
_get_heads = select(try_log).where(try_log.c.ti_id.in_(bindparam("ids", expanding=True)))
_lock_heads = _get_heads.order_by(try_log.c.ti_id, try_log.c.try_number).with_for_update()
_add_chunks = insert(log_chunk)


def _head(row: object) -> LogHead:
    fields = {name: getattr(row, name) for name in LogHead.__struct_fields__ if name != "key"}
    return LogHead(key=TryKey(row.ti_id, row.try_number), **fields)  # type: ignore[attr-defined]


def _named(key: TryKey) -> dict[str, int]:
    return {"ti_id": key.ti_id, "try_number": key.try_number}


# --- reading ----------------------------------------------------------------------------------------------------------
def head_of(conn: Connection, key: TryKey) -> LogHead | None:
    """What is known of a log; None if nothing of it came here."""
    return _heads(conn, [key]).get(key)


def read(conn: Connection, key: TryKey, offset: int, size: int) -> bytes:
    """Up to `size` bytes of a log from `offset` on; nothing behind its end, or if it is not in the database."""
    mine = and_(log_chunk.c.ti_id == key.ti_id, log_chunk.c.try_number == key.try_number)
    first = select(func.max(log_chunk.c.start)).where(mine, log_chunk.c.start <= offset).scalar_subquery()
    query = select(log_chunk.c.start, log_chunk.c.data).where(
        mine, log_chunk.c.start >= first, log_chunk.c.start < offset + size
    )
    rows = conn.execute(query.order_by(log_chunk.c.start)).all()
    if not rows:
        return b""
    whole = b"".join(zlib.decompress(row.data) for row in rows)
    return whole[offset - rows[0].start :][:size]


def states(conn: Connection, keys: Iterable[TryKey]) -> dict[TryKey, LogState]:
    """The tries that there are, with their logs."""
    asked = set(keys)
    numbers = sorted({key.ti_id for key in asked})
    found: dict[TryKey, LogState] = {}
    for start in range(0, len(numbers), _KEYS):
        part = numbers[start : start + _KEYS]
        tis = select(task_instance.c.id, task_instance.c.state, task_instance.c.try_number)
        instances = {row.id: row for row in conn.execute(tis.where(task_instance.c.id.in_(part)))}
        tries = select(task_try.c.ti_id, task_try.c.try_number, task_try.c.ended_at)
        ends = {
            TryKey(row.ti_id, row.try_number): row.ended_at
            for row in conn.execute(tries.where(task_try.c.ti_id.in_(part)))
        }
        heads = _heads(conn, {key for key in asked if key.ti_id in instances})
        for key in asked & {key for key in asked if key.ti_id in instances}:
            ti = instances[key.ti_id]
            finished = ti.state in FINISHED or ti.try_number > key.try_number
            found[key] = LogState(ended_at=ends.get(key), finished=finished, head=heads.get(key))
    return found


# --- in the background ------------------------------------------------------------------------------------------------
def loose_logs(conn: Connection, limit: int) -> list[TryKey]:
    """Logs that grow, in many pieces by now."""
    query = select(try_log.c.ti_id, try_log.c.try_number).where(try_log.c.settled_at.is_(None), try_log.c.loose >= MANY)
    return [TryKey(*row) for row in conn.execute(query.limit(limit))]


def done_logs(conn: Connection, ended_before: float, after: TryKey, limit: int) -> list[LogHead]:
    """Logs to which nothing is added any more, and that are not settled: complete ones, and those of tries that ended
    before a time. In the order of their keys, from the one after `after` on."""
    over = task_try.c.ended_at < ended_before
    query = (
        select(try_log)
        .join(
            task_try,
            and_(task_try.c.ti_id == try_log.c.ti_id, task_try.c.try_number == try_log.c.try_number),
            isouter=True,
        )
        .where(
            try_log.c.settled_at.is_(None),
            try_log.c.complete | over,
            tuple_(try_log.c.ti_id, try_log.c.try_number) > after,
        )
        .order_by(try_log.c.ti_id, try_log.c.try_number)
        .limit(limit)
    )
    return [_head(row) for row in conn.execute(query)]


class Window(NamedTuple):
    """Rows of a log that follow each other: where each begins."""

    starts: tuple[int, ...]
    size: int


def windows(conn: Connection, key: TryKey) -> list[Window]:
    """The rows of a log that are to become one each."""
    query = select(log_chunk.c.start, log_chunk.c.size).where(
        log_chunk.c.ti_id == key.ti_id, log_chunk.c.try_number == key.try_number
    )
    found: list[Window] = []
    starts: list[int] = []
    total = 0
    for start, size in conn.execute(query.order_by(log_chunk.c.start)):
        if starts and total + size > ROW:
            found.append(Window(tuple(starts), total))
            starts, total = [], 0
        starts.append(start)
        total += size
    return [window for window in (*found, Window(tuple(starts), total)) if len(window.starts) > 1]


def joined(conn: Connection, key: TryKey, window: Window) -> bytes:
    """One row's data in the place of several."""
    return zlib.compress(read(conn, key, window.starts[0], window.size), _WELL)


def put_together(conn: Connection, key: TryKey, window: Window, data: bytes) -> bool:
    """Put one row in the place of several; False, and nothing is done, if somebody else did so meanwhile."""
    log = _heads(conn, [key], lock=True).get(key)
    mine = and_(log_chunk.c.ti_id == key.ti_id, log_chunk.c.try_number == key.try_number)
    there = select(func.count()).select_from(log_chunk).where(mine, log_chunk.c.start.in_(window.starts))
    if log is None or conn.execute(there).scalar_one() != len(window.starts):
        return False
    conn.execute(delete(log_chunk).where(mine, log_chunk.c.start.in_(window.starts)))
    row = {**_named(key), "start": window.starts[0], "size": window.size, "data": data}
    conn.execute(_add_chunks, [row])
    conn.execute(_of(key, update(try_log)).values(loose=max(0, log.loose - len(window.starts))))
    return True


def settle(conn: Connection, keys: Collection[TryKey], now: float) -> None:
    """Nothing more is to be done for these logs."""
    rows = [{"ti": key.ti_id, "number": key.try_number, "settled_at": now} for key in keys]
    if rows:
        conn.execute(_grow, rows)


def move_to_object(conn: Connection, key: TryKey, name: str, now: float) -> None:
    """A log is in the object store now, by that name: its rows go; and the object, if the log was deleted meanwhile."""
    moved = _of(key, update(try_log)).values(object=name, settled_at=now, complete=True)
    if conn.execute(moved).rowcount:
        conn.execute(delete(log_chunk).where(log_chunk.c.ti_id == key.ti_id, log_chunk.c.try_number == key.try_number))
    else:
        _doom(conn, [name])


def add_object(conn: Connection, key: TryKey, name: str, size: int, at: float) -> None:
    """A log that was a file, written to at `at` for the last time, is in the object store now."""
    conn.execute(_begin_log, [{**_named(key), "at": at, "complete": True}])
    conn.execute(_of(key, update(try_log)).values(size=size, at=at, settled_at=at, object=name))


def _of(key: TryKey, statement: Update) -> Update:
    return statement.where(try_log.c.ti_id == key.ti_id, try_log.c.try_number == key.try_number)


# --- deleting ---------------------------------------------------------------------------------------------------------
def forget_old(conn: Connection, before: float, limit: int) -> int:
    """Delete some of the logs that grew for the last time before a time; how many. Those that may grow stay."""
    query = select(try_log).where(try_log.c.settled_at.is_not(None), try_log.c.at < before).limit(limit)
    found = [_head(row) for row in conn.execute(query)]
    keys = _handful([(head.key, 0 if head.object else head.size) for head in found])
    _doom(conn, [head.object for head in found if head.object and head.key in keys])
    for key in keys:
        for table in (log_chunk, try_log):
            conn.execute(delete(table).where(table.c.ti_id == key.ti_id, table.c.try_number == key.try_number))
    return len(keys)


def forget_tis(conn: Connection, ids: Sequence[int]) -> Sequence[int]:
    """Delete the logs of TIs that are deleted: of those which it gives, for few may have all that one transaction is to
    delete. Their objects go later."""
    if not ids:
        return ids
    query = select(try_log.c.ti_id, try_log.c.size, try_log.c.object).where(try_log.c.ti_id.in_(ids))
    rows = conn.execute(query).all()
    if not rows:
        return ids
    sizes = dict.fromkeys(ids, 0)
    for row in rows:
        sizes[row.ti_id] += 0 if row.object else row.size
    taken = _handful(sizes.items())
    _doom(conn, [row.object for row in rows if row.object and row.ti_id in taken])
    # The row that is locked while a log grows goes first: what is being added to it is seen, and goes after it.
    for table in (try_log, log_chunk):
        dialect_of(conn).delete(conn, table, "ti_id", list(taken))
    return list(taken)


Named = TypeVar("Named")


def _handful(sizes: Iterable[tuple[Named, int]]) -> dict[Named, None]:
    """The first of them, and as many of those after it as have no more bytes together than are deleted at once."""
    taken: dict[Named, None] = {}
    total = 0
    for name, size in sizes:
        total += size
        if taken and total > _AT_ONCE:
            break
        taken[name] = None
    return taken


def _doom(conn: Connection, names: Collection[str]) -> None:
    if names:
        conn.execute(_doom_object, [{"object": name} for name in names])


_doom_object = text("INSERT INTO doomed_log (object) VALUES (:object) ON CONFLICT DO NOTHING")


def doomed(conn: Connection, limit: int) -> list[str]:
    """Objects that are to go from the object store."""
    return list(conn.execute(select(doomed_log.c.object).limit(limit)).scalars())


def gone(conn: Connection, names: Sequence[str]) -> None:
    """These objects are not there any more."""
    dialect_of(conn).delete(conn, doomed_log, "object", names)
