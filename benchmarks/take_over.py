"""The leading one of two schedulers on PostgreSQL is killed: until work flows again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg

from airloom.model.events import TriggerRun
from airloom.store import inbox, leadership
from airloom.store.database import Database, connect
from airloom.store.migrate import migrate
from benchmarks.bed import postgres, wait_for
from benchmarks.figures import Figure, median

_ROUNDS = 3
_BUSY = """
import time

from airloom import dag, task


@dag(schedule=None, max_active_tasks=4)
def busy():
    @task
    def work():
        time.sleep(0.02)

    for number in range(2000):
        work.override(task_id=f"task_{number:04}")()


busy()
"""
_LOCK = "SELECT pg_advisory_lock(4711)"


def measure(folder: Path) -> list[Figure]:
    """Both schedulers have homes and executors of their own, as on two machines."""
    seconds = []
    with postgres() as server:
        for number in range(_ROUNDS):
            seconds.append(_round(folder / f"round-{number}", server.url(server.create())))
        floor = median(_lock_moves(server.url("postgres")) for _ in range(_ROUNDS))
    return [
        Figure(
            what="leader killed: the next task of its run starts",
            ours=median(seconds),
            unit="s",
            floor=floor,
            floor_is="a bare advisory lock gets from a killed process to one that waits",
            budget=5.0,
        ),
        Figure(what=f"the same, the slowest of {_ROUNDS}", ours=max(seconds), unit="s"),
    ]


def _round(folder: Path, url: str) -> float:
    folder.mkdir()
    (folder / "dags").mkdir()
    (folder / "dags" / "busy.py").write_text(_BUSY)
    with closing(connect(url)) as db, ExitStack() as stack:
        migrate(db)
        processes = {}
        for name in ("one", "two"):
            process = stack.enter_context(_scheduler(folder / name, folder / "dags", url))
            processes[process.pid] = process
            wait_for(lambda: _leader(db) is not None)
        wait_for(lambda: _value(db, "SELECT count(*) FROM dag WHERE NOT paused"))
        with db.transaction() as conn:
            inbox.put(conn, TriggerRun(dag_id="busy", run_id="busy"), "bench", time.time())
            conn.exec_driver_sql("NOTIFY airloom")
        wait_for(lambda: _value(db, "SELECT count(*) FROM task_try WHERE started_at IS NOT NULL") > 20)
        leader = _leader(db)
        assert leader is not None
        killed = time.time()
        processes[leader].kill()
        # The dead one's runner goes on with what it had: only what is handed out after it counts.
        flowing = f"SELECT min(started_at) FROM task_try WHERE queued_at > {killed} AND started_at > {killed}"
        wait_for(lambda: _value(db, flowing))
        return _value(db, flowing) - killed


@contextmanager
def _scheduler(home: Path, dags: Path, url: str) -> Iterator[subprocess.Popen[str]]:
    home.mkdir()
    settings = {
        "AIRLOOM_HOME": str(home),
        "AIRLOOM__CORE__DAGS_FOLDER": str(dags),
        "AIRLOOM__CORE__DAGS_ARE_PAUSED_AT_CREATION": "false",
        "AIRLOOM__DATABASE__URL": url,
        "AIRLOOM__RUNNER__ORPHAN_TIMEOUT": "1",
    }
    command = [str(Path(sys.executable).with_name("airloom")), "scheduler"]
    with (home / "out").open("w") as out:
        process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=out, stderr=out, text=True, cwd=home)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(30)


def _leader(db: Database) -> int | None:
    with db.reading() as conn:
        row = leadership.current(conn)
    return None if row is None else row.pid


def _value(db: Database, query: str) -> float:
    with db.reading() as conn:
        return float(conn.exec_driver_sql(query).scalar() or 0)


def _lock_moves(url: str) -> float:
    """Seconds from the kill of a process that has an advisory lock until another one, which waits for it, has it."""
    code = f"import psycopg, time; c = psycopg.connect({url!r}); c.execute({_LOCK!r}); print(1, flush=True)"
    code += "; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with psycopg.connect(url, autocommit=True) as conn:
            began = time.perf_counter()
            holder.kill()
            conn.execute(_LOCK)
            return time.perf_counter() - began
