"""How fast logs of runners elsewhere get into the database, what that costs, and how much of it is left on disk."""

import base64
import itertools
import time
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from airloom.model.report import TryKey
from airloom.model.states import TIState
from airloom.model.wire import LogChunk
from airloom.operations.try_logs import TryLog, keep_chunks, open_log
from airloom.services.log_keeping import LogKeeper
from benchmarks import fill, floors
from benchmarks.bed import Bed, instant, make_bed, on_both
from benchmarks.figures import Figure

_TRIES = 64
_SECONDS = 3.0
#: bytes of a line of a chatty task, and of what a busy runner sends of one log at once
_LINE, _CHUNK = 200, 256 * 1024
_LIMIT = 10**9
_BUDGET_CHUNKS, _BUDGET_BYTES = 500.0, 5.0
_MEGA = 1e6


def measure(folder: Path) -> list[Figure]:
    """On SQLite and on PostgreSQL, each beside the same bytes in bare commits of one row."""
    return on_both(folder, partial(_measure, folder))


def _measure(folder: Path, name: str, url: str | None, floor: floors.Floor) -> list[Figure]:
    with make_bed(folder, {}, instant(None), url, thread=False) as bed:
        keys = fill.live_tries(bed.db, bed.epoch, [TIState.RUNNING] * _TRIES)
        bare_line, bare_chunk = _bare(floor, _LINE, 1_000_000), _bare(floor, _CHUNK, 2_000_000)
        chatty, busy = keys[: _TRIES // 2], keys[_TRIES // 2 :]
        alone, seconds = _rate(bed, chatty[:1], _LINE, 1)
        together, _ = _rate(bed, chatty[1:], _LINE, 20)
        large, _ = _rate(bed, busy, _CHUNK, 1)
        floor_is = "bare commits of one row with as many compressed bytes"
        return [
            Figure(
                what=f"{name}: chunks of one line, one a commit",
                ours=alone,
                unit="/s",
                floor=bare_line,
                floor_is=floor_is,
                budget=_BUDGET_CHUNKS,
                more=True,
            ),
            Figure(
                what=f"{name}: chunks of one line, 20 tries a commit",
                ours=together,
                unit="/s",
                floor=bare_line,
                floor_is=floor_is,
                more=True,
            ),
            Figure(
                what=f"{name}: chunks of 256 KiB",
                ours=large * _CHUNK / _MEGA,
                unit="MB/s",
                floor=bare_chunk * _CHUNK / _MEGA,
                floor_is=floor_is,
                budget=_BUDGET_BYTES,
                more=True,
            ),
            Figure(what=f"{name}: processor time of a chunk of one line", ours=seconds * 1e6, unit="us"),
            *_kept(bed, name, chatty[0]),
        ]


def _lines() -> Iterator[bytes]:
    for number in itertools.count(1):
        text = f"row {number} of {number * 7919 % 1000} was read in {number % 97} ms from part-{number % 13}.parquet"
        line = b'{"t":"2026-01-31T12:00:00.%06d+00:00","level":"INFO","source":"stdout","text":"%b"}\n'
        yield line % (number % 10**6, text.ljust(_LINE - 84).encode())


def _chunks(size: int, count: int) -> list[bytes]:
    """Pieces of a log, one after the other."""
    lines = b"".join(itertools.islice(_lines(), size * count // _LINE + count))
    return [lines[at : at + size] for at in range(0, size * count, size)]


def _bare(floor: floors.Floor, size: int, first: int) -> float:
    row = base64.b64encode(zlib.compress(_chunks(size, 1)[0], 1)).decode()
    count = 0
    began = time.perf_counter()
    while time.perf_counter() - began < 1.0:
        count += 1
        floor.insert([(first + count, 1, row, "none", 0.0)])
    return count / (time.perf_counter() - began)


def _rate(bed: Bed, keys: list[TryKey], size: int, together: int) -> tuple[float, float]:
    """Chunks a second, one after the other, and the processor's seconds for one."""
    data = itertools.cycle(_chunks(size, 2**24 // size if size > _LINE else 5_000))
    offsets = dict.fromkeys(keys, 0)
    count = 0
    began, used = time.perf_counter(), time.process_time()
    while time.perf_counter() - began < _SECONDS:
        chosen = [keys[(count + place) % len(keys)] for place in range(together)]
        chunks = [LogChunk(key=key, offset=offsets[key], data=next(data)) for key in chosen]
        places = keep_chunks(bed.ops, chunks, _LIMIT)
        for key, place in zip(chosen, places, strict=True):
            assert place is not None
            offsets[key] = place
        count += together
    return count / (time.perf_counter() - began), (time.process_time() - used) / count


def _kept(bed: Bed, name: str, key: TryKey) -> list[Figure]:
    """What becomes of the many pieces of one log."""
    log = TryLog(key=key, dag_id="wide", run_id="filled-1", task_id="task_00000", map_index=-1)
    with open_log(bed.ops, log) as file:
        size = len(file.read())
    before, began = _rows(bed, key), time.perf_counter()
    LogKeeper(bed.ops, lambda: True, 0.0).put_together(key)
    seconds = time.perf_counter() - began
    after = _rows(bed, key)
    return [
        Figure(
            what=f"{name}: putting {before[0]:,} pieces together, {after[0]} rows are left",
            ours=size / seconds / _MEGA,
            unit="MB/s",
            more=True,
        ),
        Figure(what=f"{name}: bytes kept of 100 bytes of that log", ours=100 * after[1] / size, unit="bytes"),
    ]


def _rows(bed: Bed, key: TryKey) -> tuple[int, int]:
    with bed.db.reading() as conn:
        row = conn.exec_driver_sql(
            f"SELECT count(*), sum(length(data)) FROM log_chunk WHERE ti_id = {key.ti_id} AND try_number = 1"
        ).one()
    return int(row[0]), int(row[1])
