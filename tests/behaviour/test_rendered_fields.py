"""The template fields of a try, as it was started with them: kept in its log, apart from what it says."""

from pathlib import Path

from airloom.operations.log_pages import read_rendered
from airloom.runtime.logs import log_path
from tests.behaviour.server import Server
from tests.waiting import wait_for

DAG = """
from airloom import DAG, BashOperator, Variable, task

with DAG("filled", schedule=None):
    BashOperator(task_id="speaks", bash_command="echo {{ var.value.filled_password }} {{ run_id }} | rev | rev")
    BashOperator(task_id="silent", bash_command="true # {{ task.task_id }}")

    @task
    def plain():
        print("plain")

    plain()
"""


def rendered(path: Path) -> dict[str, str]:
    """The fields of a try; those of one that has written nothing come a moment after its end."""
    return wait_for(lambda: _read(path), "the fields of a try")


def _read(path: Path) -> dict[str, str] | None:
    if not path.exists():
        return None
    with path.open("rb") as file:
        return read_rendered(file)


def test_the_fields_of_a_try_are_kept_masked_and_are_no_lines_of_its_log(server: Server) -> None:
    server.define("filled.py", DAG)
    assert server.airloom("variables", "set", "filled_password", "hunter2-hunter2").status == 0
    run_id = server.trigger("filled")
    assert server.ended("filled", run_id) == "success"
    paths = {
        name: Path(log_path(str(server.home.path), "filled", run_id, name, -1, 1))
        for name in ("speaks", "silent", "plain")
    }
    assert rendered(paths["speaks"]) == {"bash_command": f"echo *** {run_id} | rev | rev"}
    assert rendered(paths["silent"]) == {"bash_command": "true # silent"}
    assert _read(paths["plain"]) is None
    assert "hunter2" not in paths["speaks"].read_text()
    said = server.airloom("tasks", "logs", "filled", run_id, "speaks")
    assert "*** " + run_id in said.stdout
    assert "bash_command" not in said.stdout
    server.remove("filled.py")
