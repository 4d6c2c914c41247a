"""Hints: they cross processes, a missing listener is no error, dead sockets and connections are replaced."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from airloom.model.errors import AirloomError
from airloom.store.database import Database, connect
from airloom.store.notify import Listener, listener, notifier

#: Far more than any wait here takes; a wait that must not end is short instead.
_LONG = 30.0


@pytest.fixture
def wake_path(tmp_path: Path) -> Path:
    """Where the leader's socket is."""
    return tmp_path / "airloom.wake"


@pytest.fixture
def heard(db: Database, wake_path: Path) -> Iterator[Listener]:
    """A listener that has said once that there may be news, if it says so when it begins."""
    ear = listener(db, wake_path)
    ear.wait(0.0)
    yield ear
    ear.close()


def test_a_hint_is_heard_and_many_at_once_are_one(db: Database, wake_path: Path, heard: Listener) -> None:
    voice = notifier(db, wake_path)
    for _ in range(3):
        voice.notify()
    assert heard.wait(_LONG)
    while heard.wait(0.2):
        pass
    voice.notify()
    assert heard.wait(_LONG)
    voice.close()


def test_a_hint_that_joins_a_transaction_comes_with_its_commit(db: Database, wake_path: Path, heard: Listener) -> None:
    voice = notifier(db, wake_path)
    with db.transaction() as conn:
        joined = voice.join(conn)
        assert not heard.wait(0.2)
    if not joined:
        voice.notify()
    assert heard.wait(_LONG)
    voice.close()


def test_silence_ends_with_the_time(heard: Listener) -> None:
    assert not heard.wait(0.01)


def test_another_process_is_heard(database_url: str, wake_path: Path, heard: Listener) -> None:
    script = (
        "import sys, pathlib\n"
        "from airloom.store.database import connect\n"
        "from airloom.store.notify import notifier\n"
        "notifier(connect(sys.argv[1]), pathlib.Path(sys.argv[2])).notify()\n"
    )
    subprocess.run([sys.executable, "-c", script, database_url, str(wake_path)], check=True, timeout=60)
    assert heard.wait(_LONG)


def test_closing_ends_a_wait_of_another_thread(heard: Listener) -> None:
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(heard.wait(_LONG)))
    thread.start()
    heard.close()
    thread.join(_LONG)
    assert results == [False]
    assert not heard.wait(_LONG)


def test_a_hint_that_nobody_hears_is_no_error(db: Database, wake_path: Path) -> None:
    voice = notifier(db, wake_path)
    voice.notify()
    voice.close()


def test_more_hints_than_a_queue_holds_are_no_error(db: Database, wake_path: Path, heard: Listener) -> None:
    voice = notifier(db, wake_path)
    for _ in range(2_000):
        voice.notify()
    assert heard.wait(_LONG)
    voice.close()


def test_a_socket_that_a_dead_leader_left_is_replaced(sqlite_url: str, wake_path: Path) -> None:
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dead.bind(str(wake_path))
    dead.close()
    db = connect(sqlite_url)
    voice = notifier(db, wake_path)
    voice.notify()
    ear = listener(db, wake_path)
    voice.notify()
    assert ear.wait(_LONG)
    ear.close()
    assert list(wake_path.parent.glob("airloom.wake*")) == []


def test_a_leader_that_closes_leaves_its_successors_socket_alone(sqlite_url: str, wake_path: Path) -> None:
    db = connect(sqlite_url)
    old, new = listener(db, wake_path), listener(db, wake_path)
    old.close()
    notifier(db, wake_path).notify()
    assert new.wait(_LONG)
    new.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system has no /proc")
def test_a_home_whose_path_is_longer_than_a_socket_address_works(sqlite_url: str, tmp_path: Path) -> None:
    home = tmp_path / ("long" * 20) / ("longer" * 20)
    home.mkdir(parents=True)
    path = home / "airloom.wake"
    assert len(os.fsencode(path)) > 200
    db = connect(sqlite_url)
    ear = listener(db, path)
    notifier(db, path).notify()
    assert ear.wait(_LONG)
    assert path.is_socket()
    ear.close()
    assert list(home.iterdir()) == []


def test_a_socket_that_cannot_be_made_is_said_so(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(AirloomError, match=r"no/airloom\.wake cannot be made"):
        listener(connect(sqlite_url), tmp_path / "no" / "airloom.wake")


def test_in_memory_there_is_nobody_to_hear(wake_path: Path) -> None:
    db = connect("sqlite://")
    ear = listener(db, wake_path)
    notifier(db, wake_path).notify()
    assert not ear.wait(0.01)
    ear.close()
    assert not ear.wait(_LONG)


def test_a_listener_whose_connection_was_ended_connects_again_and_says_so(postgres_url: str, wake_path: Path) -> None:
    db = connect(postgres_url)
    ear, voice = listener(db, wake_path), notifier(db, wake_path)
    assert ear.wait(_LONG)
    voice.notify()
    assert ear.wait(_LONG)
    with connect(postgres_url).session() as conn:
        conn.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    # Hints may have been lost meanwhile: being back is news.
    assert ear.wait(_LONG)
    voice.notify()
    assert ear.wait(_LONG)
    ear.close()
    voice.close()


def test_a_server_that_is_away_is_silence(wake_path: Path) -> None:
    db = connect("postgresql://nobody@127.0.0.1:1/nothing")
    ear, voice = listener(db, wake_path), notifier(db, wake_path)
    assert not ear.wait(0.05)
    voice.notify()
    ear.close()
    voice.close()
