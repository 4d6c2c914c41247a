"""A scheduler on a real database, with a clock and executors that do what the test says: no waiting, no processes."""

from collections.abc import Callable, Iterable
from typing import Any

from airloom.decide.state import WorldConfig
from airloom.model.events import Answer, Command, Reload, TriggerRun
from airloom.model.loading import ParsedFile
from airloom.model.report import Ended, News, Outcome, Started, TryKey
from airloom.model.run import RunRow, TIRow
from airloom.model.spec import DagSpec, TaskSpec
from airloom.model.spec_hash import spec_hash
from airloom.model.work import Cancel, Work
from airloom.services.leader import Leadership
from airloom.services.scheduler import Scheduler
from airloom.store import dags, inbox, runs
from airloom.store.database import Database

LEASE = 30.0


class Clock:
    """The time, which only the test moves."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class ScriptedExecutor:
    """Takes what it is given and reports what the test says. It checks what its caller owes it."""

    def __init__(self, on_submit: Callable[[Work], None] = lambda work: None) -> None:
        self.slots: int | None = None
        self.why = ""
        self.on_submit = on_submit
        self.submitted: list[Work] = []
        self.held: dict[TryKey, Work] = {}
        self.cancelled: list[TryKey] = []
        self.wanted: set[TryKey] = set()
        self.polls = 0
        self._reports: list[News] = []

    def capacity(self) -> tuple[int | None, str]:
        return self.slots, self.why

    def submit(self, works: Iterable[Work]) -> None:
        for work in works:
            self.on_submit(work)
            if work.key not in self.held:
                self.held[work.key] = work
                self.submitted.append(work)

    def poll(self) -> list[News]:
        self.polls += 1
        reports, self._reports = self._reports, []
        return reports

    def cancel(self, cancels: Iterable[Cancel]) -> None:
        self.cancelled += [cancel.key for cancel in cancels]

    def adopt(self, keys: Iterable[TryKey]) -> set[TryKey]:
        self.wanted = set(keys)
        return self.wanted & (self.held.keys() | {report.key for report in self._reports})

    def close(self, grace: float) -> None:
        """Nothing is open."""

    # --- what the test says ----------------------------------------------------------------------------------------
    def report(self, *reports: News) -> None:
        self._reports += reports

    def names(self) -> list[str]:
        """The tasks of what it was given, in order."""
        return [work.task_id for work in self.submitted]

    def work(self, task_id: str) -> Work:
        """What it holds of a task."""
        return next(work for work in self.held.values() if work.task_id == task_id)

    def start(self, task_id: str, at: float = 1_000.0) -> TryKey:
        key = self.work(task_id).key
        self.report(Started(key=key, at=at, runner="r", host="h", pid=1))
        return key

    def end(self, task_id: str, outcome: Outcome = Outcome.SUCCESS, at: float = 1_000.0, **values: Any) -> TryKey:
        key = self.work(task_id).key
        del self.held[key]
        self.report(Ended(key=key, at=at, outcome=outcome, **values))
        return key


class Rig:
    """One scheduler and what is around it. `take_over` puts another in its place, as after a crash."""

    def __init__(self, db: Database, **config: Any) -> None:
        self.db = db
        self.clock = Clock()
        self.config = WorldConfig(**config)
        self.executor = ScriptedExecutor()
        self.executors = dict.fromkeys(self.config.executors, self.executor)
        self.leadership = Leadership(db, LEASE, self.clock)
        self.scheduler = Scheduler(db, self.config, self.executors, self.leadership, self.clock)

    def take_over(self) -> None:
        """The scheduler is gone without a word; another one leads. The executor stays as it is."""
        self.leadership.step_down()
        self.leadership = Leadership(self.db, LEASE, self.clock)
        # Long enough for a lock whose connection the server has not missed yet.
        self.clock.now += 6 * LEASE + 1
        self.scheduler = Scheduler(self.db, self.config, self.executors, self.leadership, self.clock)

    def tick(self, command: Command | None = None) -> float:
        """One turn, after `command` was put into the inbox."""
        if command is not None:
            self.put(command)
        return self.scheduler.tick()

    def put(self, command: Command) -> int:
        with self.db.transaction() as conn:
            number = inbox.put(conn, command, "tester", self.clock.now)
        self.scheduler.hint()
        return number

    def ask(self, command: Command) -> Answer:
        """Have a command done; its answer."""
        number = self.put(command)
        self.tick()
        answer = self.answer(number)
        assert answer is not None, f"{command} was not answered"
        return answer

    def answer(self, number: int) -> Answer | None:
        with self.db.reading() as conn:
            return inbox.answer(conn, number)

    def load(self, *specs: DagSpec, rel_path: str = "dags.py", file_hash: str = "") -> None:
        """Store dags as the loader does, and tell the scheduler."""
        parsed = ParsedFile(rel_path=rel_path, file_hash=file_hash or "".join(map(spec_hash, specs)), dags=specs)
        with self.db.transaction() as conn:
            changed = dags.save_file(conn, "dags", parsed, "# source", self.clock.now)
            if changed:
                inbox.put(conn, Reload(dag_ids=changed), "loader", self.clock.now)
        self.scheduler.hint()

    def trigger(self, run_id: str = "r", dag_id: str = "d") -> None:
        answer = self.ask(TriggerRun(dag_id=dag_id, run_id=run_id))
        assert answer.error is None, answer.message

    def run(self, run_id: str = "r", dag_id: str = "d") -> RunRow:
        with self.db.reading() as conn:
            row = runs.find_run(conn, dag_id, run_id)
        assert row is not None
        return row

    def tis(self, run_id: str = "r", dag_id: str = "d") -> dict[str, TIRow]:
        number = self.run(run_id, dag_id).id
        with self.db.reading() as conn:
            return {ti.task_id: ti for ti in runs.list_tis(conn, number)}

    def states(self, run_id: str = "r") -> dict[str, str]:
        return {task_id: ti.state.value for task_id, ti in self.tis(run_id).items()}


def task(task_id: str, *upstream: str, **args: Any) -> TaskSpec:
    return TaskSpec(task_id=task_id, upstream=tuple(sorted(upstream)), **args)


def dag(*tasks: TaskSpec, **args: Any) -> DagSpec:
    return DagSpec(dag_id="d", tasks=tasks, **args)
