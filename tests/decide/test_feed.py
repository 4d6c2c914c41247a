"""What people see of a plan: each change once, as it is in the end; that all is told, random histories show."""

from airloom.decide.feed import MOST, Changes, RunChange, TIChanges, about_dags, decode, merge
from airloom.model.events import ClearTasks, DagGone, DeletePool, RunLoaded, SetPaused, SetPool, TriggerRun
from airloom.model.plan import Plan
from airloom.model.report import Outcome
from airloom.model.run import LiveRun, PoolRow
from tests.decide.building import dag, mapped_over_a, task, trigger
from tests.decide.follower import Follower
from tests.decide.simulation import Simulation


def told(plan: Plan) -> Changes:
    assert plan.feed is not None
    return decode(plan.feed)


def test_a_new_run_is_told_with_its_first_moves_merged() -> None:
    sim = Simulation(dag(task("a"), task("b", "a")))
    changes = told(sim.turn([TriggerRun(dag_id="d", run_id="r", logical_date=7.0)]))
    [run] = changes.runs
    assert (run.dag_id, run.run_id, run.id, run.state, run.run_type) == ("d", "r", 1, "running", "manual")
    assert (run.logical_date, run.started_at, run.ended_at, run.version) == (7.0, sim.now, None, 1)
    assert changes.tis == [TIChanges(dag_id="d", run_id="r", changes=[("a", -1, "queued", 1)])]
    assert (changes.dags, changes.pools) == ([], False)


def test_the_end_of_a_run_is_told_although_it_has_left_the_memory() -> None:
    sim = Simulation(dag(task("a")))
    trigger(sim)
    sim.run()
    changes = told(sim.plans[-1])
    assert [(run.state, run.ended_at) for run in changes.runs] == [("success", sim.now)]
    assert changes.tis[0].changes == [("a", -1, "success", 1)]


def test_a_run_that_ends_in_the_turn_that_makes_it_is_told_once() -> None:
    sim = Simulation(dag(task("a", empty=True)))
    changes = told(sim.turn([TriggerRun(dag_id="d", run_id="r")]))
    assert [(run.state, run.started_at, run.ended_at) for run in changes.runs] == [("success", sim.now, sim.now)]


def test_a_cleared_run_has_no_end_any_more() -> None:
    sim = Simulation(dag(task("a")))
    trigger(sim)
    sim.run()
    row, version = sim.db.runs[1], sim.db.versions[1]
    back = RunLoaded(run=LiveRun(run=row, tis=tuple(sim.db.tis.values())), version=version)
    changes = told(sim.turn([back, ClearTasks(dag_id="d", run_id="r")]))
    assert [(run.state, run.ended_at) for run in changes.runs] == [("running", None)]
    follower = Follower()
    for plan in sim.plans:
        follower.follow(plan)
    follower.knows_all_of(sim.db)


def test_instances_of_a_mapped_task_are_told_when_they_come_into_being() -> None:
    script = {"outcome": Outcome.SUCCESS, "map_length": 2}
    sim = Simulation(dag(task("a"), mapped_over_a()), script=lambda work: (1.0, script))
    trigger(sim)
    sim.run()
    indexes = {change[1] for plan in sim.plans if plan.feed for tis in decode(plan.feed).tis for change in tis.changes}
    assert indexes == {-1, 0, 1}


def test_of_very_many_changes_of_one_run_only_that_is_told() -> None:
    sim = Simulation(dag(*(task(f"t{number}") for number in range(MOST + 1))))
    changes = told(sim.turn([TriggerRun(dag_id="d", run_id="r")]))
    assert changes.tis == [TIChanges(dag_id="d", run_id="r", many=True)]


def test_changes_of_dags_and_pools_are_told_and_schedules_that_move_on_are_not() -> None:
    sim = Simulation(dag(task("a")))
    assert told(sim.plans[-1]).dags == ["d"]
    assert told(sim.turn([SetPaused(dag_id="d", paused=True)])).dags == ["d"]
    assert sim.turn([SetPaused(dag_id="d", paused=True)]).feed is None
    assert told(sim.turn([DagGone(dag_id="d")])).dags == ["d"]
    assert told(sim.turn([SetPool(pool=PoolRow(name="p", slots=1))])).pools
    assert told(sim.turn([DeletePool(name="p")])).pools


def test_a_turn_in_which_nothing_happens_tells_nothing() -> None:
    sim = Simulation(dag(task("a")))
    plan = sim.turn()
    assert plan.feed is None
    assert not plan.writes


def run_change(number: int, state: str, dag_id: str = "d") -> RunChange:
    return RunChange(
        dag_id=dag_id, run_id=f"r{number}", id=number, state=state, run_type="manual", run_after=0.0, version=1
    )


def tis(*changes: tuple[str, int, str, int], dag_id: str = "d", many: bool = False) -> TIChanges:
    return TIChanges(dag_id=dag_id, run_id="r", changes=list(changes), many=many)


def test_merged_changes_have_each_thing_once_as_it_is_in_the_end() -> None:
    first = Changes(
        runs=[run_change(1, "queued"), run_change(2, "running")],
        tis=[tis(("a", -1, "queued", 1), ("m", 0, "queued", 1))],
        dags=["x"],
        topics=["variables"],
    )
    second = Changes(
        runs=[run_change(1, "running")], tis=[tis(("a", -1, "running", 1), ("m", 1, "queued", 1))], pools=True
    )
    third = Changes(dags=["x", "y"], topics=["variables"])
    merged = merge([first, second, third])
    assert [(run.id, run.state) for run in merged.runs] == [(1, "running"), (2, "running")]
    assert merged.tis == [tis(("a", -1, "running", 1), ("m", 0, "queued", 1), ("m", 1, "queued", 1))]
    assert (merged.dags, merged.pools, merged.topics) == (["x", "y"], True, ["variables"])


def test_many_stays_many_whatever_comes_before_and_after() -> None:
    few = Changes(tis=[tis(("a", -1, "queued", 1))])
    many = Changes(tis=[tis(many=True)])
    for parts in ([few, many], [many, few]):
        assert merge(parts).tis == [tis(many=True)]
    half = MOST // 2 + 1
    parts = [Changes(tis=[tis(*((f"{n}{i}", -1, "queued", 1) for i in range(half)))]) for n in "ab"]
    assert merge(parts).tis == [tis(many=True)]


def test_who_sees_some_dags_hears_of_these_only() -> None:
    both = Changes(
        runs=[run_change(1, "queued"), run_change(2, "queued", "e")],
        tis=[tis(("a", -1, "queued", 1)), tis(("a", -1, "queued", 1), dag_id="e")],
        dags=["d", "e"],
        pools=True,
        topics=["variables"],
    )
    part = about_dags(both, lambda dag_id: dag_id == "e")
    assert part is not None
    assert ([run.id for run in part.runs], [entry.dag_id for entry in part.tis], part.dags) == ([2], ["e"], ["e"])
    assert not part.pools
    assert not part.topics
    assert about_dags(both, lambda dag_id: False) is None
