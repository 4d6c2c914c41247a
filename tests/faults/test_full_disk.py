"""The disk of the database is full: it is said, nothing is lost, and all goes on when there is room."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.home import Home, home_at

SIZE = 4 * 2**20
DAG_FILE = """
from airloom import DAG, task

with DAG("wordy"):
    @task
    def first():
        return "x" * 300_000

    @task
    def last(text):
        return len(text)

    last(first())
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home whose database is on a small disk of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here, so none can be filled: {mounted.stderr.strip()}")
    try:
        with home_at(tmp_path / "home", database__url=f"sqlite:///{disk}/airloom.db") as home:
            home.database = disk / "airloom.db"
            home.write("wordy.py", DAG_FILE)
            yield home
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Use up whatever room there is."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(b"x" * size):
                    continue
            except OSError:
                continue
    return ballast


def test_a_run_stands_still_while_the_disk_is_full_and_ends_when_there_is_room(home: Home) -> None:
    home.start()
    home.wait_for(lambda: home.rows("SELECT 1 FROM dag"), "the dag")
    ballast = fill(home.database.parent)
    # The request is a row too: it is refused with the reason, and not lost by halves.
    asked = home.airloom("dags", "trigger", "wordy", "--run-id", "refused")
    assert asked.returncode == 5
    assert f"the disk of the database {home.database} is full: nothing was committed" in asked.stderr
    assert home.server is not None
    # A little room: the run can be asked for, and the large result of its first task cannot be kept.
    os.truncate(ballast, ballast.stat().st_size - 150_000)
    assert home.airloom("dags", "trigger", "wordy", "--run-id", "kept").returncode == 0
    home.wait_for(lambda: "is full: nothing was committed" in home.log.read_text(), "the scheduler to say so")
    assert home.server.poll() is None
    assert home.rows("SELECT run_id, state FROM dag_run") == [("kept", "running")]
    ballast.unlink()
    assert home.ended("wordy") == "success"
    assert home.rows("PRAGMA integrity_check") == [("ok",)]
    tries = home.rows("SELECT task_id, try_number, state FROM task_instance ORDER BY id")
    assert tries == [("first", 1, "success"), ("last", 1, "success")]
    assert "Traceback" not in home.log.read_text()


def test_a_server_that_is_killed_while_the_disk_is_full_loses_no_result(home: Home) -> None:
    home.start()
    home.wait_for(lambda: home.rows("SELECT 1 FROM dag"), "the dag")
    ballast = fill(home.database.parent)
    os.truncate(ballast, ballast.stat().st_size - 150_000)
    assert home.airloom("dags", "trigger", "wordy").returncode == 0
    home.wait_for(lambda: "is full: nothing was committed" in home.log.read_text(), "the scheduler to say so")
    home.kill_server()
    ballast.unlink()
    home.start()
    assert home.ended("wordy") == "success"
    # The result was in the runner's journal: the task did not run again.
    assert home.rows("SELECT count(*) FROM task_try") == [(2,)]


def test_a_server_says_so_if_the_disk_is_full_when_it_starts(home: Home) -> None:
    fill(home.database.parent)
    done = home.airloom("standalone")
    assert done.returncode == 5
    assert "is full" in done.stderr
    assert "Traceback" not in done.stderr
