"""No-op tasks a second: one run of 1,000 tasks that do not depend on each other, from its trigger to its end."""

from pathlib import Path
from typing import Any

from benchmarks import floors
from benchmarks.bed import local, make_bed, zygote_size
from benchmarks.figures import Figure, cores, median

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
    width = cores()
    fork = _rates(folder, "fork", width)
    wide = _rates(folder, "fork", 16)
    reuse = _rates(folder, "reuse", width)
    reuse_wide = _rates(folder, "reuse", 16)
    at = f"{width} at a time"
    loop: dict[str, Any] = {"floor_is": f"a bare loop of fork and wait, {at}"}
    ping: dict[str, Any] = {"floor_is": f"a message to a living process and its answer, {at}"}
    return [
        Figure(what=f"fork, {at}", ours=fork[0], unit="/s", floor=fork[1], budget=300.0, more=True, **loop),
        Figure(what="the same as a share of the fork loop", ours=fork[0] / fork[1], unit="", budget=0.5, more=True),
        Figure(what="fork, 16 at a time", ours=wide[0], unit="/s", floor=wide[1], budget=300.0, more=True, **loop),
        Figure(what=f"reuse, {at}", ours=reuse[0], unit="/s", floor=reuse[1], budget=1500.0, more=True, **ping),
        Figure(
            what="reuse, 16 at a time",
            ours=reuse_wide[0],
            unit="/s",
            floor=reuse_wide[1],
            budget=1500.0,
            more=True,
            **ping,
        ),
    ]


def _rates(folder: Path, isolation: str, width: int) -> tuple[float, float]:
    """Tasks a second, and the floor's."""
    env = {"AIRLOOM__LOCAL__PARALLELISM": str(width), "AIRLOOM__LOCAL__ISOLATION": isolation}
    with make_bed(folder, env, local) as bed:
        bed.load({"fan.py": _FAN})
        seconds = median(bed.run("fan", f"round-{number}") for number in range(_ROUNDS))
        size = zygote_size()
    least = floors.forks(size, 500, width) if isolation == "fork" else floors.round_trips(20_000, width)
    return _TASKS / seconds, 1 / least
