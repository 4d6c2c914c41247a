"""A home that cannot be used: each case through the real command line, with its sentence, and the data whole."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.home import Home, home_at

DAG_FILE = """
from airloom import DAG, task

with DAG("hello", schedule="@once"):
    @task
    def words():
        return ["some", "words"]
    words()
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home that has run a dag, and on which nothing runs now."""
    with home_at(tmp_path / "home") as home:
        home.write("hello.py", DAG_FILE)
        home.start()
        assert home.ended("hello") == "success"
        assert home.stop() == 0
        yield home


def refused(home: Home, *says: str, command: tuple[str, ...] = ("standalone",), status: int = 5) -> None:
    """The command ends with a sentence that has all of `says`, and not with a traceback."""
    done = home.airloom(*command)
    assert done.returncode == status, done.stderr
    for text in says:
        assert text in done.stderr
    assert "Traceback" not in done.stderr


def is_whole(home: Home) -> None:
    """What was in the database is in it, and a server goes on with it."""
    assert home.rows("PRAGMA integrity_check") == [("ok",)]
    assert home.run_state("hello") == "success"
    home.start()
    home.log.write_text("")
    home.ready()
    assert home.airloom("dags", "trigger", "hello", "--wait").returncode == 0


# --- the database --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("command", [("standalone",), ("scheduler",), ("dags", "list"), ("db", "check")])
def test_a_file_that_is_no_database_is_left_alone(home: Home, command: tuple[str, ...]) -> None:
    kept = home.database.read_bytes()
    home.database.write_bytes(b"this is the thesis of somebody" * 1000)
    refused(home, f"{home.database} is not a database: give another path, or move the file away", command=command)
    assert home.database.read_bytes() == b"this is the thesis of somebody" * 1000
    home.database.write_bytes(kept)
    is_whole(home)


@pytest.mark.parametrize("command", [("standalone",), ("dags", "list")])
def test_the_database_of_another_application_is_left_alone(home: Home, command: tuple[str, ...]) -> None:
    home.database.unlink()
    with closing(sqlite3.connect(home.database)) as connection:
        connection.execute("CREATE TABLE customers (name TEXT)")
        connection.execute("INSERT INTO customers VALUES ('Ann')")
        connection.commit()
    before = home.database.read_bytes()
    refused(home, "is not Airloom's: it has other tables (customers)", command=command)
    assert home.database.read_bytes() == before
    assert home.rows("SELECT name FROM customers") == [("Ann",)]


def test_a_damaged_database_is_said_to_be_damaged(home: Home) -> None:
    data = bytearray(home.database.read_bytes())
    page = 4096
    data[page : 20 * page] = os.urandom(19 * page)
    home.database.write_bytes(data)
    refused(home, f"the database {home.database} is damaged", "restore a backup")
    assert home.database.read_bytes() == data


def test_a_database_of_a_newer_airloom_is_not_used(home: Home) -> None:
    with closing(sqlite3.connect(home.database)) as connection:
        connection.execute("UPDATE airloom_revision SET version_num = '9999'")
        connection.execute("UPDATE compatible SET oldest = '9999'")
        connection.commit()
    refused(home, "is newer than this Airloom", "upgrade Airloom")
    refused(home, "is newer than this Airloom", command=("dags", "list"))
    assert home.run_state("hello") == "success"


def test_a_scheduler_does_not_migrate_by_itself(home: Home) -> None:
    home.database.unlink()
    refused(home, "run `airloom db migrate`", command=("scheduler",))
    assert not home.database.exists()


# --- the folder ----------------------------------------------------------------------------------------------------
@pytest.fixture
def read_only(home: Home, tmp_path: Path) -> Iterator[Home]:
    """That home on a disk that is mounted read-only: so it is for any user."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    try:
        shutil.copytree(home.path, disk / "home")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        home.env["AIRLOOM_HOME"] = str(disk / "home")
        yield home
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_home_that_is_read_only_is_said_so(read_only: Home) -> None:
    folder = read_only.env["AIRLOOM_HOME"]
    refused(
        read_only,
        f"the home folder {folder} cannot be written to: Read-only file system",
        "correct its rights, or set AIRLOOM_HOME to another folder",
    )
    refused(read_only, "read-only for this user", command=("dags", "list"))


def test_a_home_that_is_a_file_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "home"
    with home_at(path) as home:
        shutil.rmtree(path)
        path.write_text("I am a file")
        refused(home, f"{path}/airloom.toml cannot be read: Not a directory")
        assert path.read_text() == "I am a file"


# --- locks and sockets ---------------------------------------------------------------------------------------------
def test_a_second_server_is_refused_with_the_place_of_the_first_which_goes_on(home: Home) -> None:
    first = home.start()
    home.log.write_text("")
    home.ready()
    for command in ("standalone", "scheduler"):
        refused(home, f"process {first.pid} on", "stop that one first", command=(command,), status=4)
    assert home.airloom("dags", "trigger", "hello", "--wait").returncode == 0


def test_a_home_whose_socket_another_scheduler_has_is_refused(home: Home, tmp_path: Path) -> None:
    """Two databases, one home: the second scheduler leads its own database and may not have the first one's runner."""
    home.start()
    home.log.write_text("")
    home.ready()
    home.env["AIRLOOM__DATABASE__URL"] = f"sqlite:///{tmp_path}/other.db"
    refused(home, f"another process listens at {home.path}/local.sock", "Stop it, or give", status=4)
    del home.env["AIRLOOM__DATABASE__URL"]
    assert home.airloom("dags", "trigger", "hello", "--wait").returncode == 0


def test_sockets_and_locks_that_a_killed_server_left_hold_nobody_up(home: Home) -> None:
    home.start()
    home.log.write_text("")
    home.ready()
    home.kill_server()
    home.kill_runner()
    assert (home.path / "local.sock").exists()
    assert (home.path / "scheduler.wake").exists()
    is_whole(home)
