"""The Celery cluster as real processes: PostgreSQL, Redis, a scheduler, an API, two workers; beside bare Celery."""

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

import redis
from cryptography.fernet import Fernet
from tests.brokers import RedisServer

from airloom import settings
from airloom.model.run import DEFAULT_POOL, RunRow
from airloom.model.states import RUN_FINISHED, RunState
from airloom.operations import remote_runners
from airloom.operations.ops import Ops, make_ops
from airloom.operations.pools import set_pool
from airloom.operations.runs import trigger
from airloom.store import dag_lists, runs
from airloom.store.database import connect
from airloom.store.migrate import migrate
from benchmarks import bare_celery
from benchmarks.bed import postgres, wait_for
from benchmarks.figures import Figure, median, percentile
from benchmarks.hand_off import CHAIN
from benchmarks.standalone import COMMAND

#: seconds over which the cost of waiting is taken
_REST = 5.0
_WORKERS = 2
#: of each worker
_SLOTS = (2, 16)
_TASKS = 1000
_ROUNDS = 3
_QUEUED = 10_000
_WIDE = """
from airloom import dag, task


@dag(schedule=None, max_active_tasks={tasks})
def {name}():
    @task(queue="{queue}")
    def nothing():
        pass

    for number in range({tasks}):
        nothing.override(task_id=f"task_{{number:05}}")()


{name}()
"""
_FILES = {
    "chained.py": CHAIN,
    "fan.py": _WIDE.format(name="fan", tasks=_TASKS, queue="default"),
    "heap.py": _WIDE.format(name="heap", tasks=_QUEUED, queue="nobody"),
}


class Cluster:
    """The processes of a cluster, with homes of their own below a folder."""

    def __init__(self, folder: Path, database: str, broker: str, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self._environment = {
            **os.environ,
            "AIRLOOM__CORE__EXECUTORS": "celery",
            "AIRLOOM__CORE__DAGS_FOLDER": str(folder / "dags"),
            "AIRLOOM__CORE__DAGS_ARE_PAUSED_AT_CREATION": "false",
            "AIRLOOM__CORE__SECRET_KEY": Fernet.generate_key().decode(),
            "AIRLOOM__DATABASE__URL": database,
            "AIRLOOM__CELERY__BROKER": broker,
            "AIRLOOM__RUNNER__ORPHAN_TIMEOUT": "5",
            "COLUMNS": "200",
        }
        (folder / "dags").mkdir()
        for name, source in _FILES.items():
            (folder / "dags" / name).write_text(source)
        options = settings.load({**self._environment, "AIRLOOM_HOME": str(folder)}, folder).settings
        db = stack.enter_context(closing(connect(database)))
        migrate(db)
        self.ops: Ops = make_ops(options, db)
        stack.callback(self.ops.notifier.close)
        token = remote_runners.make_runner_token(self.ops, "bench").text
        (folder / "token").write_text(token)
        self.scheduler = self.start("scheduler", ["scheduler"])
        self.api = self.start("api", ["api", "--port", "0"])
        wait_for(lambda: self.said("api", "http://"), lambda: self.api.poll() is None)
        self.address = "http://" + self.said("api", "http://").split("http://")[1].split("/")[0].split()[0]
        wait_for(self._loaded, lambda: self.scheduler.poll() is None)
        set_pool(self.ops, DEFAULT_POOL, -1)  # all tasks go to the broker, as bare Celery's do

    def start(self, name: str, command: list[str], env: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
        """A process of the cluster, which is ended with it."""
        home = self.folder / name
        home.mkdir()
        with (self.folder / f"{name}.out").open("w") as out:
            process = subprocess.Popen(
                [COMMAND, *command],
                env={**self._environment, "AIRLOOM_HOME": str(home), **(env or {})},
                stdout=out,
                stderr=out,
                cwd=home,
            )
        self._stack.callback(_end, process)
        return process

    def said(self, name: str, text: str) -> str:
        """The first line of a process' output that has `text`; "" if there is none yet."""
        lines = (self.folder / f"{name}.out").read_text().splitlines()
        return next((line for line in lines if text in line), "")

    @contextmanager
    def workers(self, isolation: str, slots: int) -> Iterator[None]:
        """Workers of the queue default, which have run something."""
        with ExitStack() as stack:
            for number in range(_WORKERS):
                name = f"{isolation}-{slots}-{number}"
                command = ["worker", "-q", "default", "-c", str(slots), "--name", name]
                command += ["--server", self.address, "--token-file", str(self.folder / "token")]
                process = self.start(name, command, {"AIRLOOM__LOCAL__ISOLATION": isolation})
                stack.callback(_end, process)
            self.run("fan")
            yield

    def run(self, dag_id: str) -> RunRow:
        """Trigger a run and wait for its end."""
        run_id = trigger(self.ops, dag_id)
        ended = partial(self._ended, dag_id, run_id)
        # Seldom: each look takes as much from the machine as a part of a task's way. The database tells the times.
        wait_for(ended, lambda: self.scheduler.poll() is None, pause=0.1)
        run = ended()
        assert run is not None
        assert run.state is RunState.SUCCESS, f"the run of {dag_id} is {run.state}"
        return run

    def _ended(self, dag_id: str, run_id: str) -> RunRow | None:
        with self.ops.db.reading() as conn:
            run = runs.find_run(conn, dag_id, run_id)
        return run if run is not None and run.state in RUN_FINISHED else None

    def _loaded(self) -> bool:
        with self.ops.db.reading() as conn:
            return len(dag_lists.dag_ids(conn)) == len(_FILES)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def measure(folder: Path) -> list[Figure]:
    """No-op tasks a second, from the end of a task to the start of the next, and 10,000 tasks in a queue."""
    with ExitStack() as stack:
        server = stack.enter_context(postgres())
        broker = RedisServer()
        stack.callback(broker.close)
        cluster = Cluster(folder, server.url(server.create()), broker.url(), stack)
        figures = []
        for slots in _SLOTS:
            floors = _floors(folder, broker.url(), slots)
            with cluster.workers("fork", slots):
                figures.append(_rate(cluster, f"fork, {slots}", "a fork and a wait in each", floors["forked"], 0.5))
                if slots == _SLOTS[0]:
                    figures += _hand_off(cluster)
            with cluster.workers("reuse", slots):
                figures.append(_rate(cluster, f"reuse, {slots}", "doing nothing", floors["noop"], 0.8))
        return figures + _heap(cluster, broker.url())


def _floors(folder: Path, broker: str, slots: int) -> dict[str, float]:
    with bare_celery.bare_workers(folder, broker, _WORKERS, slots):
        return {
            task: median(bare_celery.rate(broker, task, _TASKS) for _ in range(_ROUNDS)) for task in ("noop", "forked")
        }


def _rate(cluster: Cluster, how: str, floor_is: str, floor: float, share: float) -> Figure:
    rates = []
    for _ in range(_ROUNDS):
        run = cluster.run("fan")
        assert run.started_at is not None
        assert run.ended_at is not None
        rates.append(_TASKS / (run.ended_at - run.started_at))
    return Figure(
        what=f"{how} slots on each of {_WORKERS} workers",
        ours=median(rates),
        unit="/s",
        floor=floor,
        floor_is=f"bare Celery, as many workers and slots, {floor_is}",
        budget=share * floor,
        more=True,
    )


def _hand_off(cluster: Cluster) -> list[Figure]:
    """By what the tasks note themselves: all processes share this machine's clock."""
    gaps: list[float] = []
    for _ in range(_ROUNDS):
        noted = cluster.folder / "dags" / "times"
        noted.unlink(missing_ok=True)
        cluster.run("chained")
        times = sorted(tuple(map(float, line.split())) for line in noted.read_text().splitlines())
        gaps += [(after[0] - before[1]) * 1e3 for before, after in itertools.pairwise(times)]
    return [
        Figure(what="end of a task to start of the next, median", ours=median(gaps), unit="ms", budget=15.0),
        Figure(what="the same, 99th percentile", ours=percentile(gaps, 0.99), unit="ms"),
    ]


def _heap(cluster: Cluster, broker: str) -> list[Figure]:
    """Tasks in a queue that nobody serves: until they are all there, and what they cost while they wait."""
    pid = cluster.scheduler.pid
    memory, used = _memory(pid), _seconds(pid)
    began = time.perf_counter()
    trigger(cluster.ops, "heap")
    client = redis.Redis.from_url(broker)

    def there() -> bool:
        lists = [key for key in client.keys("airloom.nobody*") if client.type(key) == b"list"]
        return sum(int(client.llen(key)) for key in lists) >= _QUEUED

    wait_for(there, lambda: cluster.scheduler.poll() is None)
    took, cost = time.perf_counter() - began, _seconds(pid) - used
    at_rest, rest_began = _seconds(pid), time.perf_counter()
    time.sleep(_REST)
    idle = (_seconds(pid) - at_rest) / (time.perf_counter() - rest_began)
    return [
        Figure(what=f"{_QUEUED:,} tasks at the broker", ours=took, unit="s"),
        Figure(what="the scheduler's processor time for it, a task", ours=cost / _QUEUED * 1e6, unit="us"),
        Figure(what="memory that they take in the scheduler", ours=(_memory(pid) - memory) / 2**20, unit="MB"),
        Figure(what="the scheduler's processor time while they wait", ours=idle * 1e3, unit="ms/s"),
    ]


def _seconds(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> int:
    """Bytes that are this process' alone, or its share of them."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
