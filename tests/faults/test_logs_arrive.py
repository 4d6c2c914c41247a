"""No line of a log is lost or doubled on its way from a runner elsewhere, whoever is killed meanwhile."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from airloom.model.report import TryKey
from airloom.runtime.logs import log_path_of
from airloom.store import log_chunks
from tests.api.remote_rig import Remote, remote_rig
from tests.faults.home import COMMAND
from tests.logs import texts
from tests.servers import as_child
from tests.waiting import DEADLINE, wait_for

#: a task that prints numbered lines, of odd lengths, for as long as it may
TALK = """
import time
from pathlib import Path

from airloom import dag, task

MARKS = Path({marks!r})


@dag(schedule=None)
def talk():
    @task
    def speak():
        number = 0
        while not (MARKS / "enough").exists():
            for _ in range(20):
                number += 1
                print(f"line {{number}} " + "x" * (number * 7919 % 613))
            (MARKS / "said.new").write_text(str(number))
            (MARKS / "said.new").rename(MARKS / "said")
            time.sleep(0.005)

    speak()


talk()
"""


@pytest.fixture
def remote(tmp_path: Path, database_url: str) -> Iterator[Remote]:
    with remote_rig(tmp_path, database_url) as remote:
        # Processes of their own take its place, at the same port.
        remote.api.stop()
        remote.start_runner()
        remote.write("talk", TALK.format(marks=str(tmp_path)))
        yield remote


@contextmanager
def an_api(remote: Remote) -> Iterator[Path]:
    """`airloom api` until it is killed; what it says."""
    said = remote.worker / "api.log"
    variables = {
        "AIRLOOM_HOME": str(remote.settings.core.home),
        "AIRLOOM__DATABASE__URL": remote.settings.database.url,
        "AIRLOOM__API__PORT": str(remote.api.port),
        "PATH": os.environ["PATH"],
    }
    with said.open("w") as file:
        api = subprocess.Popen([*COMMAND, "api"], env=variables, stdout=file, stderr=file, preexec_fn=as_child())
    try:
        wait_for(lambda: re.search(r"http://[\d.]+:\d+", said.read_text()) or api.poll() is not None, "the API")
        assert api.poll() is None, said.read_text()
        yield said
    finally:
        api.kill()
        api.wait(DEADLINE)


def arrived(remote: Remote, key: TryKey) -> int:
    """How much of a log is in the database."""
    with remote.db.reading() as conn:
        head = log_chunks.head_of(conn, key)
    return 0 if head is None else head.size


def wait_for_more(remote: Remote, key: TryKey) -> None:
    before = arrived(remote, key)
    wait_for(lambda: arrived(remote, key) > before, "more of the log")


def path_at_worker(remote: Remote, key: TryKey) -> Path:
    return Path(log_path_of(str(remote.worker), remote.executor.works[key]))


def numbers(lines: list[str]) -> list[int]:
    """Of the lines that the task printed."""
    return [int(match[1]) for text in lines if (match := re.match(r"line (\d+) ", text))]


def said(folder: Path) -> int:
    return int((folder / "said").read_text())


def test_a_log_is_whole_though_the_api_is_killed_again_and_again_while_it_comes(remote: Remote, tmp_path: Path) -> None:
    with an_api(remote):
        run_id = remote.trigger("talk")
        key = remote.key_of("speak")
        wait_for(lambda: arrived(remote, key), "the first of the log")
    path = path_at_worker(remote, key)
    for _ in range(2):
        with an_api(remote):
            wait_for_more(remote, key)
    (tmp_path / "enough").touch()
    with an_api(remote):
        assert remote.ended("talk", run_id) == "success"
        wait_for(lambda: not path.exists(), "the runner to know that all is there")
    assert numbers(texts(remote.log(key))) == list(range(1, said(tmp_path) + 1))


def test_a_log_comes_as_far_as_it_was_written_when_its_runner_is_killed(remote: Remote, tmp_path: Path) -> None:
    with an_api(remote):
        remote.trigger("talk")
        key = remote.key_of("speak")
        wait_for(lambda: arrived(remote, key), "the first of the log")
    # Without a server the log grows on the worker only.
    before = arrived(remote, key)
    path = path_at_worker(remote, key)
    wait_for(lambda: path.stat().st_size > before + 100_000, "more to be written")
    remote.kill_runner()
    written = path.read_bytes()
    remote.start_runner()
    with an_api(remote):
        wait_for(lambda: arrived(remote, key) >= len(written), "the next runner to send the rest")
        wait_for(lambda: not path.exists(), "the next runner to know that all is there")
    assert arrived(remote, key) == len(written)
    found = numbers(texts(remote.log(key)))
    assert found == list(range(1, len(found) + 1))
    assert found[-1] == numbers([written.splitlines()[-1].partition(b'"text":"')[2].decode()])[0]
