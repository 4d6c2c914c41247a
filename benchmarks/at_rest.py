"""`airloom standalone`: from its start until it is ready in an empty home, and its memory at rest."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import floors
from benchmarks.bed import descendants, wait_for
from benchmarks.figures import Figure, median
from benchmarks.standalone import Standalone, standalone

_ROUNDS = 3
_HELLO = """
from airloom import dag, task


@dag(schedule="@once")
def hello():
    @task
    def greet():
        print("hello")

    greet()


hello()
"""


def measure(folder: Path) -> list[Figure]:
    """In a home without DAG files, and in one whose one DAG has run."""
    ready, resting, working = [], [], []
    for number in range(_ROUNDS):
        with standalone(folder / f"empty-{number}", {}) as server:
            ready.append(server.answering)
            server.log_in()
            with _page(server):
                resting.append(_settled(server.pid, 4))
        with standalone(folder / f"hello-{number}", {"hello.py": _HELLO}) as server:
            _wait_for_log(folder / f"hello-{number}")
            server.log_in()
            with _page(server):
                working.append(_settled(server.pid, 5))
    bare, start = _bare()
    megabytes, processes = zip(*resting, strict=True)
    after, kept = zip(*working, strict=True)
    return [
        Figure(
            what="standalone in an empty folder: the UI answers",
            ours=median(ready),
            unit="s",
            floor=start,
            floor_is="python -c pass",
            budget=2.0,
        ),
        Figure(
            what=f"memory at rest with the UI open, PSS of {max(processes)} processes",
            ours=median(megabytes),
            unit="MB",
            floor=max(processes) * bare,
            floor_is="as many bare Pythons, one alone",
            budget=150.0,
        ),
        Figure(
            what=f"memory after a run, PSS of {max(kept)} processes",
            ours=median(after),
            unit="MB",
            floor=max(kept) * bare,
            floor_is="the same",
            budget=150.0,
        ),
    ]


@contextmanager
def _page(server: Standalone) -> Iterator[None]:
    """An open page: its files are loaded, it follows the events, it asks for what it shows."""
    command = [sys.executable, "-m", "benchmarks.watchers", server.address, server.cookie, "hello", "1"]
    process = subprocess.Popen(command)
    try:
        yield
        assert process.poll() is None, "the page closed"
    finally:
        process.kill()
        process.wait()


def _settled(pid: int, processes: int) -> tuple[float, int]:
    """Megabytes of a process and all that come from it, and how many these are, once nothing changes any more."""
    wait_for(lambda: len(descendants(pid)) >= processes - 1)
    before = (0.0, 0)
    while True:
        time.sleep(1.0)
        now = _memory([pid, *descendants(pid)])
        if now[1] == before[1] and abs(now[0] - before[0]) < 0.5:
            return now
        before = now


def _wait_for_log(home: Path) -> None:
    wait_for(lambda: any("hello" in path.read_text() for path in home.glob("logs/**/attempt=1.log")))


def _memory(pids: list[int]) -> tuple[float, int]:
    found = []
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        found += [int(line.split()[1]) / 1000 for line in lines if line.startswith("Pss:")]
    return sum(found), len(found)


def _bare() -> tuple[float, float]:
    """Megabytes of a Python that does nothing, and the seconds that it takes to start and end."""
    command = [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        memory = _memory([process.pid])[0]
        process.communicate()
    return memory, median(floors.interpreter("pass", 5))
