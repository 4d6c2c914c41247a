"""DAG files that cannot be used: each gets a sentence with its line, and everything else goes on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.server import PRELUDE, Server
from tests.waiting import wait_for, wait_for_end

#: file -> its text, the line that is named, what is said
BAD: dict[str, tuple[str, int | None, str]] = {
    "syntax": ("import airloom\ndef dag(:\n", 2, "SyntaxError: invalid syntax"),
    "module": ("import airloom, dag_of_nobody\n", 1, "ModuleNotFoundError: No module named 'dag_of_nobody'"),
    "airflow": ("\nfrom airflow import DAG\n", 2, "the file imports airflow: import the same names from airloom"),
    "typing": ("from airloom import dagg\n", 1, "airloom has no name 'dagg'; did you mean 'dag'?"),
    "endless": (
        "import airloom as dag\nimport time\nwhile True:\n    time.sleep(1)\n",
        None,
        "the file was not imported within 2 s",
    ),
    "exit": ("import airloom as dag, sys\nsys.exit(3)\n", 2, "the file called sys.exit(3) while it was imported"),
    "os_exit": ("import airloom as dag, os\nos._exit(0)\n", None, "ended its process with exit status 0"),
    "kill": ("import airloom as dag, os\nos.kill(os.getpid(), 9)\n", None, "killed from outside with SIGKILL"),
    "crash": ("import airloom as dag, os\nos.kill(os.getpid(), 11)\n", None, "its process crashed with SIGSEGV"),
    "raise": ("import airloom as dag\n1 / 0\n", 2, "ZeroDivisionError: division by zero"),
    "cycle": (
        "from airloom import DAG, EmptyOperator\n"
        "with DAG('cycle'):\n"
        "    a, b, c = (EmptyOperator(task_id=name) for name in 'abc')\n"
        "    a >> b >> c >> a\n",
        3,
        "the tasks of the DAG 'cycle' wait for each other in a circle: a >> b >> c >> a",
    ),
    "twice": (
        "from airloom import DAG, EmptyOperator\n"
        "with DAG('twice'):\n"
        "    EmptyOperator(task_id='a')\n"
        "    EmptyOperator(task_id='a')\n",
        4,
        "the DAG 'twice' has a task 'a' already (line 3)",
    ),
    "argument": (
        "from airloom import DAG, BashOperator\n"
        "with DAG('argument'):\n"
        "    BashOperator(task_id='a', bash_command='true', retires=3)\n",
        3,
        "BashOperator (task 'a') has no argument 'retires'; did you mean 'retries'?",
    ),
    "rule": (
        "from airloom import DAG, EmptyOperator\n"
        "with DAG('rule'):\n"
        "    EmptyOperator(task_id='a', trigger_rule='all_succes')\n",
        3,
        "task 'a': there is no trigger_rule 'all_succes'; did you mean 'all_success'?",
    ),
    "cron": (
        "from airloom import DAG\ndag = DAG('cron', schedule='61 * * * *')\n",
        2,
        "the cron expression '61 * * * *' cannot be: bad minute",
    ),
}

#: file -> its text, of which each makes a dag of the file's name that has one task, `work`
ODD: dict[str, str] = {
    "chatty": 'print("spam " * 200_000)\n',
    "threads": """
import threading
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
""",
}
ONE_TASK = """
@dag
def {name}():
    @task
    def work():
        print("it works")
    work()

{name}()
"""


@pytest.fixture(scope="module")
def errors(server: Server) -> Iterator[dict[str, dict[str, Any]]]:
    """What `dags errors` says of each bad file, in a folder that has good ones as well."""
    for name, (text, _, _) in BAD.items():
        server.home.write(f"{name}.py", text)
    for name, text in ODD.items():
        server.home.write(f"{name}.py", PRELUDE + text + ONE_TASK.format(name=name))
    known = "SELECT COUNT(*) FROM dag_file"
    wait_for(lambda: server.home.rows(known)[0][0] >= len(BAD) + len(ODD), "all files to be loaded")
    yield {error["file"]: error for error in server.ask("dags", "errors")}
    server.remove(*(f"{name}.py" for name in [*BAD, *ODD]))


def errors_of(server: Server, file: str) -> list[dict[str, Any]]:
    """What `dags errors` says of one file."""
    return [error for error in server.ask("dags", "errors") if error["file"] == file]


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_file_is_an_import_error_that_says_where_and_what(errors: dict[str, dict[str, Any]], name: str) -> None:
    _, line, text = BAD[name]
    error = errors[f"{name}.py"]
    assert text in error["error"]
    assert error["line"] == line


def test_the_list_of_dags_tells_that_there_are_errors(server: Server, errors: dict[str, dict[str, Any]]) -> None:
    said = server.airloom("dags", "list")
    assert f"{len(errors)} import errors: `airloom dags errors` shows more" in said.stderr
    assert len(errors) == len(BAD)


@pytest.mark.parametrize("name", sorted(ODD))
def test_files_that_do_odd_things_while_they_are_imported_work_all_the_same(
    server: Server, errors: dict[str, dict[str, Any]], name: str
) -> None:
    run = server.trigger(name)
    assert server.ended(name, run) == "success"
    assert "it works" in server.airloom("tasks", "logs", name, run, "work").stdout


def test_what_a_file_prints_does_not_flood_the_servers_log(server: Server, errors: dict[str, dict[str, Any]]) -> None:
    assert server.home.log.stat().st_size < 100_000


def test_a_process_that_a_file_has_forked_does_not_outlive_its_import(server: Server) -> None:
    server.define("forker.py", PRELUDE + "if os.fork() == 0:\n    hold('forked')\n" + ONE_TASK.format(name="forker"))
    wait_for_end(server.held("forked"))
    server.remove("forker.py")


def test_a_file_that_is_repaired_is_used_at_once(server: Server) -> None:
    server.define("repaired.py", "from airloom import dag,\n")
    assert len(errors_of(server, "repaired.py")) == 1
    assert server.airloom("dags", "trigger", "repaired").status == 3
    server.define("repaired.py", PRELUDE + ONE_TASK.format(name="repaired"))
    assert server.ended("repaired", server.trigger("repaired")) == "success"
    assert errors_of(server, "repaired.py") == []
    server.remove("repaired.py")


def test_while_a_file_is_broken_its_dags_go_on_with_their_last_good_version(server: Server) -> None:
    server.define("spoiled.py", PRELUDE + ONE_TASK.format(name="spoiled"))
    server.define("spoiled.py", "from airloom import dag\n1 / 0\n")
    (error,) = errors_of(server, "spoiled.py")
    assert "division by zero" in error["error"]
    run = server.trigger("spoiled")
    assert server.ended("spoiled", run) == "success"
    server.remove("spoiled.py")


def test_a_dag_id_belongs_to_the_file_that_had_it_first(server: Server) -> None:
    server.define("first.py", PRELUDE + ONE_TASK.format(name="owned"))
    server.define("second.py", PRELUDE + ONE_TASK.format(name="owned"))
    (error,) = errors_of(server, "second.py")
    assert error["dag_id"] == "owned"
    assert "the dag id 'owned' is defined by first.py already" in error["error"]
    assert server.ask("dags", "show", "owned")["file"] == "first.py"
    server.remove("first.py")
    wait_for(lambda: server.ask("dags", "show", "owned")["file"] == "second.py", "the second file's turn")
    assert errors_of(server, "second.py") == []
    server.remove("second.py")


def test_running_a_file_that_never_returns_ends_with_the_sentence(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "endless.py"
    file.write_text(BAD["endless"][0])
    done = server.home.airloom("run", str(file), "-o", "json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "endless.py: the file was not imported within 2 s" in done.stderr
