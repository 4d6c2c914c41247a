"""A home folder and the real processes at work on it: started by the command line, killed by number, started again."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.waiting import DEADLINE, alive, wait_for, wait_for_end

COMMAND = [sys.executable, "-c", "from airloom.cli.main import main; main()"]

T = TypeVar("T")


def kill(pid: int) -> None:
    """kill -9, and wait until it is dead. It is no error if it has ended already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    wait_for_end(pid)


def processes_of(home: Path) -> list[int]:
    """Every process whose environment names the home folder: the server, its runner, zygotes and tasks."""
    mark = f"AIRLOOM_HOME={home}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def command_of(pid: int) -> str:
    """The command line of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return "gone"


class Home:
    """A home, its DAG files, and the server that is running on it."""

    def __init__(self, path: Path, **settings: object) -> None:
        self.path = path
        self.dags = path / "dags"
        self.database = path / "airloom.db"
        self.env = {
            **os.environ,
            "AIRLOOM_HOME": str(path),
            "AIRLOOM__CORE__DAGS_ARE_PAUSED_AT_CREATION": "false",
            **{f"AIRLOOM__{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.server: subprocess.Popen[str] | None = None
        self.log = path.with_name(f"{path.name}.stderr")

    def write(self, name: str, text: str) -> Path:
        """A DAG file."""
        self.dags.mkdir(parents=True, exist_ok=True)
        path = self.dags / name
        path.write_text(text)
        return path

    # --- processes -------------------------------------------------------------------------------------------------
    def airloom(self, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        options = {"capture_output": True, "text": True, "timeout": DEADLINE, "check": False} | options
        return subprocess.run([*COMMAND, *args], env=self.env, **options)

    def start(self, *args: str) -> "subprocess.Popen[str]":
        """Start a server; does not wait until it is ready."""
        with self.log.open("a") as log:
            self.server = subprocess.Popen([*COMMAND, *(args or ("standalone",))], env=self.env, stderr=log, text=True)
        return self.server

    def ready(self) -> None:
        """Wait until the server that was started last says so."""

        def look() -> bool:
            assert self.server is not None
            assert self.server.poll() is None, f"the server ended:\n{self.log.read_text()}"
            return "running" in self.log.read_text()

        wait_for(look, "the server to be ready")

    def kill_server(self) -> None:
        """kill -9 of the scheduler, with its threads."""
        assert self.server is not None
        self.server.kill()
        self.server.wait()

    def stop(self) -> int:
        """End the server in good order; its exit status."""
        assert self.server is not None
        self.server.terminate()
        return self.server.wait(DEADLINE)

    def runner(self) -> int | None:
        """The number of the living runner."""
        try:
            pid = int((self.path / "local.lock").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None
        return pid if alive(pid) else None

    def kill_runner(self) -> None:
        """kill -9 of the runner, if one lives."""
        pid = self.runner()
        if pid is not None:
            kill(pid)

    # --- the database ----------------------------------------------------------------------------------------------
    def rows(self, query: str, *values: object) -> list[Any]:
        """What the database says, read as any other process reads it; nothing while there are no tables."""
        if not self.database.exists():
            return []
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=DEADLINE)) as connection:
            try:
                return connection.execute(query, values).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return []
                raise

    def run_state(self, dag_id: str) -> str | None:
        """The state of the newest run of a dag."""
        rows = self.rows("SELECT state FROM dag_run WHERE dag_id = ? ORDER BY id DESC LIMIT 1", dag_id)
        return rows[0][0] if rows else None

    def ended(self, dag_id: str, seconds: float = DEADLINE) -> str:
        """Wait for the end of the newest run of a dag; its state."""
        self.wait_for(lambda: self.run_state(dag_id) in ("success", "failed"), f"the end of a run of {dag_id}", seconds)
        state = self.run_state(dag_id)
        assert state is not None
        return state

    def wait_for(self, look: Callable[[], T], what: str, seconds: float = DEADLINE) -> T:
        """As `wait_for`; shows how things stand when it gives up."""
        try:
            return wait_for(look, what, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.situation()}") from None

    def situation(self) -> str:
        """What there is to know when something has gone wrong."""
        unfinished = "SELECT task_id, map_index, state, try_number, cause FROM task_instance WHERE state NOT IN "
        open_tis = self.rows(unfinished + "('success', 'failed', 'skipped', 'upstream_failed') LIMIT 20")
        processes = [(pid, command_of(pid), Path(f"/proc/{pid}/wchan").read_text()) for pid in processes_of(self.path)]
        runner_log = self.path / "logs" / "runner.log"
        texts = [path.read_text()[-4000:] for path in (self.log, runner_log) if path.exists()]
        return "\n".join([f"unfinished: {open_tis}", f"processes: {processes}", *texts])


@contextmanager
def home_at(path: Path, **settings: object) -> Iterator[Home]:
    """A home folder; whatever runs on it at the end is killed."""
    path.mkdir(parents=True, exist_ok=True)
    home = Home(path, **settings)
    try:
        yield home
    finally:
        if home.server is not None:
            home.kill_server()
        home.kill_runner()
        wait_for(lambda: not processes_of(path), f"the end of all processes of {path}: {processes_of(path)}")
        shutil.rmtree(path, ignore_errors=True)
