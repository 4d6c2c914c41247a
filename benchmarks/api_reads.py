"""The ten most used reading routes over HTTP with 1,000,000 task instances in the database, and grids of large runs."""

import http.client
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from airloom import settings
from airloom.model.access import Role
from airloom.model.states import TIState
from airloom.operations import credentials, users
from airloom.operations.ops import open_ops
from airloom.store import leadership
from airloom.store.database import Database, connect
from airloom.store.migrate import migrate
from benchmarks import fill
from benchmarks.bed import postgres, wait_for
from benchmarks.figures import Figure, median, percentile
from benchmarks.standalone import COMMAND

_DAGS, _TASKS, _RUNS = 46, 20, 1_000
_ROUNDS = 60
_GRID_ROUNDS = 8
_CONNECTIONS = 4
_SECONDS = 4.0

_RUN = "/dags/dag_07/runs/latest"
_ROUTES = {
    "home": "/home",
    "dags": "/dags?limit=50",
    "a dag": "/dags/dag_07",
    "its grid": "/dags/dag_07/grid?limit=25",
    "its runs": "/dags/dag_07/runs?limit=50&counts=true",
    "all runs": "/runs?limit=50",
    "failed tasks": "/task-instances?state=failed&limit=50",
    "a run": _RUN,
    "its tasks": f"{_RUN}/tasks?limit=100",
    "a task": f"{_RUN}/tasks/task_00007",
}
_GRIDS = {
    "grid of 100 runs x 500 tasks": "/dags/wide/grid?limit=100",
    "grid of a run of 10,000 tasks": "/dags/big/grid?limit=1",
}
_FLOOR = "/session"


def measure(folder: Path) -> list[Figure]:
    """On SQLite and on PostgreSQL. The floor is a request that reads nothing but who sent it."""
    figures = _measure(folder / "sqlite", "SQLite", None)
    with postgres() as server:
        figures += _measure(folder / "postgresql", "PostgreSQL", server.url(server.create()))
    return figures


def _measure(home: Path, name: str, url: str | None) -> list[Figure]:
    home.mkdir()
    environment = {"AIRLOOM_HOME": str(home), "AIRLOOM__API__PORT": "0"}
    if url is not None:
        environment["AIRLOOM__DATABASE__URL"] = url
    options = settings.load(environment, home).settings
    with closing(connect(options.database.url)) as db:
        migrate(db)
        _fill(db)
    with open_ops(options) as ops:
        users.add_user(ops, "ada", users.UserChange(role=Role.ADMIN))
        token = credentials.make_token(ops, "ada", "benchmark").text
    with serving(home, environment) as address:
        reader = _Reader(address, token)
        floor = median(reader.times(_FLOOR, _ROUNDS))
        figures = [
            figure
            for what, path in _ROUTES.items()
            for figure in _of_route(f"{name}: {what}", reader.times(path, _ROUNDS), floor)
        ]
        figures += [
            Figure(what=f"{name}: {what}", ours=median(reader.times(path, _GRID_ROUNDS)), unit="ms", budget=1000.0)
            for what, path in _GRIDS.items()
        ]
        figures.append(_together(name, address, token))
    return figures


def _of_route(what: str, times: list[float], floor: float) -> list[Figure]:
    return [
        Figure(what=f"{what}, median", ours=median(times), unit="ms", floor=floor, floor_is="who is logged in"),
        Figure(what=f"{what}, 99th percentile", ours=percentile(times, 0.99), unit="ms", budget=100.0),
    ]


def _fill(db: Database) -> None:
    with db.transaction() as conn:
        epoch = leadership.acquire(conn, "benchmark", time.time(), 3600.0)
    assert epoch is not None
    for number in range(_DAGS):
        spec = fill.wide_dag(f"dag_{number:02}", _TASKS)
        fill.add_history(db, epoch, spec, fill.save_dag(db, spec), _RUNS)
    wide = fill.wide_dag("wide", 500)
    fill.add_history(db, epoch, wide, fill.save_dag(db, wide), 100, tries=True)
    big = fill.wide_dag("big", 10_000)
    version = fill.save_dag(db, big)
    fill.add_history(db, epoch, big, version, 2, tries=True)
    states = [TIState.RUNNING] * 8 + [TIState.QUEUED] * 8 + [TIState.SCHEDULED] * 16
    fill.add_run(db, epoch, big, version, states + [TIState.NONE] * (len(big.tasks) - len(states)))
    with db.transaction() as conn:
        leadership.release(conn, "benchmark", epoch)
    if db.dialect.name == "postgresql":
        # As its autovacuum does within a minute.
        with db.session() as session:
            session.exec_driver_sql("ANALYZE")


@contextmanager
def serving(home: Path, environment: dict[str, str]) -> Iterator[str]:
    """A process that serves the API on that home; its address."""
    out = home / "api.out"
    with out.open("w") as file:
        process = subprocess.Popen(
            [COMMAND, "api"], env={**os.environ, **environment}, stdout=file, stderr=file, cwd=home
        )
    try:
        wait_for(lambda: _said(out), lambda: process.poll() is None)
        yield _said(out)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _said(out: Path) -> str:
    found = re.search(r"http://\S+", out.read_text())
    return found.group() if found else ""


class _Reader:
    """A connection that is kept."""

    def __init__(self, address: str, token: str) -> None:
        parts = urlsplit(address)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str) -> None:
        """Ask, and read the answer."""
        self._connection.request("GET", f"/api/v1{path}", headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer.status} {body[:200]!r}")

    def times(self, path: str, rounds: int) -> list[float]:
        """Milliseconds of each of so many requests, after a first one."""
        self.get(path)
        found = []
        for _ in range(rounds):
            began = time.perf_counter()
            self.get(path)
            found.append((time.perf_counter() - began) * 1e3)
        return found


def _together(name: str, address: str, token: str) -> Figure:
    """All ten routes in turns on several connections at once."""
    give_up = time.perf_counter() + _SECONDS
    done: list[int] = []

    def read() -> None:
        reader = _Reader(address, token)
        count = 0
        while time.perf_counter() < give_up:
            for path in _ROUTES.values():
                reader.get(path)
                count += 1
        done.append(count)

    threads = [threading.Thread(target=read) for _ in range(_CONNECTIONS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = sum(done) / (time.perf_counter() - began)
    return Figure(what=f"{name}: all ten on {_CONNECTIONS} connections", ours=rate, unit="a second", more=True)
