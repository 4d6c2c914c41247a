"""A test bed: a home in a folder with the real store, the real scheduler service, and whatever executors are asked for.

It is put together from the same pieces as wiring.standalone, without the loader's watch and the signals.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers import PostgresServer

from airloom import settings
from airloom.bundles.local import LocalFolder
from airloom.bundles.sources import FolderSource
from airloom.decide.state import World
from airloom.executors.base import Executor
from airloom.model.bundles import LocalBundle
from airloom.model.events import Command, TriggerRun
from airloom.model.plan import Plan
from airloom.model.report import Ended, Outcome, Report, Started, TryKey
from airloom.model.run import TIRow, TryRow
from airloom.model.states import RUN_FINISHED
from airloom.model.work import Cancel, Work
from airloom.operations.ops import Ops, make_ops
from airloom.runtime.parsing import ParserPool
from airloom.sections import Settings
from airloom.services.leader import Leadership
from airloom.services.loader import Loader, LoaderSettings
from airloom.services.scheduler import Scheduler
from airloom.services.service import Bell, Daemon
from airloom.store import inbox, runs
from airloom.store.database import Database, connect
from airloom.store.migrate import migrate
from airloom.wiring import parts
from benchmarks import floors
from benchmarks.figures import Figure

#: whoever waits for longer than this waits for something that does not come
PATIENCE = 120.0

MakeExecutors = Callable[["Bed"], dict[str, Executor]]


class InstantExecutor:
    """No processes: what is submitted has started at the next poll and ended at the one after that.

    `held`: dags whose tries never end.
    """

    def __init__(self, slots: int | None, held: Iterable[str] = ()) -> None:
        self._slots = slots
        self._held = set(held)
        self._starts: list[Report] = []
        self._ends: list[Report] = []

    def capacity(self) -> tuple[int | None, str]:
        """As many as was said."""
        return self._slots, ""

    def submit(self, works: Iterable[Work]) -> None:
        """Run these: at once."""
        now = time.time()
        for work in works:
            self._starts.append(Started(key=work.key, at=now, runner="r", host="h", pid=1))
            if work.dag_id not in self._held:
                self._ends.append(Ended(key=work.key, at=now, outcome=Outcome.SUCCESS, started_at=now))

    def poll(self) -> list[Report]:
        """What happened."""
        if self._starts:
            reports, self._starts = self._starts, []
        else:
            reports, self._ends = self._ends, []
        return reports

    def cancel(self, cancels: Iterable[Cancel]) -> None:
        """Nothing is left to end."""

    def adopt(self, keys: Iterable[TryKey]) -> set[TryKey]:
        """All of them go on."""
        return set(keys)

    def close(self, grace: float) -> None:
        """Nothing is open."""


@dataclass
class Bed:
    """A leading scheduler on its home. `on_commit` is called after each commit, in the scheduler's thread."""

    settings: Settings
    db: Database
    ops: Ops
    bell: Bell
    leadership: Leadership
    brain: Scheduler = field(init=False)
    on_commit: Callable[[World, Plan], None] | None = None
    _news: threading.Condition = field(default_factory=threading.Condition)
    #: (run id) -> when it was made and when it ended, by the clock of time.perf_counter
    _made: dict[str, float] = field(default_factory=dict)
    _ended: dict[str, float] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """The home folder."""
        return self.settings.core.home

    @property
    def epoch(self) -> int:
        """The number of its leadership's term."""
        assert self.leadership.epoch is not None
        return self.leadership.epoch

    @property
    def dags(self) -> Path:
        """The folder of DAG files, in the home."""
        return self.settings.core.dags_folder

    def committed(self, world: World, plan: Plan) -> None:
        """Told by the scheduler after each commit."""
        ends = [n for n, changes in plan.run_changes.items() if changes.get("state") in RUN_FINISHED]
        # Whoever waits is woken for what it waits for, and no more: a measured scheduler must not share its time.
        if plan.new_runs or ends:
            now = time.perf_counter()
            with self._news:
                for run in plan.new_runs.values():
                    self._made[run.run_id] = now
                    self._names[run.id] = run.run_id
                    if run.state in RUN_FINISHED:
                        self._ended[run.run_id] = now
                for number in ends:
                    self._ended[self._names[number]] = now
                self._news.notify_all()
        if self.on_commit is not None:
            self.on_commit(world, plan)

    def load(self, sources: Mapping[str, str]) -> None:
        """Write DAG files, and have them parsed and stored as the loader does."""
        self.dags.mkdir(exist_ok=True)
        for name, source in sources.items():
            (self.dags / name).write_text(source)
        with closing(self.loader(self.wake)) as loader:
            loader.tick()

    def loader(self, notify: Callable[[], None]) -> Loader:
        """A loader of this home's DAG files."""
        options = self.settings.loader
        parser = ParserPool(options.processes, options.parse_timeout)
        folder = FolderSource(LocalFolder(settings.DAGS_BUNDLE, self.dags))
        return Loader(self.db, folder, parser, notify, time.time, LoaderSettings(refresh=0.0, paused=False))

    def wake(self) -> None:
        """The inbox has news."""
        self.brain.hint()
        self.bell.ring()

    def ask(self, command: Command) -> None:
        """Leave a command for the scheduler."""
        with self.db.transaction() as conn:
            inbox.put(conn, command, "bench", time.time())
        self.wake()

    def run(self, dag_id: str, run_id: str) -> float:
        """Trigger a run and wait for its end. Returns the seconds from the one to the other."""
        began = time.perf_counter()
        self.ask(TriggerRun(dag_id=dag_id, run_id=run_id))
        with self._news:
            if not self._news.wait_for(lambda: run_id in self._ended, PATIENCE):
                raise TimeoutError(f"run {run_id} of {dag_id} did not end within {PATIENCE:g} s")
        return self._ended[run_id] - began

    def made_at(self, run_id: str) -> float:
        """When a run was committed (time.perf_counter), which is waited for."""
        with self._news:
            if not self._news.wait_for(lambda: run_id in self._made, PATIENCE):
                raise TimeoutError(f"run {run_id} was not made within {PATIENCE:g} s")
        return self._made[run_id]

    def tries(self, dag_id: str, run_id: str) -> list[tuple[TIRow, TryRow]]:
        """The TIs of a run, each with its first try."""
        with self.db.reading() as conn:
            run = runs.find_run(conn, dag_id, run_id)
            assert run is not None
            tis = runs.list_tis(conn, run.id)
            return [(ti, runs.list_tries(conn, ti.id)[0]) for ti in tis]


@contextmanager
def make_bed(
    folder: Path, env: Mapping[str, str], executors: MakeExecutors, url: str | None = None, thread: bool = True
) -> Iterator[Bed]:
    """A home in a new folder below `folder`. `url`: another database than its SQLite file; it is migrated.

    `thread`: the scheduler runs in a thread of its own, as in production; otherwise the caller calls its `tick`.
    """
    home = folder / f"home-{len(list(folder.glob('home-*')))}"
    home.mkdir()
    variables = {"AIRLOOM_HOME": str(home), "AIRLOOM__RUNNER__ORPHAN_TIMEOUT": "5", **env}
    if url is not None:
        variables["AIRLOOM__DATABASE__URL"] = url
    options = settings.load(variables, home).settings
    with closing(connect(options.database.url)) as db, ExitStack() as stack:
        migrate(db)
        ops = make_ops(options, db)
        stack.callback(ops.notifier.close)
        leadership = Leadership(db, options.scheduler.lease, time.time)
        leadership.require()
        bed = Bed(settings=options, db=db, ops=ops, bell=Bell(), leadership=leadership)
        made = executors(bed)
        for executor in made.values():
            stack.callback(executor.close, 0.0)
        config = parts.world_config(options, schedules=False)
        bed.brain = Scheduler(db, config, made, leadership, time.time, bed.committed)
        if thread:
            service = Daemon(bed.brain, bed.bell)
            service.start()
            stack.callback(service.join, 10.0)
            stack.callback(service.stop)
        else:
            stack.callback(bed.brain.close)
        yield bed


def local(bed: Bed) -> dict[str, Executor]:
    """The local executor, as configured."""
    bundles = {settings.DAGS_BUNDLE: LocalBundle(path=str(bed.dags))}
    return parts.make_executors(
        ("local",), parts.local_settings(bed.settings, bed.db, bed.home, bundles), bed.ops, bed.bell.ring
    )


def instant(slots: int | None, held: Iterable[str] = ()) -> MakeExecutors:
    """An executor without processes, under the name of the local one."""
    return lambda bed: {"local": InstantExecutor(slots, held)}


def wait_for(condition: Callable[[], object], alive: Callable[[], bool] = lambda: True, pause: float = 0.005) -> None:
    """Look until `condition` holds. Raises TimeoutError when `alive` does not any more, or when it takes too long.
    pause: seconds between two looks."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if not alive() or time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not come")
        time.sleep(pause)


def on_both(folder: Path, measure: Callable[[str, str | None, floors.Floor], list[Figure]]) -> list[Figure]:
    """What `measure` finds on SQLite and on PostgreSQL: it gets the name, the address (None: a file of its home), and
    the floor."""
    with closing(floors.SQLiteFloor(folder)) as file:
        figures = measure("SQLite", None, file)
    with postgres() as server, closing(floors.PostgresFloor(server.url(server.create()))) as floor:
        return figures + measure("PostgreSQL", server.url(server.create()), floor)


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """A private PostgreSQL server: the tests' one, which does not wait for the disk. Raises NoPostgres."""
    server = PostgresServer()
    try:
        yield server
    finally:
        server.stop()


def descendants(pid: int) -> list[int]:
    """All processes that come from `pid`, without itself."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def zygote_size() -> int:
    """Bytes in memory of the largest fork server that comes from this process."""
    sizes = []
    for pid in descendants(os.getpid()):
        if b"airloom.runtime.zygote" in Path(f"/proc/{pid}/cmdline").read_bytes():
            sizes.append(Path(f"/proc/{pid}/statm"))
    page = os.sysconf("SC_PAGE_SIZE")
    return max(int(path.read_text().split()[1]) * page for path in sizes)
