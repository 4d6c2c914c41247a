"""What the local executor makes of deaths: of the runner, of the scheduler, of both."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import msgspec
import pytest

from airloom.executors.local import LocalExecutor, LocalSettings
from airloom.model.report import Cause, Ended, Outcome
from airloom.model.work import Work
from tests.executors.rig import Rig, keys, runner_pid, values
from tests.waiting import alive, wait_for, wait_for_end

WAITS = "(MARKS / 'up').touch()\nwhile not (MARKS / 'go').exists(): time.sleep(0.01)\nreturn 'gone on'"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def rig(tmp_path: Path):
    rig = Rig(tmp_path)
    yield rig
    for scheduler in rig.schedulers:
        if scheduler.poll() is None:
            kill(scheduler)
    if not hasattr(rig, "executor"):
        start(rig)  # ends what a lone scheduler has left
        rig.executor.adopt([])
    rig.executor.close(0)


def settings(rig: Rig, **fields: object) -> LocalSettings:
    base = LocalSettings(home=str(rig.home), bundles={"dags": str(rig.dags)}, parallelism=0)
    return msgspec.structs.replace(base, **fields)


def start(rig: Rig, **fields: object) -> None:
    rig.start(partial(LocalExecutor, settings(rig, **fields)))


def lone_scheduler(rig: Rig, *works: Work, **fields: object) -> subprocess.Popen[str]:
    """A scheduler process that has submitted `works`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.executors.lone_scheduler"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    rig.schedulers.append(process)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(msgspec.json.encode((settings(rig, **fields), works)).decode() + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == "submitted\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_killed_runner_is_replaced_and_what_it_ran_is_reported_lost(rig: Rig):
    start(rig)
    rig.write("long", WAITS)
    rig.write("good", "return 1")
    work = rig.work("long")
    rig.submit(work)
    wait_for(rig.mark("up").exists, "the task")
    first = runner_pid(rig.home)
    os.kill(first, signal.SIGKILL)
    ended = rig.end(work)
    assert (ended.outcome, ended.cause) == (Outcome.FAILED, Cause.LOST)
    assert rig.run(rig.work("good"))[0].outcome is Outcome.SUCCESS
    assert runner_pid(rig.home) != first


def test_nothing_that_a_killed_runner_had_started_goes_on(rig: Rig):
    start(rig)
    rig.write(
        "family",
        "child = subprocess.Popen(['sleep', '600'])\n"
        "bare = subprocess.Popen(['sleep', '600'], env={}, process_group=0)\n"
        "away = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "(MARKS / 'new').write_text(f'{os.getpid()} {child.pid} {bare.pid} {away.pid}')\n"
        "(MARKS / 'new').rename(MARKS / 'pids')\ntime.sleep(600)",
    )
    work = rig.work("family")
    rig.submit(work)
    wait_for(rig.mark("pids").exists, "the task")
    rig.started(work)
    rig.executor.poll()
    os.kill(runner_pid(rig.home), signal.SIGKILL)
    assert rig.end(work).cause is Cause.LOST
    for pid in map(int, rig.mark("pids").read_text().split()):
        wait_for_end(pid)


def test_an_end_that_was_told_and_not_yet_acknowledged_is_not_told_twice(rig: Rig):
    start(rig)
    rig.write("good", "return 1")
    work = rig.work("good")
    rig.run(work)  # polled once: the runner may not forget it yet
    os.kill(runner_pid(rig.home), signal.SIGKILL)
    rig.run(rig.work("good"))
    assert len(rig.told(Ended, work)) == 1


def test_a_try_goes_on_while_its_scheduler_is_dead_and_is_adopted_by_the_next(rig: Rig):
    rig.write("long", WAITS)
    work = rig.work("long")
    scheduler = lone_scheduler(rig, work)
    wait_for(rig.mark("up").exists, "the task")
    runner = runner_pid(rig.home)
    kill(scheduler)
    start(rig)
    assert rig.executor.adopt([work.key]) == {work.key}
    rig.mark("go").touch()
    assert values(rig.end(work)) == {"return_value": "gone on"}
    assert runner_pid(rig.home) == runner


def test_an_end_that_came_while_there_was_no_scheduler_is_told_to_the_next(rig: Rig):
    rig.write("long", "(MARKS / 'pid').write_text(str(os.getpid()))\n" + WAITS)
    work = rig.work("long")
    scheduler = lone_scheduler(rig, work)
    wait_for(rig.mark("up").exists, "the task")
    pid = int(rig.mark("pid").read_text())
    kill(scheduler)
    rig.mark("go").touch()
    wait_for_end(pid)
    start(rig)
    assert rig.executor.adopt([work.key]) == {work.key}
    assert values(rig.end(work)) == {"return_value": "gone on"}


def test_after_the_death_of_both_ends_in_the_journal_are_told_and_the_rest_is_not_adopted(rig: Rig):
    rig.write("long", WAITS)
    rig.write("good", "return 'kept'")
    ended, running = rig.work("good"), rig.work("long")
    scheduler = lone_scheduler(rig, ended, running)
    wait_for(rig.mark("up").exists, "the task")
    journal = wait_for(lambda: list(rig.home.glob("spool/local/*/*.journal")), "the journal")[0]
    wait_for(lambda: b"kept" in journal.read_bytes(), "the end in the journal")
    runner = runner_pid(rig.home)
    os.kill(runner, signal.SIGKILL)
    kill(scheduler)
    wait_for_end(runner)
    start(rig)
    known = rig.executor.adopt(keys([ended, running]))
    assert ended.key in known
    assert running.key not in known
    assert values(rig.end(ended)) == {"return_value": "kept"}
    assert rig.told(Ended, running) == []


def test_a_try_that_the_next_scheduler_does_not_want_is_ended(rig: Rig):
    rig.write("long", WAITS)
    work = rig.work("long")
    scheduler = lone_scheduler(rig, work)
    wait_for(rig.mark("up").exists, "the task")
    kill(scheduler)
    start(rig)
    assert rig.executor.adopt([]) == set()
    assert rig.end(work).cause is Cause.STOPPED


def test_tries_of_another_database_in_the_same_home_are_ended_and_never_taken_for_new_ones(rig: Rig):
    rig.write("long", "(MARKS / 'pid').write_text(str(os.getpid()))\n" + WAITS)
    rig.write("good", "return 'new'")
    old = rig.work("long")
    new = msgspec.structs.replace(rig.work("good"), key=old.key)
    scheduler = lone_scheduler(rig, old, owner="old")
    wait_for(rig.mark("up").exists, "the task")
    kill(scheduler)
    start(rig, owner="new")
    assert rig.executor.adopt([new.key]) == set()
    rig.submit(new)
    assert values(rig.end(new)) == {"return_value": "new"}
    assert not alive(int(rig.mark("pid").read_text()))
    assert len(rig.told(Ended, new)) == 1


def test_ends_of_another_databases_tries_wait_for_their_own_scheduler(rig: Rig):
    rig.write("family", "child = subprocess.Popen(['sleep', '600'], env={}, start_new_session=True)\n"
              "(MARKS / 'child').write_text(str(child.pid))\n" + WAITS)  # fmt: skip
    rig.write("good", "return 'kept'")
    ended, running = rig.work("good"), rig.work("family")
    scheduler = lone_scheduler(rig, ended, running, owner="old")
    wait_for(rig.mark("up").exists, "the task")
    journal = wait_for(lambda: list(rig.home.glob("spool/local/old/*.journal")), "the journal")[0]
    wait_for(lambda: b"kept" in journal.read_bytes(), "the end in the journal")
    runner = runner_pid(rig.home)
    os.kill(runner, signal.SIGKILL)
    kill(scheduler)
    wait_for_end(runner)
    start(rig, owner="new")
    assert rig.executor.adopt(keys([ended])) == set()
    assert rig.run(rig.work("good"))[0].outcome is Outcome.SUCCESS
    assert rig.told(Ended, ended) == []
    rig.executor.close(0)
    start(rig, owner="old")
    assert rig.executor.adopt(keys([ended, running])) == {ended.key}
    assert values(rig.end(ended)) == {"return_value": "kept"}


def test_a_runner_without_scheduler_and_work_exits_after_a_while(rig: Rig):
    rig.write("good", "return 1")
    scheduler = lone_scheduler(rig, rig.work("good"), orphan_timeout=0.2)
    runner = runner_pid(rig.home)
    kill(scheduler)
    wait_for_end(runner)


def test_an_adopted_runner_goes_by_the_new_settings(rig: Rig):
    rig.write("long", WAITS)
    work = rig.work("long")
    scheduler = lone_scheduler(rig, work)
    wait_for(rig.mark("up").exists, "the task")
    runner = runner_pid(rig.home)
    kill(scheduler)
    start(rig, bundles={"dags": str(rig.dags), "more": str(rig.dags)})
    rig.executor.adopt([work.key])
    rig.mark("go").touch()
    assert rig.run(rig.work("long", bundle="more"))[0].outcome is Outcome.SUCCESS
    assert runner_pid(rig.home) == runner


def test_a_request_of_a_task_waits_for_the_next_scheduler(rig: Rig):
    rig.write(
        "asks",
        "from airloom import Variable\n(MARKS / 'up').touch()\n"
        "while not (MARKS / 'ask').exists(): time.sleep(0.01)\nreturn Variable.get('region')",
    )
    work = rig.work("asks")
    scheduler = lone_scheduler(rig, work)
    wait_for(rig.mark("up").exists, "the task")
    kill(scheduler)
    rig.mark("ask").touch()
    rig.answers["GetVariable"] = "EWR"
    start(rig)
    rig.executor.adopt([work.key])
    assert values(rig.end(work)) == {"return_value": "EWR"}


def test_a_runner_that_cannot_start_is_said_and_work_waits_until_it_can(rig: Rig):
    blocked = rig.home / "spool"
    blocked.write_text("a file is where a folder must be")
    start(rig)
    rig.write("good", "return 1")
    work = rig.work("good")
    rig.submit(work)
    rig.until(lambda: rig.executor.capacity()[0] == 0, "the trouble to be said")
    assert "runner.log" in rig.executor.capacity()[1]
    blocked.unlink()
    assert rig.end(work).outcome is Outcome.SUCCESS
    rig.until(lambda: rig.executor.capacity() == (None, ""), "the trouble to be over")


def test_a_hung_runner_is_killed_and_replaced(rig: Rig):
    start(rig, heartbeat=0.1, heartbeat_timeout=1.0)
    rig.write("long", WAITS)
    work = rig.work("long")
    rig.submit(work)
    wait_for(rig.mark("up").exists, "the task")
    runner = runner_pid(rig.home)
    os.kill(runner, signal.SIGSTOP)
    assert rig.end(work).cause is Cause.LOST
    assert not alive(runner)


def test_a_killed_fork_server_costs_only_what_ran_under_it(rig: Rig):
    start(rig)
    rig.write("long", "(MARKS / 'ppid').write_text(str(os.getppid()))\n" + WAITS)
    rig.write("other", "(MARKS / 'other').touch()\nwhile not (MARKS / 'go').exists(): time.sleep(0.01)")
    victim, other = rig.work("long"), rig.work("other")
    rig.submit(victim, other)
    wait_for(lambda: rig.mark("up").exists() and rig.mark("other").exists(), "the tasks")
    os.kill(int(rig.mark("ppid").read_text()), signal.SIGKILL)
    ended = rig.end(victim)
    assert (ended.outcome, ended.cause) == (Outcome.FAILED, Cause.KILLED)
    rig.mark("go").touch()
    assert rig.end(other).outcome is Outcome.SUCCESS
    assert rig.run(rig.work("long"))[0].outcome is Outcome.SUCCESS


@pytest.mark.parametrize("seed", range(3))
def test_whenever_the_runner_is_killed_every_try_ends_exactly_once(rig: Rig, seed: int):
    chance = random.Random(seed)
    start(rig)
    rig.write("short", "time.sleep(0.01)\nreturn 1")
    works = [rig.work("short") for _ in range(60)]
    for first in range(0, 60, 20):
        rig.submit(*works[first : first + 20])
        target = sum(1 for report in rig.reports if isinstance(report, Ended)) + chance.randrange(1, 15)
        rig.until(lambda target=target: sum(isinstance(r, Ended) for r in rig.reports) >= target, "some ends")
        os.kill(runner_pid(rig.home), signal.SIGKILL)
    ends = [rig.end(work) for work in works]
    assert Counter(report.key for report in rig.reports if isinstance(report, Ended)) == Counter(keys(works))
    assert {(ended.outcome, ended.cause) for ended in ends} <= {
        (Outcome.SUCCESS, None),
        (Outcome.FAILED, Cause.LOST),
    }


def test_a_scheduler_that_was_held_up_does_not_take_its_runner_for_hung(rig: Rig):
    rig.write("long", WAITS)
    work = rig.work("long")
    scheduler = lone_scheduler(rig, work, heartbeat=0.1, heartbeat_timeout=0.5)
    wait_for(rig.mark("up").exists, "the task")
    runner = runner_pid(rig.home)
    scheduler.send_signal(signal.SIGSTOP)
    held_up = time.monotonic()
    wait_for(lambda: time.monotonic() > held_up + 1.0, "longer than the runner may be silent")
    scheduler.send_signal(signal.SIGCONT)
    rig.mark("go").touch()
    wait_for(lambda: b"gone on" in b"".join(p.read_bytes() for p in rig.home.glob("spool/local/*/*")), "the end")
    assert alive(runner)
    kill(scheduler)
    start(rig)
    rig.executor.adopt([work.key])
    assert values(rig.end(work)) == {"return_value": "gone on"}
    assert runner_pid(rig.home) == runner
