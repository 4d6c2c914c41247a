"""The server of these tests: DAG files are written for it, and the command line is called on its home."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from airloom.bundles.local import content_hash
from airloom.cli.main import app
from tests.faults.home import Home
from tests.waiting import wait_for

#: what most DAG files of these tests begin with
PRELUDE = """
import os
import time
from datetime import timedelta
from pathlib import Path

from airloom import BashOperator, DAG, EmptyOperator, dag, get_current_context, task

HOME = Path(os.environ["AIRLOOM_HOME"])


def hold(name):
    # Tells which process it is, and waits until the test lets it go on.
    draft = HOME / f"{name}.draft"
    draft.write_text(str(os.getpid()))
    draft.rename(HOME / f"{name}.pid")
    while not (HOME / f"{name}.go").exists():
        time.sleep(0.02)

"""


class Said:
    """How a command ended and what it said."""

    def __init__(self, status: int, stdout: str, stderr: str) -> None:
        self.status = status
        self.stdout = stdout
        self.stderr = stderr


class Server:
    """A home with a standalone at work on it."""

    def __init__(self, home: Home) -> None:
        self.home = home

    # --- the command line ---------------------------------------------------------------------------------------------
    def airloom(self, *args: str) -> Said:
        """Run a command, in this process."""
        result = CliRunner().invoke(app, args, prog_name="airloom", env=self.home.env)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    def ask(self, *args: str) -> Any:
        """What a command that must succeed says as JSON."""
        said = self.airloom(*args, "-o", "json")
        assert said.status == 0, said.stderr
        return json.loads(said.stdout)

    def trigger(self, dag_id: str, *args: str) -> str:
        """Start a run; its id."""
        return str(self.ask("dags", "trigger", dag_id, *args)["run_id"])

    def explain(self, dag_id: str, run_id: str, task_id: str, *args: str) -> list[dict[str, Any]]:
        """The reasons that hold a task, of which there is one instance."""
        (one,) = self.ask("explain", dag_id, run_id, task_id, *args)
        return list(one["reasons"])

    # --- DAG files ----------------------------------------------------------------------------------------------------
    def define(self, name: str, text: str) -> Path:
        """Write a DAG file and wait until the loader has seen it."""
        path = self.home.write(name, text)
        query = "SELECT 1 FROM dag_file WHERE rel_path = ? AND file_hash = ?"
        wait_for(lambda: self.home.rows(query, name, content_hash(path.read_bytes())), f"{name} to be loaded")
        return path

    def remove(self, *names: str) -> None:
        """Delete DAG files and wait until the loader has seen it."""
        for name in names:
            (self.home.dags / name).unlink()
        query = f"SELECT rel_path FROM dag_file WHERE rel_path IN ({','.join('?' * len(names))})"
        wait_for(lambda: not self.home.rows(query, *names), f"{names} to be forgotten")

    # --- runs ---------------------------------------------------------------------------------------------------------
    def held(self, name: str) -> int:
        """Wait until a task holds under this name; its process."""
        path = self.home.path / f"{name}.pid"
        wait_for(path.exists, f"the task that holds as {name}")
        return int(path.read_text())

    def release(self, *names: str) -> None:
        """Let tasks go on."""
        for name in names:
            (self.home.path / f"{name}.go").touch()

    def ended(self, dag_id: str, run_id: str) -> str:
        """Wait for the end of a run; its state."""
        query = "SELECT state FROM dag_run WHERE dag_id = ? AND run_id = ? AND state IN ('success', 'failed')"
        return str(wait_for(lambda: self.home.rows(query, dag_id, run_id), f"the end of {dag_id} {run_id}")[0][0])

    def reaches(self, dag_id: str, run_id: str, task_id: str, state: str, try_number: int = 1) -> None:
        """Wait until a task instance is in a state, in that try."""
        query = (
            "SELECT 1 FROM task_instance ti JOIN dag_run run ON run.id = ti.run_id WHERE run.dag_id = ? "
            "AND run.run_id = ? AND ti.task_id = ? AND ti.state = ? AND ti.try_number = ?"
        )
        wait_for(lambda: self.home.rows(query, dag_id, run_id, task_id, state, try_number), f"{task_id} to be {state}")

    def states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """The state of each task instance, by its name, as `tasks list` says it."""
        found = self.ask("tasks", "list", dag_id, run_id)
        return {
            ti["task_id"] + ("" if ti["map_index"] is None else f"[{ti['map_index']}]"): ti["state"] for ti in found
        }
