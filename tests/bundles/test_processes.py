"""A scheduler, and loaders on other machines, as processes on one database: code comes from a repository to all."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from airloom.model.run import VersionRow
from airloom.store import dags
from airloom.store.database import connect
from tests.bundles.repositories import Remote
from tests.faults.home import COMMAND, kill
from tests.waiting import DEADLINE, wait_for

DAG = """
from airloom import dag, task
from words import WORD

@dag
def one():
    @task
    def show():
        with open("word.txt") as file:
            print("WORDS", WORD, file.read())
    show()

one()
"""


class Machine:
    """A home and one process on it."""

    def __init__(self, home: Path, url: str, remote: Remote, **settings: str) -> None:
        self.home = home
        bundle = {"kind": "git", "url": remote.url, "ref": "main", "subfolder": "flows", "refresh": 1}
        self.env = {
            **os.environ,
            "AIRLOOM_HOME": str(home),
            "AIRLOOM__DATABASE__URL": url,
            "AIRLOOM__BUNDLES": json.dumps({"flows": bundle}),
            "AIRLOOM__CORE__DAGS_ARE_PAUSED_AT_CREATION": "false",
            "AIRLOOM__CORE__SECRET_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
            **settings,
        }

    def start(self, role: str) -> "subprocess.Popen[str]":
        """Start it, and wait until it is ready."""
        process = subprocess.Popen([*COMMAND, role], env=self.env, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            if "is running" in line:
                return process
        raise AssertionError(f"{role} ended with {process.wait()}")

    def airloom(self, *arguments: str) -> str:
        """What a command says."""
        command = [*COMMAND, *arguments]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=DEADLINE, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def bundle(self) -> dict[str, Any]:
        """The bundle as it is listed."""
        (row,) = json.loads(self.airloom("bundles", "list", "-o", "json"))
        assert isinstance(row, dict)
        return row


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path / "remote")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def begin(machine: Machine, role: str, stack: ExitStack) -> "subprocess.Popen[str]":
    process = machine.start(role)

    def end() -> None:
        process.terminate()
        process.communicate(timeout=DEADLINE)

    stack.callback(end)
    return process


def test_a_scheduler_without_a_loader_runs_what_the_loader_of_another_machine_found(
    postgres_url: str, tmp_path: Path, remote: Remote, stack: ExitStack
) -> None:
    (remote.folder / "flows").mkdir()
    (remote.folder / "flows" / "word.txt").write_text("first")
    first = remote.commit(flows__one=DAG, flows__words="WORD = 'one'\n")
    scheduler = Machine(tmp_path / "s", postgres_url, remote, AIRLOOM__SCHEDULER__LOADER="false")
    loaders = [Machine(tmp_path / name, postgres_url, remote) for name in ("a", "b")]
    begin(scheduler, "scheduler", stack)
    assert scheduler.bundle()["trouble"] == "no loader watches it"
    on_duty = begin(loaders[0], "loader", stack)
    db = stack.enter_context(closing(connect(postgres_url)))

    def version_at(commit: str) -> VersionRow:
        def look() -> VersionRow | None:
            with db.reading() as conn:
                found = dags.list_versions(conn, "one")
            return found[0] if found and found[0].bundle_version == commit else None

        found = wait_for(look, f"the dag at {commit}")
        assert found is not None
        return found

    version_at(first)
    begin(loaders[1], "loader", stack)
    wait_for(lambda: scheduler.bundle()["version"] == first, "the loader's word")
    scheduler.airloom("dags", "trigger", "one", "--run-id", "r1", "--wait")
    assert "WORDS one first" in scheduler.airloom("tasks", "logs", "one", "r1", "show")
    # The loader dies without a word; the other one goes on from where it was.
    kill(on_duty.pid)
    (remote.folder / "flows" / "word.txt").write_text("second")
    second = remote.commit_all()
    assert version_at(second).number == 1
    scheduler.airloom("dags", "trigger", "one", "--run-id", "r2", "--wait")
    assert "WORDS one second" in scheduler.airloom("tasks", "logs", "one", "r2", "show")
