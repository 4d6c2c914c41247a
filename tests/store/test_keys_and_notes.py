"""Keys of requests, notes, and what is counted by queue, on both databases."""

import threading

from airloom.model.run import TryRow
from airloom.model.states import TIState
from airloom.store import idempotency, notes
from airloom.store.cleanup import clean
from airloom.store.database import Database
from airloom.store.dialects import dialect_of
from airloom.store.idempotency import Key
from airloom.store.notes import NoteRow, notes_on
from airloom.store.queues import count_live
from airloom.store.rows import to_rows
from airloom.store.tables import task_try
from tests.store.rows import finished_run, lead

KEY = Key("ada", "k")


def test_of_those_that_take_a_key_at_once_one_has_it(db: Database) -> None:
    found: list[object] = []
    start = threading.Barrier(4)

    def take(number: int) -> None:
        start.wait()
        with db.transaction() as conn:
            found.append(idempotency.begin(conn, KEY, bytes([number]), 1.0))

    threads = [threading.Thread(target=take, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.count(None) == 1
    others = [attempt for attempt in found if attempt is not None]
    assert len(others) == 3
    assert len({attempt.request for attempt in others}) == 1  # type: ignore[attr-defined]


def test_an_answer_is_kept_for_its_user_and_only_what_has_none_is_forgotten(db: Database) -> None:
    with db.transaction() as conn:
        assert idempotency.begin(conn, KEY, b"r", 1.0) is None
        assert idempotency.begin(conn, Key("eve", "k"), b"r", 1.0) is None
        idempotency.finish(conn, KEY, 201, b"{}")
        idempotency.forget(conn, KEY)
        idempotency.forget(conn, Key("eve", "k"))
        kept = idempotency.begin(conn, KEY, b"r", 2.0)
        assert kept is not None
        assert (kept.status, kept.body, kept.created_at) == (201, b"{}", 1.0)
        assert idempotency.find(conn, Key("eve", "k")) is None
        assert idempotency.begin(conn, KEY, b"other", 2.0 + idempotency.KEPT) is None


def test_a_note_is_written_over_and_removed(db: Database) -> None:
    with db.transaction() as conn:
        for text in ("first", "with \0 in it"):
            notes.set_note(conn, NoteRow(run_id=1, ti_id=0, text=text, by="ada", at=1.0))
        notes.set_note(conn, NoteRow(run_id=1, ti_id=5, text="about a task", by="ada", at=1.0))
        assert notes_on(conn, [(1, 0)])[1, 0].text == "with \ufffd in it"
        assert notes.remove_note(conn, 1)
        assert not notes.remove_note(conn, 1)
        assert list(notes_on(conn, [(1, 0), (1, 5)])) == [(1, 5)]


def test_the_notes_of_a_run_go_with_it(db: Database) -> None:
    epoch = lead(db)
    for number in (1, 2):
        finished_run(db, epoch, number, [number * 10, number * 10 + 1], number * 10.0)
    with db.transaction() as conn:
        for run_id, ti_id in ((1, 0), (1, 10), (2, 0)):
            notes.set_note(conn, NoteRow(run_id=run_id, ti_id=ti_id, text="x", by="ada", at=1.0))
    clean(db, 15.0)
    with db.reading() as conn:
        assert list(notes_on(conn, [(1, 0), (1, 10), (2, 0)])) == [(2, 0)]


def test_live_tries_are_counted_by_queue(db: Database) -> None:
    rows = [
        TryRow(
            ti_id=number,
            try_number=1,
            state=state,
            executor="local",
            queue=queue,
            queued_at=1.0,
            ended_at=2.0 if state is TIState.SUCCESS else None,
        )
        for number, (queue, state) in enumerate(
            [("a", TIState.QUEUED), ("a", TIState.RUNNING), ("a", TIState.RUNNING), ("b", TIState.SUCCESS)]
        )
    ]
    with db.transaction() as conn:
        dialect_of(conn).insert(conn, task_try, to_rows(rows))
        assert sorted(count_live(conn)) == [("local", "a", TIState.QUEUED, 1), ("local", "a", TIState.RUNNING, 2)]
