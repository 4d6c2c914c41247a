"""A run of 10,000 tasks made: from its trigger to the commit of all its task instances."""

import time
from functools import partial
from pathlib import Path

from airloom.model.events import Reload, TriggerRun
from benchmarks import fill, floors
from benchmarks.bed import instant, make_bed, on_both
from benchmarks.figures import Figure, median

_TASKS = 10_000
_ROUNDS = 3


def measure(folder: Path) -> list[Figure]:
    """On SQLite and on PostgreSQL, each beside its floor."""
    return on_both(folder, partial(_measure, folder))


def _measure(folder: Path, name: str, url: str | None, floor: floors.Floor) -> list[Figure]:
    seconds = []
    with make_bed(folder, {}, instant(0), url) as bed:
        fill.save_dag(bed.db, fill.wide_dag("big", _TASKS))
        bed.ask(Reload(dag_ids=("big",)))
        for number in range(_ROUNDS):
            began = time.perf_counter()
            bed.ask(TriggerRun(dag_id="big", run_id=f"run-{number}"))
            seconds.append(bed.made_at(f"run-{number}") - began)
    return [
        Figure(
            what=f"{name}: a run of {_TASKS:,} tasks",
            ours=median(seconds),
            unit="s",
            floor=floor.insert(floors.rows(_TASKS)),
            floor_is=f"{_TASKS:,} bare rows in one commit",
            budget=1.0,
        )
    ]
