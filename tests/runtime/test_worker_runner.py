"""A worker with its real runner, the task API and a broker: who may die or stop, and what becomes of tries."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from airloom.model.report import Cause, HandedBack, Outcome
from tests.brokers import RedisServer
from tests.executors.celery_rig import CeleryRig, CeleryWorld, patched
from tests.executors.rig import runner_pid
from tests.servers import PostgresServer
from tests.waiting import DEADLINE, alive, wait_for

#: a task that waits until it is let go
LONG = "(MARKS / 'up').touch()\nwhile not (MARKS / 'go').exists():\n    time.sleep(0.01)\nreturn 'done'"


@pytest.fixture
def rig(
    tmp_path: Path, redis_server: RedisServer, postgres_server: PostgresServer, migrated_postgres: str
) -> Iterator[CeleryRig]:
    redis_server.ensure()
    name = postgres_server.create(migrated_postgres)
    (tmp_path / "world").mkdir()
    celery = {"AIRLOOM__CELERY__BROKER": redis_server.fresh()}
    with patched(CeleryWorld(tmp_path / "world", postgres_server.url(name), celery)) as world:
        world.start_worker()
        rig = CeleryRig(tmp_path, world)
        rig.start_celery()
        yield rig
        rig.mark("go").touch()
        rig.close()
    postgres_server.drop(name)


def test_tries_outlive_their_worker_and_the_next_one_goes_on_with_their_runner(rig: CeleryRig) -> None:
    rig.write("long", LONG)
    rig.write("short", "return 1")
    work = rig.work("long")
    rig.submit(work)
    wait_for(rig.mark("up").exists, "the task")
    pid = runner_pid(rig.world.worker, "celery")
    rig.world.process.kill()
    rig.world.process.wait()
    rig.world.start_worker(known=False)
    (short,) = rig.run(rig.work("short"))
    assert short.outcome is Outcome.SUCCESS
    rig.mark("go").touch()
    assert rig.end(work).outcome is Outcome.SUCCESS
    assert runner_pid(rig.world.worker, "celery") == pid


def test_a_worker_that_is_stopped_waits_for_its_tries(rig: CeleryRig) -> None:
    rig.write("long", LONG)
    work = rig.work("long")
    rig.submit(work)
    wait_for(rig.mark("up").exists, "the task")
    pid = runner_pid(rig.world.worker, "celery")
    rig.world.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "stops: its 1 task may go on" in rig.world.worker_says(), "the worker to stop")
    rig.mark("go").touch()
    assert rig.end(work).outcome is Outcome.SUCCESS
    assert rig.world.process.wait(DEADLINE) == 0
    assert not alive(pid)


def test_a_worker_that_is_stopped_at_once_hands_its_tries_back_to_run_elsewhere(rig: CeleryRig) -> None:
    rig.write("long", LONG)
    work = rig.work("long")
    rig.submit(work)
    wait_for(rig.mark("up").exists, "the task")
    rig.world.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "stops: its 1 task may go on" in rig.world.worker_says(), "the worker to stop")
    rig.world.process.send_signal(signal.SIGTERM)
    assert rig.end(work).cause is Cause.STOPPED
    assert rig.world.process.wait(DEADLINE) == 0


def test_a_runner_that_dies_is_followed_by_another_one(rig: CeleryRig) -> None:
    rig.write("long", LONG)
    rig.write("short", "return 1")
    work = rig.work("long")
    rig.submit(work)
    wait_for(rig.mark("up").exists, "the task")
    runner = runner_pid(rig.world.worker, "celery")
    os.kill(runner, signal.SIGKILL)
    (short,) = rig.run(rig.work("short"))
    assert short.outcome is Outcome.SUCCESS
    assert runner_pid(rig.world.worker, "celery") != runner


def test_a_runner_that_hangs_is_killed_before_its_tries_run_again(rig: CeleryRig) -> None:
    rig.world.stop_worker()
    rig.world.start_worker(AIRLOOM__RUNNER__LEASE="4")
    rig.write("long", LONG)
    work = rig.work("long")
    rig.submit(work)
    rig.started(work)
    runner = runner_pid(rig.world.worker, "celery")
    os.kill(runner, signal.SIGSTOP)
    ended = rig.end(work)
    assert ended.cause is Cause.LOST
    assert "the next one there has ended what it left running" in str(ended.detail)
    assert "the runner hangs" in rig.world.worker_says()
    assert runner_pid(rig.world.worker, "celery") != runner


def test_what_waits_behind_a_long_try_is_handed_back_though_it_was_claimed(rig: CeleryRig) -> None:
    rig.write("quick", "return 1")
    rig.write("long", LONG)
    slots = 4  # of the rig's worker
    quick = [rig.work("quick") for _ in range(150)]
    long = [rig.work("long") for _ in range(slots)]
    behind = [rig.work("quick") for _ in range(40)]
    rig.submit(*quick, *long, *behind)
    rig.until(lambda: any(isinstance(report, HandedBack) for report in rig.reports), "something to be handed back")
    rig.mark("go").touch()
    assert all(rig.end(work).outcome is Outcome.SUCCESS for work in long)
