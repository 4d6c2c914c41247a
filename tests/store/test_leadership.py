"""Leadership: one leader at a time, by a lease that expires and by a lock that a dead process cannot keep."""

import signal
import subprocess
import sys
import threading

import pytest

from airloom.model.errors import StoreError
from airloom.store.database import Database, connect
from airloom.store.leadership import LeaderLock, LeaderRow, acquire, current, release, renew
from tests.store.rows import NOW, read, write
from tests.waiting import wait_for


def test_the_first_one_leads_and_a_second_one_waits_for_the_lease_to_expire(db: Database) -> None:
    assert read(db, current) is None
    assert write(db, acquire, "one", NOW, 10.0, False, ("host", 7, "addr")) == 1
    assert read(db, current) == LeaderRow(
        holder="one", epoch=1, expires_at=NOW + 10, host="host", pid=7, address="addr"
    )
    assert write(db, acquire, "two", NOW + 9, 10.0) is None
    assert write(db, renew, "one", 1, NOW + 9, 10.0)
    assert write(db, acquire, "two", NOW + 11, 10.0) is None
    assert write(db, acquire, "two", NOW + 19, 10.0) == 2
    assert not write(db, renew, "one", 1, NOW + 19, 10.0)
    write(db, release, "one", 1)
    assert read(db, current).holder == "two"


def test_a_lease_that_is_given_back_can_be_taken_at_once_and_epochs_only_rise(db: Database) -> None:
    assert write(db, acquire, "one", NOW, 10.0) == 1
    write(db, release, "one", 1)
    assert read(db, current) is None
    assert not write(db, renew, "one", 1, NOW, 10.0)
    assert write(db, acquire, "one", NOW, 10.0) == 2


def test_one_that_comes_back_under_its_name_gets_a_new_epoch(db: Database) -> None:
    assert write(db, acquire, "one", NOW, 10.0) == 1
    assert write(db, acquire, "one", NOW + 1, 10.0) == 2
    assert not write(db, renew, "one", 1, NOW + 1, 10.0)


def test_who_has_the_lock_need_not_wait(db: Database) -> None:
    assert write(db, acquire, "one", NOW, 10.0) == 1
    assert write(db, acquire, "two", NOW + 1, 10.0, True) == 2


def test_of_many_that_try_at_once_one_leads(db: Database, database_url: str) -> None:
    won: list[int] = []

    def attempt(name: str) -> None:
        mine = connect(database_url)
        if write(mine, acquire, name, NOW, 10.0) is not None:
            won.append(1)
        mine.close()

    threads = [threading.Thread(target=attempt, args=(f"n{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert won == [1]


def test_the_lock_is_for_one_and_is_free_when_it_is_given_back(db: Database, database_url: str) -> None:
    first, second = LeaderLock(db), LeaderLock(connect(database_url))
    assert first.acquire()
    assert first.acquire()
    assert first.held()
    assert not second.acquire()
    assert not second.held()
    first.release()
    assert not first.held()
    assert second.acquire()
    second.release()


_HOLDER = """
import sys, signal
from airloom.store.database import connect
from airloom.store.leadership import LeaderLock
lock = LeaderLock(connect(sys.argv[1]))
print(lock.acquire(), flush=True)
signal.pause()
"""


def test_the_lock_of_a_killed_process_is_free(db: Database, database_url: str) -> None:
    holder = subprocess.Popen([sys.executable, "-c", _HOLDER, database_url], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    lock = LeaderLock(db)
    assert not lock.acquire()
    holder.send_signal(signal.SIGKILL)
    holder.wait(30)
    # The server notices the closed connection by itself, a moment later.
    wait_for(lock.acquire, "the lock")
    lock.release()
    holder.stdout.close()


def test_a_lock_whose_connection_is_gone_is_not_held(postgres_url: str) -> None:
    db = connect(postgres_url)
    lock = LeaderLock(db)
    assert lock.acquire()
    with db.session() as conn:
        conn.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert not lock.held()
    assert lock.acquire()
    lock.release()


def test_a_lock_that_cannot_be_made_is_said_so(sqlite_url: str) -> None:
    db = connect(sqlite_url)
    assert db.path is not None
    db.path.with_name("airloom.db.leader").mkdir()
    with pytest.raises(StoreError, match=r"airloom\.db\.leader cannot be made"):
        LeaderLock(db).acquire()


def test_in_memory_there_is_nobody_else() -> None:
    lock = LeaderLock(connect("sqlite://"))
    assert lock.acquire()
    lock.release()
