"""From the end of a task to the start of the next: a chain of no-op tasks, with the local executor."""

import itertools
from functools import partial
from pathlib import Path
from typing import Any

from airloom.model.run import TIRow, TryRow
from benchmarks import floors
from benchmarks.bed import Bed, local, make_bed, on_both, zygote_size
from benchmarks.figures import Figure, median, percentile

_TASKS = 120
_ROUNDS = 3
_BUDGETS = {"SQLite": 5.0, "PostgreSQL": 8.0}
#: the tasks note the time themselves: the rows cannot tell when the author's code begins and ends
CHAIN = f"""
import os
import time

from airloom import chain, dag, task


@dag(schedule=None)
def chained():
    @task(multiple_outputs=False)
    def step(log):
        at = time.time()
        with open(log, "a") as file:
            file.write(f"{{at}} {{time.time()}}\\n")

    log = os.path.join(os.path.dirname(os.path.abspath(__file__)), "times")
    chain(*[step.override(task_id=f"step_{{number:03}}")(log) for number in range({_TASKS})])


chained()
"""


def measure(folder: Path) -> list[Figure]:
    """On SQLite and on PostgreSQL, each beside its floor."""
    return on_both(folder, partial(_measure, folder))


def _measure(folder: Path, name: str, url: str | None, floor: floors.Floor) -> list[Figure]:
    inside: list[float] = []
    outside: list[float] = []
    forks, commits = [], []
    with make_bed(folder, {"AIRLOOM__LOCAL__PARALLELISM": "2"}, local, url) as bed:
        bed.load({"chained.py": CHAIN})
        for number in range(_ROUNDS):
            (bed.dags / "times").unlink(missing_ok=True)
            bed.run("chained", f"round-{number}")
            inside += _between(_noted(bed))
            outside += _between(_rows(bed.tries("chained", f"round-{number}")))
            forks.append(floors.forks(zygote_size(), 100, 1) * 1e3)
            commits.append(floor.commits(500) * 1e3)
    fork, commit = median(forks), median(commits)
    text = f"a fork and wait ({fork:.2f}) and a commit ({commit:.2f})"
    least: dict[str, Any] = {"floor": fork + commit, "floor_is": text}
    return [
        Figure(what=f"{name}: code to code, median", ours=median(inside), unit="ms", budget=_BUDGETS[name], **least),
        Figure(what=f"{name}: the same, 99th percentile", ours=percentile(inside, 0.99), unit="ms", **least),
        Figure(what=f"{name}: by the rows, median", ours=median(outside), unit="ms", budget=_BUDGETS[name], **least),
        Figure(what=f"{name}: the same, 99th percentile", ours=percentile(outside, 0.99), unit="ms", **least),
    ]


def _noted(bed: Bed) -> list[tuple[float, float]]:
    lines = (bed.dags / "times").read_text().splitlines()
    return [(float(start), float(end)) for start, end in (line.split() for line in lines)]


def _rows(tries: list[tuple[TIRow, TryRow]]) -> list[tuple[float, float]]:
    return [(attempt.started_at or 0.0, attempt.ended_at or 0.0) for _, attempt in tries]


def _between(times: list[tuple[float, float]]) -> list[float]:
    """Milliseconds from each end to the next start."""
    ordered = sorted(times)
    return [(after[0] - before[1]) * 1e3 for before, after in itertools.pairwise(ordered)]
