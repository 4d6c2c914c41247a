"""Random DAGs, limits, outcomes, commands and restarts in virtual time; after every step the invariants must hold."""

import random
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from airloom.decide.explain import explain
from airloom.decide.pools import show_pools
from airloom.decide.progress import judge
from airloom.decide.recovery import rebuild
from airloom.decide.state import WorldConfig
from airloom.decide.trigger_rules import Verdict
from airloom.model.events import (
    CancelRun,
    ClearTasks,
    MarkRun,
    MarkTasks,
    RunLoaded,
    SetPaused,
    SetPool,
    TriggerRun,
)
from airloom.model.report import Cause, Outcome, Skip, SkipMode
from airloom.model.run import PoolRow, TIRow
from airloom.model.spec import DagSpec, LiteralInput, MapSpec, TaskSpec, TriggerRule, XComInput
from airloom.model.states import FINISHED, LIVE_TRY, MARKS, RUN_FINISHED, RunState, TIState
from airloom.model.work import Work
from tests.decide.follower import Follower
from tests.decide.image import image
from tests.decide.simulation import Simulation

RULES = [rule for rule in TriggerRule if rule is not TriggerRule.ALL_DONE_SETUP_SUCCESS]


@st.composite
def tasks(draw: st.DrawFn, number: int) -> TaskSpec:
    upstream = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
    names = tuple(sorted(f"t{n}" for n in upstream))
    inputs: list[Any] = []
    if draw(st.integers(0, 3)) == 0:
        inputs = [LiteralInput(arg="x", length=draw(st.integers(0, 3)))]
        if names and draw(st.booleans()):
            inputs.append(XComInput(arg="y", task_id=names[0]))
    return TaskSpec(
        task_id=f"t{number}",
        upstream=names,
        trigger_rule=draw(st.sampled_from([TriggerRule.ALL_SUCCESS] * 4 + RULES)),
        empty=not inputs and draw(st.integers(0, 5)) == 0,
        map=MapSpec(inputs=tuple(inputs)) if inputs else None,
        retries=draw(st.sampled_from([0, 0, 1, 2])),
        retry_delay=draw(st.sampled_from([0.0, 1.0, 30.0])),
        pool=draw(st.sampled_from(["default_pool", "small"])),
        pool_slots=draw(st.sampled_from([1, 1, 1, 2])),
        priority_weight=draw(st.integers(1, 3)),
        max_active_tis_per_dag=draw(st.sampled_from([None, None, 1])),
        max_active_tis_per_dagrun=draw(st.sampled_from([None, None, 2])),
    )


@st.composite
def dags(draw: st.DrawFn, dag_id: str) -> DagSpec:
    count = draw(st.integers(1, 7))
    return DagSpec(
        dag_id=dag_id,
        tasks=tuple(draw(tasks(number)) for number in range(count)),
        max_active_tasks=draw(st.sampled_from([1, 3, 16])),
        max_active_runs=draw(st.sampled_from([1, 2, 16])),
    )


class Fate:
    """How tries end: drawn from a seed and the try's key, so that a history can be told again."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, work: Work) -> tuple[float, dict[str, Any]]:
        dice = random.Random(f"{self.seed}/{work.key}")
        seconds = dice.choice([0.0, 1.0, 1.0, 5.0, 40.0])
        roll = dice.random()
        if roll < 0.15:
            cause = dice.choice([Cause.ERROR, Cause.ERROR, Cause.LOST, Cause.KILLED, Cause.FAIL, Cause.TIMEOUT])
            return seconds, {"outcome": Outcome.FAILED, "cause": cause}
        if roll < 0.2:
            return seconds, {"outcome": Outcome.SKIPPED}
        skip = None
        if dice.random() < 0.15:
            mode = dice.choice(list(SkipMode))
            skip = Skip(mode=mode, followed=("t3",) if mode is SkipMode.UNFOLLOWED else ())
        return seconds, {"outcome": Outcome.SUCCESS, "map_length": dice.randrange(4), "skip": skip}


def by_task(sim: Simulation, run_key: int) -> dict[str, list[TIRow]]:
    found: dict[str, list[TIRow]] = {}
    for ti in sim.db.tis.values():
        if ti.run_id == run_key:
            found.setdefault(ti.task_id, []).append(ti)
    return found


def allowed(rule: TriggerRule, states: list[TIState]) -> bool:
    """Whether a task may run when its upstream TIs are in these states: the rules said once more, the slow way."""
    done = all(state in FINISHED for state in states)
    some = set(states)
    bad = some & {TIState.FAILED, TIState.UPSTREAM_FAILED}
    match rule:
        case TriggerRule.ALWAYS:
            return True
        case TriggerRule.ALL_SUCCESS:
            return some <= {TIState.SUCCESS, TIState.REMOVED}
        case TriggerRule.ALL_FAILED:
            return some <= {TIState.FAILED, TIState.UPSTREAM_FAILED, TIState.REMOVED}
        case TriggerRule.ALL_DONE:
            return done
        case TriggerRule.ALL_DONE_MIN_ONE_SUCCESS:
            return done and TIState.SUCCESS in some and TIState.SKIPPED not in some
        case TriggerRule.ONE_SUCCESS:
            return TIState.SUCCESS in some
        case TriggerRule.ONE_FAILED:
            return bool(bad)
        case TriggerRule.ONE_DONE:
            return bool(some & {TIState.SUCCESS, TIState.FAILED})
        case TriggerRule.NONE_FAILED:
            return done and not bad
        case TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS:
            return done and not bad and TIState.SUCCESS in some
        case TriggerRule.NONE_SKIPPED:
            return done and TIState.SKIPPED not in some
        case _:
            return some <= {TIState.SKIPPED, TIState.REMOVED}


class Checker:
    """The invariants, asked of the database and of the memory after each step."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.seen_plans = 0
        self.cleared = False
        self.follower = Follower()

    def check(self) -> None:
        sim = self.sim
        rebuilt = rebuild(sim.db.snapshot(), sim.config, sim.now)
        assert image(sim.world) == image(rebuilt)
        self.limits_are_kept()
        self.nothing_is_lost()
        self.the_feed_tells_all()
        self.new_work_was_allowed()
        self.every_wait_has_a_reason()
        self.pools_are_shown_as_they_are()
        self.nobody_waits_for_nothing()

    def nobody_waits_for_nothing(self) -> None:
        """Whoever is first in a line does not fit; whoever is not scheduled has a rule that says wait."""
        world = self.sim.world
        assert not world.lines.loosened
        for run in world.runs.values():
            for lane in run.lanes.values():
                if lane.keys:
                    assert lane.gate is not None
                    first = lane.gate.first() or lane
                    assert not lane.gate.has_room(first.need(lane.gate))
            if run.state is RunState.RUNNING:
                for task, pending in enumerate(run.pending):
                    assert not pending or judge(run, task) is Verdict.WAIT

    def limits_are_kept(self) -> None:
        db, config = self.sim.db, self.sim.config
        live = [ti for ti in db.tis.values() if ti.state in LIVE_TRY]
        assert not config.parallelism or len(live) <= config.parallelism
        assert self.sim.capacity is None or len(live) <= self.sim.capacity
        per_run, per_task, pools = Counter[int](), Counter[tuple[Any, ...]](), Counter[str]()
        for ti in live:
            run = db.runs[ti.run_id]
            spec = next(t for t in db.versions[run.version_id].spec.tasks if t.task_id == ti.task_id)
            per_run[ti.run_id] += 1
            pools[spec.pool] += spec.pool_slots
            for limit, where in (
                (spec.max_active_tis_per_dag, run.dag_id),
                (spec.max_active_tis_per_dagrun, f"{run.dag_id}/{run.run_id}"),
            ):
                if limit is not None:
                    per_task[limit, where, ti.task_id] += 1
        for number, count in per_run.items():
            assert count <= db.versions[db.runs[number].version_id].spec.max_active_tasks
        assert all(count <= limit for (limit, _, _), count in per_task.items())
        assert all(used <= self.pool_peak(name) for name, used in pools.items())
        running = Counter(run.dag_id for run in db.runs.values() if run.state.value == "running")
        assert all(count <= db.dags[dag_id].spec.max_active_runs for dag_id, count in running.items())

    def pool_peak(self, name: str) -> int:
        """A pool that was made smaller may be over its slots until what runs has ended."""
        return max(plan.set_pools[name].slots for plan in self.sim.plans if name in plan.set_pools)

    def nothing_is_lost(self) -> None:
        db = self.sim.db
        for number, run in db.runs.items():
            tis = by_task(self.sim, number)
            spec = db.versions[run.version_id].spec
            assert set(tis) == {task.task_id for task in spec.tasks}
            if run.state in RUN_FINISHED:
                assert all(ti.state in FINISHED for rows in tis.values() for ti in rows)
        # One live try at most, and exactly one for a TI that is said to have one.
        live = Counter(key.ti_id for key, attempt in db.tries.items() if attempt.ended_at is None)
        assert all(count == 1 for count in live.values())
        assert set(live) == {ti.id for ti in db.tis.values() if ti.state in LIVE_TRY}

    def the_feed_tells_all(self) -> None:
        for plan in self.sim.plans[self.seen_plans :]:
            self.follower.follow(plan)
        self.follower.knows_all_of(self.sim.db)

    def new_work_was_allowed(self) -> None:
        for plan in self.sim.plans[self.seen_plans :]:
            for work in plan.work.values():
                ti = self.sim.db.tis[work.key.ti_id]
                run = self.sim.db.runs[ti.run_id]
                spec = next(t for t in self.sim.db.versions[run.version_id].spec.tasks if t.task_id == ti.task_id)
                tis = by_task(self.sim, ti.run_id)
                states = [row.state for name in spec.upstream for row in tis[name]]
                # A clear puts tasks back that others ran after; those are asked no more once they have been started.
                assert not states or self.cleared or allowed(spec.trigger_rule, states)
        self.seen_plans = len(self.sim.plans)

    def pools_are_shown_as_they_are(self) -> None:
        db = self.sim.db
        held, waiting = Counter[str](), 0
        for ti in db.tis.values():
            version = db.versions[db.runs[ti.run_id].version_id]
            spec = next(task for task in version.spec.tasks if task.task_id == ti.task_id)
            if ti.state in LIVE_TRY:
                held[spec.pool] += spec.pool_slots
            waiting += ti.state is TIState.SCHEDULED
        at_other_gates = 0
        for run in self.sim.world.runs.values():
            for lane in run.lanes.values():
                at_other_gates += len(lane.keys) if lane.gate is not lane.pool else 0
        shown = show_pools(self.sim.world)
        assert {pool.name: pool.used for pool in shown} == {name: held[name] for name in sorted(db.pools)}
        assert sum(pool.waiting for pool in shown) == waiting - at_other_gates
        for pool in shown:
            [details] = show_pools(self.sim.world, pool.name)
            assert sum(task.slots for task in details.holders) == details.used
            assert [task.place for task in details.waiters] == list(range(1, details.waiting + 1))

    def every_wait_has_a_reason(self) -> None:
        for run in self.sim.world.runs.values():
            for task in run.graph.tasks:
                for explanation in explain(self.sim.world, run.row.dag_id, run.row.run_id, task.task_id):
                    assert explanation.reasons, explanation


@settings(max_examples=150, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_a_random_history_keeps_every_promise(data: st.DataObject, seed: int) -> None:
    config = WorldConfig(parallelism=data.draw(st.sampled_from([0, 1, 4])))
    sim = Simulation(
        config=config,
        capacity=data.draw(st.sampled_from([None, 1, 3])),
        script=Fate(seed),
        pools=[],
    )
    sizes = {"default_pool": data.draw(st.sampled_from([2, 4, 128])), "small": data.draw(st.sampled_from([2, 3]))}
    sim.turn([SetPool(pool=PoolRow(name=name, slots=slots)) for name, slots in sizes.items()])
    for name in ("d0", "d1")[: data.draw(st.integers(1, 2))]:
        sim.load(data.draw(dags(name)))
    checker = Checker(sim)
    for number in range(data.draw(st.integers(1, 3))):
        sim.turn([TriggerRun(dag_id=name, run_id=f"r{number}") for name in sim.db.dags])
    dice = random.Random(seed)
    for _ in range(400):
        checker.check()
        if not sim.world.runs:
            break
        disturb(sim, checker, dice)
        if not sim.step():
            assert not sim.world.runs, "nothing will ever happen again, and runs are unfinished"
    checker.check()
    assert not sim.world.runs


def disturb(sim: Simulation, checker: Checker, dice: random.Random) -> None:
    """Now and then: a restart, a lost runner, a command."""
    roll = dice.random()
    if roll < 0.10:
        sim.restart(lose=dice if roll < 0.05 else None)
    elif roll < 0.13 and len(sim.plans) < 200:
        run = dice.choice(list(sim.world.runs.values()))
        tasks = [dice.choice(run.graph.tasks).task_id]
        checker.cleared = True
        sim.turn(
            [
                ClearTasks(
                    dag_id=run.row.dag_id,
                    run_id=run.row.run_id,
                    task_ids=tuple(tasks),
                    downstream=dice.random() < 0.5,
                    only_failed=dice.random() < 0.2,
                )
            ]
        )
    elif roll < 0.15:
        run = dice.choice(list(sim.world.runs.values()))
        sim.turn([CancelRun(dag_id=run.row.dag_id, run_id=run.row.run_id)])
    elif roll < 0.18 and len(sim.plans) < 200:
        checker.cleared = True
        mark(sim, dice)
    elif roll < 0.21:
        dag_id = dice.choice(list(sim.db.dags))
        sim.turn([SetPaused(dag_id=dag_id, paused=True)])
        checker.check()
        sim.turn([SetPaused(dag_id=dag_id, paused=False)])


def mark(sim: Simulation, dice: random.Random) -> None:
    """A user marks tasks of a run, or a whole one, unfinished or not."""
    run = sim.db.runs[dice.choice(list(sim.db.runs))]
    name = {"dag_id": run.dag_id, "run_id": run.run_id}
    events: list[Any] = []
    if run.state in RUN_FINISHED:
        events.append(RunLoaded(run=sim.db.live_run(run.id), version=sim.db.versions[run.version_id]))
    if dice.random() < 0.3:
        state = dice.choice([RunState.SUCCESS, RunState.FAILED])
        events.append(MarkRun(**name, state=state))
        again = dice.random() < 0.2
        if again:
            events.append(ClearTasks(**name, only_failed=dice.random() < 0.5))
        sim.turn(events)
        assert again or sim.db.runs[run.id].state is state
        return
    spec = sim.db.versions[run.version_id].spec
    task_ids = tuple(dice.choice(spec.tasks).task_id for _ in range(dice.randrange(1, 3)))
    below = dice.random() < 0.3
    sim.turn([*events, MarkTasks(**name, task_ids=task_ids, state=dice.choice(MARKS), downstream=below)])
