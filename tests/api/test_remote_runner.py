"""A real runner process, connected by HTTP to a real task API with a real scheduler on a real database."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from airloom.model.events import CancelRun
from airloom.model.report import Cause
from airloom.model.wire import Reports, Submit
from airloom.operations import variables
from airloom.operations.asking import ask
from airloom.store import inbox, runs
from tests.api.caller import in_hand
from tests.api.remote_rig import Remote, Visit, remote_rig
from tests.waiting import alive, wait_for, wait_for_end

CHAIN = """
from airloom import dag, task, Variable


@dag(schedule=None)
def chain():
    @task
    def first():
        print("the first line")
        return {"city": Variable.get("city"), "blob": "x" * 300_000}

    @task
    def second(value):
        Variable.set("seen", value["city"])
        print("second saw", value["city"], len(value["blob"]))

    second(first())


chain()
"""

#: a task that says which process it is, and goes on when it may
HOLD = """
import os
import time
from pathlib import Path
from datetime import timedelta

from airloom import dag, task

MARKS = Path({marks!r})


@dag(schedule=None)
def held():
    @task(retries=1, retry_delay=timedelta(0))
    def hold():
        print("before")
        (MARKS / "pid.new").write_text(str(os.getpid()))
        (MARKS / "pid.new").rename(MARKS / "pid")
        while not (MARKS / "go").exists():
            time.sleep(0.01)
        print("after")

    hold()


held()
"""


@pytest.fixture
def remote(tmp_path: Path, database_url: str) -> Iterator[Remote]:
    with remote_rig(tmp_path, database_url) as remote:
        yield remote


def held(remote: Remote, tmp_path: Path) -> tuple[str, int]:
    """A run whose task holds; its id, and the process of the task."""
    remote.write("held", HOLD.format(marks=str(tmp_path)))
    run_id = remote.trigger("held")
    wait_for((tmp_path / "pid").exists, "the task to hold")
    return run_id, int((tmp_path / "pid").read_text())


def test_a_dag_runs_to_its_end_on_a_runner_that_only_knows_the_task_api(remote: Remote):
    variables.set_variable(remote.ops, "city", "Oslo")
    remote.start_runner()
    remote.write("chain", CHAIN)
    run_id = remote.trigger("chain")
    assert remote.ended("chain", run_id) == "success", remote.runner_says()
    assert variables.find_variable(remote.ops, "seen") == "Oslo"
    wait_for(lambda: remote.has_logged(remote.key_of("second"), "second saw Oslo 300000"), "the whole log")
    assert remote.has_logged(remote.key_of("first"), "the first line")
    with remote.db.reading() as conn:
        assert inbox.take(conn, 10) == []
    assert remote.stop_runner() == 0


def test_a_log_can_be_followed_while_it_is_written(remote: Remote, tmp_path: Path):
    remote.start_runner()
    run_id, _ = held(remote, tmp_path)
    key = remote.key_of("hold")
    wait_for(lambda: remote.has_logged(key, "before"), "the first line")
    assert not remote.has_logged(key, "after")
    (tmp_path / "go").touch()
    assert remote.ended("held", run_id) == "success"
    wait_for(lambda: remote.has_logged(key, "after"), "the last line")


def test_a_cancelled_run_ends_its_task_at_once(remote: Remote, tmp_path: Path):
    remote.start_runner()
    run_id, pid = held(remote, tmp_path)
    ask(remote.ops, CancelRun(dag_id="held", run_id=run_id))
    assert remote.ended("held", run_id) == "failed"
    wait_for_end(pid)
    key = remote.key_of("hold")
    wait_for(lambda: remote.has_logged(key, "ending the task: the run was cancelled"), "the reason")


def test_what_ends_while_the_server_is_away_is_told_when_it_is_back(remote: Remote, tmp_path: Path):
    remote.start_runner()
    run_id, pid = held(remote, tmp_path)
    remote.api.stop()
    (tmp_path / "go").touch()
    wait_for_end(pid)
    remote.api.start()
    assert remote.ended("held", run_id) == "success"
    wait_for(lambda: remote.has_logged(remote.key_of("hold"), "after"), "the last line")
    with remote.db.reading() as conn:
        (ti,) = runs.list_tis(conn, runs.find_run(conn, "held", run_id).id)  # type: ignore[union-attr]
        assert len(runs.list_tries(conn, ti.id)) == 1


def test_an_end_that_a_killed_runner_could_not_tell_is_told_by_the_next_one(remote: Remote, tmp_path: Path):
    remote.start_runner()
    run_id, pid = held(remote, tmp_path)
    remote.api.stop()
    (tmp_path / "go").touch()
    wait_for(lambda: _journal_has_an_end(remote.worker), "the end in the journal")
    remote.kill_runner()
    remote.start_runner()
    remote.api.start()
    assert remote.ended("held", run_id) == "success"
    wait_for(lambda: remote.has_logged(remote.key_of("hold"), "after"), "the last line")
    assert not alive(pid)


def _journal_has_an_end(worker: Path) -> bool:
    return any(b"ended" in path.read_bytes() for path in worker.glob("spool/**/*.journal"))


def _has_written(worker: Path) -> bool:
    return any(b"before" in path.read_bytes() for path in worker.glob("logs/**/*") if path.is_file())


def test_a_try_whose_runner_is_killed_is_told_as_lost_by_the_next_one_and_runs_again(remote: Remote, tmp_path: Path):
    remote.start_runner()
    run_id, pid = held(remote, tmp_path)
    key = remote.key_of("hold")
    wait_for(lambda: in_hand(remote.ops, key), "the lease")
    # The first line is in a file of the worker's, or at the server already: what was in a pipe only would be lost.
    wait_for(lambda: _has_written(remote.worker) or remote.has_logged(key, "before"), "the first line")
    remote.kill_runner()
    (tmp_path / "pid").unlink()
    remote.start_runner()
    wait_for(lambda: not alive(pid), "the next runner to end what the dead one left")
    wait_for((tmp_path / "pid").exists, "the next try")
    assert remote.key_of("hold") != key
    (tmp_path / "go").touch()
    assert remote.ended("held", run_id) == "success"
    with remote.db.reading() as conn:
        lost = runs.list_tries(conn, key.ti_id)[0]
    assert lost.cause == Cause.LOST
    assert "was killed, and the next one there has ended" in str(lost.detail)
    wait_for(lambda: remote.has_logged(key, "before"), "the log of the lost try")


def test_whoever_hands_work_to_a_runner_hears_of_its_end(remote: Remote, tmp_path: Path):
    remote.executor.holding = True
    remote.start_runner()
    remote.write("held", HOLD.format(marks=str(tmp_path)))
    (tmp_path / "go").touch()
    run_id = remote.trigger("held")
    remote.key_of("hold")
    assert remote.local is not None
    with Visit(remote.local.work_socket) as worker:
        worker.say(Submit(works=(remote.executor.held[0],)))
        assert worker.hear(Reports).reports[0].key == remote.key_of("hold")
    assert remote.ended("held", run_id) == "success"


def test_a_runner_whose_token_is_wrong_says_so_and_goes_on_trying(remote: Remote):
    remote.set_up_runner("alm_0_0")
    remote.start_runner()
    wait_for(lambda: "airloom tokens add-runner" in remote.runner_says(), "the reason")
    assert remote.runner is not None
    with pytest.raises(subprocess.TimeoutExpired):
        remote.runner.wait(0.1)
