"""Events: from a commit to each of 200 browsers that follow, through a real `airloom standalone`."""

import os
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from airloom.model.processes import ProcessKind
from airloom.store import feed
from airloom.store.database import Database, connect
from airloom.store.notify import feed_notifier
from airloom.store.processes import list_processes
from benchmarks.bed import PATIENCE, postgres, wait_for
from benchmarks.figures import Figure, median, percentile
from benchmarks.listeners import Heard
from benchmarks.standalone import Standalone, standalone

_CLIENTS = 200
_COMMITS = 100
#: seconds between two commits: a scheduler with something to do
_EVERY = 0.05
_BUDGET = 100.0
#: what a turn of a busy scheduler tells
_NEWS = b'{"tis":[{"dag_id":"d","run_id":"r","changes":[["extract",-1,"running",1],["load",-1,"queued",1]]}]}'


def measure(folder: Path) -> list[Figure]:
    """On SQLite and on PostgreSQL."""
    figures = _measure(folder, "sqlite", None)
    with postgres() as server:
        figures += _measure(folder, "postgresql", server.url(server.create()))
    return figures


def _measure(folder: Path, name: str, url: str | None) -> list[Figure]:
    with standalone(folder / name, {}, url) as server:
        server.log_in()
        with (
            closing(connect(url or f"sqlite:///{server.home}/airloom.db")) as db,
            closing(Listeners(server, folder / f"{name}.json")) as listeners,
        ):
            before = _cpu(db)
            began = time.monotonic()
            committed = _commit(db, server.home)
            share = (_cpu(db) - before) / (time.monotonic() - began) * 100
            heard = listeners.heard(max(committed))
    delays = [delay * 1e3 for one in heard for delay in _delays(committed, one)]
    return [
        Figure(what=f"{name}: commit to {_CLIENTS} clients, median", ours=median(delays), unit="ms", budget=_BUDGET),
        Figure(what="the same, 99th percentile", ours=percentile(delays, 0.99), unit="ms", budget=_BUDGET),
        Figure(what=f"processor of the API at {1 / _EVERY:.0f} commits a second", ours=share, unit="%"),
    ]


class Listeners:
    """Clients that listen, in a process of their own."""

    def __init__(self, server: Standalone, results: Path) -> None:
        self._results = results
        command = [sys.executable, "-m", "benchmarks.listeners", server.address, server.cookie, str(_CLIENTS)]
        self._process = subprocess.Popen(
            [*command, str(results)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "listening\n"

    def heard(self, last: int) -> list[Heard]:
        """What each of them heard, once all know of the event of that number."""
        self._process.communicate(f"{last}\n", PATIENCE)
        return msgspec.json.decode(self._results.read_bytes(), type=list[Heard])

    def close(self) -> None:
        """End them."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def _commit(db: Database, home: Path) -> dict[int, float]:
    """Commits as a scheduler makes them: the number of each row, and when it was committed."""
    committed: dict[int, float] = {}
    with closing(feed_notifier(db, home)) as voice:
        for _ in range(_COMMITS):
            with db.transaction() as conn:
                feed.write(conn, _NEWS, time.time())
                number = feed.bounds(conn)[1]
            committed[number] = time.time()
            voice.notify()
            time.sleep(_EVERY)
    return committed


def _delays(committed: dict[int, float], heard: Heard) -> Iterator[float]:
    """Seconds from each commit to the event that told of it, which may tell of later ones too."""
    numbers = [number for number, _ in heard]
    for number, at in committed.items():
        yield heard[bisect_left(numbers, number)][1] - at


def _cpu(db: Database) -> float:
    """Processor seconds that the API's process has spent."""

    def find() -> int:
        with db.reading() as conn:
            rows = list_processes(conn, ProcessKind.API)
        return rows[0].pid if rows else 0

    wait_for(find)
    fields = Path(f"/proc/{find()}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
