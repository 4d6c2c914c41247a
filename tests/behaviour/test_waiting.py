"""`airloom explain`: for each thing that can hold a task, its kind, who has it, and the sentence."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest

from airloom.operations.ops import open_ops
from airloom.operations.runs import trigger
from airloom.settings import load
from tests.behaviour.server import PRELUDE, Server
from tests.faults.home import home_at
from tests.waiting import wait_for

FIRST = """
@dag({arguments})
def {name}():
    @task
    def first():
        hold("{name}")
        return [1, 2]

"""


@contextmanager
def waiting(server: Server, name: str, body: str, arguments: str = "") -> Iterator[str]:
    """A run of a DAG whose task `first` holds; it is released at the end, and the run must end."""
    lines = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
    text = FIRST.format(name=name, arguments=arguments) + lines + f"\n{name}()\n"
    server.define(f"{name}.py", PRELUDE + text)
    run = server.trigger(name)
    server.held(name)
    try:
        yield run
    except BaseException:
        server.airloom("runs", "cancel", name, run)
        raise
    finally:
        server.release(name)
        server.ended(name, run)
        server.remove(f"{name}.py")


def only(reasons: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The one reason there is."""
    assert [reason["kind"] for reason in reasons] == [kind], reasons
    return reasons[0]


def test_a_task_that_runs_runs_and_what_is_after_it_waits_for_it(server: Server) -> None:
    with waiting(server, "chained", "first() >> EmptyOperator(task_id='second')") as run:
        server.reaches("chained", run, "first", "running")
        assert only(server.explain("chained", run, "first"), "running")["text"] == "it is running"
        reason = only(server.explain("chained", run, "second"), "upstream")
        assert reason["holders"] == ["first (running)"]
        assert "all upstream tasks to succeed (all_success); 0 of 1 have ended" in reason["text"]
        shown = server.airloom("explain", "chained", "latest", "second").stdout
        assert f"chained / {run} / second: none\n  - it needs all upstream tasks" in shown
        assert "held by: first (running)" in shown
    reason = only(server.explain("chained", run, "second"), "finished")
    assert reason["text"] == "the run has ended as success, and the task as success"


def test_a_mapped_task_waits_to_know_how_many_it_will_be(server: Server) -> None:
    body = "@task\ndef each(x):\n    pass\n\neach.expand(x=first())\n"
    with waiting(server, "unmapped", body) as run:
        reasons = {reason["kind"]: reason for reason in server.explain("unmapped", run, "each")}
        assert set(reasons) == {"upstream", "mapping"}
        assert reasons["mapping"]["holders"] == ["first"]


def test_a_run_waits_for_a_place_among_the_active_runs(server: Server) -> None:
    with waiting(server, "crowded", "first()", "max_active_runs=1") as run:
        second = server.trigger("crowded", "--run-id", "second")
        server.trigger("crowded", "--run-id", "third")
        reason = only(server.explain("crowded", second, "first"), "run_queued")
        assert (reason["holders"], reason["place"], reason["of"]) == ([run], 1, 2)
        assert "1 of 1 runs of dag crowded are active" in reason["text"]
        # A run that is cancelled leaves the line, and has one place in it when it is taken up again.
        server.airloom("runs", "cancel", "crowded", "third")
        assert server.ended("crowded", "third") == "failed"
        assert server.airloom("runs", "clear", "crowded", "third").stdout == "first\n"
        reason = only(server.explain("crowded", "third", "first"), "run_queued")
        assert (reason["place"], reason["of"]) == (2, 2)
        server.release("crowded")
        assert server.ended("crowded", "third") == "success"


def test_a_task_of_a_paused_dag_waits_until_it_is_unpaused(server: Server) -> None:
    with waiting(server, "halted", "first() >> BashOperator(task_id='second', bash_command='true')") as run:
        server.airloom("dags", "pause", "halted")
        server.release("halted")
        server.reaches("halted", run, "first", "success")
        reason = only(server.explain("halted", run, "second"), "paused")
        assert reason["text"] == "dag halted is paused: `airloom dags unpause halted`"
        server.airloom("dags", "unpause", "halted")


def test_a_task_whose_try_failed_waits_for_the_next_one(server: Server) -> None:
    body = "BashOperator(task_id='flaky', bash_command='exit 1', retries=1, retry_delay=timedelta(hours=1))\nfirst()"
    with waiting(server, "retrying", body) as run:
        server.reaches("retrying", run, "flaky", "up_for_retry")
        reason = only(server.explain("retrying", run, "flaky"), "retry")
        assert 3500 < datetime.fromisoformat(reason["until"]).timestamp() - time.time() <= 3600
        # What helps, as the documents say.
        assert server.airloom("tasks", "clear", "retrying", run, "flaky").stdout == "flaky\n"
        server.reaches("retrying", run, "flaky", "up_for_retry", try_number=2)
        assert server.airloom("runs", "cancel", "retrying", run).status == 0


def test_a_task_waits_for_a_pool_and_who_has_its_slots_is_named(server: Server) -> None:
    server.airloom("pools", "set", "tiny", "1")
    body = """
@task(pool="tiny")
def dip(x):
    hold(f"tiny{x}")

@task(pool="nowhere")
def lost():
    pass

@task(pool="tiny", pool_slots=2)
def big():
    pass

first()
dip.expand(x=[0, 1])
lost()
big()
"""
    with waiting(server, "swimming", body) as run:
        server.held("tiny0")
        reason = only(server.explain("swimming", run, "dip", "--map-index", "1"), "pool")
        assert reason["text"] == "pool tiny is full (1 of 1 in use); it needs a slot"
        assert reason["holders"] == [f"swimming / {run} / dip[0]"]
        assert reason["place"] == 1
        reason = only(server.explain("swimming", run, "lost"), "pool")
        assert reason["text"] == "pool nowhere does not exist; `airloom pools set nowhere SLOTS` makes it"
        reason = only(server.explain("swimming", run, "big"), "pool")
        assert "has 1 slots in all and the task asks for 2: it can never start" in reason["text"]
        server.release("tiny0", "tiny1")
        server.airloom("pools", "set", "nowhere", "1")
        server.airloom("pools", "set", "tiny", "2")
    assert server.ended("swimming", run) == "success"
    for pool in ("tiny", "nowhere"):
        server.airloom("pools", "delete", pool)


@pytest.mark.parametrize(
    ("name", "arguments", "task_arguments", "kind", "text"),
    [
        ("of_run", "max_active_tasks=1", "", "dag_limit", "max_active_tasks of of_run / {run} is full (1 of 1 in use)"),
        (
            "of_task",
            "",
            "max_active_tis_per_dag=1",
            "task_limit",
            "the limit of active instances of task of_task.more is full",
        ),
        (
            "in_run",
            "",
            "max_active_tis_per_dagrun=1",
            "task_limit",
            "active instances of task in_run.more in {run} is full",
        ),
        ("in_order", "", "executor='sequential'", "capacity", "executor sequential is full (1 of 1 in use)"),
        (
            "elsewhere",
            "",
            "executor='celery'",
            "no_executor",
            "executor celery is not configured: see [core] executors",
        ),
    ],
)
def test_a_task_waits_for_a_limit(
    server: Server, name: str, arguments: str, task_arguments: str, kind: str, text: str
) -> None:
    body = f"@task({task_arguments})\ndef more(x):\n    hold('more_of_{name}')\n\nfirst()\nmore.expand(x=[0, 1])\n"
    with waiting(server, name, body, arguments) as run:
        if kind in ("task_limit", "capacity"):
            server.held(f"more_of_{name}")
        reason = only(server.explain(name, run, "more", "--map-index", "1"), kind)
        assert text.format(run=run) in reason["text"]
        if kind != "no_executor":
            assert len(reason["holders"]) == 1
        server.release(f"more_of_{name}")
        if kind == "no_executor":
            server.airloom("runs", "cancel", name, run)


def test_a_task_waits_for_the_parallelism_of_the_whole(server: Server) -> None:
    body = "@task\ndef more(x):\n    hold(f'wide{x}')\n\nfirst()\nmore.expand(x=list(range(8)))\n"
    with waiting(server, "wide", body) as run:
        server.held("wide6")
        reason = only(server.explain("wide", run, "more", "--map-index", "7"), "parallelism")
        assert "the scheduler's parallelism is full (8 of 8 in use)" in reason["text"]
        assert len(reason["holders"]) == 8
        server.release(*(f"wide{index}" for index in range(8)))


def test_a_task_whose_process_is_on_its_way_is_starting(server: Server) -> None:
    text = """
while (HOME / "heavy.import").exists():
    time.sleep(0.02)

@dag
def heavy():
    BashOperator(task_id="lift", bash_command="true")

heavy()
"""
    server.define("heavy.py", PRELUDE + text)
    gate = server.home.path / "heavy.import"
    gate.touch()
    run = server.trigger("heavy")
    try:
        reason = only(server.explain("heavy", run, "lift"), "starting")
        assert "given to executor local and its process has not told of its start yet" in reason["text"]
    finally:
        gate.unlink()
    assert server.ended("heavy", run) == "success"
    server.remove("heavy.py")


def test_a_run_that_is_to_start_later_says_when(server: Server) -> None:
    server.define("later.py", PRELUDE + "with DAG('later'):\n    EmptyOperator(task_id='a')\n")
    settings = load(server.home.env, server.home.path).settings
    when = float(round(time.time()) + 3600)
    with open_ops(settings) as ops:
        run = trigger(ops, "later", run_after=when)
    reason = only(server.explain("later", run, "a"), "run_after")
    assert datetime.fromisoformat(reason["until"]).timestamp() == when
    assert server.airloom("runs", "cancel", "later", run).status == 0
    assert server.ended("later", run) == "failed"
    server.remove("later.py")


def test_where_no_scheduler_runs_that_is_the_first_reason(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("alone") / "home"
    with home_at(path, cli__timezone="UTC", local__grace=0.2, scheduler__answer_timeout=0.3) as home:
        home.write(
            "alone.py", PRELUDE + "@dag\ndef alone():\n    @task(pool='none')\n    def a(): pass\n    a()\nalone()\n"
        )
        home.start()
        home.ready()
        server = Server(home)
        wait_for(lambda: home.rows("SELECT 1 FROM dag"), "the DAG")
        run = trigger_when_it_answers(server)
        assert home.stop() == 0
        reasons = server.explain("alone", run, "a")
        assert [reason["kind"] for reason in reasons] == ["no_scheduler", "pool"]
        assert "`airloom standalone` starts one" in reasons[0]["text"]
        # What only a scheduler can do is kept for the next one.
        kept = server.airloom("runs", "cancel", "alone", run)
        assert (kept.status, "no scheduler answered within 0.3 s. The request is kept" in kept.stderr) == (6, True)
        home.start()
        assert server.ended("alone", run) == "failed"
        assert home.stop() == 0


def trigger_when_it_answers(server: Server) -> str:
    """A run's id; the command that asks for it gives up too soon for a busy machine, but the run is made."""
    said = server.airloom("dags", "trigger", "alone", "--run-id", "once", "-o", "json")
    assert said.status in (0, 6)
    assert not said.stdout or json.loads(said.stdout)["run_id"] == "once"
    wait_for(lambda: server.home.rows("SELECT 1 FROM task_instance WHERE state = 'scheduled'"), "the run")
    return "once"
