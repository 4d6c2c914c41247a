"""The API is a process of its own: its death harms no run, and it comes back; the scheduler's death is its own."""

import json
import os
import re
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.home import Home, home_at
from tests.waiting import alive, wait_for, wait_for_end

DAG_FILE = """
import os
import time
from pathlib import Path

from airloom import dag, task

GO = Path(os.environ["AIRLOOM_HOME"]) / "go"


@dag(schedule="@once")
def patient():
    @task
    def wait():
        while not GO.exists():
            time.sleep(0.02)

    wait()


patient()
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home on which a standalone runs, with a run that goes on."""
    with home_at(tmp_path / "home") as home:
        home.write("patient.py", DAG_FILE)
        home.start()
        home.ready()
        wait_for(lambda: home.rows("SELECT 1 FROM task_instance WHERE state = 'running'"), "the task to run")
        yield home


def address(home: Home) -> str:
    """Where the API is."""
    found = re.search(r"http://[\d.]+:\d+", home.log.read_text())
    assert found is not None
    return found.group()


def answers(home: Home) -> bool:
    """Whether the API answers that all is well."""
    try:
        with urllib.request.urlopen(f"{address(home)}/api/v1/health", timeout=5) as answer:
            return str(json.load(answer)["status"]) == "ok"
    except OSError:
        return False


def api_process(home: Home) -> int:
    """The process that serves, as it tells itself."""
    (pid,) = wait_for(lambda: home.rows("SELECT pid FROM process WHERE kind = 'api' ORDER BY started_at DESC"), "it")[0]
    return int(pid)


def test_an_api_that_is_killed_is_there_again_and_no_run_notices(home: Home) -> None:
    wait_for(lambda: answers(home), "the API to answer")
    for _ in range(2):
        died = api_process(home)
        os.kill(died, signal.SIGKILL)
        wait_for(lambda died=died: api_process(home) != died, "another API process")
        wait_for(lambda: answers(home), "the API to answer again")
    (home.path / "go").touch()
    assert home.ended("patient") == "success"
    assert home.rows("SELECT try_number, state FROM task_try") == [(1, "success")]
    assert home.stop() == 0


def test_with_the_scheduler_its_api_ends(home: Home) -> None:
    wait_for(lambda: answers(home), "the API to answer")
    pid = api_process(home)
    home.kill_server()
    wait_for_end(pid)


def test_a_server_that_is_stopped_leaves_no_process_and_a_tidy_database(home: Home) -> None:
    wait_for(lambda: answers(home), "the API to answer")
    pid = api_process(home)
    assert home.stop() == 0
    assert not alive(pid)
    assert not home.database.with_name("airloom.db-wal").exists()
    assert home.rows("SELECT kind FROM process WHERE kind != 'runner'") == []
