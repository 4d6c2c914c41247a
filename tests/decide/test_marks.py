"""Tasks and runs whose end a user says: one behaviour at a time."""

import pytest

from airloom.decide.pools import show_pools
from airloom.model.errors import NotFound
from airloom.model.events import CancelRun, ClearTasks, MarkRun, MarkTasks, RunLoaded, ShowPools
from airloom.model.report import Cause, Outcome, Skip, SkipMode, TryKey
from airloom.model.run import PoolRow
from airloom.model.spec import TriggerRule
from airloom.model.states import RunState, TIState
from tests.decide.building import dag, mapped_over_a, started, task, trigger
from tests.decide.simulation import Simulation

SLOW = {"outcome": Outcome.SUCCESS}


def slow(work):
    return 100.0, SLOW


def fails(*task_ids):
    return lambda work: (1.0, {"outcome": Outcome.FAILED, "cause": Cause.FAIL} if work.task_id in task_ids else SLOW)


def mark(sim: Simulation, state: TIState, *task_ids: str, **args) -> list[str]:
    return tell(sim, MarkTasks(dag_id="d", run_id="r", state=state, task_ids=task_ids or None, inbox_id=7, **args))


def mark_run(sim: Simulation, state: RunState, **args) -> list[str]:
    return tell(sim, MarkRun(dag_id="d", run_id="r", state=state, inbox_id=7, **args))


def tell(sim: Simulation, command) -> list[str]:
    """Give a command, with its run if that has ended; what was marked."""
    number = next(number for number, run in sim.db.runs.items() if run.run_id == "r")
    events = [command]
    if number not in sim.world.runs:
        run = sim.db.runs[number]
        events.insert(0, RunLoaded(run=sim.db.live_run(number), version=sim.db.versions[run.version_id]))
    answer = sim.turn(events).answers[7]
    assert answer.error is None, answer.message
    return answer.value["marked"]


def test_a_running_task_that_is_marked_ends_and_its_late_report_is_refused():
    sim = Simulation(dag(task("a"), task("b", "a")), script=slow)
    trigger(sim)
    sim.step()
    assert mark(sim, TIState.SUCCESS, "a", by="ada") == ["a"]
    key = TryKey(1, 1)
    assert list(sim.plans[-1].cancels) == [key]
    assert sim.plans[-1].cancels[key].reason == "it was marked success by ada"
    attempt = sim.db.tries[key]
    assert (attempt.state, attempt.cause, attempt.ended_at) == (TIState.FAILED, Cause.CANCELLED, sim.now)
    assert sim.states() == {"a": "success", "b": "queued"}
    assert sim.db.tis[1].detail == "marked success by ada"
    sim.run()
    assert sim.states() == {"a": "success", "b": "success"}
    assert sim.db.tries[key] == attempt


def test_the_slots_of_a_task_that_is_marked_are_free_at_once():
    sim = Simulation(dag(task("a"), task("b")), script=slow, pools=[PoolRow(name="default_pool", slots=1)])
    trigger(sim)
    sim.step()
    assert started(sim) == ["a"]
    mark(sim, TIState.FAILED, "a")
    assert started(sim) == ["a", "b"]
    sim.run()
    assert sim.db.runs[1].state is RunState.FAILED


def test_a_waiting_task_that_is_marked_never_starts():
    sim = Simulation(
        dag(task("a", priority_weight=9), task("b"), task("c", "b")),
        script=slow,
        pools=[PoolRow(name="default_pool", slots=1)],
    )
    trigger(sim)
    assert mark(sim, TIState.SKIPPED, "b") == ["b"]
    sim.run()
    assert started(sim) == ["a"]
    assert sim.states() == {"a": "success", "b": "skipped", "c": "skipped"}


def test_a_task_that_waits_for_its_retry_is_not_tried_again():
    sim = Simulation(
        dag(task("a", retries=3, retry_delay=50.0)),
        script=lambda work: (1.0, {"outcome": Outcome.FAILED, "cause": Cause.ERROR}),
    )
    trigger(sim)
    sim.step(), sim.step()
    assert sim.states() == {"a": "up_for_retry"}
    mark(sim, TIState.SUCCESS, "a")
    assert not sim.world.runs
    sim.run()
    assert started(sim) == ["a"]
    assert sim.db.runs[1].state is RunState.SUCCESS


def test_a_task_that_is_being_cleared_is_marked_all_the_same():
    sim = Simulation(dag(task("a")), script=slow)
    trigger(sim)
    sim.step()
    sim.turn([ClearTasks(dag_id="d", run_id="r", task_ids=("a",))])
    assert sim.states() == {"a": "restarting"}
    mark(sim, TIState.FAILED, "a")
    sim.run()
    assert started(sim) == ["a"]
    assert sim.states() == {"a": "failed"}


def test_what_failed_in_an_ended_run_and_counts_as_succeeded_lets_what_follows_run():
    sim = Simulation(dag(task("a"), task("b", "a"), task("c", "b"), task("other")), script=fails("a"))
    trigger(sim)
    sim.run()
    assert sim.states() == {"a": "failed", "b": "upstream_failed", "c": "upstream_failed", "other": "success"}
    mark(sim, TIState.SUCCESS, "a")
    assert sim.db.runs[1].ended_at is None
    sim.run()
    assert sim.states() == {"a": "success", "b": "success", "c": "success", "other": "success"}
    assert started(sim) == ["a", "other", "b", "c"]
    assert sim.db.runs[1].state is RunState.SUCCESS


def test_a_run_whose_last_failed_task_counts_as_skipped_has_succeeded():
    sim = Simulation(dag(task("a"), task("b")), script=fails("b"))
    trigger(sim)
    sim.run()
    ended = sim.db.runs[1].ended_at
    assert sim.db.runs[1].state is RunState.FAILED
    sim.now += 100
    mark(sim, TIState.SKIPPED, "b")
    assert (sim.db.runs[1].state, sim.db.runs[1].ended_at) == (RunState.SUCCESS, ended)
    assert not sim.world.runs


def test_a_success_that_counts_as_failed_fails_its_run_and_leaves_what_ran_after_it():
    sim = Simulation(dag(task("a"), task("b", "a"), task("c")))
    trigger(sim)
    sim.run()
    mark(sim, TIState.FAILED, "a", "c")
    assert sim.states() == {"a": "failed", "b": "success", "c": "failed"}
    assert sim.db.runs[1].state is RunState.FAILED


def test_what_a_branch_has_skipped_stays_skipped():
    skip = Skip(mode=SkipMode.UNFOLLOWED, followed=("left",))
    sim = Simulation(
        dag(task("branch"), task("left", "branch"), task("right", "branch"), task("after", "left")),
        script=lambda work: (
            1.0,
            {"outcome": Outcome.SUCCESS, "skip": skip if work.task_id == "branch" else None}
            if work.task_id != "left"
            else {"outcome": Outcome.FAILED, "cause": Cause.FAIL},
        ),
    )
    trigger(sim)
    sim.run()
    mark(sim, TIState.SUCCESS, "left")
    sim.run()
    assert sim.states() == {"branch": "success", "left": "success", "right": "skipped", "after": "success"}


def test_a_mark_asks_the_trigger_rules_of_what_follows():
    rescue = task("rescue", "a", trigger_rule=TriggerRule.ONE_FAILED)
    sim = Simulation(dag(task("a"), rescue, task("b", "a")), script=slow)
    trigger(sim)
    sim.step()
    mark(sim, TIState.FAILED, "a")
    assert sim.states() == {"a": "failed", "rescue": "queued", "b": "upstream_failed"}


def test_one_instance_of_a_mapped_task_is_marked():
    sim = Simulation(
        dag(task("a"), mapped_over_a(), task("z", "m")),
        script=lambda work: (1.0 if work.task_id == "a" else 100.0, {"outcome": Outcome.SUCCESS, "map_length": 3}),
    )
    trigger(sim)
    sim.step(), sim.step()
    assert mark(sim, TIState.SKIPPED, "m", map_index=1, downstream=True, dry_run=True) == ["m[1]", "z"]
    assert mark(sim, TIState.SKIPPED, "m", map_index=1) == ["m[1]"]
    assert sim.states() == {"a": "success", "m[0]": "running", "m[1]": "skipped", "m[2]": "running", "z": "skipped"}


def test_a_dry_run_and_a_mark_that_changes_nothing_write_nothing():
    sim = Simulation(dag(task("a"), task("b", "a")), script=slow)
    trigger(sim)
    sim.step()
    assert mark(sim, TIState.SUCCESS, dry_run=True) == ["a", "b"]
    assert not sim.plans[-1].ti_changes
    assert not sim.plans[-1].cancels
    assert mark_run(sim, RunState.FAILED, dry_run=True) == ["a", "b"]
    sim.run()
    assert mark(sim, TIState.SUCCESS) == []
    assert not sim.plans[-1].ti_changes
    assert not sim.world.runs


def test_a_run_that_is_marked_success_has_succeeded_but_for_what_was_skipped():
    sim = Simulation(dag(task("a"), task("b", "a"), task("c"), task("d", "c")), script=fails("a"))
    trigger(sim)
    mark(sim, TIState.SKIPPED, "c")
    sim.run()
    assert sim.db.runs[1].state is RunState.FAILED
    assert mark_run(sim, RunState.SUCCESS) == ["a", "b"]
    assert sim.states() == {"a": "success", "b": "success", "c": "skipped", "d": "skipped"}
    assert sim.db.runs[1].state is RunState.SUCCESS


@pytest.mark.parametrize(
    ("state", "states"),
    [
        (RunState.SUCCESS, {"a": "success", "b": "success", "c": "success"}),
        (RunState.FAILED, {"a": "failed", "b": "skipped", "c": "skipped"}),
    ],
)
def test_a_live_run_that_is_marked_has_ended_at_once(state: RunState, states: dict[str, str]):
    sim = Simulation(
        dag(task("a"), task("b"), task("c", "a")), script=slow, pools=[PoolRow(name="default_pool", slots=1)]
    )
    trigger(sim)
    sim.step()
    assert mark_run(sim, state) == ["a", "b", "c"]
    assert sim.states() == states
    assert (sim.db.runs[1].state, sim.db.runs[1].ended_at) == (state, sim.now)
    assert not sim.world.runs
    assert not sim.world.live
    assert len(sim.plans[-1].cancels) == 1


def test_a_run_that_waits_to_be_started_makes_room_for_the_next_when_it_is_marked():
    sim = Simulation(dag(task("a"), max_active_runs=1), script=slow)
    for run_id in ("r0", "r", "r2"):
        trigger(sim, run_id)
    mark_run(sim, RunState.FAILED)
    assert [run.state.value for run in sim.db.runs.values()] == ["running", "failed", "queued"]
    assert [number for _, number in sim.world.dags["d"].line] == [3]
    sim.run()
    assert [run.state.value for run in sim.db.runs.values()] == ["success", "failed", "success"]


def test_a_cancelled_run_is_marked_when_it_has_ended_and_may_count_as_succeeded():
    sim = Simulation(dag(task("a"), task("b", "a")), script=slow)
    trigger(sim)
    sim.step()
    sim.turn([CancelRun(dag_id="d", run_id="r")])
    answer = sim.turn([MarkTasks(dag_id="d", run_id="r", state=TIState.SUCCESS, inbox_id=7)]).answers[7]
    assert answer.error == "conflict"
    sim.run()
    mark_run(sim, RunState.SUCCESS)
    run = sim.db.runs[1]
    assert (run.state, run.cancelled_at) == (RunState.SUCCESS, None)
    assert sim.states() == {"a": "success", "b": "skipped"}


@pytest.mark.parametrize(
    "command",
    [
        MarkTasks(dag_id="d", run_id="r", state=TIState.RUNNING, inbox_id=7),
        MarkRun(dag_id="d", run_id="r", state=RunState.QUEUED, inbox_id=7),
    ],
)
def test_only_ends_can_be_marked(command):
    sim = Simulation(dag(task("a")), script=slow)
    trigger(sim)
    assert sim.turn([command]).answers[7].error == "invalid"


def test_a_pool_tells_who_holds_it_and_who_waits_in_their_order():
    sim = Simulation(
        dag(task("a"), task("big", pool_slots=2), task("urgent", priority_weight=9), task("huge", pool_slots=5)),
        script=slow,
        pools=[PoolRow(name="default_pool", slots=2)],
    )
    trigger(sim)
    [pool] = show_pools(sim.world, "default_pool")
    assert [(one.task_id, one.slots) for one in pool.holders] == [("urgent", 1), ("a", 1)]
    assert pool.used == 2
    assert [(one.task_id, one.place) for one in pool.waiters] == [("big", 1), ("huge", 2)]
    assert show_pools(sim.world)[0].waiting == 2
    with pytest.raises(NotFound):
        show_pools(sim.world, "nothing")
    assert sim.turn([ShowPools(inbox_id=7)]).answers[7].value == [{"name": "default_pool", "used": 2, "waiting": 2}]
