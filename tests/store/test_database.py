"""The Database under load and bad luck: several processes, kill -9, full disks, damaged files, servers that go away."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from airloom.model.errors import StoreError
from airloom.model.plan import Plan
from airloom.model.run import XComRow
from airloom.store.database import Database, connect
from airloom.store.dialects import prepare_writer
from airloom.store.pools import list_pools
from airloom.store.revision import check
from airloom.store.runs import list_runs
from airloom.store.tables import dag_run, task_instance, variable
from tests.servers import PostgresServer
from tests.store.rows import commit, lead, new_run, read

_WRITERS = 4
_COMMITS = 60


def _process(script: str, *arguments: str, **options: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]


# --- several at once ------------------------------------------------------------------------------------------------
_HAMMER = """
import sys
from sqlalchemy import select
from airloom.store.database import connect
from airloom.store.tables import variable
from airloom.store.pools import list_pools
counter = variable.c.key == "counter"
url, name, commits = sys.argv[1], sys.argv[2], int(sys.argv[3])
for number in range(commits):
    db = connect(url)  # a fresh one each time, as a command line makes it
    with db.transaction() as conn:
        held = conn.execute(select(variable.c.updated_at).where(counter).with_for_update()).scalar_one()
        conn.execute(variable.update().where(counter).values(updated_at=held + 1))
        conn.execute(variable.insert().values(key=f"{name}.{number}", value=b"x", updated_at=0))
    with db.reading() as conn:
        assert list_pools(conn)
    db.close()
print("done")
"""


def test_processes_that_hammer_the_database_all_get_through(db: Database, database_url: str) -> None:
    with db.transaction() as conn:
        conn.execute(variable.insert().values(key="counter", value=b"", updated_at=0))
    writers = [_process(_HAMMER, database_url, f"writer{n}", str(_COMMITS)) for n in range(_WRITERS)]
    for writer in writers:
        out, err = writer.communicate(timeout=100)
        assert (out, err) == ("done\n", "")
    with db.reading() as conn:
        assert conn.execute(select(variable.c.updated_at).where(variable.c.key == "counter")).scalar() == 240
        assert conn.execute(select(func.count()).select_from(variable)).scalar() == 241


def test_threads_share_one_database(db: Database) -> None:
    epoch = lead(db)
    failures: list[BaseException] = []

    def work(worker: int) -> None:
        try:
            for number in range(worker * 100 + 1, worker * 100 + 21):
                commit(db, new_run(number, [number]), epoch)
                read(db, list_runs)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert len(read(db, list_runs, None, None, 200)) == 80


def test_a_reader_sees_one_moment_and_neither_waits_for_a_writer_nor_holds_one_up(db: Database) -> None:
    epoch = lead(db)
    commit(db, new_run(1, [1]), epoch)
    with db.reading() as reader:
        assert reader.execute(select(func.count()).select_from(dag_run)).scalar() == 1
        with db.transaction() as writer:
            writer.execute(text("UPDATE dag_run SET state = 'failed'"))
            assert reader.execute(select(dag_run.c.state)).scalar() == "running"
        assert reader.execute(select(dag_run.c.state)).scalar() == "running"
    assert read(db, list_runs)[0].state == "failed"


def test_reading_cannot_write(db: Database) -> None:
    with pytest.raises(StoreError), db.reading() as conn:
        conn.execute(text("DELETE FROM pool"))
    assert len(read(db, list_pools)) == 1


def test_an_exception_undoes_the_transaction(db: Database) -> None:
    with pytest.raises(KeyError), db.transaction() as conn:
        conn.execute(text("DELETE FROM pool"))
        raise KeyError
    assert len(read(db, list_pools)) == 1


def test_threads_share_a_database_in_memory() -> None:
    db = connect("sqlite://")
    with db.transaction() as conn:
        conn.execute(text("CREATE TABLE n (x integer)"))

    def work() -> None:
        for _ in range(50):
            with db.transaction() as conn:
                conn.execute(text("INSERT INTO n VALUES (1)"))
            with db.reading() as conn:
                conn.execute(text("SELECT * FROM n")).all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with db.reading() as conn:
        assert conn.execute(text("SELECT count(*) FROM n")).scalar() == 200


def test_a_nested_transaction_is_an_error_and_not_a_deadlock(sqlite_url: str) -> None:
    db = connect(sqlite_url)
    with pytest.raises(RuntimeError, match="inside another"), db.transaction(), db.transaction():
        pass
    assert len(read(db, list_pools)) == 1


# --- kill -9 --------------------------------------------------------------------------------------------------------
_VICTIM = """
import sys
from airloom.store.database import connect
from tests.store.rows import commit, lead, new_run
db = connect(sys.argv[1])
epoch = lead(db)
number = 0
while True:
    number += 1
    commit(db, new_run(number, range(number * 1000, number * 1000 + 200)), epoch)
    print(number, flush=True)
"""


@pytest.mark.parametrize("committed", [1, 7, 20])
def test_a_writer_that_is_killed_leaves_whole_commits_only(db: Database, database_url: str, committed: int) -> None:
    root = Path(__file__).parents[2]
    victim = _process(_VICTIM, database_url, cwd=root, env={**os.environ, "PYTHONPATH": str(root)})
    assert victim.stdout is not None
    last = 0
    for line in victim.stdout:
        last = int(line)
        if last >= committed:
            break
    victim.send_signal(signal.SIGKILL)
    victim.communicate(timeout=30)
    with db.reading() as conn:
        runs = set(conn.execute(select(dag_run.c.id)).scalars())
        grouped = select(task_instance.c.run_id, func.count()).group_by(task_instance.c.run_id)
        counts = dict(conn.execute(grouped).all())
    assert runs >= set(range(1, last + 1))
    assert counts == dict.fromkeys(runs, 200)
    commit(db, new_run(900, [1]), lead(db))


# --- what a disk or a file can do -----------------------------------------------------------------------------------
def _value(size: int) -> Plan:
    return Plan(xcoms={(1, "k"): XComRow(ti_id=1, key="k", value=b"x" * size)})


def test_a_database_that_may_not_grow_keeps_what_it_has(sqlite_url: str) -> None:
    db = connect(sqlite_url)
    epoch = lead(db)
    commit(db, new_run(1, [1]), epoch)
    with db.transaction() as conn:
        conn.execute(text("PRAGMA max_page_count = 200"))
    with pytest.raises(StoreError, match=r"disk of the database .* is full: nothing was committed"):
        commit(db, _value(5_000_000), epoch)
    assert len(read(db, list_runs)) == 1
    commit(db, _value(1_000), epoch)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"this user cannot mount a small file system: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_loses_nothing_and_is_survived(small_disk: Path, migrated_sqlite: Path) -> None:
    path = small_disk / "airloom.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    db = connect(f"sqlite:///{path}")
    epoch = lead(db)
    commit(db, new_run(1, [1]), epoch)
    with pytest.raises(StoreError, match=r"is full|disk failed"):
        commit(db, _value(5_000_000), epoch)
    assert len(read(db, list_runs)) == 1
    commit(db, new_run(2, [2]), epoch)
    db.close()
    with sqlite3.connect(path) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    raw.close()


def test_a_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "airloom.db"
    path.write_text("these are my notes, not a database\n" * 100)
    before = path.read_bytes()
    db = connect(f"sqlite:///{path}")
    with pytest.raises(StoreError, match=r"airloom\.db is not a database"):
        check(db)
    with pytest.raises(StoreError, match=r"airloom\.db is not a database"), db.transaction():
        pass
    assert path.read_bytes() == before


def test_a_damaged_file_is_said_so(sqlite_url: str) -> None:
    db = connect(sqlite_url)
    assert db.path is not None
    with db.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 40)
    with pytest.raises(StoreError, match=r"is damaged .*: restore a backup"):
        read(db, list_runs)


def test_a_file_system_without_shared_memory_is_said_so() -> None:
    # As on some network file systems, the journal mode cannot be changed to WAL here.
    with pytest.raises(StoreError, match="cannot be kept in WAL mode"):
        prepare_writer(sqlite3.connect(":memory:"), None)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    db = connect(f"sqlite:///{tmp_path}/no/airloom.db")
    with pytest.raises(StoreError, match=f"the folder {tmp_path}/no does not exist"):
        check(db)


_READ_ONLY = """
import os, sys
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
from airloom.model.errors import StoreError
for act in ("reading", "transaction"):
    try:
        with getattr(db, act)() as conn:
            conn.exec_driver_sql("SELECT * FROM pool")
            if act == "transaction":
                conn.exec_driver_sql("DELETE FROM pool")
        print("worked")
    except StoreError as error:
        print(error)
"""


def test_a_read_only_folder_is_said_so(sqlite_url: str, tmp_path: Path) -> None:
    # Root may write everywhere: the child becomes nobody, who must be able to reach the folder.
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == tmp_path.owner() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o005)
    tmp_path.chmod(0o555)
    script = "from airloom.store.database import connect\nimport sys\ndb = connect(sys.argv[1])\n" + _READ_ONLY
    out, err = _process(script, sqlite_url).communicate(timeout=60)
    tmp_path.chmod(0o755)
    lines = out.splitlines()
    assert err == ""
    assert "worked" not in lines
    assert len(lines) == 2
    assert all("read-only for this user" in line for line in lines)


# --- addresses ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://u:secret@h/db", "the kind 'mysql'"),
        ("secret", "cannot be read"),
        ("postgresql://u:secret@h:port/db", "cannot be read"),
    ],
)
def test_an_address_that_cannot_be_used_is_said_so_without_its_password(url: str, message: str) -> None:
    with pytest.raises(StoreError, match=message) as raised:
        connect(url)
    assert "secret" not in str(raised.value)


def test_a_server_that_is_not_there_is_said_so_without_its_password() -> None:
    db = connect("postgresql://eva:geheim@127.0.0.1:1/airloom")
    with pytest.raises(StoreError, match=r"eva:\*\*\*@127\.0\.0\.1:1/airloom cannot be reached") as raised:
        check(db)
    assert "geheim" not in str(raised.value)
    assert "geheim" not in db.address


def test_a_database_that_a_server_does_not_have_is_said_so(postgres_server: PostgresServer) -> None:
    with pytest.raises(StoreError, match=r'"nowhere" does not exist'):
        check(connect(postgres_server.url("nowhere")))


def test_a_connection_that_the_server_ended_is_replaced(postgres_url: str) -> None:
    db = connect(postgres_url)
    assert len(read(db, list_pools)) == 1
    _end_connections(db)
    assert len(read(db, list_pools)) == 1


def test_a_connection_that_ends_in_a_transaction_undoes_it(postgres_url: str) -> None:
    db = connect(postgres_url)
    with pytest.raises(StoreError), db.transaction() as conn:
        conn.execute(text("DELETE FROM pool"))
        _end_connections(connect(postgres_url))
        conn.execute(text("SELECT 1"))
    assert len(read(db, list_pools)) == 1


def _end_connections(db: Database) -> None:
    with db.session() as conn:
        conn.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
