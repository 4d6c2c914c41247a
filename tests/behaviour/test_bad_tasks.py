"""Tasks that die, hang, flood, or return what cannot be kept: each ends with its cause, and the others go on."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.server import PRELUDE, Server
from tests.faults.home import COMMAND
from tests.waiting import DEADLINE, alive, wait_for_end

#: task -> the body of its function, the arguments of @task, how it ends, the cause, what is said
BAD: dict[str, tuple[str, str, str, str | None, str]] = {
    "fine": ("return 1", "", "success", None, ""),
    "kills_itself": (
        "if os.fork() == 0:\n    os.kill(os.getppid(), 9)\n    os._exit(0)\ntime.sleep(60)",
        "",
        "failed",
        "killed",
        "its process was killed from outside with SIGKILL",
    ),
    "crashes": ("os.kill(os.getpid(), 11)", "", "failed", "signal", "its process crashed with SIGSEGV"),
    "takes_memory": (
        "hoard = bytearray(300_000_000)\ntime.sleep(60)",
        "memory_limit='100Mi'",
        "failed",
        "out_of_memory",
        "its limit is 100 MiB",
    ),
    "exits": ("os._exit(3)", "", "failed", "exit_code", "its process ended itself with exit status 3"),
    "exits_well": ("os._exit(0)", "", "failed", "exit_code", "its process ended itself with exit status 0"),
    "deaf": (
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)",
        "execution_timeout=timedelta(seconds=0.3)",
        "failed",
        "timeout",
        "longer than its execution_timeout of 0.3 s; it did not heed SIGTERM and was killed",
    ),
    "floods": ("for n in range(50_000):\n    print(n, 'spam ' * 20)", "", "success", None, ""),
    "strange": (
        "return object()",
        "",
        "failed",
        "result",
        "return value is an object, which cannot be kept as an XCom",
    ),
    "huge": ("return 'x' * 100_000_000", "", "failed", "result", "return value takes 100,000,002 bytes as JSON"),
    "system_exit": ("raise SystemExit('bye')", "", "failed", "exit_code", "the task called sys.exit('bye')"),
    "raises": ("{}['flight']", "", "failed", "error", "KeyError: 'flight'"),
    "unsayable": (
        "class Mute(Exception):\n    def __str__(self):\n        raise ValueError\nraise Mute",
        "",
        "failed",
        "error",
        "Mute: (its text cannot be made)",
    ),
    "leaves": (
        "import subprocess\n"
        "left = subprocess.Popen(['sleep', '600'])\n"
        "Path(os.environ['AIRLOOM_HOME'], 'left').write_text(str(left.pid))",
        "",
        "success",
        None,
        "",
    ),
}


def dag_file() -> str:
    """A DAG with all of these tasks, and two whose template cannot be rendered."""
    text = PRELUDE + "@dag\ndef bad():\n"
    for name, (body, arguments, *_) in BAD.items():
        lines = "".join(f"        {line}\n" for line in body.splitlines())
        text += f"    @task({arguments})\n    def {name}():\n{lines}    {name}()\n"
    text += "    BashOperator(task_id='no_such_name', bash_command='echo {{ nothing }}')\n"
    text += "    BashOperator(task_id='no_template', bash_command='echo {{ ')\n"
    return text + "bad()\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The home of `airloom run`, and its summary."""
    home = tmp_path_factory.mktemp("bad") / "home"
    home.mkdir()
    file = home.parent / "bad.py"
    file.write_text(dag_file())
    env = {
        **os.environ,
        "AIRLOOM_HOME": str(home),
        "AIRLOOM__LOCAL__PARALLELISM": "4",
        "AIRLOOM__LOCAL__GRACE": "0.3",
        "AIRLOOM__CORE__INFRASTRUCTURE_RETRIES": "1",
        "AIRLOOM__RUNNER__LOG_MAX_BYTES": "100kB",
    }
    command = [*COMMAND, "run", str(file), "--keep", "-o", "json"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 1, done.stderr
    return home, json.loads(done.stdout)


def of(run: tuple[Path, dict[str, Any]], task_id: str) -> dict[str, Any]:
    """What the summary says of a task."""
    (found,) = [ti for ti in run[1]["tasks"] if ti["task_id"] == task_id]
    return dict(found)


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_task_ends_with_its_cause_and_a_sentence(run: tuple[Path, dict[str, Any]], name: str) -> None:
    _, _, state, cause, text = BAD[name]
    ti = of(run, name)
    assert (ti["state"], ti["cause"]) == (state, cause)
    assert text in (ti["detail"] or "")
    # Only a kill from outside is made up for, here once.
    assert ti["try_number"] == (2 if cause == "killed" else 1)


@pytest.mark.parametrize(
    ("name", "text"),
    [("no_such_name", "'nothing' is undefined"), ("no_template", "TemplateSyntaxError: ")],
)
def test_a_template_that_cannot_be_rendered_is_an_error_of_the_task(
    run: tuple[Path, dict[str, Any]], name: str, text: str
) -> None:
    ti = of(run, name)
    assert (ti["state"], ti["cause"]) == ("failed", "error")
    assert text in ti["detail"]


def test_a_log_that_is_flooded_is_cut_and_says_so(run: tuple[Path, dict[str, Any]]) -> None:
    (log,) = (run[0] / "logs").rglob("*/task_id=floods/*.log")
    assert log.stat().st_size < 110_000
    assert "this log has reached its limit of 100,000 bytes" in log.read_text().splitlines()[-1]


def test_a_process_that_a_task_leaves_behind_is_ended_with_it(run: tuple[Path, dict[str, Any]]) -> None:
    wait_for_end(int((run[0] / "left").read_text()))


HELD = """
@dag
def {name}():
    @task(retries={retries}, retry_delay=timedelta(seconds=0.1))
    def work():
        {body}

    work()

{name}()
"""


def test_a_task_that_is_killed_from_outside_is_run_again_at_no_cost(server: Server) -> None:
    server.define("victim.py", PRELUDE + HELD.format(name="victim", retries=0, body="hold('victim')"))
    run = server.trigger("victim")
    pid = server.held("victim")
    (server.home.path / "victim.pid").unlink()
    os.kill(pid, signal.SIGKILL)
    assert server.held("victim") != pid
    server.release("victim")
    assert server.ended("victim", run) == "success"
    (ti,) = server.ask("tasks", "state", "victim", run, "work")
    assert [(one["state"], one["cause"], one["signal"]) for one in ti["tries"]] == [
        ("failed", "killed", 9),
        ("success", None, None),
    ]
    shown = server.airloom("tasks", "state", "victim", run, "work").stdout
    assert "its process was killed from outside with SIGKILL" in shown
    log = server.airloom("tasks", "logs", "victim", run, "work", "--try", "1").stdout
    assert "the try failed: its process was killed from outside with SIGKILL" in log
    server.remove("victim.py")


def test_retries_are_seen_in_the_lists_and_each_has_its_log(server: Server) -> None:
    body = "raise RuntimeError(f\"try {get_current_context()['ti'].try_number}\")"
    server.define("stubborn.py", PRELUDE + HELD.format(name="stubborn", retries=2, body=body))
    run = server.trigger("stubborn")
    assert server.ended("stubborn", run) == "failed"
    (listed,) = server.ask("tasks", "list", "stubborn", run)
    (shown,) = server.ask("runs", "show", "stubborn", run)["tasks"]
    assert listed == shown
    assert (listed["state"], listed["try_number"], listed["detail"]) == ("failed", 3, "RuntimeError: try 3")
    (ti,) = server.ask("tasks", "state", "stubborn", run, "work")
    assert [one["detail"] for one in ti["tries"]] == [f"RuntimeError: try {number}" for number in (1, 2, 3)]
    for number in (1, 2, 3):
        log = server.airloom("tasks", "logs", "stubborn", run, "work", "--try", str(number)).stdout
        assert f"RuntimeError: try {number}" in log
    missing = server.airloom("tasks", "logs", "stubborn", run, "work", "--try", "4")
    assert (missing.status, missing.stderr) == (3, "airloom: task work has no try 4: the last one is 3\n")
    server.remove("stubborn.py")


def test_tasks_that_die_harm_no_other_run(server: Server) -> None:
    text = PRELUDE + HELD.format(name="dying", retries=0, body="os.kill(os.getpid(), 11)")
    server.define("dying.py", text + HELD.format(name="living", retries=0, body="hold('living')"))
    living = server.trigger("living")
    pid = server.held("living")
    for number in range(3):
        assert server.ended("dying", server.trigger("dying", "--run-id", str(number))) == "failed"
    assert alive(pid)
    server.release("living")
    assert server.ended("living", living) == "success"
    server.remove("dying.py")
