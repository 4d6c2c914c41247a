"""Commands of the inbox: about runs that have ended, names that are taken, and one that makes the scheduler fail."""

from typing import Any

import pytest

from airloom.decide import lifecycle, turn
from airloom.model.events import CancelRun, ClearTasks, Event, Explain, MarkRun, MarkTasks, SetPool, TriggerRun
from airloom.model.report import Cause, Outcome
from airloom.model.run import PoolRow
from airloom.model.spec import DagSpec, Delta
from airloom.model.states import RunState, TIState
from airloom.services import scheduler
from airloom.store import runs
from tests.services.rig import Rig, dag, task


def finish(rig: Rig, outcome: Outcome = Outcome.SUCCESS) -> None:
    """A run `r` of a dag with the tasks a and b has ended; it is not in memory any more."""
    rig.load(dag(task("a"), task("b", "a")))
    rig.trigger()
    rig.executor.end("a")
    rig.tick()
    rig.executor.end("b", outcome, cause=None if outcome is Outcome.SUCCESS else Cause.ERROR)
    rig.tick()
    assert rig.scheduler.world is not None
    assert not rig.scheduler.world.runs


# --- runs that have ended ------------------------------------------------------------------------------------------
def test_a_run_that_has_ended_is_marked_and_goes_back_to_work(rig: Rig) -> None:
    rig.load(dag(task("a"), task("b", "a")))
    rig.trigger()
    rig.executor.end("a", Outcome.FAILED, cause=Cause.FAIL)
    rig.tick()
    assert rig.states() == {"a": "failed", "b": "upstream_failed"}
    marked = MarkTasks(dag_id="d", run_id="r", task_ids=("a",), state=TIState.SUCCESS)
    assert rig.ask(marked).value == {"marked": ["a"]}
    rig.executor.end("b")
    rig.tick()
    assert rig.run().state == "success"
    assert rig.ask(MarkRun(dag_id="d", run_id="r", state=RunState.FAILED)).value == {"marked": []}
    assert rig.run().state == "failed"


def test_a_run_that_is_marked_is_there_for_the_next_command_of_the_turn(rig: Rig) -> None:
    rig.load(dag(task("a"), task("b", "a")))
    rig.trigger()
    numbers = [
        rig.put(MarkRun(dag_id="d", run_id="r", state=RunState.SUCCESS)),
        rig.put(ClearTasks(dag_id="d", run_id="r", task_ids=("b",))),
    ]
    rig.tick()
    assert [rig.answer(number).error for number in numbers] == [None, None]
    assert rig.states() == {"a": "success", "b": "queued"}
    assert [key.ti_id for key in rig.executor.cancelled] == [1]
    rig.executor.end("b")
    rig.tick()
    assert rig.run().state == "success"


def test_a_task_of_a_run_that_has_ended_is_explained_and_the_run_leaves_again(rig: Rig) -> None:
    finish(rig)
    (explained,) = rig.ask(Explain(dag_id="d", run_id="r", task_id="b")).value
    assert explained["reasons"][0]["text"] == "it has ended: success"
    assert rig.scheduler.world is not None
    assert not rig.scheduler.world.runs


def test_clearing_a_run_that_has_ended_runs_its_tasks_again(rig: Rig) -> None:
    finish(rig, Outcome.FAILED)
    answer = rig.ask(ClearTasks(dag_id="d", run_id="r", only_failed=True))
    assert answer.value == {"cleared": ["b"]}
    assert rig.run().state == "running"
    assert [(work.task_id, work.key.try_number) for work in rig.executor.submitted[2:]] == [("b", 2)]
    rig.executor.end("b")
    rig.tick()
    assert rig.run().state == "success"


def test_a_dry_clear_of_a_run_that_has_ended_changes_nothing(rig: Rig) -> None:
    finish(rig)
    before = rig.run(), rig.tis()
    assert rig.ask(ClearTasks(dag_id="d", run_id="r", dry_run=True)).value == {"cleared": ["a", "b"]}
    assert (rig.run(), rig.tis()) == before


def test_a_run_that_has_ended_cannot_be_cancelled(rig: Rig) -> None:
    finish(rig)
    answer = rig.ask(CancelRun(dag_id="d", run_id="r"))
    assert (answer.error, answer.message) == ("conflict", "run r of dag d has ended already (success)")


def test_several_commands_about_one_run_that_has_ended_are_all_answered_in_one_turn(rig: Rig) -> None:
    finish(rig)
    commands = [
        Explain(dag_id="d", run_id="r", task_id="a"),
        ClearTasks(dag_id="d", run_id="r", task_ids=("b",)),
        Explain(dag_id="d", run_id="r", task_id="b"),
        CancelRun(dag_id="d", run_id="r"),
    ]
    numbers = [rig.put(command) for command in commands]
    rig.tick()
    answers = [rig.answer(number) for number in numbers]
    assert [answer.error for answer in answers if answer is not None] == [None, None, None, None]
    assert rig.run().state == "failed"
    assert rig.states() == {"a": "success", "b": "skipped"}


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (Explain(dag_id="d", run_id="none", task_id="a"), "no unfinished run none"),
        (ClearTasks(dag_id="d", run_id="none"), "dag d has no run none"),
        (CancelRun(dag_id="d", run_id="none"), "dag d has no run none"),
        (CancelRun(dag_id="none", run_id="r"), "there is no dag none"),
        (TriggerRun(dag_id="none"), "there is no dag none"),
        (ClearTasks(dag_id="d", run_id="r", task_ids=("none",)), "dag d has no task none"),
    ],
)
def test_what_is_not_there_is_said(rig: Rig, command: Any, says: str) -> None:
    finish(rig)
    answer = rig.ask(command)
    assert answer.error == "not_found"
    assert says in (answer.message or "")


# --- names that are taken ------------------------------------------------------------------------------------------
def test_a_run_id_is_given_once_also_when_that_run_has_ended(rig: Rig) -> None:
    finish(rig)
    answer = rig.ask(TriggerRun(dag_id="d", run_id="r"))
    assert (answer.error, answer.message) == ("conflict", "dag d has a run r already")
    rig.trigger("other")
    answer = rig.ask(TriggerRun(dag_id="d", run_id="other"))
    assert (answer.error, answer.message) == ("conflict", "dag d has a run other already")


def test_a_run_id_that_is_asked_for_twice_in_one_turn_is_given_once(rig: Rig) -> None:
    rig.load(dag(task("a")))
    rig.tick()
    numbers = [rig.put(TriggerRun(dag_id="d", run_id="same")) for _ in range(2)]
    rig.tick()
    assert [getattr(rig.answer(number), "error", "") for number in numbers] == [None, "conflict"]


def test_a_logical_date_is_given_once_also_twice_in_one_turn(rig: Rig) -> None:
    rig.load(dag(task("a")))
    rig.tick()
    numbers = [rig.put(TriggerRun(dag_id="d", logical_date=500.0)) for _ in range(2)]
    rig.tick()
    assert [getattr(rig.answer(number), "error", "") for number in numbers] == [None, "conflict"]
    answer = rig.ask(TriggerRun(dag_id="d", logical_date=500.0))
    assert answer.error == "conflict"
    assert "has a run with that logical date already: manual__1970-01-01T00:08:20+00:00" in (answer.message or "")


def test_a_run_without_a_name_gets_one_that_is_free_also_when_another_of_that_moment_has_ended(rig: Rig) -> None:
    rig.load(dag(task("a", empty=True)))
    first = rig.ask(TriggerRun(dag_id="d")).value["run_id"]
    assert rig.run(first).state == "success"
    second = rig.ask(TriggerRun(dag_id="d")).value["run_id"]
    assert first != second
    assert rig.run(second).state == "success"


def test_a_name_that_a_schedule_gives_cannot_be_taken_by_hand(rig: Rig) -> None:
    rig.load(dag(task("a")))
    answer = rig.ask(TriggerRun(dag_id="d", run_id="scheduled__1970-01-01T00:16:40+00:00"))
    assert answer.error == "invalid"
    assert "is one that a schedule makes" in (answer.message or "")


def test_an_unnamed_run_gets_a_free_name_where_a_user_has_given_the_usual_one(rig: Rig) -> None:
    rig.load(dag(task("a", empty=True)))
    assert rig.ask(TriggerRun(dag_id="d", run_id="manual__1970-01-01T00:08:20+00:00")).error is None
    answer = rig.ask(TriggerRun(dag_id="d", logical_date=500.0))
    assert answer.value == {"run_id": "manual__1970-01-01T00:08:20+00:00_2"}


def test_a_schedule_that_was_changed_may_come_back_to_a_date_that_has_a_run(rig: Rig) -> None:
    rig.clock.now = 7_200.0
    rig.load(dag(task("a", empty=True), schedule=Delta(seconds=3_600.0), start_date=0.0))
    rig.tick()
    rig.load(dag(task("a", empty=True), schedule=Delta(seconds=7_200.0, interval=True), start_date=0.0))
    rig.clock.now = 14_400.0
    rig.tick()
    assert rig.scheduler.world is not None
    with rig.db.reading() as conn:
        found = [(run.run_id, run.logical_date, run.run_after) for run in runs.list_runs(conn)]
    first = "scheduled__1970-01-01T02:00:00+00:00"
    assert found == [(f"{first}_2", 7_200.0, 14_400.0), (first, 7_200.0, 7_200.0)]


# --- a command that makes the scheduler fail -----------------------------------------------------------------------
def poison(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Whatever turn has to set the pool `name` fails in a way that nobody foresaw."""

    def failing(world: Any, events: Any, now: float) -> Any:
        events = list(events)
        if any(isinstance(event, SetPool) and event.pool.name == name for event in events):
            raise ZeroDivisionError("a defect")
        return turn.handle(world, events, now)

    monkeypatch.setattr(scheduler, "handle", failing)


def turns(rig: Rig, count: int) -> int:
    """So many turns; how many of them failed."""
    failed = 0
    for _ in range(count):
        try:
            rig.tick()
        except ZeroDivisionError:
            failed += 1
    return failed


def test_a_poisonous_command_is_answered_with_an_error_and_the_others_are_done(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.load(dag(task("a"), task("b", "a")))
    rig.trigger()
    poison(monkeypatch, "p20")
    numbers = [rig.put(SetPool(pool=PoolRow(name=f"p{n}", slots=1))) for n in range(40)]
    rig.executor.end("a")
    # The whole batch fails, then the one command by itself: whatever stands before it fails nothing.
    assert turns(rig, 60) == 2
    answers = [rig.answer(number) for number in numbers]
    assert [answer.error for answer in answers if answer is not None] == [None] * 20 + ["invalid"] + [None] * 19
    assert "left it undone" in (getattr(answers[20], "message", None) or "")
    assert rig.states() == {"a": "success", "b": "queued"}


def test_a_report_that_makes_the_scheduler_fail_ends_its_own_try_and_stops_nothing_else(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.load(dag(task("a"), task("b")))
    rig.trigger()
    poisonous = rig.executor.work("a").key

    def failing(world: Any, events: list[Event], now: float) -> Any:
        if any(getattr(event, "key", None) == poisonous and event.outcome is Outcome.SUCCESS for event in events):
            raise ZeroDivisionError("a defect")
        return turn.handle(world, events, now)

    monkeypatch.setattr(scheduler, "handle", failing)
    rig.executor.end("a")
    rig.executor.end("b")
    number = rig.put(SetPool(pool=PoolRow(name="p", slots=1)))
    # All together, and then the one by itself.
    assert turns(rig, 9) == 2
    answer = rig.answer(number)
    assert answer is not None
    assert answer.error is None
    assert rig.states() == {"a": "failed", "b": "success"}
    assert rig.tis()["a"].detail == "how the try ended could not be stored: ZeroDivisionError: a defect"


def test_a_fault_that_is_elsewhere_is_blamed_on_no_report(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.load(dag(task("a")))
    rig.trigger()
    broken = [True]

    def failing(world: Any, events: list[Event], now: float) -> Any:
        if broken[0]:
            raise ZeroDivisionError("a defect")
        return turn.handle(world, events, now)

    monkeypatch.setattr(scheduler, "handle", failing)
    rig.executor.end("a")
    assert turns(rig, 5) == 5
    broken[0] = False
    assert turns(rig, 5) == 0
    assert rig.states() == {"a": "success"}


def test_a_value_that_the_database_refuses_ends_its_own_try_and_stops_nothing_else(rig: Rig) -> None:
    """A character that PostgreSQL's texts cannot have, as a task may well put into its error."""
    rig.load(dag(task("a"), task("b"), task("c", "b")))
    rig.trigger()
    rig.executor.end("a", Outcome.FAILED, cause=Cause.ERROR, detail="ValueError: \0")
    rig.executor.end("b")
    number = rig.put(TriggerRun(dag_id="d", run_id="another", conf={"text": "\0"}))
    for _ in range(9):
        rig.tick()
    assert rig.states() == {"a": "failed", "b": "success", "c": "queued"}
    assert rig.answer(number) is not None


def test_a_dag_whose_runs_cannot_be_made_stops_no_other_and_rests_until_it_changes(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = lifecycle.make_run

    def failing(world: Any, state: Any, *args: Any) -> Any:
        if state.row.dag_id == "bad" and len(state.graph.tasks) == 1:
            raise ZeroDivisionError("a defect")
        return real(world, state, *args)

    monkeypatch.setattr(lifecycle, "make_run", failing)
    every = Delta(seconds=60.0)
    bad = DagSpec(dag_id="bad", tasks=(task("a"),), schedule=every, start_date=0.0)
    rig.load(bad, rel_path="bad.py")
    rig.load(dag(task("a", empty=True), schedule=every, start_date=0.0))
    for _ in range(5):
        rig.tick()
    for _ in range(3):
        rig.clock.now += 60.0
        rig.tick()
    with rig.db.reading() as conn:
        assert len(runs.list_runs(conn, "d")) == 4
        assert runs.list_runs(conn, "bad") == []
    rig.load(DagSpec(dag_id="bad", tasks=(task("a"), task("b")), schedule=every, start_date=0.0), rel_path="bad.py")
    for _ in range(3):
        rig.tick()
    with rig.db.reading() as conn:
        assert len(runs.list_runs(conn, "bad")) == 1
