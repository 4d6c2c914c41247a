"""Logs in the database: one true text, whatever comes twice, in part, too soon, or to two servers at once."""

import itertools
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, update

from airloom.model.report import TryKey
from airloom.store import log_chunks
from airloom.store.cleanup import clean, forget_logs, purge, sweep
from airloom.store.database import Database, connect
from airloom.store.log_chunks import FEW, MANY, ROW, LogHead, Piece, Terms
from airloom.store.tables import doomed_log, log_chunk, task_try, try_log
from tests.store.rows import NOW, commit, finished_run, lead, new_run, read, write
from tests.waiting import wait_for

KEY, OTHER = TryKey(50, 1), TryKey(51, 1)
TERMS = Terms(limit=10**9, notice=b"\nfull\n", ended_after=0.0, settle=False)
TEXT = b"".join(b'{"t":"2026-01-01T00:00:00","text":"line %d"}\n' % number for number in range(20_000))


def piece(offset: int, data: bytes, key: TryKey = KEY, *, last: bool = False) -> Piece:
    return Piece(key, offset, data, log_chunks.packed(data), last)


def send(db: Database, *pieces: Piece, terms: Terms = TERMS, now: float = NOW) -> list[int | None]:
    places: list[int | None] = write(db, log_chunks.append, pieces, terms, now)
    return places


def text(db: Database, key: TryKey = KEY) -> bytes:
    """All of a log, read a little at a time."""
    whole = b""
    while part := read(db, log_chunks.read, key, len(whole), 100_000):
        whole += part
    return whole


def head(db: Database, key: TryKey = KEY) -> LogHead:
    found: LogHead | None = read(db, log_chunks.head_of, key)
    assert found is not None
    return found


def rows(db: Database) -> list[int]:
    """The sizes of the rows of all logs."""
    with db.reading() as conn:
        return list(conn.execute(select(log_chunk.c.size).order_by(log_chunk.c.ti_id, log_chunk.c.start)).scalars())


def gather(db: Database, key: TryKey = KEY) -> None:
    """Put the pieces of a log together, as the service does."""
    for window in read(db, log_chunks.windows, key):
        write(db, log_chunks.put_together, key, window, read(db, log_chunks.joined, key, window))


@pytest.fixture(autouse=True)
def _tries(db: Database) -> None:
    """A run with two TIs whose first tries are live."""
    add_tries(db)


def add_tries(db: Database) -> None:
    commit(db, new_run(5, [KEY.ti_id, OTHER.ti_id]), lead(db))
    with db.transaction() as conn:
        row = {"try_number": 1, "state": "running", "executor": "celery", "queue": "default", "queued_at": NOW}
        conn.execute(delete(task_try))
        conn.execute(insert(task_try), [{"ti_id": key.ti_id, **row} for key in (KEY, OTHER)])


def end(db: Database, at: float) -> None:
    with db.transaction() as conn:
        conn.execute(update(task_try).values(ended_at=at))


# --- growing ----------------------------------------------------------------------------------------------------------
def test_pieces_are_put_together_whatever_comes_twice_or_too_soon(db: Database) -> None:
    assert send(db, piece(0, b"")) == [0]
    assert send(db, piece(5, b"world")) == [0]
    assert send(db, piece(0, b"hello")) == [5]
    assert send(db, piece(0, b"hello")) == [5]
    assert send(db, piece(3, b"lo wor")) == [9]
    assert send(db, piece(9, b"ld"), piece(0, b"else", OTHER), piece(11, b"!")) == [11, 4, 12]
    assert (text(db), text(db, OTHER)) == (b"hello world!", b"else")


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 30)), max_size=20), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_any_pieces_of_a_text_in_any_order_leave_its_beginning(pieces: list[tuple[int, int]], between: int) -> None:
    whole = bytes(range(100))
    db = _in_memory()
    known = 0
    for number, (start, size) in enumerate(pieces):
        place = send(db, piece(start, whole[start : start + size]))[0]
        known = max(known, start + size) if start <= known else known
        assert place == known
        if between and number % between == 0:
            gather(db)
    assert text(db) == whole[:known]
    db.close()


def _in_memory() -> Database:
    """A database with the tables of logs, and of what they hang on."""
    db = connect("sqlite://")
    with db.transaction() as conn:
        log_chunk.metadata.create_all(conn)
        leader = "INSERT INTO leader VALUES (1, NULL, 0, 0, '', 0, '', 0, 0, 'x')"
        conn.exec_driver_sql(leader)
    add_tries(db)
    return db


def test_a_piece_that_comes_to_many_servers_at_once_is_kept_once(db: Database) -> None:
    others = [connect(db.url.render_as_string(hide_password=False)) for _ in range(3)]
    start = threading.Barrier(len(others))
    problems: list[BaseException] = []
    cuts = [*range(0, 40_000, 1_000), 40_000]

    def serve(own: Database, seed: int) -> None:
        try:
            choices = random.Random(seed)
            start.wait()
            place = 0
            while place < 40_000:
                offset = choices.choice([cut for cut in cuts if cut <= place])
                size = choices.choice([1_000, 2_500, 5_000])
                (found,) = send(own, piece(offset, TEXT[offset : min(offset + size, 40_000)]))
                assert found is not None
                place = found
        except BaseException as error:
            problems.append(error)
            raise

    threads = [threading.Thread(target=serve, args=(own, seed)) for seed, own in enumerate(others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for own in others:
        own.close()
    assert problems == []
    assert text(db) == TEXT[:40_000]
    assert sum(rows(db)) == head(db).size == 40_000


def test_a_log_that_reaches_its_limit_says_so_and_takes_no_more(db: Database) -> None:
    terms = Terms(limit=100, notice=b"\nfull\n", ended_after=0.0, settle=True)
    assert send(db, piece(0, b"x" * 60), terms=terms) == [60]
    assert send(db, piece(60, b"y" * 60), terms=terms) == [None]
    assert send(db, piece(60, b"y" * 60), terms=terms) == [None]
    assert text(db) == b"x" * 60 + b"y" * 40 + b"\nfull\n"
    assert head(db).complete


def test_there_is_no_log_without_a_try_and_none_of_one_that_ended_long_ago(db: Database) -> None:
    assert send(db, piece(0, b"x", TryKey(999, 1)), piece(0, b"y", TryKey(50, 2)), piece(0, b"z")) == [None, None, 1]
    end(db, NOW)
    late = Terms(limit=99, notice=b"", ended_after=NOW + 1, settle=False)
    assert send(db, piece(0, b"x", OTHER), terms=late) == [None]
    assert send(db, piece(0, b"x", OTHER)) == [1]
    # What has begun is taken until it is settled.
    assert send(db, piece(1, b"z"), terms=late) == [2]
    write(db, log_chunks.settle, [KEY], NOW)
    assert send(db, piece(2, b"z")) == [None]
    assert text(db) == b"zz"


def test_a_log_is_complete_once_all_up_to_its_last_piece_is_there(db: Database) -> None:
    assert send(db, piece(6, b"world", last=True)) == [0]
    assert not head(db).complete
    assert send(db, piece(0, b"hello ")) == [6]
    assert not head(db).complete
    assert send(db, piece(6, b"world", last=True)) == [11]
    assert head(db).complete


def test_a_short_log_is_settled_with_its_last_piece(db: Database) -> None:
    terms = Terms(limit=99, notice=b"", ended_after=0.0, settle=True)
    send(db, piece(0, b"hello"), terms=terms)
    assert head(db).settled_at is None
    send(db, piece(5, b"", last=True), terms=terms)
    assert head(db).settled_at == NOW
    # The answer may have been lost: it is given again. There is no more of it.
    assert send(db, piece(0, b"hello"), piece(5, b"", last=True), piece(5, b"x"), terms=terms) == [5, 5, None]
    assert text(db) == b"hello"
    assert read(db, log_chunks.done_logs, NOW, TryKey(0, 0), 10) == []


# --- few rows ---------------------------------------------------------------------------------------------------------
def test_a_chatty_log_is_kept_in_few_rows_while_it_grows_and_after(db: Database) -> None:
    at = 0
    most = 0
    for number in itertools.count(1):
        if at == len(TEXT):
            break
        data = TEXT[at : at + 997]
        (found,) = send(db, piece(at, data))
        assert found == at + len(data)
        at += len(data)
        most = max(most, len(rows(db)))
        if number % 50 == 0:
            assert read(db, log_chunks.loose_logs, 10) == [KEY]
            gather(db)
            assert read(db, log_chunks.loose_logs, 10) == []
    assert text(db) == TEXT
    assert most < 50 + 1 + len(TEXT) // (ROW - 1000) + 1
    gather(db)
    assert len(rows(db)) == len(TEXT) // (ROW - 1000) + 1
    assert text(db) == TEXT
    assert head(db).loose == 0


def test_pieces_that_two_put_together_at_once_are_put_together_once(db: Database) -> None:
    for number in range(MANY):
        send(db, piece(number * 10, TEXT[number * 10 : number * 10 + 10]))
    (window,) = read(db, log_chunks.windows, KEY)
    data = read(db, log_chunks.joined, KEY, window)
    send(db, piece(MANY * 10, TEXT[MANY * 10 : MANY * 10 + 10]))
    assert write(db, log_chunks.put_together, KEY, window, data)
    # Another leader had read the same, and comes later: also when more has come since, and was put together with it.
    assert not write(db, log_chunks.put_together, KEY, window, data)
    gather(db)
    assert not write(db, log_chunks.put_together, KEY, window, data)
    assert text(db) == TEXT[: MANY * 10 + 10]
    assert rows(db) == [MANY * 10 + 10]


def test_what_is_done_is_found_and_settled(db: Database) -> None:
    send(db, piece(0, b"a"), piece(0, b"b", OTHER, last=True))
    assert [found.key for found in read(db, log_chunks.done_logs, NOW, TryKey(0, 0), 10)] == [OTHER]
    end(db, NOW - 10)
    assert [found.key for found in read(db, log_chunks.done_logs, NOW, TryKey(0, 0), 10)] == [KEY, OTHER]
    assert [found.key for found in read(db, log_chunks.done_logs, NOW, KEY, 10)] == [OTHER]
    write(db, log_chunks.settle, [KEY, OTHER], NOW)
    assert read(db, log_chunks.done_logs, NOW, TryKey(0, 0), 10) == []


def test_few_pieces_are_left_as_they_came(db: Database) -> None:
    terms = Terms(limit=10**6, notice=b"", ended_after=0.0, settle=True)
    for number in range(FEW + 1):
        send(db, piece(number, b"x"), terms=terms)
    send(db, piece(FEW + 1, b"", last=True), terms=terms)
    assert [found.loose for found in read(db, log_chunks.done_logs, NOW, TryKey(0, 0), 10)] == [FEW + 1]


# --- the object store's side ------------------------------------------------------------------------------------------
def doomed(db: Database) -> list[str]:
    return sorted(read(db, log_chunks.doomed, 100))


def test_rows_go_when_the_log_is_an_object(db: Database) -> None:
    send(db, piece(0, b"hello", last=True))
    write(db, log_chunks.move_to_object, KEY, "a/b", NOW)
    assert rows(db) == []
    assert (head(db).object, head(db).size, head(db).settled_at) == ("a/b", 5, NOW)
    assert send(db, piece(0, b"hello", last=True)) == [5]
    assert rows(db) == []


def test_an_object_whose_log_was_deleted_meanwhile_goes(db: Database) -> None:
    write(db, log_chunks.move_to_object, KEY, "a/b", NOW)
    assert doomed(db) == ["a/b"]
    write(db, log_chunks.gone, ["a/b"])
    assert doomed(db) == []


# --- deleting ---------------------------------------------------------------------------------------------------------
def counts(db: Database) -> tuple[int, ...]:
    with db.reading() as conn:
        return tuple(
            conn.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (log_chunk, try_log, doomed_log)
        )


def _with_logs(db: Database, number: int, ids: Sequence[int]) -> None:
    """A run that ended, with a log of each of its TIs: one in rows, one as an object."""
    finished_run(db, lead(db), number, list(ids), 10.0)
    for ti_id in ids:
        send(db, piece(0, b"x" * 1_000, TryKey(ti_id, 1), last=True), now=10.0)
    write(db, log_chunks.move_to_object, TryKey(ids[-1], 1), f"object of {ids[-1]}", 10.0)


def test_logs_go_with_their_runs(db: Database) -> None:
    send(db, piece(0, b"of a live run"))
    _with_logs(db, 6, [60, 61])
    assert counts(db) == (2, 3, 0)
    clean(db, NOW)
    assert counts(db) == (1, 1, 1)
    assert doomed(db) == ["object of 61"]
    assert text(db) == b"of a live run"


def _waits(db: Database) -> str:
    """What says whether somebody waits. A writer of SQLite does for the other one before it begins."""
    return "SELECT count(*) FROM pg_locks WHERE NOT granted" if db.path is None else "SELECT 1"


def test_a_log_that_begins_while_its_run_is_deleted_goes_with_it(db: Database) -> None:
    waits, url = _waits(db), db.url.render_as_string(hide_password=False)
    finished_run(db, lead(db), 6, [60], 10.0)
    with closing(connect(url)) as other, ThreadPoolExecutor(1) as pool:
        with db.transaction() as conn:
            assert log_chunks.append(conn, [piece(0, b"late", TryKey(60, 1))], TERMS, NOW) == [4]
            cleaning = pool.submit(clean, other, NOW)
            wait_for(lambda: conn.exec_driver_sql(waits).scalar_one() or cleaning.done(), "the deletion to be held up")
        assert cleaning.result(30.0).runs == 1
    assert counts(db) == (0, 0, 0)


def test_no_log_begins_of_a_run_that_is_being_deleted_and_nobody_waits(db: Database) -> None:
    finished_run(db, lead(db), 6, [60], 10.0)
    with db.transaction() as conn:
        conn.exec_driver_sql("DELETE FROM dag_run WHERE id = 6")
        if db.path is None:  # SQLite has one writer at a time
            assert send(db, piece(0, b"late", TryKey(60, 1))) == [None]
    assert send(db, piece(0, b"late", TryKey(60, 1))) == [None]
    assert counts(db) == (0, 0, 0)


def test_what_is_added_to_a_log_while_it_is_deleted_goes_with_it(db: Database) -> None:
    waits = _waits(db)
    url = db.url.render_as_string(hide_password=False)
    with closing(connect(url)) as other, ThreadPoolExecutor(1) as pool:
        send(db, piece(0, b"one"))
        with db.transaction() as conn:
            log_chunks.append(conn, [piece(3, b"two")], TERMS, NOW)
            deletion = pool.submit(write, other, log_chunks.forget_tis, [KEY.ti_id])
            wait_for(lambda: conn.exec_driver_sql(waits).scalar_one() or deletion.done(), "the deletion to be held up")
        assert deletion.result(30.0) == [KEY.ti_id]
        assert counts(db) == (0, 0, 0)


def test_a_run_with_much_in_its_logs_goes_in_several_steps(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_chunks, "_AT_ONCE", 2_500)
    _with_logs(db, 6, list(range(60, 68)))
    with db.transaction() as conn:
        conn.exec_driver_sql("INSERT INTO doomed_run VALUES (6)")
        conn.exec_driver_sql("DELETE FROM dag_run WHERE id = 6")
    first = write(db, purge)
    assert first.tis == 2
    sweep(db, 0.0)
    assert counts(db) == (0, 0, 1)
    with db.reading() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM doomed_run").scalar() == 0


def test_old_logs_go_and_those_that_may_grow_stay(db: Database) -> None:
    _with_logs(db, 6, [60, 61, 62])
    send(db, piece(0, b"young", OTHER, last=True), now=100.0)
    send(db, piece(0, b"old, and not at its end"), now=10.0)
    write(db, log_chunks.settle, [TryKey(60, 1), TryKey(61, 1), OTHER], NOW)
    forget_logs(db, 50.0)
    assert counts(db) == (2, 2, 1)
    assert (text(db), text(db, OTHER)) == (b"old, and not at its end", b"young")
    assert doomed(db) == ["object of 62"]
