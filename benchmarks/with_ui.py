"""From the end of a task to the start of the next while 50 people hold the UI open, beside the same without them."""

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bed import postgres, wait_for
from benchmarks.figures import Figure, median, percentile
from benchmarks.hand_off import CHAIN
from benchmarks.standalone import Standalone, standalone

_PEOPLE = 50
_ROUNDS = 4
#: people may move the median by a fifth
_ALLOWED = 1.2


def measure(folder: Path) -> list[Figure]:
    """On SQLite and on PostgreSQL. The floor is the same server with nobody looking, measured in turns."""
    figures = _measure(folder / "sqlite", "SQLite", None)
    with postgres() as server:
        figures += _measure(folder / "postgresql", "PostgreSQL", server.url(server.create()))
    return figures


def _measure(home: Path, name: str, url: str | None) -> list[Figure]:
    alone: list[float] = []
    watched: list[float] = []
    with standalone(home, {"chained.py": CHAIN}, url) as server:
        server.log_in()
        wait_for(lambda: "chained" in server.airloom("dags", "list", "-o", "plain"))
        _chain(server, "warm")
        for number in range(_ROUNDS):
            alone += _chain(server, f"alone-{number}")
            with _people(server):
                watched += _chain(server, f"watched-{number}")
    return [
        _figure(f"{name}: code to code with {_PEOPLE} people, median", median(watched), median(alone), budget=True),
        _figure(f"{name}: the same, 99th percentile", percentile(watched, 0.99), percentile(alone, 0.99)),
    ]


def _figure(what: str, ours: float, floor: float, *, budget: bool = False) -> Figure:
    return Figure(
        what=what,
        ours=ours,
        unit="ms",
        floor=floor,
        floor_is="the same with nobody looking",
        budget=_ALLOWED * floor if budget else None,
    )


def _chain(server: Standalone, run_id: str) -> list[float]:
    """Milliseconds from each end of a task to the start of the next."""
    times = server.home / "dags" / "times"
    times.unlink(missing_ok=True)
    server.airloom("dags", "trigger", "chained", "--run-id", run_id, "--wait", "-o", "json")
    noted = sorted(tuple(map(float, line.split())) for line in times.read_text().splitlines())
    return [(after[0] - before[1]) * 1e3 for before, after in itertools.pairwise(noted)]


@contextmanager
def _people(server: Standalone) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.watchers", server.address, server.cookie, "chained", str(_PEOPLE)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "looking\n"
        yield
        assert process.poll() is None, "the people left"
    finally:
        process.kill()
        process.wait()
