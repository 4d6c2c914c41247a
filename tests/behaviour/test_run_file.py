"""`airloom run FILE`: nothing makes it wait for ever, Ctrl-C ends it, and no scheduler inherits its dag."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.server import PRELUDE
from tests.faults.home import COMMAND, Home
from tests.waiting import DEADLINE, wait_for, wait_for_end

DAG_FILE = """
@dag(schedule="@daily", is_paused_upon_creation=True)
def once():
    @task({arguments})
    def work():
        {body}

    work()

once()
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home that nothing runs on."""
    path = tmp_path / "home"
    path.mkdir()
    return Home(path, cli__timezone="UTC", local__grace=0.3)


def write(home: Home, arguments: str = "", body: str = "print('done')") -> Path:
    """A DAG file outside of the home's DAGs."""
    path = home.path.parent / "once.py"
    path.write_text(PRELUDE + DAG_FILE.format(arguments=arguments, body=body))
    return path


def run(home: Home, path: Path, *options: str) -> tuple[int, dict[str, Any] | None, str]:
    """Exit status, summary, stderr."""
    done = home.airloom("run", str(path), "-o", "json", *options)
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def test_neither_a_pause_nor_a_pool_that_is_not_there_keeps_it_from_running(home: Home) -> None:
    status, summary, errors = run(home, write(home, "pool='warehouse', pool_slots=500"))
    assert (status, summary is not None and summary["state"]) == (0, "success"), errors


def test_an_executor_that_is_not_there_is_refused(home: Home) -> None:
    status, summary, errors = run(home, write(home, "executor='celery'"))
    assert (status, summary) == (2, None)
    assert "task work asks for the executor 'celery', which is not configured" in errors


def test_a_run_that_is_kept_needs_its_pools(home: Home) -> None:
    status, _, errors = run(home, write(home, "pool='warehouse'"), "--keep")
    assert status == 2
    assert "there is no pool 'warehouse' for a run that is kept" in errors
    assert home.rows("SELECT * FROM dag_run") == []


def test_a_run_that_is_kept_stays_in_the_history_but_its_dag_is_not_the_schedulers(home: Home) -> None:
    path = write(home)
    for _ in range(2):
        assert run(home, path, "--keep")[0] == 0
    assert home.rows("SELECT state FROM dag_run WHERE dag_id = 'once'") == [("success",), ("success",)]
    assert home.rows("SELECT active, paused FROM dag WHERE dag_id = 'once'") == [(0, 1)]


def test_a_dag_of_the_homes_own_files_is_not_taken_over(home: Home) -> None:
    own = home.write("own.py", PRELUDE + DAG_FILE.format(arguments="", body="pass"))
    assert run(home, own, "--keep")[0] == 0
    status, _, errors = run(home, write(home), "--keep")
    assert (status, "the database has a dag 'once' from own.py" in errors) == (4, True)
    assert home.rows("SELECT rel_path, active FROM dag") == [("own.py", 1)]


@pytest.mark.parametrize("body", ["hold('once')", "signal.signal(signal.SIGTERM, signal.SIG_IGN); hold('once')"])
def test_ctrl_c_ends_the_tasks_and_the_run(home: Home, body: str) -> None:
    path = write(home, body=f"import signal; {body}")
    log = home.path / "stderr"
    with log.open("w") as stderr:
        command = [*COMMAND, "run", str(path), "-o", "json"]
        process = subprocess.Popen(command, env=home.env, stdout=subprocess.PIPE, stderr=stderr, text=True)
        wait_for((home.path / "once.pid").exists, "the task to hold")
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    summary = json.loads(stdout)
    assert (summary["state"], summary["tasks"][0]["cause"]) == ("failed", "cancelled")
    assert "Cancelling: what runs is asked to end, and killed after 0.3 s" in log.read_text()
    wait_for_end(int((home.path / "once.pid").read_text()))
