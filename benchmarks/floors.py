"""The least that the machine can do: bare forks, bare round trips, bare commits. No part of Airloom runs in them."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg

#: bytes of one object of the ballast
_BALLAST = 120
_PAGE = os.sysconf("SC_PAGE_SIZE")

Row = tuple[object, ...]


def forks(size: int, count: int, width: int) -> float:
    """Seconds that one fork and its wait take, of `count`, `width` at a time, by a parent with `size` bytes in memory
    that has the modules of the fork server loaded."""
    return _elsewhere("forks", size, count, width)


def round_trips(count: int, width: int) -> float:
    """Seconds that one message to a living process and its answer take, of `count`, with `width` such processes."""
    return _elsewhere("round_trips", count, width)


def _elsewhere(what: str, *arguments: int) -> float:
    """What a fresh process, which has one thread and little memory, measures."""
    command = [sys.executable, "-m", "benchmarks.floors", what, *map(str, arguments)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def interpreter(code: str, count: int) -> list[float]:
    """Seconds that `python -c CODE` takes, `count` times."""
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        seconds.append(time.perf_counter() - began)
    return seconds


class SQLiteFloor:
    """A bare SQLite file with the same settings as the store's. Only what `seconds` counts is the floor."""

    def __init__(self, folder: Path, name: str = "floor") -> None:
        self._conn = sqlite3.connect(folder / f"{name}.db", isolation_level=None)
        self._conn.execute("PRAGMA journal_mode = WAL")
        self._conn.execute("PRAGMA synchronous = NORMAL")
        self._conn.execute("CREATE TABLE ti (id INTEGER PRIMARY KEY, run INTEGER, task TEXT, state TEXT, at REAL)")
        self.insert([(0, 0, "task", "none", 0.0)])

    def commits(self, count: int) -> float:
        """Seconds of one commit of one changed row, of `count`."""
        began = time.perf_counter()
        for number in range(count):
            self._conn.execute("BEGIN IMMEDIATE")
            self._conn.execute("UPDATE ti SET at = ? WHERE id = 0", (float(number),))
            self._conn.execute("COMMIT")
        return (time.perf_counter() - began) / count

    def insert(self, rows: Sequence[Row]) -> float:
        """Seconds to insert rows, in one commit."""
        began = time.perf_counter()
        self._conn.execute("BEGIN IMMEDIATE")
        self._conn.executemany("INSERT INTO ti VALUES (?, ?, ?, ?, ?)", rows)
        self._conn.execute("COMMIT")
        return time.perf_counter() - began

    def lives(self, count: int, width: int) -> float:
        """Processor seconds per task to write the lives of `count` tasks, `width` at a time: that they are queued, that
        they have started, that they have ended.
        """
        self._conn.execute("CREATE TABLE IF NOT EXISTS life (ti INTEGER PRIMARY KEY, state TEXT, at REAL)")
        first = self._conn.execute("SELECT max(id) + 1 FROM ti").fetchone()[0]
        self.insert([(number, 0, "task", "scheduled", 0.0) for number in range(first, first + count)])
        began = time.process_time()
        for start in range(first, first + count, width):
            ids = range(start, min(start + width, first + count))
            self._conn.execute("BEGIN IMMEDIATE")
            self._conn.executemany("UPDATE ti SET state = 'queued', at = ? WHERE id = ?", [(1.0, n) for n in ids])
            self._conn.executemany("INSERT INTO life VALUES (?, 'queued', ?)", [(n, 1.0) for n in ids])
            self._conn.execute("COMMIT")
            for state in ("running", "success"):
                changes = [(state, 1.0, number) for number in ids]
                self._conn.execute("BEGIN IMMEDIATE")
                self._conn.executemany("UPDATE ti SET state = ?, at = ? WHERE id = ?", changes)
                self._conn.executemany("UPDATE life SET state = ?, at = ? WHERE ti = ?", changes)
                self._conn.execute("COMMIT")
        return (time.process_time() - began) / count

    def read(self) -> float:
        """Seconds to read all rows."""
        began = time.perf_counter()
        self._conn.execute("SELECT * FROM ti").fetchall()
        return time.perf_counter() - began

    def close(self) -> None:
        """Free the file."""
        self._conn.close()


class PostgresFloor:
    """The same with psycopg, on the server that the measured database is on."""

    def __init__(self, url: str) -> None:
        self._conn = psycopg.connect(url, autocommit=True)
        self._conn.execute("CREATE TABLE floor (id bigint PRIMARY KEY, run bigint, task text, state text, at float8)")
        self.insert([(0, 0, "task", "none", 0.0)])

    def commits(self, count: int) -> float:
        """Seconds of one commit of one changed row, of `count`."""
        began = time.perf_counter()
        for number in range(count):
            with self._conn.transaction():
                self._conn.execute("UPDATE floor SET at = %s WHERE id = 0", (float(number),))
        return (time.perf_counter() - began) / count

    def insert(self, rows: Sequence[Row]) -> float:
        """Seconds to insert rows with COPY, in one commit."""
        began = time.perf_counter()
        with self._conn.cursor() as cursor, cursor.copy("COPY floor FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return time.perf_counter() - began

    def read(self) -> float:
        """Seconds to read all rows."""
        began = time.perf_counter()
        self._conn.execute("SELECT * FROM floor").fetchall()
        return time.perf_counter() - began

    def close(self) -> None:
        """Free the connection."""
        self._conn.close()


Floor = SQLiteFloor | PostgresFloor


def rows(count: int) -> list[Row]:
    """Rows for `insert`: as many task instances."""
    return [(number, 1, f"task_{number:05}", "none", 0.0) for number in range(1, count + 1)]


def resident(pid: int | str = "self") -> int:
    """Bytes of a process in memory, shared ones included."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def _forks_here(size: int, count: int, width: int) -> float:
    __import__("airloom.runtime.zygote")
    ballast = []
    while resident() < size:
        ballast += [os.urandom(_BALLAST) for _ in range(1000)]
    live = 0
    began = time.perf_counter()
    for _ in range(count):
        if live == width:
            os.wait()
            live -= 1
        if os.fork() == 0:
            os._exit(0)
        live += 1
    for _ in range(live):
        os.wait()
    return (time.perf_counter() - began) / count


def _round_trips_here(count: int, width: int) -> float:
    ours: list[socket.socket] = []
    children: list[int] = []
    for _ in range(width):
        mine, theirs = socket.socketpair()
        child = os.fork()
        if child == 0:
            # Only the parent has the other ends: its end, however it comes, ends this process.
            for end in (*ours, mine):
                end.close()
            while data := theirs.recv(256):
                theirs.send(data)
            os._exit(0)
        theirs.close()
        ours.append(mine)
        children.append(child)
    began = time.perf_counter()
    for _ in range(count // width):
        for mine in ours:
            mine.send(b"x" * 200)
        for mine in ours:
            mine.recv(256)
    seconds = time.perf_counter() - began
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return seconds / (count // width * width)


_HERE: dict[str, Callable[..., float]] = {"forks": _forks_here, "round_trips": _round_trips_here}

if __name__ == "__main__":
    print(_HERE[sys.argv[1]](*(int(argument) for argument in sys.argv[2:])))
