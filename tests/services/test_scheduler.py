"""The scheduler service: from a command in the inbox to the end of a run, and what it does when something fails."""

from typing import Any

import pytest

from airloom.decide.state import World
from airloom.model.errors import StoreError
from airloom.model.events import CancelRun, DeleteDag, Explain, Reload, SetPaused, SetPool, TriggerRun
from airloom.model.plan import Plan
from airloom.model.report import Cause, Ended, Outcome, TryKey
from airloom.model.run import PoolRow
from airloom.model.work import Work
from airloom.services import commands, scheduler
from airloom.store import dags, leadership, runs
from airloom.store.database import Database, connect
from airloom.store.plans import apply_plan
from airloom.store.tries import run_of_live_try
from tests.services.rig import LEASE, Rig, ScriptedExecutor, dag, task


def fail_commits(monkeypatch: pytest.MonkeyPatch, times: int = 1) -> None:
    """The next commits fail when all has been written but the commit itself."""
    left = [times]

    def failing(conn: Any, plan: Plan, epoch: int, now: float) -> None:
        apply_plan(conn, plan, epoch, now)
        if left[0]:
            left[0] -= 1
            raise StoreError("the disk is full")

    monkeypatch.setattr(scheduler, "apply_plan", failing)


# --- a run ---------------------------------------------------------------------------------------------------------
def test_a_run_goes_from_its_command_to_its_end(rig: Rig) -> None:
    rig.load(dag(task("a"), task("b", "a")))
    rig.trigger()
    assert rig.executor.names() == ["a"]
    rig.executor.start("a")
    rig.tick()
    assert rig.states() == {"a": "running", "b": "none"}
    rig.executor.end("a")
    rig.tick()
    assert rig.states() == {"a": "success", "b": "queued"}
    rig.executor.start("b")
    rig.executor.end("b")
    rig.tick()
    assert rig.states() == {"a": "success", "b": "success"}
    assert rig.run().state == "success"


def test_nothing_is_given_to_an_executor_before_its_commit(rig: Rig, database_url: str) -> None:
    elsewhere = connect(database_url)
    seen: list[str] = []

    def look(work: Work) -> None:
        with elsewhere.reading() as conn:
            assert run_of_live_try(conn, work.key) is not None, "another process does not see the try yet"
        seen.append(work.task_id)

    rig.executor.on_submit = look
    rig.load(dag(task("a"), task("b", "a")))
    rig.trigger()
    rig.executor.end("a")
    rig.tick()
    assert seen == ["a", "b"]
    elsewhere.close()


def test_a_turn_in_which_nothing_happens_writes_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.tick()
    fail_commits(monkeypatch)
    assert rig.tick() > 0
    assert rig.scheduler.world is not None


def test_the_observer_sees_each_plan_after_its_commit(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Plan] = []

    def observe(world: World, plan: Plan) -> None:
        seen.append(plan)

    rig.scheduler.watch(observe)
    rig.load(dag(task("a")))
    fail_commits(monkeypatch)
    rig.tick()
    assert seen == []
    rig.tick()
    rig.trigger()
    assert [len(plan.new_runs) for plan in seen] == [0, 1]


def test_the_next_turn_is_due_when_the_next_retry_is(rig: Rig) -> None:
    rig.load(dag(task("a", retries=1, retry_delay=3.0)))
    rig.trigger()
    rig.executor.end("a", Outcome.FAILED, cause=Cause.ERROR)
    assert rig.tick() == 3.0
    rig.clock.now += 3.0
    rig.tick()
    assert [work.key.try_number for work in rig.executor.submitted] == [1, 2]


def test_commands_that_are_more_than_a_batch_are_all_taken_without_waiting(rig: Rig) -> None:
    rig.load(dag(task("a")))
    rig.tick()
    numbers = [rig.put(SetPool(pool=PoolRow(name=f"p{n}", slots=1))) for n in range(commands.BATCH + 10)]
    assert rig.tick() == 0.0
    rig.tick()
    assert all(rig.answer(number) is not None for number in numbers)


# --- commits that fail ---------------------------------------------------------------------------------------------
def test_a_commit_that_fails_starts_nothing_and_the_command_is_applied_once_later(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.load(dag(task("a")))
    rig.tick()
    fail_commits(monkeypatch, times=2)
    number = rig.put(TriggerRun(dag_id="d", run_id="r"))
    for pause in (1.0, 2.0):
        assert rig.tick() == pause
        assert rig.executor.submitted == []
        assert rig.scheduler.world is None
        assert rig.answer(number) is None
    rig.tick()
    assert rig.executor.names() == ["a"]
    rig.executor.end("a")
    rig.tick()
    with rig.db.reading() as conn:
        assert [run.run_id for run in runs.list_runs(conn)] == ["r"]


def test_a_commit_that_fails_loses_no_report(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.load(dag(task("a"), task("b", "a"), task("c")))
    rig.trigger()
    rig.executor.start("a")
    rig.executor.start("c")
    rig.tick()
    rig.executor.end("a", at=1_001.0)
    polls = rig.executor.polls
    fail_commits(monkeypatch)
    rig.tick()
    # This one comes while the memory is gone; it must not be taken before the first is safe.
    rig.executor.end("c", at=1_002.0)
    assert rig.executor.polls == polls + 1
    rig.tick()
    rig.tick()
    assert rig.states() == {"a": "success", "b": "queued", "c": "success"}
    assert [work.key.try_number for work in rig.executor.submitted] == [1, 1, 1]
    assert rig.tis()["a"].ended_at == 1_001.0


def test_reports_are_taken_again_only_when_the_last_ones_are_committed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.load(dag(task("a")))
    rig.trigger()
    rig.executor.end("a")
    polls = rig.executor.polls
    fail_commits(monkeypatch, times=3)
    for _ in range(3):
        rig.tick()
    assert rig.executor.polls == polls + 1
    rig.tick()
    assert rig.run().state == "success"


def test_a_full_disk_is_said_and_all_goes_on_when_there_is_room(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    db = connect(sqlite_url)
    rig = Rig(db)
    rig.load(dag(*(task(f"t{n}") for n in range(500))))
    rig.tick()
    with db.transaction() as conn:
        conn.exec_driver_sql("PRAGMA max_page_count = 1")  # as many as there are now
    number = rig.put(TriggerRun(dag_id="d", run_id="r"))
    rig.tick()
    assert "is full: nothing was committed" in caplog.text
    assert (rig.executor.submitted, rig.answer(number)) == ([], None)
    with db.transaction() as conn:
        conn.exec_driver_sql("PRAGMA max_page_count = 1000000")
    rig.tick()
    assert len(rig.executor.submitted) == 16
    db.close()


def test_an_executor_that_fails_after_the_commit_gets_the_same_work_again(rig: Rig) -> None:
    failures = [OSError("no more processes")]

    def refuse(work: Work) -> None:
        if failures:
            raise failures.pop()

    rig.executor.on_submit = refuse
    rig.load(dag(task("a")))
    rig.put(TriggerRun(dag_id="d", run_id="r"))
    with pytest.raises(OSError, match="no more processes"):
        rig.tick()
    assert rig.executor.submitted == []
    rig.tick()
    assert [work.key.try_number for work in rig.executor.submitted] == [1]
    assert rig.states() == {"a": "queued"}


# --- who leads -----------------------------------------------------------------------------------------------------
def lead_instead(db: Database, now: float) -> int:
    """Another scheduler becomes the leader."""
    with db.transaction() as conn:
        epoch = leadership.acquire(conn, "another", now, LEASE, force=True)
    assert epoch is not None
    return epoch


def test_a_leader_that_was_deposed_commits_nothing_and_steps_down(rig: Rig) -> None:
    rig.load(dag(task("a"), task("b", "a")))
    rig.trigger()
    lead_instead(rig.db, rig.clock.now)
    rig.executor.end("a")
    rig.tick()
    assert rig.leadership.epoch is None
    assert rig.scheduler.world is None
    assert rig.states() == {"a": "queued", "b": "none"}
    assert rig.executor.names() == ["a"]


def test_one_that_leads_again_still_has_the_report_that_was_refused(postgres_url: str) -> None:
    db = connect(postgres_url)
    rig = Rig(db)
    rig.load(dag(task("a"), task("b", "a")))
    rig.trigger()
    epoch = lead_instead(db, rig.clock.now)
    rig.executor.end("a")
    rig.tick()
    with db.transaction() as conn:
        leadership.release(conn, "another", epoch)
    rig.tick()
    assert rig.states() == {"a": "success", "b": "queued"}
    assert rig.leadership.epoch == epoch + 1
    db.close()


def test_one_that_leads_again_takes_nobody_for_lost_of_whom_it_has_not_heard_since(postgres_url: str) -> None:
    db = connect(postgres_url)
    rig = Rig(db)
    rig.load(dag(task("a")))
    rig.trigger()
    key = rig.executor.start("a")
    rig.tick()
    epoch = lead_instead(db, rig.clock.now)
    rig.executor.report(Ended(key=key, at=1_000.0, outcome=Outcome.FAILED, cause=Cause.LOST))
    rig.tick()
    with db.transaction() as conn:
        leadership.release(conn, "another", epoch)
    rig.tick()
    assert rig.leadership.epoch == epoch + 1
    assert rig.states() == {"a": "running"}
    db.close()


def test_a_spare_looks_again_soon_and_touches_nothing(postgres_url: str) -> None:
    db = connect(postgres_url)
    rig = Rig(db)
    lead_instead(db, rig.clock.now)
    # The other one has the row and not the lock, as when its connection has just broken: the lease counts.
    with db.session() as session:
        session.exec_driver_sql("SELECT pg_advisory_lock(hashtext('airloom-leader'))")
        rig.load(dag(task("a")))
        number = rig.put(TriggerRun(dag_id="d"))
        assert 0 < rig.tick() <= 1.0
        assert rig.answer(number) is None
        session.invalidate()
    db.close()


# --- taking over ---------------------------------------------------------------------------------------------------
def test_a_take_over_adopts_what_runs_and_makes_anew_what_never_started(rig: Rig) -> None:
    rig.load(dag(task("running"), task("known"), task("dropped"), task("died")))
    rig.trigger()
    rig.executor.start("running")
    rig.executor.start("died")
    rig.tick()
    keys = {work.task_id: work.key for work in rig.executor.submitted}
    for lost in ("dropped", "died"):
        del rig.executor.held[keys[lost]]
    rig.executor.submitted.clear()
    rig.take_over()
    rig.tick()
    assert rig.executor.wanted == set(keys.values())
    # What was lost while it ran spends none of the task's retries, and is tried again at once.
    again = [(work.task_id, work.key.try_number) for work in rig.executor.submitted]
    assert again == [("dropped", 1), ("died", 2)]
    assert rig.states() == {"running": "running", "known": "queued", "dropped": "queued", "died": "queued"}
    assert rig.tis()["died"].infra_failures == 1
    with rig.db.reading() as conn:
        lost, _ = runs.list_tries(conn, keys["died"].ti_id)
    assert (lost.cause, lost.detail) == (Cause.LOST, "its runner was gone when the scheduler came back")


def test_a_take_over_takes_the_end_that_the_executor_has_still_to_tell(rig: Rig) -> None:
    rig.load(dag(task("a"), task("b", "a")))
    rig.trigger()
    rig.executor.start("a")
    rig.tick()
    rig.executor.end("a")
    rig.take_over()
    rig.tick()
    assert rig.states() == {"a": "success", "b": "queued"}


def test_a_report_that_was_committed_before_the_crash_and_comes_again_changes_nothing(rig: Rig) -> None:
    rig.load(dag(task("a")))
    rig.trigger()
    work = rig.executor.work("a")
    rig.executor.end("a")
    rig.tick()
    before = rig.tis()
    rig.executor.held[work.key] = work
    rig.executor.end("a", Outcome.FAILED, cause=Cause.ERROR)
    rig.take_over()
    rig.tick()
    assert rig.tis() == before


def test_a_take_over_sends_the_cancels_again(rig: Rig) -> None:
    rig.load(dag(task("a")))
    rig.trigger()
    key = rig.executor.start("a")
    rig.tick()
    assert rig.ask(CancelRun(dag_id="d", run_id="r")).error is None
    rig.executor.cancelled.clear()
    rig.take_over()
    rig.tick()
    assert rig.executor.cancelled == [key]
    rig.executor.end("a", Outcome.FAILED, cause=Cause.CANCELLED)
    rig.tick()
    assert rig.run().state == "failed"


def test_what_ran_at_an_executor_that_is_not_configured_any_more_is_lost_and_says_so(db: Database) -> None:
    rig = Rig(db, executors=("local", "other"))
    rig.executors["other"] = other = ScriptedExecutor()
    rig.load(dag(task("a", executor="other")))
    rig.scheduler = scheduler.Scheduler(db, rig.config, rig.executors, rig.leadership, rig.clock)
    rig.trigger()
    other.start("a")
    rig.tick()
    del rig.executors["other"]
    rig.config = type(rig.config)(executors=("local",))
    rig.take_over()
    rig.tick()
    assert rig.tis()["a"].detail == "executor other is not configured"
    rig.tick()
    (explained,) = rig.ask(Explain(dag_id="d", run_id="r", task_id="a")).value
    assert "executor other is not configured" in explained["reasons"][0]["text"]


# --- capacity ------------------------------------------------------------------------------------------------------
def test_an_executor_gets_no_more_than_it_takes_and_the_rest_when_it_takes_more(rig: Rig) -> None:
    rig.executor.slots, rig.executor.why = 0, "the runner does not start"
    rig.load(dag(task("a"), task("b"), task("c")))
    rig.trigger()
    assert rig.executor.submitted == []
    (explained,) = rig.ask(Explain(dag_id="d", run_id="r", task_id="a")).value
    assert explained["reasons"][0]["text"] == "executor local takes nothing: the runner does not start"
    rig.executor.slots, rig.executor.why = 2, ""
    rig.tick()
    assert rig.executor.names() == ["a", "b"]
    rig.executor.slots = None
    rig.tick()
    assert rig.executor.names() == ["a", "b", "c"]


# --- dags ----------------------------------------------------------------------------------------------------------
def test_the_same_dag_in_another_file_runs_from_there(rig: Rig) -> None:
    rig.load(dag(task("a"), task("b", "a")), rel_path="old.py", file_hash="1")
    rig.trigger()
    with rig.db.transaction() as conn:
        gone = dags.forget_file(conn, "dags", "old.py", rig.clock.now)
    rig.put(Reload(dag_ids=gone))
    rig.load(dag(task("a"), task("b", "a")), rel_path="new.py", file_hash="2")
    rig.executor.end("a")
    rig.tick()
    assert [(work.rel_path, work.file_hash) for work in rig.executor.submitted] == [("old.py", "1"), ("new.py", "2")]


def test_a_run_keeps_the_version_it_began_with(rig: Rig) -> None:
    rig.load(dag(task("a"), task("b", "a")))
    rig.trigger("first")
    rig.load(dag(task("a"), task("other", "a")))
    rig.trigger("second")
    for _ in range(2):
        rig.executor.end("a")
    rig.tick()
    assert rig.states("first") == {"a": "success", "b": "queued"}
    assert rig.states("second") == {"a": "success", "other": "queued"}
    first, second = (work for work in rig.executor.submitted if work.task_id in ("b", "other"))
    assert first.version_id != second.version_id


def test_a_dag_that_is_deleted_takes_its_runs_and_its_live_tries_with_it(rig: Rig) -> None:
    rig.load(dag(task("a")))
    rig.trigger()
    key = rig.executor.work("a").key
    assert rig.ask(DeleteDag(dag_id="d")).error == "conflict"
    with rig.db.transaction() as conn:
        gone = dags.forget_file(conn, "dags", "dags.py", rig.clock.now)
    rig.put(Reload(dag_ids=gone))
    assert rig.ask(DeleteDag(dag_id="d")).value == {"dag_id": "d", "runs_ended": 1}
    assert rig.executor.cancelled == [key]
    rig.executor.end("a")
    rig.tick()
    with rig.db.reading() as conn:
        assert runs.list_runs(conn) == []
        assert dags.dag_row(conn, "d") is None


def test_a_paused_dag_starts_nothing_until_it_is_unpaused_also_across_a_take_over(rig: Rig) -> None:
    rig.load(dag(task("a")))
    rig.ask(SetPaused(dag_id="d", paused=True))
    rig.trigger()
    rig.take_over()
    rig.tick()
    assert rig.executor.submitted == []
    rig.ask(SetPaused(dag_id="d", paused=False))
    assert rig.executor.submitted[0].key == TryKey(rig.tis()["a"].id, 1)
