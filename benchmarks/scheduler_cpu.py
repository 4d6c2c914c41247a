"""The scheduler's processor time per task over its whole life: the real store on SQLite, an executor without processes.

A million tasks that wait at a full pool are put into the database through the store, 10,000 to a run, and the scheduler
takes them over as after a restart.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from airloom.decide import turn
from airloom.model.events import TriggerRun
from airloom.model.states import TIState
from airloom.services import scheduler
from benchmarks import fill, floors
from benchmarks.bed import Bed, instant, make_bed
from benchmarks.figures import Figure

_WAITING_PER_RUN = 10_000
_BUDGET = 150.0
#: tasks at a time -> tasks in all
_PASSING = {128: 5000, 16: 3000, 1: 500}


def measure(folder: Path) -> list[Figure]:
    """The same tasks pass while 1,000 wait, and while 1,000,000 wait."""
    figures: list[Figure] = []
    for waiting in (1_000, 1_000_000):
        with make_bed(folder, {"AIRLOOM__SCHEDULER__LEASE": "600"}, instant(None, {"waiting"}), thread=False) as bed:
            takeover = _fill(bed, waiting)
            figures += _figures(bed, folder, waiting)
            if waiting > 1_000:
                figures.append(Figure(what=f"{waiting:,} waiting: taken over at a start", ours=takeover, unit="s"))
    return figures


def _fill(bed: Bed, waiting: int) -> float:
    """Waiting tasks into the database, and from there into the scheduler's memory: the seconds of the latter."""
    for width, tasks in _PASSING.items():
        spec = fill.wide_dag(f"passing-{width}", tasks, f"pool-{width}")
        fill.save_dag(bed.db, spec)
        fill.set_pool(bed.db, bed.epoch, f"pool-{width}", width)
    # One of them has the pool's only slot for ever.
    fill.set_pool(bed.db, bed.epoch, "full", 1)
    size = min(waiting, _WAITING_PER_RUN)
    spec = fill.wide_dag("waiting", size, "full")
    version = fill.save_dag(bed.db, spec)
    for number in range(waiting // size):
        first = TIState.SCHEDULED if number else TIState.RUNNING
        fill.add_run(bed.db, bed.epoch, spec, version, [first] + [TIState.SCHEDULED] * (size - 1))
    began = time.perf_counter()
    bed.brain.tick()
    assert bed.brain.world is not None
    assert bed.brain.world.lines.waiting == waiting - 1
    return time.perf_counter() - began


def _figures(bed: Bed, folder: Path, waiting: int) -> Iterator[Figure]:
    bare = floors.SQLiteFloor(folder, bed.home.name)
    for width, tasks in _PASSING.items():
        whole, deciding = _pass(bed, f"passing-{width}", tasks)
        yield Figure(
            what=f"{waiting:,} waiting, {width} at a time: per task",
            ours=whole / tasks * 1e6,
            unit="us",
            floor=bare.lives(tasks, width) * 1e6,
            floor_is="to write the task's rows with bare sqlite3, as many to a commit",
            budget=_BUDGET,
        )
        yield Figure(what="of these, to decide", ours=deciding / tasks * 1e6, unit="us")
    bare.close()


def _pass(bed: Bed, dag_id: str, tasks: int) -> tuple[float, float]:
    """Processor seconds of a run from its trigger to its end: of everything, and of deciding."""
    over = False

    def on_commit(world: Any, plan: Any) -> None:
        nonlocal over
        over = not world.dags[dag_id].runs

    bed.on_commit = on_commit
    bed.ask(TriggerRun(dag_id=dag_id, run_id="passing"))
    with _timed_decisions() as deciding:
        began = time.process_time()
        while not over:
            bed.brain.tick()
        return time.process_time() - began, deciding[0]


@contextmanager
def _timed_decisions() -> Iterator[list[float]]:
    handle = turn.handle
    spent = [0.0]

    def timed(*arguments: Any) -> Any:
        began = time.process_time()
        try:
            return handle(*arguments)
        finally:
            spent[0] += time.process_time() - began

    with patch.object(scheduler, "handle", timed):
        yield spent
