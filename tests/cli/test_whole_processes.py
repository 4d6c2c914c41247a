"""The command line against a real `airloom standalone`, and `airloom run` of a real file, each as processes."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import DEADLINE, wait_for

AIRLOOM = [sys.executable, "-c", "from airloom.cli.main import main; main()"]
DAG_FILE = """
from airloom import dag, task

@dag(schedule=None, is_paused_upon_creation=False)
def hello():
    @task
    def names():
        print("three names")
        return ["a", "b", "c"]

    @task
    def greet(name, fail=False):
        print(f"hello {name}")

    greet.expand(name=names())

hello()
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    (home / "dags").mkdir(parents=True)
    (home / "dags" / "hello.py").write_text(DAG_FILE)
    return {**os.environ, "AIRLOOM_HOME": str(home), "AIRLOOM__CLI__TIMEZONE": "UTC"}


def airloom(env: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*AIRLOOM, *args], env=env, capture_output=True, text=True, timeout=DEADLINE, check=False)


@pytest.fixture
def standalone(env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A standalone that is ready; it is killed if the test did not stop it."""
    process = subprocess.Popen([*AIRLOOM, "standalone"], env=env, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "Airloom is running" in line:
                break
        else:
            pytest.fail(f"standalone ended with {process.wait()} before it was ready")
        yield process
    finally:
        process.kill()
        process.communicate()


def loaded(env: dict[str, str], dag_id: str) -> None:
    """Wait until a dag is there."""
    wait_for(lambda: airloom(env, "dags", "show", dag_id).returncode == 0, f"the dag {dag_id}")


def test_a_run_is_triggered_watched_read_and_explained(env: dict[str, str], standalone: subprocess.Popen[str]) -> None:
    loaded(env, "hello")
    triggered = airloom(env, "dags", "trigger", "hello", "--run-id", "first", "--wait")
    assert triggered.returncode == 0, triggered.stderr
    assert re.search(r"^\d\d:\d\d:\d\d greet\[2\] success ", triggered.stdout, re.MULTILINE)
    log = airloom(env, "tasks", "logs", "hello", "latest", "greet", "--map-index", "1", "--follow")
    assert re.search(r"^\d\d:\d\d:\d\d hello b$", log.stdout, re.MULTILINE)
    [explained] = json.loads(airloom(env, "explain", "hello", "first", "names", "-o", "json").stdout)
    assert explained["reasons"][0]["kind"] == "finished"
    cleared = airloom(env, "runs", "clear", "hello", "first")
    assert cleared.stdout.split() == ["names", "greet[0]", "greet[1]", "greet[2]"]
    assert airloom(env, "pools", "set", "small", "1").returncode == 0
    standalone.send_signal(signal.SIGTERM)
    assert standalone.wait(DEADLINE) == 0


def test_a_second_standalone_on_the_same_home_refuses(env: dict[str, str], standalone: subprocess.Popen[str]) -> None:
    second = airloom(env, "standalone")
    assert second.returncode != 0
    assert "Traceback" not in second.stderr
    assert airloom(env, "pools", "list").returncode == 0


def test_running_a_file_needs_no_home_and_leaves_none(tmp_path: Path) -> None:
    file = tmp_path / "hello.py"
    file.write_text(DAG_FILE)
    env = {**os.environ, "AIRLOOM_HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path)}
    done = airloom(env, "run", str(file), "-o", "json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert [(ti["task_id"], ti["map_index"], ti["state"]) for ti in summary["tasks"]] == [
        ("names", -1, "success"),
        ("greet", 0, "success"),
        ("greet", 1, "success"),
        ("greet", 2, "success"),
    ]
    assert not (tmp_path / "home").exists()


def test_running_a_file_that_cannot_be_loaded_says_where_it_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("from airloom import dag\n\ndef (:\n")
    env = {**os.environ, "AIRLOOM_HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path)}
    done = airloom(env, "run", str(file), "-o", "json")
    assert done.returncode not in (0, 70)
    assert done.stdout == ""
    assert "broken.py:3" in done.stderr
