"""The feed: written with the plan, read in the order of the commits by whoever follows, forgotten after a while."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from airloom.model.errors import NotLeader
from airloom.model.plan import Plan
from airloom.operations import following
from airloom.store import feed
from airloom.store.database import Database, connect
from airloom.store.notify import feed_listener, feed_notifier
from tests.store.rows import NOW, commit, lead, read, write
from tests.waiting import wait_for

_LONG = 30.0


def test_what_a_plan_tells_is_committed_with_it(db: Database) -> None:
    epoch = lead(db)
    commit(db, Plan(feed=b'{"dags":["a"]}'), epoch)
    commit(db, Plan(feed=b'{"dags":["b"]}'), epoch)
    rows = read(db, feed.after, 0, 10)
    assert [(row.at, row.data) for row in rows] == [(NOW, b'{"dags":["a"]}'), (NOW, b'{"dags":["b"]}')]
    assert rows[0].id < rows[1].id
    assert read(db, feed.after, rows[0].id, 10) == rows[1:]
    assert read(db, feed.bounds) == (rows[0].id, rows[1].id)


def test_a_plan_that_is_refused_tells_nothing(db: Database) -> None:
    epoch = lead(db)
    with pytest.raises(NotLeader):
        commit(db, Plan(feed=b"{}"), epoch - 1)
    assert read(db, feed.bounds) == (0, 0)


def test_other_changes_are_told_by_their_topic(db: Database) -> None:
    write(db, feed.tell, "variables", "connections")
    news = following.since(db, 0)
    assert news is not None
    assert news.changes.topics == ["variables", "connections"]
    assert following.since(db, news.position) is None


def test_rows_become_visible_in_the_order_of_their_numbers(postgres_url: str) -> None:
    """Two transactions at a time: a reader that has seen the later one must never find that an earlier one follows."""
    db, other = connect(postgres_url), connect(postgres_url)
    first_wrote, second_waits = threading.Event(), threading.Event()

    def second() -> None:
        first_wrote.wait(_LONG)
        with other.transaction() as conn:
            waits.append(conn.execute(text("SELECT pg_backend_pid()")).scalar_one())
            second_waits.set()
            feed.write(conn, b'"second"', 2.0)

    waits: list[int] = []
    thread = threading.Thread(target=second)
    thread.start()
    with db.transaction() as conn:
        feed.write(conn, b'"first"', 1.0)
        first_wrote.set()
        assert second_waits.wait(_LONG)
        blocked = text("SELECT pg_blocking_pids(:pid) <> '{}'")
        with db.reading() as seeing:
            wait_for(lambda: seeing.execute(blocked, {"pid": waits[0]}).scalar_one(), "the second writer to be held up")
            # The second has no number yet, so none is visible before the first.
            assert feed.after(seeing, 0, 10) == []
    thread.join(_LONG)
    rows = read(db, feed.after, 0, 10)
    assert [row.data for row in rows] == [b'"first"', b'"second"']
    assert rows[0].id < rows[1].id
    db.close()
    other.close()


def test_old_rows_go_and_the_newest_stays_whatever_its_age(db: Database) -> None:
    for at in (1.0, 2.0, 3.0):
        write(db, feed.write, b"{}", at)
    last = read(db, feed.bounds)[1]
    assert write(db, feed.trim, 2.5) == 2
    assert read(db, feed.bounds) == (last, last)
    assert write(db, feed.trim, 100.0) == 0
    assert read(db, feed.bounds) == (last, last)
    write(db, feed.write, b"{}", 101.0)
    assert read(db, feed.bounds)[1] > last


def test_what_was_missed_is_told_or_it_is_said_that_it_cannot_be(db: Database) -> None:
    assert following.missed(db, 0) == (0, None, True)
    for dag_id in ("a", "b", "c"):
        write(db, feed.write, b'{"dags":["%s"]}' % dag_id.encode(), NOW)
    oldest, newest = read(db, feed.bounds)
    position, news, whole = following.missed(db, oldest)
    assert (position, whole) == (newest, True)
    assert news is not None
    assert news.changes.dags == ["b", "c"]
    assert following.missed(db, newest) == (newest, None, True)
    # A number of another database, or of one that was put back to an older state.
    assert following.missed(db, newest + 1) == (newest, None, False)
    write(db, feed.trim, NOW + 1)
    assert following.missed(db, newest - 1)[2]
    assert following.missed(db, newest - 2) == (newest, None, False)


def test_what_another_version_told_cannot_be_told_on(db: Database) -> None:
    write(db, feed.write, b"of another version", NOW)
    write(db, feed.write, b"{}", NOW)
    oldest, newest = read(db, feed.bounds)
    assert following.missed(db, oldest - 1) == (newest, None, False)
    assert following.missed(db, oldest)[2]


def test_who_missed_very_much_begins_anew(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "MOST", 2)
    for _ in range(3):
        write(db, feed.write, b"{}", NOW)
    assert not following.missed(db, 0)[2]
    news = following.since(db, 0)
    assert news is not None
    assert news.position == read(db, feed.after, 0, 10)[1].id


def test_a_commit_wakes_all_that_follow(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes on one home; on PostgreSQL the commit itself tells them."""
    listeners = []
    for pid in (101, 102):
        monkeypatch.setattr("os.getpid", lambda pid=pid: pid)
        listeners.append(feed_listener(db, tmp_path))
    voice = feed_notifier(db, tmp_path)
    for ear in listeners:
        ear.wait(0.0)
    write(db, feed.tell, "variables")
    voice.notify()
    assert all(ear.wait(_LONG) for ear in listeners)
    listeners[0].close()
    write(db, feed.tell, "variables")
    voice.notify()
    assert listeners[1].wait(_LONG)
    listeners[1].close()
    voice.close()


def test_the_socket_of_a_killed_process_is_removed_and_a_new_one_is_found(sqlite_url: str, tmp_path: Path) -> None:
    db = connect(sqlite_url)
    voice = feed_notifier(db, tmp_path)
    voice.notify()
    ear = feed_listener(db, tmp_path)
    [path] = tmp_path.glob("*.wake")
    voice.notify()
    assert ear.wait(_LONG)
    ear._socket.close()  # type: ignore[attr-defined]
    voice.notify()
    assert not path.exists()
    ear.close()
    voice.close()
    db.close()
