"""Verbs that ask the leading scheduler: what they check first, what they return, what happens without a scheduler."""

import dataclasses

import pytest

from airloom.model.errors import Conflict, InvalidRequest, NoAnswer, NotFound
from airloom.model.events import ClearTasks
from airloom.model.report import Outcome
from airloom.model.run import PoolRow
from airloom.model.states import RunState, TIState
from airloom.operations import dags, pools, runs, tasks
from airloom.operations.ops import Ops
from airloom.sections import Settings
from airloom.store import inbox
from tests.operations.leading import ended, leading, never_end, started
from tests.waiting import wait_for


def test_a_triggered_run_is_made_with_its_conf_and_runs(ops: Ops, settings: Settings) -> None:
    with leading(settings):
        run_id = runs.trigger(ops, "flights", conf={"airport": "EWR"}, run_id="first")
        assert run_id == "first"
        assert ended(ops, "flights", "first") is RunState.SUCCESS
    run, tis = tasks.list_tis(ops, "flights", "first")
    assert run.conf == {"airport": "EWR"}
    assert run.triggered_by
    assert [ti.state for ti in tis] == [TIState.SUCCESS] * 3


def test_the_answer_is_removed_when_it_has_been_read(ops: Ops, settings: Settings) -> None:
    with leading(settings):
        dags.set_paused(ops, "flights", True)
    with ops.db.reading() as conn:
        assert [inbox.answer(conn, number) for number in range(5)] == [None] * 5


def test_a_second_run_of_the_same_id_is_a_conflict(ops: Ops, settings: Settings) -> None:
    with leading(settings):
        runs.trigger(ops, "flights", run_id="first")
        with pytest.raises(Conflict, match="has a run 'first' already"):
            runs.trigger(ops, "flights", run_id="first")


def test_a_second_run_of_the_same_logical_date_is_a_conflict(ops: Ops, settings: Settings) -> None:
    with leading(settings):
        runs.trigger(ops, "flights", run_id="first", logical_date=1000.0)
        with pytest.raises(Conflict, match="run first of dag flights has this logical date"):
            runs.trigger(ops, "flights", logical_date=1000.0)


def test_an_unknown_dag_is_answered_with_the_names_that_come_near(ops: Ops) -> None:
    with pytest.raises(NotFound, match="there is no dag 'fligths'; did you mean flights"):
        runs.trigger(ops, "fligths")


def test_a_conf_that_breaks_the_params_is_refused_before_anything_is_asked(ops: Ops) -> None:
    with pytest.raises(InvalidRequest, match="airport"):
        runs.trigger(ops, "flights", conf={"airport": 3})
    with ops.db.reading() as conn:
        assert inbox.take(conn, 10) == []


@pytest.mark.parametrize("run_id", ["", "  ", "a/b", "a\nb", "x" * 251])
def test_a_bad_run_id_is_refused(ops: Ops, run_id: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be a run id"):
        runs.trigger(ops, "flights", run_id=run_id)


def test_without_a_scheduler_the_request_is_kept_and_applied_by_the_next_one(ops: Ops, settings: Settings) -> None:
    hasty = dataclasses.replace(ops, answer_timeout=0.01)
    with pytest.raises(NoAnswer, match=r"The request is kept .* `airloom standalone`"):
        runs.trigger(hasty, "flights", run_id="late")
    with leading(settings):
        wait_for(lambda: runs.list_runs(ops), "the run")
        assert ended(ops, "flights", "late") is RunState.SUCCESS
    assert len(runs.list_runs(ops)) == 1


def test_pausing_and_unpausing_change_the_dag(ops: Ops, settings: Settings) -> None:
    with leading(settings):
        dags.set_paused(ops, "flights", True)
        assert dags.get_dag(ops, "flights").paused
        dags.set_paused(ops, "flights", False)
        assert not dags.get_dag(ops, "flights").paused


def test_a_dag_that_its_file_still_defines_is_not_deleted(ops: Ops, settings: Settings) -> None:
    with leading(settings), pytest.raises(Conflict, match="still defined"):
        dags.delete_dag(ops, "flights")
    assert dags.get_dag(ops, "flights").dag_id == "flights"


def test_cancelling_ends_a_run_as_failed(ops: Ops, settings: Settings) -> None:
    with leading(settings, never_end):
        runs.trigger(ops, "flights", run_id="long")
        started(ops, "flights", "long", "load")
        assert runs.cancel(ops, "flights", "lo") == "long"
        assert ended(ops, "flights", "long") is RunState.FAILED
        with pytest.raises(Conflict, match="has ended already, as failed"):
            runs.cancel(ops, "flights", "long")


def test_clearing_what_failed_lets_it_run_again(ops: Ops, settings: Settings) -> None:
    outcomes = {"join": Outcome.FAILED}
    with leading(settings, lambda work: outcomes.get(work.task_id, Outcome.SUCCESS)):
        runs.trigger(ops, "flights", run_id="r")
        assert ended(ops, "flights", "r") is RunState.FAILED
        outcomes.clear()
        wanted = ClearTasks(dag_id="flights", run_id="r", only_failed=True, dry_run=True)
        assert runs.clear(ops, wanted) == ["join", "report"]
        assert runs.get_run(ops, "flights", "r").state is RunState.FAILED
        assert runs.clear(ops, ClearTasks(dag_id="flights", run_id="r", only_failed=True)) == ["join", "report"]
        wait_for(lambda: runs.get_run(ops, "flights", "r").state is RunState.SUCCESS, "the run to succeed")
    run, [join] = tasks.get_tis(ops, "flights", "r", "join")
    assert [one.state for one in tasks.list_tries(ops, run, join)] == [TIState.FAILED, TIState.SUCCESS]


def test_clearing_names_an_unknown_task(ops: Ops, settings: Settings) -> None:
    with leading(settings):
        runs.trigger(ops, "flights", run_id="r")
        with pytest.raises(NotFound, match="no task 'jion'; did you mean join"):
            runs.clear(ops, ClearTasks(dag_id="flights", run_id="r", task_ids=("jion",)))
        with pytest.raises(NotFound, match="no map index 3"):
            runs.clear(ops, ClearTasks(dag_id="flights", run_id="r", task_ids=("join",), map_index=3))
        with pytest.raises(InvalidRequest, match="exactly one task"):
            runs.clear(ops, ClearTasks(dag_id="flights", run_id="r", map_index=3))


def test_a_run_may_be_named_by_latest_or_by_its_beginning(ops: Ops, settings: Settings) -> None:
    with leading(settings):
        for name in ("monday-1", "monday-2", "tuesday"):
            runs.trigger(ops, "flights", run_id=name)
    assert runs.get_run(ops, "flights", "latest").run_id == "tuesday"
    assert runs.get_run(ops, "flights", "monday-2").run_id == "monday-2"
    assert runs.get_run(ops, "flights", "tue").run_id == "tuesday"
    with pytest.raises(InvalidRequest, match="2 runs of flights begin with 'mon'"):
        runs.get_run(ops, "flights", "mon")
    with pytest.raises(NotFound, match="has no run 'teusday'; did you mean tuesday"):
        runs.get_run(ops, "flights", "teusday")
    with pytest.raises(NotFound, match="dag weather has no runs yet"):
        runs.get_run(ops, "weather", "latest")


def test_pools_are_made_changed_and_deleted(ops: Ops, settings: Settings) -> None:
    with leading(settings):
        pools.set_pool(ops, "warehouse", 4)
        pools.set_pool(ops, "warehouse", 2, description="small")
        assert pools.get_pool(ops, "warehouse") == PoolRow(name="warehouse", slots=2, description="small")
        pools.set_pool(ops, "warehouse", 3)
        assert pools.get_pool(ops, "warehouse") == PoolRow(name="warehouse", slots=3, description="small")
        pools.delete_pool(ops, "warehouse")
        with pytest.raises(NotFound, match="no pool 'warehouse'"):
            pools.get_pool(ops, "warehouse")


def test_pools_that_make_no_sense_are_refused(ops: Ops) -> None:
    with pytest.raises(InvalidRequest, match="0 or more slots"):
        pools.set_pool(ops, "x", -2)
    with pytest.raises(InvalidRequest, match="cannot be a pool's name"):
        pools.set_pool(ops, " ", 2)
    with pytest.raises(InvalidRequest, match="default_pool cannot be deleted"):
        pools.delete_pool(ops, "default_pool")
    with pytest.raises(NotFound, match="did you mean default_pool"):
        pools.get_pool(ops, "defaultpool")


def test_a_conf_that_is_too_large_for_a_list_of_runs_is_refused(ops: Ops) -> None:
    with pytest.raises(InvalidRequest, match=r"the conf has 300,\d\d\d bytes, and 262,144 at most"):
        runs.trigger(ops, "flights", conf={"airport": "x" * 300_000})
