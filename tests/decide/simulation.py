"""The real decisions in virtual time: a World, a database that applies plans, an executor that obeys a script."""

import heapq
import itertools
import random
from collections.abc import Callable, Iterable
from typing import Any

from airloom.decide.recovery import pending_cancels, rebuild
from airloom.decide.state import World, WorldConfig
from airloom.decide.turn import handle, live_tries, work_of
from airloom.model.events import CapacityChanged, DagLoaded, Event
from airloom.model.plan import Plan
from airloom.model.report import Ended, Outcome, Report, Started, TryKey
from airloom.model.run import PoolRow
from airloom.model.spec import DagSpec
from airloom.model.work import Work
from tests.decide.mirror import Mirror

#: what a try does: seconds it takes, and its end (key and time are filled in)
Script = Callable[[Work], tuple[float, dict[str, Any]]]


def succeed(work: Work) -> tuple[float, dict[str, Any]]:
    return 1.0, {"outcome": Outcome.SUCCESS}


class Simulation:
    """Steps through time: each turn takes what is due, commits the plan, and gives the work to the executor."""

    def __init__(
        self,
        *specs: DagSpec,
        config: WorldConfig | None = None,
        capacity: int | None = None,
        script: Script = succeed,
        pools: Iterable[PoolRow] = (PoolRow(name="default_pool", slots=128),),
        paused: bool = False,
        db: Mirror | None = None,
    ) -> None:
        self.config = config or WorldConfig()
        self.capacity = capacity
        self.script = script
        self.now = 1000.0
        self.db = Mirror(pools) if db is None else db
        self.world: World = rebuild(self.db.snapshot(), self.config, self.now)
        self.running: dict[TryKey, Work] = {}
        self.due: list[tuple[float, int, Report]] = []
        self.order = itertools.count()
        self.started: list[Work] = []
        self.plans: list[Plan] = []
        self.turn([CapacityChanged(executor=name, slots=capacity) for name in self.config.executors])
        for spec in specs:
            self.load(spec, paused=paused)

    def load(self, spec: DagSpec, *, paused: bool = False) -> None:
        dag, version = self.db.load(spec, self.now, paused)
        self.turn([DagLoaded(dag=dag, version=version)])

    def turn(self, events: Iterable[Event] = ()) -> Plan:
        """One turn at the current time; what is due by now comes along."""
        reports: list[Event] = list(events)
        while self.due and self.due[0][0] <= self.now:
            report = heapq.heappop(self.due)[2]
            if report.key in self.running:
                reports.append(report)
                if isinstance(report, Ended):
                    del self.running[report.key]
        plan = handle(self.world, reports, self.now)
        self.db.apply(plan)
        self.plans.append(plan)
        for work in plan.work.values():
            self._submit(work)
        for key in plan.cancels:
            self._cancel(key)
        return plan

    def _submit(self, work: Work) -> None:
        if work.key in self.running:
            return
        self.running[work.key] = work
        self.started.append(work)
        seconds, end = self.script(work)
        self._later(self.now, Started(key=work.key, at=self.now))
        self._later(self.now + seconds, Ended(key=work.key, at=self.now + seconds, **end))

    def _cancel(self, key: TryKey) -> None:
        if key in self.running:
            self._later(self.now + 0.5, Ended(key=key, at=self.now + 0.5, outcome=Outcome.FAILED, cause="cancelled"))

    def _later(self, at: float, report: Report) -> None:
        heapq.heappush(self.due, (at, next(self.order), report))

    def next_time(self) -> float | None:
        """When the next thing happens, or None if nothing ever will."""
        times = [timer.due for timer in self.world.timers[:1]]
        times += [self.due[0][0]] if self.due else []
        return max(self.now, min(times)) if times else None

    def step(self) -> bool:
        """Go to the next moment at which something happens; False if there is none."""
        at = self.next_time()
        if at is None:
            return False
        self.now = at
        self.turn()
        return True

    def run(self, limit: int = 10_000) -> None:
        """Step until no run is unfinished."""
        for _ in range(limit):
            if not self.world.runs or not self.step():
                return
        raise AssertionError(f"not over after {limit} steps")

    def restart(self, *, lose: random.Random | None = None) -> None:
        """The scheduler dies and comes back; with `lose`, some of what the executor ran is lost with it."""
        self.world = rebuild(self.db.snapshot(), self.config, self.now)
        if lose is not None:
            self.running = {key: work for key, work in self.running.items() if lose.random() < 0.5}
        events: list[Event] = [CapacityChanged(executor=name, slots=self.capacity) for name in self.config.executors]
        for name in self.config.executors:
            for key in sorted(live_tries(self.world, name) - self.running.keys()):
                work = work_of(self.world, key)
                assert work is not None
                if self.db.tries[key].started_at is None:
                    self._submit(work)
                else:
                    events.append(Ended(key=key, at=self.now, outcome=Outcome.FAILED, cause="runner_lost"))
        for cancel in pending_cancels(self.world):
            self._cancel(cancel.key)
        self.turn(events)

    def states(self) -> dict[str, str]:
        """task or task[index] -> state, of all runs of all dags; handy where there is one run."""
        return {
            ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]": ti.state.value
            for ti in self.db.tis.values()
        }
