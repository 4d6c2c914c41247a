"""`airloom run`: one run in the foreground, cancelled in good order, and why it may be refused. Real processes."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.home import COMMAND, Home, home_at
from tests.waiting import DEADLINE, alive, wait_for, wait_for_end

WAITING = """
import os
import time
from pathlib import Path
from airloom import DAG, BaseOperator, EmptyOperator

MARKS = Path({marks!r})

class Wait(BaseOperator):
    def execute(self, context):
        MARKS.joinpath("pid.new").write_text(str(os.getpid()))
        MARKS.joinpath("pid.new").rename(MARKS / "pid")
        time.sleep(3600)

    def on_kill(self):
        MARKS.joinpath("told").touch()
        {on_kill}

with DAG("waiting"):
    EmptyOperator(task_id="first") >> Wait(task_id="wait") >> EmptyOperator(task_id="never")
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with home_at(tmp_path / "home") as home:
        home.env["TMPDIR"] = str(tmp_path)
        yield home


def start(home: Home, tmp_path: Path, on_kill: str = "pass", *options: str) -> tuple["subprocess.Popen[str]", int]:
    """A run whose task waits; the process, and that of the task."""
    file = tmp_path / "waiting.py"
    file.write_text(WAITING.format(marks=str(tmp_path), on_kill=on_kill))
    process = subprocess.Popen(
        [*COMMAND, "run", str(file), "-o", "json", *options],
        env=home.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    pid = int(wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "the task"))
    return process, pid


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_run_in_good_order(home: Home, tmp_path: Path, number: int) -> None:
    process, task = start(home, tmp_path)
    process.send_signal(number)
    out, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    summary = json.loads(out)
    assert summary["state"] == "failed"
    states = {ti["task_id"]: ti["state"] for ti in summary["tasks"]}
    assert states == {"first": "success", "wait": "failed", "never": "skipped"}
    assert (tmp_path / "told").exists()
    assert not alive(task)


def test_a_second_signal_ends_it_however_long_the_task_would_take(home: Home, tmp_path: Path) -> None:
    home.env["AIRLOOM__LOCAL__GRACE"] = "1"
    process, task = start(home, tmp_path, on_kill="time.sleep(3600)")
    process.send_signal(signal.SIGINT)
    wait_for((tmp_path / "told").exists, "the task to be told")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    wait_for_end(task)


def test_a_cancelled_run_that_is_kept_is_in_the_database_as_it_ended(home: Home, tmp_path: Path) -> None:
    process, _ = start(home, tmp_path, "pass", "--keep")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=DEADLINE)
    assert home.run_state("waiting") == "failed"
    rows = home.rows("SELECT task_id, state, cause FROM task_instance ORDER BY id")
    assert rows == [("first", "success", None), ("wait", "failed", "cancelled"), ("never", "skipped", None)]
    assert home.rows("SELECT count(*) FROM task_try WHERE ended_at IS NULL") == [(0,)]
    assert home.rows("SELECT holder FROM leader") == [(None,)]


HEAD = "from airloom import DAG, BashOperator, EmptyOperator, Param\n"
TWO = HEAD + "for name in ('one', 'two'):\n    with DAG(name):\n        EmptyOperator(task_id='a')\n"
PARAMS = HEAD + "with DAG('one', params={'n': Param(1, type='integer')}):\n    EmptyOperator(task_id='a')\n"
ELSEWHERE = HEAD + "with DAG('one'):\n    EmptyOperator(task_id='a', executor='far')\n"
POOL = HEAD + "with DAG('one'):\n    BashOperator(task_id='a', bash_command='true', pool='p')\n"
BROKEN = HEAD + "with DAG('one'):\n    1 / 0\n"


@pytest.mark.parametrize(
    ("text", "options", "status", "says"),
    [
        (TWO, [], 2, "defines 2 DAGs: choose one with --dag: one, two"),
        (TWO, ["--dag", "three"], 3, "defines no dag three; it has one, two"),
        ("# airloom dag\n", [], 3, "defines no DAG"),
        (PARAMS, ["--conf", '{"n": "many"}'], 2, "n"),
        (PARAMS, ["--conf", "[1]"], 2, "--conf is no JSON object"),
        (ELSEWHERE, [], 2, "task a asks for the executor 'far', which is not configured"),
        (POOL, ["--keep"], 2, "there is no pool 'p' for a run that is kept"),
        (BROKEN, [], 2, "file.py:3: ZeroDivisionError"),
    ],
)
def test_a_run_that_cannot_be_made_is_refused_with_the_reason(
    home: Home, tmp_path: Path, text: str, options: list[Any], status: int, says: str
) -> None:
    file = tmp_path / "file.py"
    file.write_text(text)
    done = home.airloom("run", str(file), "-o", "json", *options)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_that_is_kept_is_refused_while_a_scheduler_runs(home: Home, tmp_path: Path) -> None:
    home.start()
    home.ready()
    file = tmp_path / "file.py"
    file.write_text(PARAMS)
    assert home.server is not None
    done = home.airloom("run", str(file), "--keep")
    assert done.returncode == 4
    assert f"process {home.server.pid} on" in done.stderr
    assert home.airloom("run", str(file)).returncode == 0
