"""The scheduler: one turn takes all news, decides, commits, and only then hands work to executors."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from airloom.decide.lifecycle import DagFault
from airloom.decide.recovery import pending_cancels, rebuild
from airloom.decide.state import World, WorldConfig
from airloom.decide.turn import handle, live_tries, work_of
from airloom.executors.base import Executor
from airloom.model.errors import NotLeader, Rejected, StoreError
from airloom.model.events import Answer, CapacityChanged, Event
from airloom.model.plan import Plan
from airloom.model.report import Cause, Ended, HandedBack, News, Outcome, TryKey
from airloom.model.work import Cancel, Work
from airloom.services.commands import Commands, unstorable
from airloom.services.leader import Leadership
from airloom.services.reporting import Durations
from airloom.store.database import Database
from airloom.store.plans import apply_plan
from airloom.store.snapshots import load_snapshot

log = logging.getLogger("airloom.scheduler")

#: seconds to wait before a database that failed is tried again: at first, and at most
_AFTER_FAILURE = 1.0
_LONGEST_PAUSE = 16.0
#: seconds between two looks into the inbox when no hint came: hints may be lost
_INBOX_EVERY = 5.0


class Remnant(Protocol):
    """What is left of an executor that the settings name no more. Both methods are as an Executor's."""

    def poll(self) -> Sequence[News]: ...

    def adopt(self, keys: Iterable[TryKey]) -> set[TryKey]: ...


class Scheduler:
    """The service. `hint` tells it that the inbox has news; `on_commit` sees each plan after its commit."""

    name = "scheduler"

    def __init__(
        self,
        db: Database,
        config: WorldConfig,
        executors: Mapping[str, Executor],
        leadership: Leadership,
        now: Callable[[], float],
        on_commit: Callable[[World, Plan], None] | None = None,
    ) -> None:
        self._db = db
        self._config = config
        self._executors = executors
        self._leadership = leadership
        self._now = now
        self._watchers = [] if on_commit is None else [on_commit]
        self._remnant_of: Callable[[str], Remnant | None] = lambda _: None
        self._remnants: dict[str, Remnant] = {}
        self._commands = Commands(db)
        self.world: World | None = None
        #: how long the turns took that changed anything
        self.turns = Durations()
        #: reports that were taken from executors and are not committed yet
        self._reports: list[News] = []
        #: after a turn that failed: the next one takes none of them, to see that the fault is not elsewhere
        self._probing = False
        #: then so many are taken one by one
        self._careful = 0
        self._replaced: set[TryKey] = set()
        self._faulty: dict[str, str] = {}
        #: failures of the database in a row
        self._failures = 0
        self._capacities: dict[str, tuple[int | None, str]] = {}
        self._hinted = True
        self._look_at = 0.0

    def hint(self) -> None:
        """The inbox may have news."""
        self._hinted = True

    def watch(self, watcher: Callable[[World, Plan], None]) -> None:
        """Have this called after each commit too, in the scheduler's thread. It must not change anything, nor wait."""
        self._watchers.append(watcher)

    def see_out(self, remnant_of: Callable[[str], Remnant | None]) -> None:
        """Where tries of an executor are live that is not configured any more, this gives what watches over them; None:
        they are lost."""
        self._remnant_of = remnant_of

    def tick(self) -> float:
        """One turn. Returns the seconds until the next one is due by itself."""
        try:
            if not self._leadership.lead():
                self.world = None
                return self._leadership.next_renewal - self._now()
            if self.world is None:
                self._take_over()
            plan = self._turn()
        except NotLeader:
            self._step_down()
            return 0.0
        except StoreError as error:
            # Nothing was committed: the memory may be ahead of the database, which is the truth.
            self.world = None
            if isinstance(error, Rejected):
                self._suspect(str(error))
            delay: float = min(_AFTER_FAILURE * 2**self._failures, _LONGEST_PAUSE)
            self._failures += 1
            log.error("%s; nothing was started, trying again in %g s", error, delay)
            return delay
        except DagFault as fault:
            self.world = None
            self._faulty[fault.dag_id] = fault.file_hash
            log.exception("dag %s: its runs cannot be made; it rests until its file changes", fault.dag_id)
            return 0.0
        except Exception as error:
            self.world = None
            self._suspect(f"{type(error).__name__}: {error}")
            raise
        self._failures = 0
        return 0.0 if self._hinted or self._reports else self._delay(plan)

    def _delay(self, plan: Plan) -> float:
        now = self._now()
        due = [self._leadership.next_renewal, self._look_at, now + _INBOX_EVERY]
        if plan.wake_at is not None:
            due.append(plan.wake_at)
        return max(0.0, min(due) - now)

    def _step_down(self) -> None:
        """Another scheduler leads: whatever still runs for this one is not wanted any more."""
        self._leadership.step_down()
        self.world = None
        # Ends are facts also for a later term; whom nobody hears of may be heard of until then.
        self._reports = [report for report in self._reports if not _is_lost(report)]
        self._remnants = {}
        for executor in self._executors.values():
            executor.adopt(())

    def _suspect(self, why: str) -> None:
        """The turn failed, perhaps by what it was told. If the next one, which is told nothing, does not fail, reports
        are taken one by one; one that fails alone is replaced by the plain word that its try failed, so that it cannot
        stop everything for ever."""
        if self._careful and not self._probing:
            first = self._reports.pop(0)
            if isinstance(first, Ended | HandedBack) and first.key not in self._replaced:
                self._replaced.add(first.key)
                self._reports.insert(0, unstorable(first, why))
        elif not self._probing:
            self._commands.suspect(why)
            self._probing = bool(self._reports)
        self._careful = len(self._reports)

    def interrupt(self) -> None:
        """A turn never waits."""

    def close(self) -> None:
        """Give the lead back, so that another one need not wait for the lease to end."""
        try:
            self._leadership.resign()
        except StoreError as error:
            log.error("%s; the lease ends by itself", error)

    def _turn(self) -> Plan:
        assert self.world is not None
        assert self._leadership.epoch is not None
        now = self._now()
        began = time.perf_counter()
        events: list[Event] = list(self._capacity_news())
        if not self._reports:
            for executor in (*self._executors.values(), *self._remnants.values()):
                self._reports += executor.poll()
            # The runner's own word may be in the inbox already.
            self._hinted = self._hinted or any(map(_is_inferred, self._reports))
        taken = 0 if self._probing else 1 if self._careful else len(self._reports)
        reports, later = self._reports[:taken], list[News]()
        answers: dict[int, Answer | None] = {}
        if not self._careful and (self._hinted or not 0.0 < self._look_at - now <= _INBOX_EVERY):
            self._hinted = False
            self._look_at = now + _INBOX_EVERY
            told = self._commands.take(self.world, now)
            # What a runner itself says of a try comes before what an executor makes of its silence, or of its pod.
            if told.more:
                self._hinted = True
                later = [report for report in reports if _is_inferred(report)]
                reports = [report for report in reports if not _is_inferred(report)]
            events = [*told.reports, *events, *reports, *told.events]
            answers = told.answers
        else:
            events += reports
        plan = handle(self.world, events, now)
        plan.answers.update(answers)
        if plan.writes:
            with self._db.transaction() as conn:
                apply_plan(conn, plan, self._leadership.epoch, now)
        self._reports[:taken] = later
        self._careful = max(0, self._careful - taken)
        self._probing = False
        self._commands.settled()
        self._dispatch(plan)
        if plan.writes:
            self.turns.add(time.perf_counter() - began)
        for watcher in self._watchers:
            watcher(self.world, plan)
        return plan

    def _dispatch(self, plan: Plan) -> None:
        works: dict[str, list[Work]] = {}
        for work in plan.work.values():
            works.setdefault(work.executor, []).append(work)
        for name, batch in works.items():
            self._executors[name].submit(batch)
        self._cancel(list(plan.cancels.values()))

    def _cancel(self, cancels: list[Cancel]) -> None:
        by_executor: dict[str, list[Cancel]] = {}
        for cancel in cancels:
            by_executor.setdefault(cancel.executor, []).append(cancel)
        for name, batch in by_executor.items():
            if name in self._executors:
                self._executors[name].cancel(batch)

    def _capacity_news(self) -> list[CapacityChanged]:
        news = []
        for name, executor in self._executors.items():
            capacity = executor.capacity()
            if self._capacities.get(name) != capacity:
                self._capacities[name] = capacity
                news.append(CapacityChanged(executor=name, slots=capacity[0], why=capacity[1]))
        return news

    def _take_over(self) -> None:
        """Rebuild the memory, and settle with the executors what they still have."""
        with self._db.reading() as conn:
            snapshot = load_snapshot(conn)
        world = rebuild(snapshot, self._config, self._now())
        self._capacities, self._remnants = {}, {}
        self._hinted = True
        world.faulty = self._faulty
        # An end that was taken before the memory was lost counts still; a start says nothing of what goes on.
        ends = {report.key for report in self._reports if isinstance(report, Ended | HandedBack)}
        held = ends | self._commands.ends()
        cancels = pending_cancels(world)
        ending = {cancel.key for cancel in cancels}
        for name in {live.executor for live in world.live.values()} | set(self._executors):
            keys = live_tries(world, name)
            executor = self._executors.get(name)
            known = executor.adopt(keys) if executor is not None else self._seen_out(name, keys)
            again = []
            for key in sorted(keys - known - held):
                work = work_of(world, key)
                began = world.live[key.ti_id].started_at is not None
                if executor is None or work is None or began or key in ending:
                    self._reports.append(self._lost(key, name, configured=executor is not None))
                else:
                    again.append(work)
            if executor is not None and again:
                executor.submit(again)
        self._cancel(cancels)
        self.world = world
        if snapshot.runs:
            log.info("taken over: unfinished runs: %d, live tries: %d", len(snapshot.runs), len(world.live))

    def _seen_out(self, name: str, keys: set[TryKey]) -> set[TryKey]:
        """Those tries of an executor that is not configured which are watched over still."""
        remnant = self._remnant_of(name)
        if remnant is None:
            log.warning("executor %s is not configured any more: what ran there is lost, tries: %d", name, len(keys))
            return set()
        self._remnants[name] = remnant
        return remnant.adopt(keys)

    def _lost(self, key: TryKey, name: str, *, configured: bool) -> Ended:
        why = "its runner was gone when the scheduler came back" if configured else f"executor {name} is not configured"
        return Ended(key=key, at=self._now(), outcome=Outcome.FAILED, cause=Cause.LOST, detail=why)


def _is_lost(report: News) -> bool:
    return isinstance(report, Ended) and report.cause is Cause.LOST


def _is_inferred(report: News) -> bool:
    """Whether this is no runner's own word."""
    return isinstance(report, Ended) and not report.runner
