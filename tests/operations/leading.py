"""A home with a real database, and a leader for it: real decisions, the real store, tries that end at once."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from airloom.decide import turn
from airloom.decide.recovery import rebuild
from airloom.decide.state import World, WorldConfig
from airloom.model.events import CancelRun, CapacityChanged, ClearTasks, Event, MarkRun, MarkTasks, RunLoaded
from airloom.model.loading import LoadError, ParsedFile
from airloom.model.plan import Plan
from airloom.model.report import Cause, Ended, Outcome, Started
from airloom.model.spec import DagSpec, TaskSpec
from airloom.model.states import RUN_FINISHED, RunState, TIState
from airloom.model.work import Work
from airloom.operations import runs, tasks
from airloom.operations.ops import Ops, wake_path
from airloom.sections import Settings
from airloom.settings import load
from airloom.store import dags, inbox, leadership
from airloom.store.database import Database, connect
from airloom.store.migrate import migrate
from airloom.store.notify import listener
from airloom.store.plans import apply_plan
from airloom.store.snapshots import load_run, load_snapshot
from tests.waiting import wait_for

#: what a work's try ends with; None = it does not end
Ending = Callable[[Work], Outcome | None]

FLIGHTS = DagSpec(
    dag_id="flights",
    tasks=(
        TaskSpec(task_id="load"),
        TaskSpec(task_id="join", upstream=("load",)),
        TaskSpec(task_id="report", upstream=("join",)),
    ),
    params={"airport": {"value": "JFK", "schema": {"type": "string"}}},
    is_paused_upon_creation=False,
)
WEATHER = DagSpec(dag_id="weather", tasks=(TaskSpec(task_id="fetch"),), is_paused_upon_creation=True)


def make_home(home: Path, url: str = "") -> Settings:
    """Settings of a home whose database is migrated; `url`: where that is, if not in the home."""
    home.mkdir(exist_ok=True)
    env = {"AIRLOOM_HOME": str(home), "AIRLOOM__SCHEDULER__ANSWER_TIMEOUT": "20"}
    settings = load({**env, "AIRLOOM__DATABASE__URL": url} if url else env, home).settings
    db = connect(settings.database.url)
    migrate(db)
    db.close()
    return settings


def save_dags(
    settings: Settings, *specs: DagSpec, errors: tuple[LoadError, ...] = (), commit: str | None = None
) -> None:
    """Store DAGs as the loader does. commit: of the repository that they come from."""
    db = connect(settings.database.url)
    parsed = ParsedFile(rel_path="dags.py", file_hash="0", dags=specs, errors=errors, bundle_version=commit)
    with db.transaction() as conn:
        dags.save_file(conn, "local", parsed, "# the source", time.time())
    db.close()


def succeed(work: Work) -> Outcome | None:
    """Every try succeeds."""
    return Outcome.SUCCESS


def never_end(work: Work) -> Outcome | None:
    """No try ends."""
    return None


@contextmanager
def leading(
    settings: Settings, ending: Ending = succeed, *, executor: str = "local", starts: bool = True
) -> Iterator[None]:
    """A leader at work on the database of `settings`. Without `starts` its tries are handed over, and no more."""
    db = connect(settings.database.url)
    hints = listener(db, wake_path(settings))
    leader = _Leader(db, ending if starts else None, executor)
    stopping = threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not stopping.is_set():
                if not leader.turn():
                    hints.wait(0.05)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        hints.close()
        thread.join()
        leader.resign()
        db.close()
    if failures:
        raise failures[0]


class _Leader:
    def __init__(self, db: Database, ending: Ending | None, executor: str) -> None:
        self._db = db
        self._ending = ending
        self._events: list[Event] = [CapacityChanged(executor=executor, slots=None)]
        with db.transaction() as conn:
            epoch = leadership.acquire(conn, "the test's leader", time.time(), 3600.0)
        assert epoch is not None
        self._epoch = epoch
        with db.reading() as conn:
            self._world: World = rebuild(load_snapshot(conn), WorldConfig(executors=(executor,)), time.time())

    def turn(self) -> bool:
        """Take what there is; False if there was nothing."""
        with self._db.reading() as conn:
            commands = [command for _, command in inbox.take(conn, 100)]
        if not commands and not self._events:
            return False
        events: list[Event] = list(self._events)
        for command in commands:
            if isinstance(command, (ClearTasks, CancelRun, MarkTasks, MarkRun)):
                events += self._reload(command.dag_id, command.run_id)
            events.append(command)  # type: ignore[arg-type]
        plan = turn.handle(self._world, events, time.time())
        with self._db.transaction() as conn:
            apply_plan(conn, plan, self._epoch, time.time())
        self._events = self._reports(plan)
        return True

    def resign(self) -> None:
        """Give the lead back."""
        with self._db.transaction() as conn:
            leadership.release(conn, "the test's leader", self._epoch)

    def _reload(self, dag_id: str, run_id: str) -> list[Event]:
        if (dag_id, run_id) in self._world.run_numbers:
            return []
        with self._db.reading() as conn:
            found = load_run(conn, dag_id, run_id)
        return [] if found is None else [RunLoaded(run=found[0], version=found[1])]

    def _reports(self, plan: Plan) -> list[Event]:
        now = time.time()
        reports: list[Event] = []
        for key, work in plan.work.items() if self._ending is not None else ():
            reports.append(Started(key=key, at=now, host="here", pid=1))
            outcome = self._ending(work)
            if outcome is Outcome.FAILED:
                detail = "ValueError: no such airport"
                reports.append(Ended(key=key, at=now, outcome=outcome, cause=Cause.ERROR, detail=detail))
            elif outcome is not None:
                reports.append(Ended(key=key, at=now, outcome=outcome))
        for key in plan.cancels:
            reports.append(Ended(key=key, at=now, outcome=Outcome.FAILED, cause=Cause.CANCELLED))
        return reports


def ended(ops: Ops, dag_id: str, run_id: str) -> RunState:
    """Wait for the end of a run; its state."""
    wait_for(lambda: runs.get_run(ops, dag_id, run_id).state in RUN_FINISHED, f"the end of {dag_id} {run_id}")
    return runs.get_run(ops, dag_id, run_id).state


def started(ops: Ops, dag_id: str, run_id: str, task_id: str) -> None:
    """Wait until a task runs."""
    wait_for(lambda: tasks.get_tis(ops, dag_id, run_id, task_id)[1][0].state is TIState.RUNNING, f"{task_id} to run")
