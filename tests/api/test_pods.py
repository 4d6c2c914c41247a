"""What a pod runs, with a real task API: one try, from its claim to its last word, whatever happens meanwhile."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airloom.executors import pod_terms
from airloom.model.events import CancelRun
from airloom.model.processes import ProcessKind, ProcessRow
from airloom.model.report import Cause
from airloom.model.work import Work
from airloom.operations import remote_runners
from airloom.operations.asking import ask
from airloom.operations.workers import list_workers
from airloom.store import processes, runs
from tests.api.pod_rig import Pod
from tests.api.remote_rig import Remote, remote_rig
from tests.api.test_remote_runner import HOLD
from tests.waiting import alive, wait_for

TASK = """
import logging, sys
from airloom import dag, task


@dag(schedule=None)
def one():
    @task
    def do():
        {body}

    do()


one()
"""


@pytest.fixture
def remote(tmp_path: Path, database_url: str) -> Iterator[Remote]:
    with remote_rig(tmp_path, database_url) as remote:
        remote.executor.holding = True
        yield remote


@pytest.fixture
def pod(remote: Remote) -> Iterator[Pod]:
    made = Pod(remote)
    yield made
    made.close()


def handed_out(remote: Remote, body: str) -> tuple[str, Work]:
    """A run of one task, as it was handed out and nobody has it yet."""
    remote.write("one", TASK.format(body=body))
    run_id = remote.trigger("one")
    remote.key_of("do")
    return run_id, remote.executor.held[-1]


def holding(remote: Remote, tmp_path: Path) -> tuple[str, Work]:
    """The same, with a task that holds."""
    remote.write("held", HOLD.format(marks=str(tmp_path)))
    run_id = remote.trigger("held")
    remote.key_of("hold")
    return run_id, remote.executor.held[-1]


def begun(pod: Pod, work: Work, tmp_path: Path, **fields: Any) -> int:
    """The pod has begun the task that holds; its process."""
    pod.start(work, **fields)
    wait_for((tmp_path / "pid").exists, "the task to hold")
    return int((tmp_path / "pid").read_text())


def cause_of(remote: Remote, work: Work) -> str | None:
    """Why a try did not succeed, as the database tells."""
    with remote.db.reading() as conn:
        return runs.list_tries(conn, work.key.ti_id)[work.key.try_number - 1].cause


def test_a_pod_runs_its_try_and_ends_with_it(remote: Remote, pod: Pod):
    run_id, work = handed_out(remote, "print('it is done')")
    assert pod.run(work) == pod_terms.DONE, pod.said
    assert remote.ended("one", run_id) == "success"
    assert remote.has_logged(work.key, "it is done")
    assert pod.last_words == ""


def test_all_that_the_log_has_is_on_the_standard_output_too(remote: Remote, pod: Pod):
    body = "print('said'); print('wrong', file=sys.stderr); logging.getLogger('mine').error('logged')"
    _, work = handed_out(remote, body + "; print('x' * 9**6); print('end', end='')")
    assert pod.run(work) == pod_terms.DONE
    lines = pod.printed.splitlines()
    assert {"said", "wrong", "ERROR mine  logged", "x" * 9**6, "end"} <= set(lines)
    assert [line.text for line in remote.log(work.key) if line.source == "stdout"][-1] == "end"


def test_a_failed_try_is_a_failed_pod_with_the_reason(remote: Remote, pod: Pod):
    run_id, work = handed_out(remote, "raise ValueError('no such city')")
    assert pod.run(work) == pod_terms.FAILED
    assert remote.ended("one", run_id) == "failed"
    assert "ValueError: no such city" in pod.last_words
    assert "ValueError: no such city" in pod.printed


def test_a_pod_that_is_ended_ends_its_task_sends_its_log_and_lets_the_executor_say_why(
    remote: Remote, pod: Pod, tmp_path: Path
):
    _, work = holding(remote, tmp_path)
    pid = begun(pod, work, tmp_path)
    assert pod.process is not None
    pod.process.send_signal(signal.SIGTERM)
    assert pod.ended() == pod_terms.STOPPED
    assert not alive(pid)
    assert pod.last_words.startswith("its pod was ended")
    assert cause_of(remote, work) is None
    assert remote.has_logged(work.key, "before")


def test_a_pod_that_is_ended_before_it_could_begin_says_so(remote: Remote, pod: Pod):
    _, work = handed_out(remote, "pass")
    remote.api.stop()
    pod.start(work, grace=0.1)
    wait_for(lambda: "is not reached" in pod.said, "the pod to miss the server")
    assert pod.process is not None
    pod.process.send_signal(signal.SIGTERM)
    assert pod.ended() == pod_terms.STOPPED
    assert "the try has not begun" in pod.last_words


def test_the_end_of_a_run_reaches_its_pod(remote: Remote, pod: Pod, tmp_path: Path):
    run_id, work = holding(remote, tmp_path)
    pid = begun(pod, work, tmp_path)
    ask(remote.ops, CancelRun(dag_id="held", run_id=run_id))
    assert pod.ended() == pod_terms.FAILED
    assert not alive(pid)
    assert "cancelled" in pod.last_words
    assert remote.ended("held", run_id) == "failed"


def test_a_pod_that_cannot_reach_the_server_gives_up_and_says_why(remote: Remote, pod: Pod):
    _, work = handed_out(remote, "pass")
    remote.api.stop()
    assert pod.run(work, orphan_timeout=0.3) == pod_terms.UNABLE
    assert pod.last_words == (
        f"the try has not begun: the server at {remote.api.url} is not reached: Connection refused"
    )
    assert pod.last_words in pod.said


def test_a_pod_that_the_server_refuses_gives_up_and_says_why(remote: Remote, pod: Pod):
    _, work = handed_out(remote, "pass")
    assert pod.run(work, owner="another") == pod_terms.UNABLE
    assert "refuses this runner: 409, the runner has tries of another database" in pod.last_words


def test_a_pod_whose_end_the_server_does_not_hear_says_that(remote: Remote, pod: Pod, tmp_path: Path):
    _, work = holding(remote, tmp_path)
    begun(pod, work, tmp_path, orphan_timeout=0.3)
    remote.api.stop()
    (tmp_path / "go").touch()
    assert pod.ended() == pod_terms.UNTOLD
    assert pod.last_words.startswith("the try has ended (success), and the server was not told: the server at ")


def test_a_pod_waits_for_a_server_that_comes_back_with_the_end_of_its_try(remote: Remote, pod: Pod, tmp_path: Path):
    run_id, work = holding(remote, tmp_path)
    begun(pod, work, tmp_path)
    remote.api.stop()
    (tmp_path / "go").touch()
    wait_for(lambda: "is not reached" in pod.said, "the pod to miss the server")
    remote.api.start()
    assert pod.ended() == pod_terms.DONE
    assert remote.ended("held", run_id) == "success"
    assert remote.has_logged(work.key, "after")


def test_a_try_that_another_one_has_is_not_run(remote: Remote, pod: Pod, tmp_path: Path):
    _, work = holding(remote, tmp_path)
    remote_runners.claim(remote.ops, "another", (work.key,))
    assert pod.run(work) == pod_terms.UNTOLD
    assert pod.last_words == "the server does not give the try to this pod: the runner another has it"
    assert not (tmp_path / "pid").exists()


def test_a_try_that_has_ended_is_not_run(remote: Remote, pod: Pod, tmp_path: Path):
    run_id, work = holding(remote, tmp_path)
    ask(remote.ops, CancelRun(dag_id="held", run_id=run_id))
    remote.executor.lose(work.key)
    assert remote.ended("held", run_id) == "failed"
    assert pod.run(work) == pod_terms.UNTOLD
    assert "it has ended" in pod.last_words


def test_a_container_that_is_started_again_tells_that_the_first_one_is_lost(remote: Remote, pod: Pod, tmp_path: Path):
    _, work = holding(remote, tmp_path)
    pid = begun(pod, work, tmp_path)
    pod.kill()
    wait_for(lambda: not alive(pid), "the task's end")
    assert pod.run(work) == pod_terms.UNTOLD
    wait_for(lambda: cause_of(remote, work) == Cause.LOST, "the report")


def test_a_runner_that_is_killed_leaves_a_word(remote: Remote, pod: Pod, tmp_path: Path):
    _, work = holding(remote, tmp_path)
    pid = begun(pod, work, tmp_path)
    pod.kill_runner()
    assert pod.ended() == 128 + signal.SIGKILL
    assert "was killed with SIGKILL" in pod.last_words
    wait_for(lambda: not alive(pid), "the task's end")


def test_pods_are_no_workers_and_leave_nothing_behind(remote: Remote, pod: Pod, tmp_path: Path):
    _, work = holding(remote, tmp_path)
    begun(pod, work, tmp_path)

    def pods() -> list[ProcessRow]:
        with remote.db.reading() as conn:
            return processes.list_processes(conn, ProcessKind.POD)

    wait_for(lambda: [row.state["tries"] for row in pods()] == [[list(work.key)]], "the pod's lease")
    assert list_workers(remote.ops) == []
    with remote.db.reading() as conn:
        assert processes.list_processes(conn, ProcessKind.RUNNER) == []
    (tmp_path / "go").touch()
    assert pod.ended() == pod_terms.DONE
    assert pods() == []


def test_a_pod_that_was_made_wrong_says_what_is_missing(remote: Remote, pod: Pod):
    _, work = handed_out(remote, "pass")
    assert pod.run(work, server="airloom:8080") == pod_terms.UNABLE
    assert "the server's address 'airloom:8080' is none of" in pod.last_words


def test_who_does_not_read_the_standard_output_holds_up_neither_the_try_nor_its_log(remote: Remote, pod: Pod):
    run_id, work = handed_out(remote, "for number in range(20_000): print(number, 'x' * 100)")
    ours, theirs = os.pipe()
    pod.reader = theirs
    assert pod.run(work) == pod_terms.DONE, pod.said
    assert remote.ended("one", run_id) == "success"
    assert remote.has_logged(work.key, "19999 x")
    os.close(ours)
    os.close(theirs)


def test_who_goes_away_from_the_standard_output_ends_nothing(remote: Remote, pod: Pod):
    run_id, work = handed_out(remote, "for number in range(20_000): print(number)")
    ours, theirs = os.pipe()
    os.close(ours)
    pod.reader = theirs
    assert pod.run(work) == pod_terms.DONE, pod.said
    assert remote.ended("one", run_id) == "success"
    os.close(theirs)


@pytest.fixture
def first(remote: Remote) -> Iterator[Pod]:
    """A pod as in a container: what it runs is process 1."""
    alone = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a process namespace cannot be made here: run these tests as root, in a container with SYS_ADMIN")
    made = Pod(remote, command=(*alone, sys.executable, "-m", "airloom"))
    yield made
    made.close()


def test_what_a_task_leaves_behind_is_reaped_by_process_1(remote: Remote, first: Pod):
    body = """import os, subprocess, time
        pid = int(subprocess.check_output(['sh', '-c', 'sleep 0.01 >/dev/null & echo $!']))
        until = time.monotonic() + 30
        while os.path.exists(f'/proc/{pid}'):
            assert time.monotonic() < until, open(f'/proc/{pid}/stat').read()
        print('process 1 is', open('/proc/1/cmdline').read().split(chr(0))[-2])"""
    _, work = handed_out(remote, body)
    assert first.run(work) == pod_terms.DONE, first.printed
    assert remote.has_logged(work.key, "process 1 is pod")


def test_process_1_passes_sigterm_on(remote: Remote, first: Pod, tmp_path: Path):
    _, work = holding(remote, tmp_path)
    begun(first, work, tmp_path)
    assert first.process is not None
    number = first.process.pid
    (child,) = map(int, Path(f"/proc/{number}/task/{number}/children").read_text().split())
    os.kill(child, signal.SIGTERM)
    assert first.ended() == pod_terms.STOPPED
    assert remote.has_logged(work.key, "before")
