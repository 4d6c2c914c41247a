"""One run of the cluster test: start a cluster, give it tasks and trouble, and check what came of it."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, select

from airloom.model.errors import AirloomError, Conflict
from airloom.operations.runs import trigger
from airloom.store import tables
from tests.cluster.checker import History, Instance, Mark, Try, check
from tests.cluster.cluster import POOL, POOL_SLOTS, WORKERS, Cluster
from tests.cluster.faults import Fault, Trouble, plan
from tests.waiting import wait_for

#: tasks of one run of each dag of dags/mixed.py
TASKS = {"mapped": 22, "chain": 8}
#: seconds until a seed is given up: at first, and for each task
_PATIENCE, _PATIENCE_PER_TASK = 240.0, 1.0
#: seconds in which logs have to be whole when all is over
_LATE_LOGS = 60.0
#: between two faults, about
_BETWEEN = 2.5


class Outcome(NamedTuple):
    """What came of a seed. causes: how often tries ended for which."""

    seed: int
    broker: str
    tasks: int
    tries: int
    seconds: float
    faults: list[Fault]
    causes: Counter[str]
    takeovers: list[float]
    problems: list[str]


def run_seed(
    folder: Path, broker: str, seed: int, tasks: int, faults: int, say: Callable[[str], None] = lambda text: None
) -> Outcome:
    """Run about so many tasks while so many faults happen."""
    cluster = Cluster(folder, broker)
    try:
        cluster.start()
        say("the cluster is there")
        for dag_id in TASKS:
            wait_for(lambda it=dag_id: _known(cluster, it), f"the dag {dag_id}")
        each = max(1, tasks // sum(TASKS.values()))
        runs, total = each * len(TASKS), each * sum(TASKS.values())
        faults_to_come = plan(seed, faults, cluster.network.apart)
        trouble = Trouble(cluster, faults_to_come, say)
        began = time.monotonic()
        seconds = sum(fault.lasts + _BETWEEN for fault in faults_to_come)
        with closing(Feeder(cluster, each, seconds)) as feeder:
            gave_up = _drive(cluster, trouble, feeder, total)
        seconds = time.monotonic() - began
        history = read_history(cluster, runs, trouble)
        problems = check(history)
        if gave_up:
            problems.insert(0, f"not over after {seconds:.0f} s")
        if len(history.states) != total:
            problems.append(f"{total} tasks were expected, there are {len(history.states)}")
        tries = [one for some in history.tries.values() for one in some]
        takeovers = [
            min((at - kill.at for at, epoch in history.epochs if epoch > kill.epoch), default=-1.0)
            for kill in history.kills
        ]
        causes = Counter(one.cause for one in tries if one.cause)
        return Outcome(seed, broker, total, len(tries), seconds, trouble.done, causes, takeovers, problems)
    finally:
        cluster.close()


def _known(cluster: Cluster, dag_id: str) -> bool:
    with cluster.db.reading() as conn:
        return conn.execute(select(tables.dag.c.dag_id).where(tables.dag.c.dag_id == dag_id)).first() is not None


class Feeder:
    """Asks for `each` runs of every dag, evenly over some seconds, whatever the cluster is going through."""

    def __init__(self, cluster: Cluster, each: int, seconds: float) -> None:
        self._ops = cluster.ops
        self._wanted = [(dag_id, f"run{number}") for number in range(each) for dag_id in TASKS]
        self._pause = seconds / len(self._wanted)
        self._closed = threading.Event()
        self.runs = len(self._wanted)
        self.asked = 0
        self._thread = threading.Thread(target=self._run, name="cluster-feeder")
        self._thread.start()

    def _run(self) -> None:
        begin = time.monotonic()
        for number, (dag_id, run_id) in enumerate(self._wanted):
            self._closed.wait(max(0.0, begin + number * self._pause - time.monotonic()))
            while not self._closed.is_set() and not self._ask(dag_id, run_id):
                self._closed.wait(0.2)
            self.asked += 1

    def _ask(self, dag_id: str, run_id: str) -> bool:
        try:
            trigger(self._ops, dag_id, run_id=run_id)
        except Conflict:
            # It was asked for before, and the answer did not come.
            return True
        except AirloomError:
            return False
        return True

    def close(self) -> None:
        """Ask no more."""
        self._closed.set()
        self._thread.join()


def _drive(cluster: Cluster, trouble: Trouble, feeder: Feeder, total: int) -> bool:
    """Let faults happen until all is over and whole again; True if that takes too long."""
    give_up = time.monotonic() + _PATIENCE + _PATIENCE_PER_TASK * total
    while time.monotonic() < give_up:
        trouble.tick(feeder.asked / feeder.runs)
        if feeder.asked == feeder.runs and trouble.over and _ended_runs(cluster) == feeder.runs:
            cluster.ready()
            return False
        time.sleep(0.05)
    return True


def _ended_runs(cluster: Cluster) -> int:
    with suppress(AirloomError), cluster.db.reading() as conn:
        ended = select(func.count()).where(tables.dag_run.c.ended_at.is_not(None))
        return int(conn.execute(ended).scalar_one())
    return 0


# --- the history ------------------------------------------------------------------------------------------------------
def read_history(cluster: Cluster, runs: int, trouble: Trouble) -> History:
    """Everything that was written down."""
    ti, run, attempt = tables.task_instance, tables.dag_run, tables.task_try
    with cluster.db.reading() as conn:
        run_states = list(conn.execute(select(run.c.state)).scalars())
        names = select(ti.c.id, run.c.dag_id, run.c.run_id, ti.c.task_id, ti.c.map_index, ti.c.state)
        rows = conn.execute(names.join(run, run.c.id == ti.c.run_id)).all()
        tries_of: dict[int, list[Try]] = {}
        for row in conn.execute(select(attempt).order_by(attempt.c.ti_id, attempt.c.try_number)):
            tries_of.setdefault(row.ti_id, []).append(Try(row.try_number, row.state, row.cause, row.detail, row.runner))
    instances = {row.id: Instance(row.dag_id, row.run_id, row.task_id, row.map_index) for row in rows}
    marks = read_marks(cluster)
    return History(
        runs=(runs, run_states),
        states={instances[row.id]: row.state for row in rows},
        tries={instances[number]: tries for number, tries in tries_of.items()},
        marks=marks,
        pools={POOL: POOL_SLOTS},
        logs=_read_logs(cluster, marks),
        kills=trouble.kills,
        epochs=cluster.epochs,
    )


def read_marks(cluster: Cluster) -> list[Mark]:
    """What the tries wrote on all workers."""
    found = []
    for worker in cluster.workers.values():
        for path in worker.journal.iterdir():
            dag_id, run_id, task_id, index, number, pid, lines, pool = path.name.split("~")
            words = path.read_text().split()
            if len(words) != 3:  # killed between making the file and the first word
                continue
            start, last, word = words
            instance = Instance(dag_id, run_id, task_id, int(index))
            done = word == "done"
            found.append(
                Mark(worker.name, instance, int(number), int(pid), float(start), float(last), done, int(lines), pool)
            )
    return found


def _read_logs(cluster: Cluster, marks: list[Mark]) -> dict[tuple[Instance, int], list[str]]:
    """The logs of these tries. What comes late, after trouble with the network, is waited for."""
    logs: dict[tuple[Instance, int], list[str]] = {}
    give_up = time.monotonic() + _LATE_LOGS
    missing = [mark for mark in marks if mark.done]
    while missing and (not logs or time.monotonic() < give_up):
        for mark in missing:
            logs[mark.instance, mark.try_number] = _log_of(cluster, mark)
        missing = [
            one for one in missing if f"line {one.lines} of {one.lines}" not in logs[one.instance, one.try_number]
        ]
        time.sleep(0.2 if missing else 0.0)
    return logs


def _log_of(cluster: Cluster, mark: Mark) -> list[str]:
    """The log of a try, read at the other API than its worker's."""
    api = "a2" if WORKERS[mark.machine][1] == "a1" else "a1"
    at = mark.instance
    path = f"/dags/{at.dag_id}/runs/{at.run_id}/tasks/{at.task_id}/tries/{mark.try_number}/log"
    answer = cluster.get(api, path, map_index=at.map_index, limit=10_000)
    return [] if answer.status_code == 404 else [line["text"] for line in answer.raise_for_status().json()["lines"]]
