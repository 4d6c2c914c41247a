"""Clearing and marking tasks of several runs at once."""

import threading

import pytest

from airloom.model.errors import AirloomError, Conflict, InvalidRequest, NotFound
from airloom.model.events import CancelRun, ClearTasks, MarkTasks
from airloom.model.spec import DagSpec, TaskSpec
from airloom.model.states import RunState, TIState
from airloom.operations import runs
from airloom.operations.ops import Ops
from airloom.sections import Settings
from airloom.store import inbox
from tests.operations.leading import FLIGHTS, ended, leading, never_end, save_dags
from tests.waiting import wait_for

EVERYTHING = ClearTasks(dag_id="flights", run_id="")


def finished(ops: Ops, *run_ids: str) -> None:
    for run_id in run_ids:
        assert ended(ops, "flights", run_id) is RunState.SUCCESS


def test_more_runs_than_the_scheduler_gets_at_once_are_all_cleared(ops: Ops, settings: Settings) -> None:
    names = [f"r{number:02}" for number in range(30)]
    with leading(settings):
        for name in names:
            runs.trigger(ops, "flights", run_id=name)
        finished(ops, *names)
        wanted = ClearTasks(dag_id="flights", run_id="", task_ids=("report",), dry_run=True)
        assert runs.clear_runs(ops, wanted, [*names, names[0]]) == [f"{name}/report" for name in names]


def test_a_run_without_the_task_is_left_out(ops: Ops, settings: Settings) -> None:
    with leading(settings):
        runs.trigger(ops, "flights", run_id="old")
        finished(ops, "old")
    with_more = DagSpec(dag_id="flights", tasks=(*FLIGHTS.tasks, TaskSpec(task_id="send")), params=FLIGHTS.params)
    save_dags(settings, with_more)
    with leading(settings):
        runs.trigger(ops, "flights", run_id="new")
        finished(ops, "new")
        wanted = MarkTasks(dag_id="flights", run_id="", state=TIState.SKIPPED, task_ids=("send", "join"))
        assert sorted(runs.mark_tasks(ops, wanted, ["old", "new"])) == ["new/join", "new/send", "old/join"]
        alone = MarkTasks(dag_id="flights", run_id="", state=TIState.SKIPPED, task_ids=("nothing",))
        with pytest.raises(NotFound, match="none of these runs has a task 'nothing'"):
            runs.mark_tasks(ops, alone, ["old", "new"])


def test_nothing_is_done_when_one_of_the_runs_is_not_there(ops: Ops, settings: Settings) -> None:
    with leading(settings):
        runs.trigger(ops, "flights", run_id="one")
        finished(ops, "one")
        with pytest.raises(NotFound, match="has no run 'three'"):
            runs.clear_runs(ops, EVERYTHING, ["one", "three"])
        assert runs.get_run(ops, "flights", "one").state is RunState.SUCCESS


def test_what_makes_no_sense_is_refused_before_anything_is_asked(ops: Ops) -> None:
    with pytest.raises(InvalidRequest, match="exactly one task"):
        runs.clear_runs(ops, ClearTasks(dag_id="flights", run_id="", map_index=1), ["one"])
    with pytest.raises(InvalidRequest, match="success, failed or skipped, not running"):
        runs.mark_tasks(ops, MarkTasks(dag_id="flights", run_id="", state=TIState.RUNNING), ["one"])
    with pytest.raises(NotFound, match="no dag 'nothing'"):
        runs.clear_runs(ops, ClearTasks(dag_id="nothing", run_id=""), ["one"])
    with ops.db.reading() as conn:
        assert inbox.take(conn, 10) == []


def test_a_run_that_refuses_is_told_together_with_how_many_did_not(ops: Ops, settings: Settings) -> None:
    with leading(settings, never_end):
        for name in ("one", "two"):
            runs.trigger(ops, "flights", run_id=name)
    errors: list[AirloomError] = []

    def mark() -> None:
        try:
            wanted = MarkTasks(dag_id="flights", run_id="", state=TIState.SKIPPED, task_ids=("report",))
            runs.mark_tasks(ops, wanted, ["one", "two"])
        except AirloomError as error:
            errors.append(error)

    def asked() -> int:
        with ops.db.reading() as conn:
            return len(inbox.take(conn, 10))

    # All three come in one turn: the first run is being cancelled when it is to be marked.
    with ops.db.transaction() as conn:
        inbox.put(conn, CancelRun(dag_id="flights", run_id="one"), "test", ops.now())
    thread = threading.Thread(target=mark)
    thread.start()
    wait_for(lambda: asked() == 3, "the commands")
    with leading(settings, never_end):
        thread.join()
    [error] = errors
    assert isinstance(error, Conflict)
    assert str(error).endswith("is being cancelled; mark it when it has ended; it was done for 1 of 2 runs")
