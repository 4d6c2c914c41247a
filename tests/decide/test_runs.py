"""Runs from their first TI to their end, one behaviour at a time."""

import pytest

from airloom.decide.explain import explain
from airloom.decide.state import WorldConfig
from airloom.model.events import ClearTasks, SetPool, TriggerRun
from airloom.model.report import Cause, Outcome, Skip, SkipMode
from airloom.model.run import PoolRow
from airloom.model.spec import Delta, LiteralInput, MapSpec, Once, TriggerRule, XComInput
from tests.decide.building import dag, mapped_over_a, started, task, trigger
from tests.decide.simulation import Simulation


def test_tasks_start_when_their_upstream_has_succeeded():
    sim = Simulation(dag(task("a"), task("b", "a"), task("c", "a"), task("d", "b", "c")))
    trigger(sim)
    sim.run()
    assert started(sim) == ["a", "b", "c", "d"]
    assert [run.state.value for run in sim.db.runs.values()] == ["success"]
    assert sim.now == 1003.0


def test_a_failure_fails_what_is_after_it_and_the_run():
    sim = Simulation(
        dag(task("a"), task("b", "a"), task("c", "b", trigger_rule=TriggerRule.ALL_DONE), task("x", "b")),
        script=lambda work: (
            (1.0, {"outcome": Outcome.FAILED, "cause": Cause.ERROR})
            if work.task_id == "a"
            else (1.0, {"outcome": Outcome.SUCCESS})
        ),
    )
    trigger(sim)
    sim.run()
    assert sim.states() == {"a": "failed", "b": "upstream_failed", "c": "success", "x": "upstream_failed"}
    assert sim.db.runs[1].state.value == "failed"


def test_a_task_is_tried_again_after_its_delay_and_only_as_often_as_it_may():
    sim = Simulation(
        dag(task("a", retries=2, retry_delay=60)),
        script=lambda work: (1.0, {"outcome": Outcome.FAILED, "cause": Cause.ERROR}),
    )
    trigger(sim)
    sim.run()
    assert [work.key.try_number for work in sim.started] == [1, 2, 3]
    assert sim.now == 1000 + 3 + 120
    assert sim.states() == {"a": "failed"}


def test_a_lost_runner_costs_none_of_the_tasks_retries():
    causes = iter([Cause.LOST, Cause.KILLED, Cause.ERROR, Cause.ERROR])
    sim = Simulation(
        dag(task("a", retries=1, retry_delay=60)),
        script=lambda work: (1.0, {"outcome": Outcome.FAILED, "cause": next(causes)}),
    )
    trigger(sim)
    sim.run()
    assert [work.key.try_number for work in sim.started] == [1, 2, 3, 4]
    # The first new try is made at once, the second after some patience.
    assert sim.now == 1000 + 4 + 60 + 10


def test_the_infrastructure_budget_ends_too():
    sim = Simulation(
        dag(task("a", retries=9)), script=lambda work: (1.0, {"outcome": Outcome.FAILED, "cause": Cause.LOST})
    )
    trigger(sim)
    sim.run()
    assert len(sim.started) == 4
    assert sim.states() == {"a": "failed"}


def test_a_task_that_asks_to_fail_is_not_tried_again():
    sim = Simulation(
        dag(task("a", retries=9)), script=lambda work: (1.0, {"outcome": Outcome.FAILED, "cause": Cause.FAIL})
    )
    trigger(sim)
    sim.run()
    assert len(sim.started) == 1


def test_a_branch_skips_what_it_does_not_follow():
    def script(work):
        skip = Skip(mode=SkipMode.UNFOLLOWED, followed=("b",)) if work.task_id == "a" else None
        return 1.0, {"outcome": Outcome.SUCCESS, "skip": skip}

    join = task("join", "b", "c", trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
    sim = Simulation(dag(task("a"), task("b", "a"), task("c", "a"), task("after", "c"), join), script=script)
    trigger(sim)
    sim.run()
    assert sim.states() == {"a": "success", "b": "success", "c": "skipped", "after": "skipped", "join": "success"}


def test_a_short_circuit_skips_all_that_follows_whatever_its_rule():
    skip = Skip(mode=SkipMode.ALL)
    sim = Simulation(
        dag(task("a"), task("b", "a"), task("c", "b", trigger_rule=TriggerRule.ALL_DONE)),
        script=lambda work: (1.0, {"outcome": Outcome.SUCCESS, "skip": skip}),
    )
    trigger(sim)
    sim.run()
    assert sim.states() == {"a": "success", "b": "skipped", "c": "skipped"}


def test_a_mapped_task_has_as_many_tis_as_its_upstream_returned_and_the_next_waits_for_all():
    spec = MapSpec(inputs=(XComInput(arg="x", task_id="a"), LiteralInput(arg="y", length=2)))
    sim = Simulation(
        dag(task("a"), task("m", "a", map=spec), task("z", "m")),
        script=lambda work: (1.0, {"outcome": Outcome.SUCCESS, "map_length": 3}),
    )
    trigger(sim)
    sim.run()
    assert started(sim) == ["a", *[f"m[{i}]" for i in range(6)], "z"]
    works = {work.task_id: work for work in sim.started}
    assert works["m"].map_lengths == (3, 2)
    assert works["m"].map_size == 6
    assert works["z"].upstream_sizes == {"m": 6}


def test_a_mapped_task_over_nothing_is_skipped():
    spec = MapSpec(inputs=(XComInput(arg="x", task_id="a"),))
    sim = Simulation(
        dag(task("a"), task("m", "a", map=spec), task("z", "m")),
        script=lambda work: (1.0, {"outcome": Outcome.SUCCESS, "map_length": 0}),
    )
    trigger(sim)
    sim.run()
    assert sim.states() == {"a": "success", "m": "skipped", "z": "skipped"}


def test_mapping_over_what_is_no_list_fails_and_says_so():
    spec = MapSpec(inputs=(XComInput(arg="x", task_id="a"),))
    sim = Simulation(dag(task("a"), task("m", "a", map=spec)))
    trigger(sim)
    sim.run()
    assert sim.states() == {"a": "success", "m": "upstream_failed"}
    assert sim.db.tis[2].detail == "a returned no list or dict, so x cannot be mapped over it"


def test_an_empty_task_takes_no_executor():
    sim = Simulation(dag(*[task(f"e{i}", *([f"e{i - 1}"] if i else []), empty=True) for i in range(3000)]))
    trigger(sim)
    assert not sim.world.runs
    assert sim.started == []
    assert sim.db.runs[1].state.value == "success"


def test_a_task_that_needs_many_slots_is_not_overtaken_for_ever():
    sim = Simulation(
        dag(
            task("hog"),
            task("big", pool_slots=2, priority_weight=5),
            *[task(f"s{i}") for i in range(4)],
        ),
        pools=[PoolRow(name="default_pool", slots=2)],
        script=lambda work: (10.0, {"outcome": Outcome.SUCCESS}),
    )
    sim.turn([SetPool(pool=PoolRow(name="default_pool", slots=1))])
    trigger(sim)
    assert started(sim) == ["hog"]
    sim.turn([SetPool(pool=PoolRow(name="default_pool", slots=2))])
    sim.run()
    assert started(sim)[:2] == ["hog", "big"]


def test_priority_then_age_of_the_run_decide_who_goes_first():
    sim = Simulation(dag(task("low"), task("high", priority_weight=9)), config=WorldConfig(parallelism=1))
    sim.turn([TriggerRun(dag_id="d", run_id=name, logical_date=date) for name, date in [("new", 20.0), ("old", 10.0)]])
    sim.run()
    assert [(work.task_id, work.run.run_id) for work in sim.started] == [
        ("high", "old"),
        ("high", "new"),
        ("low", "old"),
        ("low", "new"),
    ]


@pytest.mark.parametrize(
    ("limits", "at_once"),
    [
        ({"spec": {"max_active_tasks": 2}}, 2),
        ({"task": {"max_active_tis_per_dagrun": 3}}, 3),
        ({"task": {"max_active_tis_per_dag": 1}}, 1),
        ({"config": {"parallelism": 4}}, 4),
        ({"capacity": 5}, 5),
    ],
)
def test_limits_are_kept_and_used_up(limits, at_once):
    mapped = task("m", map=MapSpec(inputs=(LiteralInput(arg="x", length=7),)), **limits.get("task", {}))
    sim = Simulation(
        dag(mapped, **limits.get("spec", {})),
        config=WorldConfig(**limits.get("config", {})),
        capacity=limits.get("capacity"),
    )
    trigger(sim)
    assert len(sim.running) == at_once
    sim.run()
    assert sim.now == 1000 + -(-7 // at_once)


def test_runs_beyond_max_active_runs_wait_in_line():
    sim = Simulation(dag(task("a"), max_active_runs=1))
    for name in ("r1", "r2", "r3"):
        trigger(sim, name)
    assert [work.run.run_id for work in sim.started] == ["r1"]
    (reason,) = [r for r in explain(sim.world, "d", "r3", "a")[0].reasons if r.kind.value == "run_queued"]
    assert (reason.place, reason.of, reason.holders) == (2, 2, ("r1",))
    sim.run()
    assert [work.run.run_id for work in sim.started] == ["r1", "r2", "r3"]


def test_a_schedule_without_catchup_runs_only_the_newest_of_what_was_missed():
    sim = Simulation(dag(task("a"), schedule=Delta(seconds=100), start_date=0.0))
    assert [run.logical_date for run in sim.db.runs.values()] == [1000.0]
    while len(sim.db.runs) < 3:
        sim.step()
    assert [run.logical_date for run in sim.db.runs.values()] == [1000.0, 1100.0, 1200.0]


def test_catchup_makes_every_missed_run_but_never_more_at_once_than_the_dag_may_have():
    sim = Simulation(
        dag(task("a"), schedule=Delta(seconds=100), start_date=0.0, end_date=900.0, catchup=True, max_active_runs=3)
    )
    assert len(sim.db.runs) == 3
    sim.run()
    assert [run.logical_date for run in sim.db.runs.values()] == [float(n) for n in range(0, 1000, 100)]


def test_once_is_once():
    sim = Simulation(dag(task("a"), schedule=Once()))
    sim.run()
    sim.restart()
    sim.run()
    assert len(sim.db.runs) == 1


def test_a_run_that_is_to_start_later_starts_then():
    sim = Simulation(dag(task("a")))
    trigger(sim, run_after=1500.0)
    sim.run()
    assert sim.now == 1501.0


def test_a_mapped_task_waits_for_what_it_is_mapped_over_whatever_its_rule():
    sim = Simulation(
        dag(task("a"), mapped_over_a(trigger_rule=TriggerRule.ALWAYS)),
        script=lambda work: (1.0, {"outcome": Outcome.SUCCESS, "map_length": 2}),
    )
    trigger(sim)
    sim.run()
    assert sim.states() == {"a": "success", "m[0]": "success", "m[1]": "success"}


@pytest.mark.parametrize(
    ("end", "state"),
    [({"outcome": Outcome.FAILED, "cause": Cause.FAIL}, "upstream_failed"), ({"outcome": Outcome.SKIPPED}, "skipped")],
)
def test_a_mapped_task_whose_input_is_missing_ends_as_its_input_did(end, state):
    sim = Simulation(dag(task("a"), mapped_over_a(trigger_rule=TriggerRule.ALL_DONE)), script=lambda work: (1.0, end))
    trigger(sim)
    sim.run()
    assert sim.states()["m"] == state


def test_what_was_mapped_over_may_change_its_mind_and_a_restart_survives_it():
    lengths = iter([2, None])

    def script(work):
        if work.task_id == "a":
            return 1.0, {"outcome": Outcome.SUCCESS, "map_length": next(lengths)}
        return 1.0, {"outcome": Outcome.FAILED, "cause": Cause.ERROR}

    sim = Simulation(dag(task("a"), mapped_over_a(retries=1, retry_delay=100)), script=script)
    trigger(sim)
    while sim.states().get("m[1]") != "up_for_retry":
        sim.step()
    sim.turn([ClearTasks(dag_id="d", run_id="r", task_ids=("a",))])
    while sim.states()["a"] != "success":
        sim.step()
    sim.restart()
    sim.run()
    assert [work.map_lengths for work in sim.started if work.key.try_number == 2 and work.task_id == "m"] == [(), ()]
