"""Finished logs: put together, or moved to the object store; nothing is lost whatever fails or dies meanwhile."""

import os
import shutil
import time
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from sqlalchemy import delete, func, insert, select, update

from airloom.model.errors import LogsAway, NotFound
from airloom.model.report import TryKey
from airloom.model.wire import LogChunk
from airloom.operations import try_logs
from airloom.operations.log_store import LogPlaces, LogStore
from airloom.operations.ops import Ops
from airloom.operations.try_logs import TryLog, keep_chunks, open_log
from airloom.services import log_keeping
from airloom.services.log_keeping import LogKeeper
from airloom.services.maintenance import Maintenance
from airloom.store import log_chunks
from airloom.store.database import Database
from airloom.store.notify import notifier
from airloom.store.tables import log_chunk, task_try, try_log
from tests.logs import read_bytes
from tests.store.rows import commit, lead, new_run

NOW = time.time()
LIMIT = 10**8
TEXT = b"".join(b'{"t":"2026-01-01T00:00:00","level":"INFO","text":"line %d"}\n' % number for number in range(9_000))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of the object store."""
    return tmp_path / "objects"


@pytest.fixture
def bare(db: Database, tmp_path: Path) -> Ops:
    """Ops without an object store, and two tries that have ended a while ago."""
    add_tries(db, 5, [50, 51], NOW - 600)
    hints = notifier(db, tmp_path / "wake")
    hints.close()
    return Ops(db=db, notifier=hints, secrets=_no_secrets, env={}, logs=LogPlaces(folder=tmp_path / "logs"))


def _no_secrets() -> Any:
    raise AssertionError("nothing here is secret")


@pytest.fixture
def ops(bare: Ops, folder: Path) -> Ops:
    """With an object store."""
    return with_store(bare, LogStore(f"file://{folder}", {}))


def with_store(ops: Ops, store: LogStore) -> Ops:
    places = LogPlaces(folder=ops.logs.folder, store=store)
    return Ops(db=ops.db, notifier=ops.notifier, secrets=ops.secrets, env={}, logs=places)


def add_tries(db: Database, run: int, ids: list[int], ended_at: float | None) -> None:
    commit(db, new_run(run, ids), lead(db))
    row = {"try_number": 1, "state": "success", "executor": "celery", "queue": "default", "queued_at": NOW}
    with db.transaction() as conn:
        conn.execute(insert(task_try), [{"ti_id": ti_id, **row, "ended_at": ended_at} for ti_id in ids])


def log_of(ti_id: int, run: int = 5) -> TryLog:
    return TryLog(key=TryKey(ti_id, 1), dag_id="sales", run_id=f"run_{run}", task_id=f"task_{ti_id}", map_index=-1)


def keeper(ops: Ops, *, leads: bool = True) -> LogKeeper:
    return LogKeeper(ops, lambda: leads, 60.0)


def send(ops: Ops, ti_id: int, data: bytes, *, size: int = 0, last: bool = True) -> None:
    """Have a runner send a log, in pieces of a size."""
    cuts = range(0, len(data), size or len(data))
    for at in cuts:
        part = data[at : at + (size or len(data))]
        chunk = LogChunk(key=TryKey(ti_id, 1), offset=at, data=part, last=last and at == cuts[-1])
        assert keep_chunks(ops, [chunk], LIMIT) == [at + len(part)]


def rows(ops: Ops) -> int:
    with ops.db.reading() as conn:
        return conn.execute(select(func.count()).select_from(log_chunk)).scalar_one()


def objects(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.log"))


# --- without an object store ------------------------------------------------------------------------------------------
def test_a_finished_log_of_many_pieces_becomes_one_row_for_a_quarter_of_a_megabyte(bare: Ops) -> None:
    send(bare, 50, TEXT, size=5_000)
    assert rows(bare) > 100
    assert keeper(bare).tick() > 0
    assert rows(bare) == -(-len(TEXT) // (log_chunks.ROW - 5_000))
    assert read_bytes(bare, log_of(50)) == TEXT
    with bare.db.reading() as conn:
        assert log_chunks.done_logs(conn, NOW, TryKey(0, 0), 10) == []


def test_a_spare_leaves_the_database_alone(ops: Ops, folder: Path) -> None:
    send(ops, 50, TEXT, size=5_000)
    before = rows(ops)
    keeper(ops, leads=False).tick()
    assert (rows(ops), objects(folder)) == (before, [])


def test_a_log_that_grows_is_gathered_and_not_stored(ops: Ops, folder: Path) -> None:
    send(ops, 50, TEXT[:40_000], size=1_000, last=False)
    keeper(ops).tick()
    assert (rows(ops), objects(folder)) == (1, [])
    assert read_bytes(ops, log_of(50)) == TEXT[:40_000]


# --- to the object store ----------------------------------------------------------------------------------------------
def test_a_finished_log_moves_to_the_object_store_and_is_read_from_there(ops: Ops, folder: Path) -> None:
    send(ops, 50, TEXT, size=5_000)
    keeper(ops).tick()
    assert objects(folder) == ["dag_id=sales/run_id=run_5/task_id=task_50/attempt=1.50.log"]
    assert rows(ops) == 0
    assert read_bytes(ops, log_of(50)) == TEXT
    # The runner did not hear of it: it sends the end again, and hears.
    again = LogChunk(key=TryKey(50, 1), offset=len(TEXT) - 10, data=TEXT[-10:], last=True)
    assert keep_chunks(ops, [again], LIMIT) == [len(TEXT)]
    assert rows(ops) == 0


def test_a_log_whose_runner_never_said_that_it_ends_is_stored_when_its_time_is_over(ops: Ops, folder: Path) -> None:
    send(ops, 50, b"what came\n", last=False)
    keeper(ops).tick()
    assert objects(folder) == []
    with ops.db.transaction() as conn:
        conn.execute(update(task_try).values(ended_at=NOW - try_logs.GRACE - 1))
    keeper(ops).tick()
    assert read_bytes(ops, log_of(50)) == b"what came\n"
    assert len(objects(folder)) == 1


def test_a_reader_goes_on_while_its_log_moves(ops: Ops) -> None:
    send(ops, 50, TEXT, size=100_000)
    with open_log(ops, log_of(50)) as file:
        begun = file.read(1_000)
        keeper(ops).tick()
        assert rows(ops) == 0
        assert begun + file.read() == TEXT
        assert file.seek(0, 2) == len(TEXT)
        file.seek(50_000)
        assert file.read(7) == TEXT[50_000:50_007]


class Dying(LogStore):
    """A store beside which the process dies: after, or in the midst of, writing an object."""

    def __init__(self, url: str, after: int) -> None:
        super().__init__(url, {})
        self.after = after

    def put(self, name: str, source: BinaryIO) -> int:
        class Part:
            def read(_, size: int) -> bytes:
                return source.read(min(size, self.after))

            def seek(_, place: int) -> int:
                return source.seek(place)

        super().put(name, Part() if self.after else source)  # type: ignore[arg-type]
        raise KeyboardInterrupt


@pytest.mark.parametrize("after", [0, 1_000])
def test_a_keeper_that_dies_beside_an_object_leaves_the_log_whole_and_the_next_one_goes_on(
    bare: Ops, folder: Path, after: int
) -> None:
    dying = with_store(bare, Dying(f"file://{folder}", after))
    send(dying, 50, TEXT, size=100_000)
    with pytest.raises(KeyboardInterrupt):
        keeper(dying).tick()
    assert read_bytes(bare, log_of(50)) == TEXT
    ops = with_store(bare, LogStore(f"file://{folder}", {}))
    keeper(ops).tick()
    assert (read_bytes(ops, log_of(50)), rows(ops), len(objects(folder))) == (TEXT, 0, 1)


def test_two_who_lead_for_a_moment_store_a_log_once(ops: Ops, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    send(ops, 50, TEXT)
    put = LogStore.put

    def putting(store: LogStore, name: str, source: BinaryIO) -> int:
        size = put(store, name, source)
        monkeypatch.setattr(LogStore, "put", put)
        keeper(ops).tick()
        return size

    monkeypatch.setattr(LogStore, "put", putting)
    keeper(ops).tick()
    keeper(ops).tick()
    assert (read_bytes(ops, log_of(50)), len(objects(folder))) == (TEXT, 1)


def test_an_object_that_is_not_whole_takes_nothing_from_the_database(
    bare: Ops, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ops = with_store(bare, LogStore(f"file://{folder}", {}))
    send(ops, 50, TEXT)
    monkeypatch.setattr(LogStore, "put", lambda *_: 7)
    late = keeper(ops)
    late.tick()
    assert "took 7 of" in late.trouble
    assert read_bytes(bare, log_of(50)) == TEXT


def test_logs_stay_in_the_database_while_the_store_is_away_which_is_said_once(
    bare: Ops, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_text("in the way")
    ops = with_store(bare, LogStore(f"file://{folder}/logs", {}))
    send(ops, 50, TEXT)
    send(ops, 51, b"short\n")
    service = keeper(ops)
    first, _ = service.tick(), service.tick()
    assert first == log_keeping._AFTER_TROUBLE
    assert f"the store of logs file://{folder}/logs cannot be written" in service.trouble
    assert caplog.text.count("logs stay where they are") == 1
    assert read_bytes(ops, log_of(50)) == TEXT
    folder.unlink()
    service.tick()
    assert service.trouble == ""
    assert len(objects(folder)) == 2
    assert (read_bytes(ops, log_of(50)), rows(ops)) == (TEXT, 0)


def test_one_log_that_cannot_be_stored_does_not_stop_the_others(ops: Ops, folder: Path) -> None:
    send(ops, 50, b"one\n")
    send(ops, 51, b"two\n")
    in_the_way = folder / "dag_id=sales" / "run_id=run_5" / "task_id=task_50"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("no folder")
    service = keeper(ops)
    service.tick()
    assert service.trouble
    assert objects(folder) == ["dag_id=sales/run_id=run_5/task_id=task_51/attempt=1.51.log"]
    assert read_bytes(ops, log_of(50)) == b"one\n"


def test_what_is_read_of_a_store_that_is_away_or_was_emptied_is_said(ops: Ops, bare: Ops, folder: Path) -> None:
    send(ops, 50, TEXT)
    keeper(ops).tick()
    shutil.rmtree(folder)
    with pytest.raises(NotFound, match="does not have it any more"):
        read_bytes(ops, log_of(50))
    folder.write_text("in the way")
    with pytest.raises(LogsAway, match="cannot be read"):
        read_bytes(ops, log_of(50))
    with pytest.raises(LogsAway, match=r"give \[logs\] store as it was"):
        read_bytes(bare, log_of(50))


# --- files of this machine --------------------------------------------------------------------------------------------
def write(ops: Ops, log: TryLog, data: bytes, age: float = 600.0) -> Path:
    """The file of a log that a local executor left."""
    assert ops.logs.folder is not None
    path = ops.logs.folder / log.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    at = time.time() - age
    os.utime(path, (at, at))
    return path


def test_the_file_of_a_finished_try_is_stored_and_goes(ops: Ops, folder: Path) -> None:
    path = write(ops, log_of(50), TEXT)
    assert read_bytes(ops, log_of(50)) == TEXT
    keeper(ops, leads=False).tick()
    assert not path.exists()
    assert not path.parent.parent.parent.exists()
    assert objects(folder) == ["dag_id=sales/run_id=run_5/task_id=task_50/attempt=1.50.log"]
    assert read_bytes(ops, log_of(50)) == TEXT


def test_files_that_may_be_written_to_and_those_of_no_try_stay(ops: Ops, folder: Path) -> None:
    young = write(ops, log_of(50), b"young", age=10.0)
    add_tries(ops.db, 6, [60], None)
    add_tries(ops.db, 7, [70], time.time() - 10.0)
    live, just_ended = write(ops, log_of(60, 6), b"live"), write(ops, log_of(70, 7), b"just ended")
    strange = write(ops, log_of(99, 9), b"of a run that was deleted")
    keeper(ops).tick()
    assert all(path.exists() for path in (young, live, just_ended, strange))
    assert objects(folder) == []


def test_a_file_whose_keeper_died_before_it_went_is_stored_again(
    ops: Ops, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(ops, log_of(50), TEXT)
    with monkeypatch.context() as patched:
        patched.setattr(log_keeping, "remove_log", _die)
        with pytest.raises(KeyboardInterrupt):
            keeper(ops).tick()
    assert path.exists()
    assert read_bytes(ops, log_of(50)) == TEXT
    keeper(ops).tick()
    assert not path.exists()
    assert read_bytes(ops, log_of(50)) == TEXT


def _die(*_: object) -> None:
    raise KeyboardInterrupt


# --- deleting ---------------------------------------------------------------------------------------------------------
def test_objects_go_with_their_logs(ops: Ops, folder: Path, tmp_path: Path) -> None:
    send(ops, 50, b"one\n")
    send(ops, 51, b"two\n")
    keeper(ops).tick()
    with ops.db.transaction() as conn:
        conn.execute(update(try_log).where(try_log.c.ti_id == 50).values(at=NOW - 10 * 86400))
    assert len(objects(folder)) == 2
    Maintenance(ops.db, tmp_path / "none", (0, 3, 0), 3600.0, lambda: True).tick()
    keeper(ops).tick()
    assert objects(folder) == ["dag_id=sales/run_id=run_5/task_id=task_51/attempt=1.51.log"]
    assert read_bytes(ops, log_of(50)) == b""
    with ops.db.reading() as conn:
        assert log_chunks.doomed(conn, 10) == []


def test_a_log_that_is_deleted_while_it_is_stored_leaves_no_object(
    ops: Ops, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(ops, 50, b"one\n")
    put = LogStore.put

    def deleted(store: LogStore, name: str, source: BinaryIO) -> int:
        size = put(store, name, source)
        with ops.db.transaction() as conn:
            conn.execute(delete(try_log))
        return size

    monkeypatch.setattr(LogStore, "put", deleted)
    keeper(ops).tick()
    assert objects(folder) == []


def test_a_store_in_memory_does_as_well(bare: Ops) -> None:
    ops = with_store(bare, LogStore("memory://logs-of-a-test", {}))
    send(ops, 50, TEXT, size=100_000)
    keeper(ops).tick()
    assert (rows(ops), read_bytes(ops, log_of(50))) == (0, TEXT)
