"""What users change while runs are under way: DAG files, pools, the run itself; and runs that schedules make."""

import json
from itertools import pairwise

from tests.behaviour.server import PRELUDE, Server
from tests.waiting import wait_for, wait_for_end

CHAIN = """
@dag
def {dag}():
    @task
    def first():
        hold("{dag}")

    @task
    def second():
        print("the {edition} edition")

    @task
    def {third}():
        pass

    first() >> second() >> {third}()

{dag}()
"""


def test_a_run_keeps_the_version_it_began_with_when_its_file_is_changed(server: Server) -> None:
    first = PRELUDE + CHAIN.format(dag="changed", edition="first", third="third")
    server.define("changed.py", first)
    run = server.trigger("changed")
    server.held("changed")
    server.define("changed.py", PRELUDE + CHAIN.format(dag="changed", edition="second", third="other"))
    server.release("changed")
    assert server.ended("changed", run) == "success"
    assert server.states("changed", run) == {"first": "success", "second": "success", "third": "success"}
    assert "the first edition" in server.airloom("tasks", "logs", "changed", run, "second").stdout
    new = server.trigger("changed")
    assert server.ended("changed", new) == "success"
    assert server.states("changed", new) == {"first": "success", "second": "success", "other": "success"}
    assert "the second edition" in server.airloom("tasks", "logs", "changed", new, "second").stdout
    server.remove("changed.py")


def test_a_file_that_is_broken_goes_on_with_its_last_good_version(server: Server) -> None:
    server.define("broken.py", PRELUDE + CHAIN.format(dag="broken", edition="good", third="third"))
    run = server.trigger("broken")
    server.held("broken")
    server.define("broken.py", "from airloom import dag\ndef oops(:\n")
    assert [error["file"] for error in server.ask("dags", "errors") if error["file"] == "broken.py"] == ["broken.py"]
    server.release("broken")
    assert server.ended("broken", run) == "success"
    new = server.trigger("broken")
    assert server.ended("broken", new) == "success"
    assert "the good edition" in server.airloom("tasks", "logs", "broken", new, "second").stdout
    server.remove("broken.py")


def test_when_a_file_is_removed_what_runs_goes_on_and_the_history_stays(server: Server) -> None:
    text = PRELUDE + CHAIN.format(dag="removed", edition="only", third="third")
    server.define("removed.py", text)
    run = server.trigger("removed")
    server.held("removed")
    server.remove("removed.py")
    assert "removed" not in [dag["dag_id"] for dag in server.ask("dags", "list")]
    assert [dag["active"] for dag in server.ask("dags", "list", "--gone") if dag["dag_id"] == "removed"] == [False]
    refused = server.airloom("dags", "trigger", "removed")
    assert (refused.status, "dag removed is gone from removed.py" in refused.stderr) == (4, True)
    server.release("removed")
    assert server.ended("removed", run) == "success"
    assert server.states("removed", run) == {"first": "success", "second": "success", "third": "success"}
    assert server.airloom("dags", "delete", "removed", "--yes").status == 0
    assert server.airloom("runs", "list", "removed").status == 3


def test_clearing_a_task_lets_it_run_again_with_what_comes_after_it(server: Server) -> None:
    server.define(
        "cleared.py",
        PRELUDE
        + """
@dag
def cleared():
    @task
    def numbers():
        return [1, 2, 3]

    @task
    def double(x):
        return x * 2

    @task
    def add_up(xs):
        return sum(xs)

    add_up(double.expand(x=numbers()))

cleared()
""",
    )
    run = server.trigger("cleared")
    assert server.ended("cleared", run) == "success"
    arguments = ("tasks", "clear", "cleared", run, "double", "--map-index", "1", "--with", "downstream")
    would = server.airloom(*arguments, "--dry-run")
    assert would.stdout.split() == ["double[1]", "add_up"]
    assert "2 task instances would be cleared" in would.stderr
    done = server.airloom(*arguments)
    assert done.stdout.split() == ["double[1]", "add_up"]
    assert "2 task instances cleared" in done.stderr
    assert server.ended("cleared", run) == "success"
    tries = {
        ti["task_id"] + str(ti["map_index"]): ti["try_number"] for ti in server.ask("tasks", "list", "cleared", run)
    }
    assert tries == {"numbersNone": 1, "double0": 1, "double1": 2, "double2": 1, "add_upNone": 2}
    assert "nothing to clear" in server.airloom("runs", "clear", "cleared", run, "--only-failed").stderr
    assert server.airloom("tasks", "clear", "cleared", run, "doubel").status == 3
    server.remove("cleared.py")


def test_clearing_a_task_that_runs_ends_it_and_starts_it_again(server: Server) -> None:
    server.define("restarted.py", PRELUDE + CHAIN.format(dag="restarted", edition="only", third="third"))
    run = server.trigger("restarted")
    old = server.held("restarted")
    (server.home.path / "restarted.pid").unlink()
    assert server.airloom("tasks", "clear", "restarted", run, "first").stdout == "first\n"
    wait_for_end(old)
    assert server.held("restarted") != old
    server.release("restarted")
    assert server.ended("restarted", run) == "success"
    (first,) = server.ask("tasks", "state", "restarted", run, "first")
    assert [one["cause"] for one in first["tries"]] == ["cancelled", None]
    server.remove("restarted.py")


def test_cancelling_a_run_ends_what_runs_and_starts_nothing_more(server: Server) -> None:
    server.define("cancelled.py", PRELUDE + CHAIN.format(dag="cancelled", edition="only", third="third"))
    run = server.trigger("cancelled")
    pid = server.held("cancelled")
    assert (
        server.airloom("runs", "cancel", "cancelled", "latest").stdout == f"run {run} of cancelled is being cancelled\n"
    )
    wait_for_end(pid)
    assert server.ended("cancelled", run) == "failed"
    assert server.states("cancelled", run) == {"first": "failed", "second": "skipped", "third": "skipped"}
    again = server.airloom("runs", "cancel", "cancelled", run)
    assert (again.status, "has ended already, as failed" in again.stderr) == (4, True)
    # It can be taken up again where it was ended.
    server.release("cancelled")
    assert server.airloom("runs", "clear", "cancelled", run).stdout.split() == ["first", "second", "third"]
    assert server.ended("cancelled", run) == "success"
    server.remove("cancelled.py")


def test_a_pool_limits_how_many_run_and_can_be_made_larger_meanwhile(server: Server) -> None:
    server.define(
        "pooled.py",
        PRELUDE
        + """
@dag
def pooled():
    @task(pool="narrow")
    def work(x):
        hold(f"pooled{x}")

    work.expand(x=[0, 1, 2])

pooled()
""",
    )
    said = server.airloom("pools", "set", "narrow", "1", "for the test")
    assert said.stdout == "pool narrow has 1 slot\n"
    run = server.trigger("pooled")

    def become(*states: str) -> None:
        wanted = {f"work[{index}]": state for index, state in enumerate(states)}
        wait_for(lambda: server.states("pooled", run) == wanted, f"{wanted}")

    become("running", "scheduled", "scheduled")
    assert server.airloom("pools", "set", "narrow", "2").stdout == "pool narrow has 2 slots\n"
    become("running", "running", "scheduled")
    assert server.ask("pools", "get", "narrow")["description"] == "for the test"
    server.release("pooled0", "pooled1", "pooled2")
    assert server.ended("pooled", run) == "success"
    assert server.airloom("pools", "delete", "narrow").status == 0
    server.remove("pooled.py")


def test_a_schedule_makes_runs_until_the_dag_is_paused(server: Server) -> None:
    server.define(
        "ticking.py",
        PRELUDE
        + """
@dag(schedule=timedelta(seconds=1))
def ticking():
    @task
    def tick(run_id):
        print("tick of", run_id)

    tick()

ticking()
""",
    )
    count = "SELECT COUNT(*) FROM dag_run WHERE dag_id = 'ticking' AND state = 'success'"
    wait_for(lambda: server.home.rows(count)[0][0] >= 3, "three runs")
    assert server.airloom("dags", "pause", "ticking").stdout == "ticking is paused\n"
    runs = server.ask("runs", "list", "ticking")
    assert {run["type"] for run in runs} == {"scheduled"}
    dates = [float(run["logical_date"][17:-1]) for run in reversed(runs)]
    assert all(abs((later - earlier) % 60 - 1) < 0.001 for earlier, later in pairwise(dates))
    manual = server.airloom("dags", "trigger", "ticking", "--run-id", "by-hand", "-o", "json")
    assert json.loads(manual.stdout) == {"dag_id": "ticking", "run_id": "by-hand"}
    assert "ticking is paused: the run starts after `airloom dags unpause ticking`" in manual.stderr
    assert server.ask("runs", "list", "ticking")[0]["state"] == "queued"
    server.airloom("dags", "unpause", "ticking")
    assert server.ended("ticking", "by-hand") == "success"
    server.remove("ticking.py")


def test_a_conf_or_a_date_that_cannot_be_makes_no_run(server: Server) -> None:
    server.define(
        "params.py",
        "from airloom import DAG, EmptyOperator, Param\n"
        "with DAG('params', params={'n': Param(3, type='integer', maximum=5)}):\n"
        "    EmptyOperator(task_id='a')\n",
    )
    for arguments, status, text in [
        (("--conf", '{"n": 9}'), 2, "the param 'n' must be at most 5, not 9"),
        (("--conf", '{"n": '), 2, "--conf is no JSON object"),
        (("--logical-date", "yesterday"), 2, "'yesterday' is not a time"),
        (("--logical-date", "0001-01-01"), 2, "'0001-01-01' is out of range"),
        (("--run-id", "a/b"), 2, "'a/b' cannot be a run id"),
        (("--run-id", "scheduled__2026-01-01T00:00:00+00:00"), 2, "one that a schedule makes"),
    ]:
        said = server.airloom("dags", "trigger", "params", *arguments)
        assert (said.status, said.stdout) == (status, "")
        assert text in said.stderr
    assert server.ask("runs", "list", "params") == []
    typo = server.airloom("dags", "trigger", "parms")
    assert (typo.status, "did you mean params?" in typo.stderr) == (3, True)
    server.remove("params.py")


def test_the_database_cannot_be_taken_away_from_a_scheduler(server: Server) -> None:
    refused = server.airloom("db", "downgrade", "base", "--yes")
    assert (refused.status, "a scheduler uses" in refused.stderr) == (4, True)
    assert server.airloom("db", "check").status == 0
