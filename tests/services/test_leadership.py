"""Which of several schedulers leads, with real processes that are killed and stopped."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from airloom.model.errors import Conflict, StoreError
from airloom.services.leader import Leadership
from airloom.store import leadership as rows
from airloom.store.database import Connection, Database, connect
from airloom.store.pools import list_pools
from tests.services.rig import LEASE, Clock

DEADLINE = 30.0
Lead = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def lead() -> Iterator[Lead]:
    """Starts a process that leads; it is killed at the end."""
    processes: list[subprocess.Popen[str]] = []

    def start(url: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.services.leading_process", url, str(LEASE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "leads\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def commit(process: "subprocess.Popen[str]", pool: str) -> str:
    """Have the process commit something; what came of it."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{pool}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def until_it_leads(spare: Leadership) -> None:
    """The server learns of a killed client by its closed socket: a moment later, not a lease later."""
    give_up = time.monotonic() + DEADLINE
    while True:
        with contextlib.suppress(StoreError):  # its own connection may have been cut as well
            if spare.lead():
                return
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_on_sqlite_a_second_process_is_refused_with_the_place_of_the_first(sqlite_url: str, lead: Lead) -> None:
    first = lead(sqlite_url)
    second = Leadership(connect(sqlite_url), LEASE, time.time)
    with pytest.raises(Conflict) as refused:
        second.require()
    text = str(refused.value)
    assert f"process {first.pid} on {socket.gethostname()}" in text
    assert "SQLite allows one; stop that one first, or use PostgreSQL" in text
    assert commit(first, "mine") == "committed"


def test_on_sqlite_the_next_one_leads_at_once_when_the_first_was_killed(sqlite_url: str, lead: Lead) -> None:
    first = lead(sqlite_url)
    first.kill()
    first.wait()
    # Its lease has not ended at this time: the lock that died with it is enough.
    second = Leadership(connect(sqlite_url), LEASE, time.time)
    second.require()
    assert second.epoch == 2


def test_on_sqlite_a_first_one_that_is_stuck_is_still_the_first(sqlite_url: str, lead: Lead) -> None:
    first = lead(sqlite_url)
    os.kill(first.pid, signal.SIGSTOP)
    late = Clock(time.time() + 100 * LEASE)
    with pytest.raises(Conflict):
        Leadership(connect(sqlite_url), LEASE, late).require()


def test_on_postgresql_a_spare_leads_at_once_when_the_leader_was_killed(postgres_url: str, lead: Lead) -> None:
    first = lead(postgres_url)
    # The clock stands still: whoever leads by it has not waited for the lease.
    spare = Leadership(connect(postgres_url), LEASE, Clock(time.time()))
    assert not spare.lead()
    first.kill()
    until_it_leads(spare)
    assert spare.epoch == 2


def test_on_postgresql_a_spare_waits_for_the_lease_of_a_leader_that_is_stuck_which_then_commits_nothing(
    postgres_url: str, lead: Lead
) -> None:
    first = lead(postgres_url)
    assert commit(first, "before") == "committed"
    os.kill(first.pid, signal.SIGSTOP)
    clock = Clock(time.time())
    db = connect(postgres_url)
    spare = Leadership(db, LEASE, clock)
    assert not spare.lead()
    # It holds its lock still, so it is given more time than its lease.
    clock.now += LEASE + 1
    assert not spare.lead()
    clock.now += 5 * LEASE
    assert spare.lead()
    os.kill(first.pid, signal.SIGCONT)
    assert commit(first, "after") == "refused"
    with db.reading() as conn:
        names = {pool.name for pool in list_pools(conn)}
    assert ("before" in names, "after" in names) == (True, False)


def test_on_postgresql_a_leader_whose_connections_were_cut_is_replaced_and_fenced(
    postgres_url: str, lead: Lead
) -> None:
    first = lead(postgres_url)
    db = connect(postgres_url)
    spare = Leadership(db, LEASE, Clock(time.time()))
    assert not spare.lead()
    with db.session() as session:
        others = "pid <> pg_backend_pid() AND datname = current_database() AND application_name = 'airloom'"
        session.exec_driver_sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
    until_it_leads(spare)
    assert commit(first, "late") == "refused"


def test_the_lease_is_renewed_in_time_and_no_oftener(db: Database) -> None:
    clock = Clock()
    holder = Leadership(db, LEASE, clock)
    assert holder.lead()
    assert holder.next_renewal == clock.now + LEASE / 3
    clock.now += LEASE / 3 - 1
    assert holder.lead()
    assert expiry(db) == 1_000.0 + LEASE
    clock.now += 1
    assert holder.lead()
    assert expiry(db) == clock.now + LEASE


def test_one_that_finds_another_in_its_place_at_a_renewal_steps_down(db: Database) -> None:
    clock = Clock()
    holder = Leadership(db, LEASE, clock)
    holder.lead()
    with db.transaction() as conn:
        rows.acquire(conn, "another", clock.now, LEASE, force=True)
    clock.now += LEASE / 2
    assert not holder.lead()
    assert holder.epoch is None


def test_one_that_resigns_leaves_the_place_free(database_url: str) -> None:
    clock = Clock()
    first, second = (Leadership(connect(database_url), LEASE, clock) for _ in range(2))
    assert first.lead()
    assert not second.lead()
    first.resign()
    assert second.lead()
    assert second.epoch == 2


def test_an_epoch_whose_commit_failed_is_not_believed(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one may be given the same number: two that commit under it would not know of each other."""
    holder = Leadership(db, LEASE, Clock())
    real = db.transaction

    @contextmanager
    def failing() -> Iterator[Connection]:
        with real() as conn:
            yield conn
            raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(db, "transaction", failing)
        with pytest.raises(StoreError):
            holder.lead()
    assert holder.epoch is None
    with db.transaction() as conn:
        assert rows.acquire(conn, "another", 1_000.0, LEASE) == 1


def expiry(db: Database) -> float:
    with db.reading() as conn:
        row = rows.current(conn)
    assert row is not None
    return row.expires_at
