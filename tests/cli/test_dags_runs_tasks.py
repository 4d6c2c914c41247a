"""`airloom dags`, `runs`, `tasks`, `explain`: what they print and what they end with."""

import json
from pathlib import Path

import pytest
from sqlalchemy import update

from airloom.model.loading import LoadError
from airloom.model.report import Outcome
from airloom.model.spec import DagSpec, TaskSpec
from airloom.operations.ops import open_ops
from airloom.runtime.logs import log_path
from airloom.sections import Settings
from airloom.store.tables import task_try
from tests.cli.conftest import Airloom
from tests.operations import crew
from tests.operations.leading import FLIGHTS, leading, make_home, never_end, save_dags


def test_dags_are_listed(airloom: Airloom, settings: Settings) -> None:
    assert [dag["dag_id"] for dag in json.loads(airloom("dags", "list", "-o", "json").stdout)] == ["flights", "weather"]
    assert airloom("dags", "list", "-o", "plain").stdout.splitlines()[1].split("\t")[:3] == ["weather", "", "yes"]
    assert "flights" in airloom("dags", "list").stdout


def test_import_errors_are_shown_and_mentioned_by_the_list(airloom: Airloom, home: Path) -> None:
    settings = make_home(home)
    error = LoadError(rel_path="dags.py", line=3, text="SyntaxError: '(' was never closed", traceback="the traceback")
    save_dags(settings, FLIGHTS, errors=(error,))
    assert "1 import error" in airloom("dags", "list").stderr
    [found] = json.loads(airloom("dags", "errors", "-o", "json").stdout)
    assert (found["file"], found["line"], found["error"]) == ("dags.py", 3, "SyntaxError: '(' was never closed")
    assert "the traceback" not in airloom("dags", "errors").stdout
    assert "the traceback" in airloom("dags", "errors", "--traceback").stdout


def test_a_dag_is_shown_with_its_tasks(airloom: Airloom, settings: Settings) -> None:
    shown = json.loads(airloom("dags", "show", "flights", "-o", "json").stdout)
    assert shown["params"] == {"airport": {"value": "JFK", "schema": {"type": "string"}}}
    assert [(task["task_id"], task["upstream"]) for task in shown["tasks"]] == [
        ("load", []),
        ("join", ["load"]),
        ("report", ["join"]),
    ]
    assert "trigger rule" in airloom("dags", "show", "flights").stdout


def test_triggering_waits_for_the_run_and_ends_with_its_state(airloom: Airloom, settings: Settings) -> None:
    with leading(settings):
        good = airloom("dags", "trigger", "flights", "--conf", '{"airport": "EWR"}', "--run-id", "good", "--wait")
        assert good.status == 0
        assert "report success" in good.stdout
        assert "flights succeeded" in good.stdout
    with leading(settings, lambda work: Outcome.FAILED):
        bad = airloom("dags", "trigger", "flights", "--run-id", "bad", "--wait", "-o", "json")
    assert bad.status == 1
    assert json.loads(bad.stdout)["state"] == "failed"
    assert "ValueError: no such airport" in bad.stderr


def test_a_run_of_a_repository_shows_its_commit(airloom: Airloom, settings: Settings) -> None:
    save_dags(settings, FLIGHTS, commit="c0ffee" * 6)
    with leading(settings):
        airloom("dags", "trigger", "flights", "--wait")
    assert json.loads(airloom("runs", "show", "flights", "-o", "json").stdout)["commit"] == "c0ffee" * 6
    assert "c0ffee" * 6 in airloom("runs", "show", "flights").stdout


def test_triggering_tells_the_run_id_and_that_the_dag_is_paused(airloom: Airloom, settings: Settings) -> None:
    with leading(settings):
        made = airloom("dags", "trigger", "weather", "--logical-date", "2026-01-31", "-o", "json")
        assert "airloom dags unpause weather" in made.stderr
        run = json.loads(airloom("runs", "show", "weather", "-o", "json").stdout)
    assert json.loads(made.stdout) == {"dag_id": "weather", "run_id": run["run_id"]}
    assert run["logical_date"] == "2026-01-31T00:00:00Z"


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["dags", "trigger", "fligths"], 3, "did you mean flights"),
        (["dags", "trigger", "flights", "--conf", "{airport}"], 2, "--conf is no JSON object"),
        (["dags", "trigger", "flights", "--conf", "[1]"], 2, "--conf is no JSON object"),
        (["dags", "trigger", "flights", "--conf", '{"airport": 1}'], 2, "airport"),
        (["dags", "trigger", "flights", "--logical-date", "monday"], 2, "'monday' is not a time"),
        (["dags", "show", "x"], 3, "there is no dag 'x'"),
        (["dags", "delete", "flights"], 2, "confirm it with --yes"),
        (["runs", "show", "flights"], 3, "flights has no runs yet"),
        (["runs", "list", "flihgts"], 3, "did you mean flights"),
        (["runs", "list", "--state", "fine"], 2, "fine"),
        (["tasks", "list", "flights", "x"], 3, "no runs yet"),
        (["tasks", "logs", "flights", "x", "load", "-o", "yaml"], 2, "as text"),
        (["dags", "lst"], 2, "list"),
        (["dgas"], 2, "dags"),
    ],
)
def test_a_mistake_is_told_in_a_sentence_with_its_exit_status(
    airloom: Airloom, settings: Settings, arguments: list[str], status: int, text: str
) -> None:
    result = airloom(*arguments)
    assert result.status == status
    assert text in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_second_run_of_the_same_id_is_a_conflict(airloom: Airloom, settings: Settings) -> None:
    with leading(settings):
        assert airloom("dags", "trigger", "flights", "--run-id", "a").status == 0
        assert airloom("dags", "trigger", "flights", "--run-id", "a").status == 4


def test_no_scheduler_is_an_exit_status_of_its_own(
    airloom: Airloom, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRLOOM__SCHEDULER__ANSWER_TIMEOUT", "0.01")
    result = airloom("dags", "pause", "flights")
    assert result.status == 6
    assert "airloom standalone" in result.stderr


def test_pausing_and_unpausing_show_in_the_list(airloom: Airloom, settings: Settings) -> None:
    def paused() -> list[bool]:
        return [dag["paused"] for dag in json.loads(airloom("dags", "list", "-o", "json").stdout)]

    with leading(settings):
        assert airloom("dags", "pause", "flights").stdout == "flights is paused\n"
        assert airloom("dags", "unpause", "weather").stdout == "weather is not paused\n"
        assert paused() == [True, False]


def test_a_dag_in_use_cannot_be_deleted(airloom: Airloom, settings: Settings) -> None:
    with leading(settings):
        result = airloom("dags", "delete", "flights", "--yes")
    assert (result.status, "still defined" in result.stderr) == (4, True)


def test_runs_are_listed_newest_first_and_by_state(airloom: Airloom, settings: Settings) -> None:
    with leading(settings, lambda work: Outcome.FAILED if work.run.run_id == "b" else Outcome.SUCCESS):
        for name in "abc":
            airloom("dags", "trigger", "flights", "--run-id", name, "--wait")
    assert [run["run_id"] for run in json.loads(airloom("runs", "list", "-o", "json").stdout)] == ["c", "b", "a"]
    assert airloom("runs", "list", "flights", "--state", "failed", "-o", "plain").stdout.split("\t")[1] == "b"
    assert [run["run_id"] for run in json.loads(airloom("runs", "list", "--limit", "1", "-o", "json").stdout)] == ["c"]


def test_a_failed_task_is_cleared_and_runs_again(airloom: Airloom, settings: Settings) -> None:
    outcomes = {"join": Outcome.FAILED}
    with leading(settings, lambda work: outcomes.get(work.task_id, Outcome.SUCCESS)):
        assert airloom("dags", "trigger", "flights", "--run-id", "r", "--wait").status == 1
        outcomes.clear()
        tried = airloom("runs", "clear", "flights", "r", "--only-failed", "--dry-run")
        assert tried.stdout == "join\nreport\n"
        assert "would be cleared" in tried.stderr
        done = airloom("tasks", "clear", "flights", "latest", "join", "--with", "downstream")
        assert done.stdout == "join\nreport\n"
    state = json.loads(airloom("tasks", "state", "flights", "r", "join", "-o", "json").stdout)
    assert state[0]["tries"][0]["cause"] == "error"
    assert state[0]["tries"][0]["detail"] == "ValueError: no such airport"


def test_a_running_run_is_cancelled(airloom: Airloom, settings: Settings) -> None:
    with leading(settings, never_end):
        airloom("dags", "trigger", "flights", "--run-id", "r")
        assert airloom("runs", "cancel", "flights", "latest").status == 0


def test_task_instances_are_listed_with_their_states(airloom: Airloom, settings: Settings) -> None:
    with leading(settings):
        airloom("dags", "trigger", "flights", "--run-id", "r", "--wait")
    assert [task["task_id"] for task in json.loads(airloom("tasks", "list", "flights", "-o", "json").stdout)] == [
        "load",
        "join",
        "report",
    ]
    rows = json.loads(airloom("tasks", "list", "flights", "r", "-o", "json").stdout)
    assert [(row["task_id"], row["map_index"], row["state"]) for row in rows] == [
        ("load", None, "success"),
        ("join", None, "success"),
        ("report", None, "success"),
    ]
    assert "success" in airloom("tasks", "state", "flights", "r", "load").stdout


def test_a_try_names_the_worker_that_ran_it_while_that_is_known(airloom: Airloom, settings: Settings) -> None:
    def tell() -> tuple[str, object]:
        [state] = json.loads(airloom("tasks", "state", "flights", "r", "load", "-o", "json").stdout)
        return airloom("tasks", "state", "flights", "r", "load").stdout, state["tries"][0]["worker"]

    with leading(settings, executor="celery"):
        airloom("dags", "trigger", "flights", "--run-id", "r", "--wait")
    with open_ops(settings) as ops:
        with ops.db.transaction() as conn:
            conn.execute(update(task_try).values(runner="gpu-1-runner", host="somewhere"))
        table, worker = tell()
        assert worker is None
        assert "somewhere" in table
        crew.put(ops, crew.worker_row("gpu-1", ops.now()))
        table, worker = tell()
        assert worker == "gpu-1"
        assert "gpu-1" in table
        assert "somewhere" not in table


def test_a_log_is_shown_as_text_or_as_json_lines(airloom: Airloom, settings: Settings) -> None:
    with leading(settings):
        airloom("dags", "trigger", "flights", "--run-id", "r", "--wait")
    path = Path(log_path(str(settings.core.home), "flights", "r", "load", -1, 1))
    path.parent.mkdir(parents=True)
    lines = [
        {"t": "2026-01-31T12:00:00.5+00:00", "level": "INFO", "source": "stdout", "text": "336776 [rows]"},
        {"t": "2026-01-31T12:00:01+00:00", "level": "ERROR", "source": "task", "text": "it broke", "logger": "x"},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    shown = airloom("tasks", "logs", "flights", "latest", "load", "--follow")
    assert shown.stdout == "12:00:00 336776 [rows]\n12:00:01 ERROR it broke\n"
    as_json = airloom("tasks", "logs", "flights", "latest", "load", "-o", "json").stdout.splitlines()
    assert [json.loads(line) for line in as_json] == lines
    missing = airloom("tasks", "logs", "flights", "latest", "join")
    assert (missing.status, missing.stdout, "there is no log" in missing.stderr) == (0, "", True)
    assert airloom("tasks", "logs", "flights", "latest", "load", "--try", "2").status == 3


def test_following_a_log_ends_with_the_try_though_a_retry_is_to_come(airloom: Airloom, home: Path) -> None:
    settings = make_home(home)
    shaky = TaskSpec(task_id="shaky", retries=1, retry_delay=3600.0)
    save_dags(settings, DagSpec(dag_id="flaky", tasks=(shaky,), is_paused_upon_creation=False))
    with leading(settings, lambda work: Outcome.FAILED):
        airloom("dags", "trigger", "flaky", "--run-id", "r")
        assert airloom("tasks", "logs", "flaky", "r", "shaky", "--follow").status == 0
        [state] = json.loads(airloom("tasks", "state", "flaky", "r", "shaky", "-o", "json").stdout)
    assert state["state"] == "up_for_retry"


def test_a_task_without_a_try_has_no_log_yet(airloom: Airloom, settings: Settings) -> None:
    with leading(settings, never_end):
        airloom("dags", "trigger", "flights", "--run-id", "r")
        result = airloom("tasks", "logs", "flights", "r", "report")
    assert (result.status, "airloom explain" in result.stderr) == (0, True)


def test_explain_says_what_holds_a_task(airloom: Airloom, settings: Settings) -> None:
    with leading(settings, never_end):
        airloom("dags", "trigger", "flights", "--run-id", "r")
        text = airloom("explain", "flights", "latest", "report").stdout
        assert text.startswith("flights / r / report: none\n  - ")
        assert "join" in text
    [found] = json.loads(airloom("explain", "flights", "r", "report", "-o", "json").stdout)
    assert found["reasons"][0]["kind"] == "no_scheduler"
    plain = airloom("explain", "flights", "r", "report", "-o", "plain").stdout.splitlines()
    assert plain[0].split("\t")[3] == "no_scheduler"
    assert airloom("explain", "flights", "r", "repotr").status == 3
