"""1,000 DAG files: read into an empty database by the loader, and one of them changed while everything is running."""

import threading
import time
from pathlib import Path

from airloom.decide.state import World
from airloom.model.plan import Plan
from airloom.services.loader import FolderWatch
from airloom.services.service import Bell, Daemon
from benchmarks.bed import PATIENCE, Bed, instant, make_bed
from benchmarks.figures import Figure, median

_FILES = 1000
_CHANGES = 7
_SOURCE = """
from datetime import datetime, timedelta

from airloom import BashOperator, dag, task


@dag(schedule="@daily", start_date=datetime(2030, 1, 1), tags=["bench"], default_args={{"retries": {retries}}})
def flow_{number:04}():
    @task
    def extract():
        return [1, 2, 3]

    @task(execution_timeout=timedelta(minutes=5))
    def transform(rows):
        return sum(rows)

    load = BashOperator(task_id="load", bash_command="echo {{{{ ds }}}}")
    transform(extract()) >> load


flow_{number:04}()
"""


def measure(folder: Path) -> list[Figure]:
    """The floors read, compile and execute the same files in one warm process."""
    with make_bed(folder, {}, instant(None)) as bed:
        sources = {f"flow_{number:04}.py": _SOURCE.format(number=number, retries=1) for number in range(_FILES)}
        began = time.perf_counter()
        bed.load(sources)
        first = time.perf_counter() - began
        bare = _execute(bed.dags)
        live = _changes(bed)
    return [
        Figure(
            what=f"{_FILES:,} files: first parse, into the database",
            ours=first,
            unit="s",
            floor=bare,
            floor_is="compile and execute them in one process",
            budget=60.0,
        ),
        Figure(
            what="one of them changed: live, median",
            ours=median(live),
            unit="s",
            floor=bare / _FILES,
            floor_is="compile and execute it",
            budget=0.5,
        ),
        Figure(what=f"the same, the slowest of {_CHANGES}", ours=max(live), unit="s"),
    ]


def _execute(folder: Path) -> float:
    paths = sorted(folder.glob("*.py"))
    # What they all import is imported once.
    exec(compile(paths[0].read_text(), paths[0], "exec"), {"__name__": "warm", "__file__": str(paths[0])})
    began = time.perf_counter()
    for path in paths:
        exec(compile(path.read_text(), path, "exec"), {"__name__": path.stem, "__file__": str(path)})
    return time.perf_counter() - began


def _changes(bed: Bed) -> list[float]:
    """Seconds from the write of a file until the scheduler knows the dag's new version."""
    news = threading.Condition()
    known: dict[str, int] = {}

    def on_commit(world: World, plan: Plan) -> None:
        with news:
            known.update((dag_id, dag.graph.version.number) for dag_id, dag in world.dags.items())
            news.notify_all()

    def change(number: int, retries: int, patience: float) -> bool:
        """Write the file; whether the change arrived in time."""
        dag_id = f"flow_{number:04}"
        (bed.dags / f"{dag_id}.py").write_text(_SOURCE.format(number=number, retries=retries))
        with news:
            before = known.get(dag_id, 1)
            return news.wait_for(lambda: known.get(dag_id, 1) > before, patience)

    bed.on_commit = on_commit
    bell = Bell()
    loader = bed.loader(bed.wake)
    loader.watch(FolderWatch(bed.dags, bell.ring))
    loading = Daemon(loader, bell)
    loading.start()
    try:
        # The watch says nothing when it begins to see: changes are made until one is seen.
        if not any(change(0, retries, 1.0) for retries in range(2, 30)):
            raise TimeoutError("no change of a file was seen")
        seconds = []
        for number in range(1, 1 + _CHANGES):
            began = time.perf_counter()
            if not change(number, 5, PATIENCE):
                raise TimeoutError(f"a changed file was not live within {PATIENCE:g} s")
            seconds.append(time.perf_counter() - began)
    finally:
        loading.stop()
        loading.join(10.0)
    return seconds
