"""`airloom tasks mark`, `airloom runs mark`, and the note of a run, with a leader that really decides."""

import json

from airloom.model.report import Outcome
from airloom.operations import notes
from airloom.operations.ops import open_ops
from airloom.sections import Settings
from tests.cli.conftest import Airloom
from tests.operations.leading import leading, never_end


def test_a_task_is_marked_after_a_dry_run(airloom: Airloom, settings: Settings) -> None:
    with leading(settings, lambda work: Outcome.FAILED if work.task_id == "join" else Outcome.SUCCESS):
        assert airloom("dags", "trigger", "flights", "--run-id", "r", "--wait").status == 1
        tried = airloom("tasks", "mark", "flights", "latest", "success", "join", "--with", "downstream", "--dry-run")
        assert (tried.stdout, tried.stderr) == ("join\nreport\n", "2 task instances would be marked\n")
        done = airloom("tasks", "mark", "flights", "r", "success", "join", "--with", "downstream")
        assert (done.stdout, done.stderr) == ("join\nreport\n", "2 task instances marked\n")
        again = airloom("tasks", "mark", "flights", "r", "success", "join")
        assert (again.status, again.stdout, again.stderr) == (0, "", "nothing to mark\n")
    assert json.loads(airloom("runs", "show", "flights", "r", "-o", "json").stdout)["state"] == "success"


def test_a_run_is_marked_and_ends_at_once(airloom: Airloom, settings: Settings) -> None:
    with leading(settings, never_end):
        airloom("dags", "trigger", "flights", "--run-id", "r")
        tried = airloom("runs", "mark", "flights", "latest", "failed", "--dry-run")
        assert tried.stdout == "load\njoin\nreport\n"
        assert airloom("runs", "mark", "flights", "latest", "failed").status == 0
    shown = json.loads(airloom("runs", "show", "flights", "r", "-o", "json").stdout)
    assert (shown["state"], [task["state"] for task in shown["tasks"]]) == ("failed", ["failed", "skipped", "skipped"])


def test_only_an_end_can_be_marked(airloom: Airloom, settings: Settings) -> None:
    assert airloom("runs", "mark", "flights", "r", "running").status == 2
    assert airloom("tasks", "mark", "flights", "r", "success", "join").status == 3


def test_the_note_of_a_run_is_shown(airloom: Airloom, settings: Settings) -> None:
    with leading(settings):
        airloom("dags", "trigger", "flights", "--run-id", "r", "--wait")
    with open_ops(settings) as ops:
        notes.set_run_note(ops, "flights", "r", "seen by Ada")
    assert "seen by Ada" in airloom("runs", "show", "flights", "r").stdout
