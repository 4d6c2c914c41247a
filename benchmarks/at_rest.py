"""`airloom standalone`: from its start until it is ready in an empty home, and its memory at rest."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import floors
from benchmarks.bed import descendants, wait_for
from benchmarks.figures import Figure, median

_ROUNDS = 3
_READY = "Airloom is running"
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
_ENVIRONMENT = {
    "AIRLOOM__CORE__DAGS_ARE_PAUSED_AT_CREATION": "false",
    "AIRLOOM__RUNNER__ORPHAN_TIMEOUT": "1",
    "AIRLOOM__API__PORT": "0",
}


def measure(folder: Path) -> list[Figure]:
    """In a home without DAG files, and in one whose one DAG has run."""
    ready, resting, working = [], [], []
    for number in range(_ROUNDS):
        with _standalone(folder / f"empty-{number}", {}) as (pid, seconds):
            ready.append(seconds)
            resting.append(_settled(pid, 3))
        with _standalone(folder / f"hello-{number}", {"hello.py": _HELLO}) as (pid, _):
            _wait_for_log(folder / f"hello-{number}")
            working.append(_settled(pid, 4))
    bare, start = _bare()
    megabytes, processes = zip(*resting, strict=True)
    after, kept = zip(*working, strict=True)
    return [
        Figure(
            what="standalone in an empty folder: ready",
            ours=median(ready),
            unit="s",
            floor=start,
            floor_is="python -c pass",
            budget=2.0,
        ),
        Figure(
            what=f"memory at rest, PSS of {max(processes)} processes",
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
def _standalone(home: Path, files: dict[str, str]) -> Iterator[tuple[int, float]]:
    """A running `airloom standalone`: its process, and the seconds until it said that it is ready."""
    home.mkdir()
    for name, source in files.items():
        (home / "dags").mkdir(exist_ok=True)
        (home / "dags" / name).write_text(source)
    environment = {**os.environ, **_ENVIRONMENT, "AIRLOOM_HOME": str(home)}
    command = [str(Path(sys.executable).with_name("airloom")), "standalone"]
    began = time.perf_counter()
    with (home.with_suffix(".out")).open("w+") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out, text=True, cwd=home)
        try:
            wait_for(lambda: _READY in Path(out.name).read_text(), lambda: process.poll() is None)
            yield process.pid, time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


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
