"""No-op tasks a second: one run of 1,000 tasks that do not depend on each other, from its trigger to its end."""

from pathlib import Path

from airloom.executors.settings import cores
from benchmarks import floors
from benchmarks.bed import local, make_bed, zygote_size
from benchmarks.figures import Figure, median

_TASKS = 1000
_ROUNDS = 3
_FAN = f"""
from airloom import dag, task


@dag(schedule=None, max_active_tasks={_TASKS})
def fan():
    @task
    def nothing():
        pass

    for number in range({_TASKS}):
        nothing.override(task_id=f"task_{{number:04}}")()


fan()
"""


def measure(folder: Path) -> list[Figure]:
    """With a process for each task, and with processes that are used again."""
    return [
        *_measure(folder, "fork", cores(), 300.0),
        *_measure(folder, "fork", 16, 300.0),
        *_measure(folder, "reuse", cores(), 1500.0),
        *_measure(folder, "reuse", 16, 1500.0),
    ]


def _measure(folder: Path, isolation: str, width: int, budget: float) -> list[Figure]:
    """Ours and the floor by turns, so that what else the machine does falls on both."""
    ours, floor = [], []
    env = {"AIRLOOM__LOCAL__PARALLELISM": str(width), "AIRLOOM__LOCAL__ISOLATION": isolation}
    with make_bed(folder, env, local) as bed:
        bed.load({"fan.py": _FAN})
        for number in range(_ROUNDS):
            ours.append(_TASKS / bed.run("fan", f"round-{number}"))
            floor.append(1 / _floor(isolation, width))
    what = "a bare loop of fork and wait" if isolation == "fork" else "a message to a living process and its answer"
    figures = [
        Figure(
            what=f"{isolation}, {width} at a time",
            ours=median(ours),
            unit="/s",
            floor=median(floor),
            floor_is=what,
            budget=budget,
            more=True,
        )
    ]
    if isolation == "fork":
        share = median(mine / least for mine, least in zip(ours, floor, strict=True))
        figures.append(Figure(what="the same as a share of the floor", ours=share, unit="", budget=0.5, more=True))
    return figures


def _floor(isolation: str, width: int) -> float:
    return floors.forks(zygote_size(), 300, width) if isolation == "fork" else floors.round_trips(20_000, width)
