"""What users, the loader and executors tell a run that is under way: one behaviour at a time."""

from airloom.decide.explain import explain
from airloom.decide.outcome import CODE_TIMES
from airloom.decide.state import WorldConfig
from airloom.model.events import CancelRun, ClearTasks, DagGone, DeleteDag, RunLoaded, SetPaused, SetPool, TriggerRun
from airloom.model.report import Cause, Ended, HandedBack, Outcome, Skip, SkipMode, Started, TryKey, XComValue
from airloom.model.run import PoolRow
from airloom.model.spec import DagSpec
from tests.decide.building import dag, started, task, trigger
from tests.decide.simulation import Simulation


def test_a_full_pool_never_holds_up_another_pools_work():
    sim = Simulation(
        dag(
            *[task(f"a{i}", pool="small", priority_weight=100) for i in range(5)],
            *[task(f"b{i}") for i in range(3)],
        ),
        pools=[PoolRow(name="default_pool", slots=128), PoolRow(name="small", slots=1)],
    )
    trigger(sim)
    assert started(sim) == ["a0", "b0", "b1", "b2"]
    sim.run()
    assert sim.now == 1005.0


def test_a_task_that_needs_more_slots_than_the_pool_has_holds_up_nobody():
    sim = Simulation(
        dag(task("big", pool_slots=3, priority_weight=9), task("small")),
        pools=[PoolRow(name="default_pool", slots=2)],
    )
    trigger(sim)
    assert started(sim) == ["small"]
    (reason,) = explain(sim.world, "d", "r", "big")[0].reasons
    assert reason.text == "pool default_pool has 2 slots in all and the task asks for 3: it can never start"
    sim.turn([SetPool(pool=PoolRow(name="default_pool", slots=3))])
    sim.run()
    assert sim.states() == {"big": "success", "small": "success"}


def test_a_paused_dag_starts_nothing_new_and_goes_on_when_unpaused():
    sim = Simulation(dag(task("a"), task("b", "a")))
    trigger(sim)
    sim.turn([SetPaused(dag_id="d", paused=True)])
    sim.step(), sim.step()
    assert started(sim) == ["a"]
    assert [r.kind.value for r in explain(sim.world, "d", "r", "b")[0].reasons] == ["paused"]
    sim.turn([SetPaused(dag_id="d", paused=False)])
    sim.run()
    assert started(sim) == ["a", "b"]


def test_a_cancelled_run_ends_what_runs_and_skips_the_rest():
    sim = Simulation(
        dag(task("a"), task("b", "a"), task("c", retries=3)),
        script=lambda work: (100.0, {"outcome": Outcome.SUCCESS}),
    )
    trigger(sim)
    sim.step()
    sim.turn([CancelRun(dag_id="d", run_id="r")])
    sim.run()
    assert sim.now == 1000.5
    assert sim.states() == {"a": "failed", "b": "skipped", "c": "failed"}
    assert sim.db.runs[1].state.value == "failed"


def test_clearing_a_running_task_ends_its_try_and_runs_it_again():
    sim = Simulation(dag(task("a")), script=lambda work: (100.0, {"outcome": Outcome.SUCCESS}))
    trigger(sim)
    sim.step()
    sim.turn([ClearTasks(dag_id="d", run_id="r", task_ids=("a",))])
    assert sim.states() == {"a": "restarting"}
    sim.step()
    assert [work.key.try_number for work in sim.started] == [1, 2]
    sim.run()
    assert sim.states() == {"a": "success"}


def test_clearing_part_of_a_live_run_runs_that_part_again():
    sim = Simulation(
        dag(task("a"), task("b", "a"), task("c", "b"), task("long")),
        script=lambda work: (50.0 if work.task_id == "long" else 1.0, {"outcome": Outcome.SUCCESS}),
    )
    trigger(sim)
    while sim.states()["c"] != "success":
        sim.step()
    plan = sim.turn([ClearTasks(dag_id="d", run_id="r", task_ids=("b",), downstream=True, inbox_id=7)])
    assert plan.answers[7].value == {"cleared": ["b", "c"]}
    sim.run()
    assert started(sim) == ["a", "long", "b", "c", "b", "c"]


def test_clearing_a_finished_run_makes_it_run_again_and_what_a_branch_skipped_stays_skipped():
    def script(work):
        skip = Skip(mode=SkipMode.UNFOLLOWED, followed=("b",)) if work.task_id == "a" else None
        return 1.0, {"outcome": Outcome.SUCCESS, "skip": skip}

    sim = Simulation(dag(task("a"), task("b", "a"), task("c", "a")), script=script)
    trigger(sim)
    sim.run()
    loaded = RunLoaded(run=sim.db.live_run(1), version=sim.db.versions[1])
    sim.turn([loaded, ClearTasks(dag_id="d", run_id="r", task_ids=("b", "c"))])
    sim.run()
    assert started(sim) == ["a", "b", "b"]
    assert sim.states() == {"a": "success", "b": "success", "c": "skipped"}
    assert sim.db.runs[1].state.value == "success"


def test_a_dry_clear_of_a_finished_run_says_what_it_would_do_and_does_nothing():
    sim = Simulation(dag(task("a"), task("b", "a")))
    trigger(sim)
    sim.run()
    before = dict(sim.db.tis)
    loaded = RunLoaded(run=sim.db.live_run(1), version=sim.db.versions[1])
    plan = sim.turn([loaded, ClearTasks(dag_id="d", run_id="r", dry_run=True, inbox_id=3)])
    assert plan.answers[3].value == {"cleared": ["a", "b"]}
    assert sim.db.tis == before
    assert not sim.world.runs


def test_a_run_that_has_ended_cannot_be_cancelled():
    sim = Simulation(dag(task("a")))
    trigger(sim)
    sim.run()
    loaded = RunLoaded(run=sim.db.live_run(1), version=sim.db.versions[1])
    plan = sim.turn([loaded, CancelRun(dag_id="d", run_id="r", inbox_id=3)])
    assert (plan.answers[3].error, plan.answers[3].message) == (
        "conflict",
        "run r of dag d has ended already (success)",
    )
    assert not sim.world.runs


def test_a_new_version_is_used_by_new_runs_only():
    sim = Simulation(dag(task("a"), task("b", "a")))
    trigger(sim, "old")
    sim.load(dag(task("a"), task("c", "a")))
    trigger(sim, "new")
    sim.run()
    assert sorted((work.run.run_id, work.task_id) for work in sim.started) == [
        ("new", "a"),
        ("new", "c"),
        ("old", "a"),
        ("old", "b"),
    ]
    assert list(sim.world.graphs) == [2]


def test_a_dag_whose_definition_is_gone_finishes_its_runs_and_starts_no_new_ones():
    sim = Simulation(dag(task("a"), task("b", "a")))
    trigger(sim)
    sim.turn([DagGone(dag_id="d")])
    plan = sim.turn([TriggerRun(dag_id="d", run_id="r2", inbox_id=1)])
    assert plan.answers[1].error == "conflict"
    sim.run()
    assert started(sim) == ["a", "b"]


def test_deleting_a_dag_ends_its_tries_and_frees_what_they_held():
    sim = Simulation(dag(task("a"), task("b")), config=WorldConfig(parallelism=1))
    trigger(sim)
    sim.turn([DagGone(dag_id="d")])
    plan = sim.turn([DeleteDag(dag_id="d", inbox_id=1)])
    assert plan.answers[1].value == {"dag_id": "d", "runs_ended": 1}
    assert len(plan.cancels) == 1
    assert plan.delete_dags == ["d"]
    assert (sim.world.parallelism.used, sim.world.lines.waiting, sim.world.live) == (0, 0, {})


def test_a_report_from_any_but_the_live_try_changes_nothing():
    sim = Simulation(dag(task("a", retries=1, retry_delay=0)), script=lambda work: (50.0, {"outcome": Outcome.SUCCESS}))
    trigger(sim)
    sim.step()
    stale = [
        Ended(key=TryKey(1, 2), at=sim.now, outcome=Outcome.SUCCESS),
        Ended(key=TryKey(9, 1), at=sim.now, outcome=Outcome.SUCCESS),
    ]
    assert not sim.turn(stale).writes
    assert sim.states() == {"a": "running"}


def test_a_try_that_was_handed_back_is_made_again_and_costs_nothing():
    sim = Simulation(dag(task("a")), script=lambda work: (50.0, {"outcome": Outcome.SUCCESS}))
    trigger(sim)
    sim.turn([HandedBack(key=TryKey(1, 1), at=sim.now, detail="the worker stops")])
    assert [work.key.try_number for work in sim.started] == [1, 2]
    assert sim.db.tis[1].max_tries == 1


def test_a_try_whose_code_cannot_be_had_waits_ever_longer_says_why_and_is_given_up_in_the_end():
    sim = Simulation(dag(task("a")), script=lambda work: (1e9, {"outcome": Outcome.SUCCESS}))
    trigger(sim)
    why = "there is no commit 1234 in the repository any more"
    waits = []
    for number in range(1, CODE_TIMES):
        sim.due.clear()  # it never starts
        sim.turn([HandedBack(key=TryKey(1, number), at=sim.now, detail=why, lacks=True)])
        if sim.states() == {"a": "up_for_retry"}:
            (reason,) = explain(sim.world, "d", "r", "a")[0].reasons
            assert f"({number} of {CODE_TIMES} times), it is tried again: {why}" in reason.text
            assert reason.until is not None
            waits.append(reason.until - sim.now)
            sim.now = reason.until
            sim.turn([])
        assert sim.states() == {"a": "queued"}
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (15.0, 900.0)
    sim.due.clear()
    sim.turn([HandedBack(key=TryKey(1, CODE_TIMES), at=sim.now, detail=why, lacks=True)])
    assert sim.states() == {"a": "failed"}
    assert why in str(sim.db.tis[1].detail)


def test_a_planned_stop_costs_a_task_nothing_however_often_it_comes():
    causes = iter([Cause.STOPPED] * 9)
    sim = Simulation(
        dag(task("a")),
        script=lambda work: (
            (1.0, {"outcome": Outcome.FAILED, "cause": Cause.STOPPED})
            if next(causes, None)
            else (1.0, {"outcome": Outcome.SUCCESS})
        ),
    )
    trigger(sim)
    sim.run()
    assert len(sim.started) == 10
    assert sim.states() == {"a": "success"}
    assert sim.db.tis[1].infra_failures == 0


def test_a_pool_that_was_made_smaller_than_its_first_waiter_needs_serves_the_others():
    sim = Simulation(
        dag(task("hog", pool_slots=10, priority_weight=9), task("big", pool_slots=8, priority_weight=5), task("small")),
        pools=[PoolRow(name="default_pool", slots=10)],
    )
    trigger(sim)
    sim.turn([SetPool(pool=PoolRow(name="default_pool", slots=5))])
    sim.step()
    sim.step()
    assert started(sim) == ["hog", "small"]


def test_a_pool_that_comes_to_be_serves_those_who_fit():
    sim = Simulation(dag(task("big", pool="p", pool_slots=5, priority_weight=5), task("small", pool="p")), pools=[])
    trigger(sim)
    sim.turn([SetPool(pool=PoolRow(name="p", slots=2))])
    assert started(sim) == ["small"]


def test_cancelling_a_run_that_waits_in_line_ends_it_at_once():
    sim = Simulation(dag(task("a"), max_active_runs=1), script=lambda work: (100.0, {"outcome": Outcome.SUCCESS}))
    trigger(sim, "r1")
    trigger(sim, "r2")
    sim.turn([CancelRun(dag_id="d", run_id="r2")])
    assert {run.run_id: run.state.value for run in sim.db.runs.values()} == {"r1": "running", "r2": "failed"}


def test_a_run_that_is_being_cancelled_cannot_be_cleared():
    sim = Simulation(dag(task("a")), script=lambda work: (100.0, {"outcome": Outcome.SUCCESS}))
    trigger(sim)
    sim.turn([CancelRun(dag_id="d", run_id="r")])
    plan = sim.turn([ClearTasks(dag_id="d", run_id="r", inbox_id=1)])
    assert plan.answers[1].error == "conflict"


def test_deleting_a_dag_cancels_its_tries_where_they_run():
    sim = Simulation(dag(task("a", executor="second")), config=WorldConfig(executors=("first", "second")))
    trigger(sim)
    sim.turn([DagGone(dag_id="d")])
    plan = sim.turn([DeleteDag(dag_id="d")])
    assert [cancel.executor for cancel in plan.cancels.values()] == ["second"]


def test_what_a_failed_try_left_is_gone_when_the_next_one_starts():
    value = XComValue(key="half", value=b"1")
    sim = Simulation(
        dag(task("a", retries=1, retry_delay=0)),
        script=lambda work: (
            (1.0, {"outcome": Outcome.FAILED, "cause": Cause.ERROR, "xcoms": (value,)})
            if work.key.try_number == 1
            else (1.0, {"outcome": Outcome.SUCCESS})
        ),
    )
    trigger(sim)
    sim.run()
    assert sim.db.xcoms == {}


def test_a_start_that_is_told_after_a_clear_is_remembered():
    sim = Simulation(dag(task("a")), script=lambda work: (100.0, {"outcome": Outcome.SUCCESS}))
    trigger(sim)
    sim.turn([ClearTasks(dag_id="d", run_id="r", task_ids=("a",)), Started(key=TryKey(1, 1), at=sim.now)])
    assert (sim.db.tis[1].state.value, sim.db.tis[1].started_at) == ("restarting", sim.now)


def test_in_the_foreground_one_dag_runs_though_paused_and_the_others_rest():
    other = DagSpec(dag_id="other", tasks=(task("x"), task("y", "x")))
    sim = Simulation(dag(task("a")), other, paused=True)
    sim.turn([SetPaused(dag_id="other", paused=False)])
    sim.turn([TriggerRun(dag_id="other", run_id="o")])
    sim.config = WorldConfig(foreground="d", schedules=False)
    sim.restart()
    trigger(sim)
    while sim.step():
        pass
    assert [work.task_id for work in sim.started] == ["x", "a"]
    assert sim.db.dags["d"].paused
    assert not sim.db.dags["other"].paused
