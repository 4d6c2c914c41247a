"""The operators that come with Airloom: bash, branches, short circuits."""

import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from airloom import (
    DAG,
    BaseBranchOperator,
    BashOperator,
    BranchPythonOperator,
    EmptyOperator,
    ShortCircuitOperator,
    TaskGroup,
    task,
)
from airloom.model.errors import DagDefinitionError
from airloom.model.report import Cause, Outcome, Skip, SkipMode
from tests.sdk.trying import attempt, returned
from tests.waiting import DEADLINE, wait_for, wait_for_end


def bash(command: str, **arguments: Any) -> BashOperator:
    """A bash task of its own DAG."""
    with DAG("d"):
        return BashOperator(task_id="b", bash_command=command, **arguments)


def last_line(operator: BashOperator) -> Any:
    """The XCom of a bash task."""
    return returned(attempt(operator))["return_value"]


def test_the_last_line_is_the_xcom_and_all_lines_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "airloom.task"):
        assert last_line(bash("echo one; echo two >&2; printf 'three  '")) == "three"
    assert [record.getMessage() for record in caplog.records] == ["one", "two", "three"]


def test_output_that_is_no_text_does_no_harm() -> None:
    assert last_line(bash(r"printf 'a\xff\n'")) == r"a\xff"
    assert last_line(bash("true")) == ""
    assert last_line(bash(r"printf 'a\xff\n'", output_encoding="latin-1")) == "aÿ"


def test_the_output_processor_makes_the_xcom() -> None:
    assert last_line(bash("echo 42", output_processor=int)) == 42


@pytest.mark.parametrize(
    ("arguments", "command", "outcome", "detail"),
    [
        ({}, "echo why; exit 3", Outcome.FAILED, "the command failed with exit code 3; its last line was: why"),
        ({}, "exit 99", Outcome.SKIPPED, "the command exited with 99, which skips the task"),
        ({"skip_on_exit_code": None}, "exit 99", Outcome.FAILED, "the command failed with exit code 99"),
        ({"skip_on_exit_code": [4, 5]}, "exit 5", Outcome.SKIPPED, "the command exited with 5"),
        ({}, "kill -9 $$", Outcome.FAILED, "the command was ended by SIGKILL"),
        ({"cwd": "/no/such/folder"}, "pwd", Outcome.FAILED, "cwd '/no/such/folder' is not a folder"),
        ({}, "   ", Outcome.FAILED, "bash_command must be a command, not '   '"),
    ],
)
def test_exit_codes_decide(arguments: dict[str, Any], command: str, outcome: Outcome, detail: str) -> None:
    result = attempt(bash(command, **arguments))
    assert result.outcome is outcome
    assert detail in str(result.detail)


def test_the_environment_replaces_or_appends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTER", "outer")
    monkeypatch.setenv("AIRLOOM_CTX_DAG_ID", "d")
    command = 'echo "$OUTER/$X/$AIRLOOM_CTX_DAG_ID"'
    assert last_line(bash(command)) == "outer//d"
    assert last_line(bash(command, env={"X": "{{ ds }}"})) == "/2026-01-01/d"
    assert last_line(bash(command, env={"X": "x"}, append_env=True)) == "outer/x/d"


def test_the_command_runs_in_a_folder_of_its_own_or_in_cwd(tmp_path: Path) -> None:
    assert last_line(bash("pwd", cwd=str(tmp_path))) == str(tmp_path)
    own = Path(last_line(bash("touch file; pwd")))
    assert not own.exists()


def test_on_kill_ends_the_command_and_what_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airloom.sdk.operators.bash.KILL_AFTER", 0.2)
    pids = tmp_path / "pids"
    operator = bash(f"trap '' TERM; sleep 300 & echo $$ $! > {pids}.new; mv {pids}.new {pids}; wait; sleep 300")
    result: list[Any] = []
    thread = threading.Thread(target=lambda: result.append(attempt(operator)))
    thread.start()
    wait_for(pids.exists, "the command")
    shell, child = map(int, pids.read_text().split())
    assert os.getpgid(child) == shell
    operator.on_kill()
    thread.join(DEADLINE)
    assert not thread.is_alive()
    assert result[0].outcome is Outcome.FAILED
    wait_for_end(shell, child)


def test_on_kill_without_a_command_does_nothing() -> None:
    bash("true").on_kill()


def test_a_bash_task_stays_in_the_session_of_its_task() -> None:
    assert last_line(bash("ps -o sess= -p $$")).strip() == str(os.getsid(0))


def test_a_decorated_bash_task_runs_what_the_function_returns() -> None:
    with DAG("d"):

        @task.bash(env={"N": "1"})
        def say(word: str) -> str:
            return "echo " + word + " {{ ds }} $N"

        operator = say("hello").operator
        mapped = say.override(task_id="m").expand(word=["a", "b"]).operator
    assert returned(attempt(operator))["return_value"] == "hello 2026-01-01 1"
    assert returned(attempt(mapped, map_index=1, map_lengths=(2,)))["return_value"] == "b 2026-01-01 1"


def test_a_decorated_bash_task_must_return_a_command() -> None:
    with DAG("d"):

        @task.bash
        def nothing() -> None: ...

        operator = nothing().operator
    assert attempt(operator).detail == "AirflowException: bash_command must be a command, not None"


def branch_to(choice: Any) -> Any:
    """What a branch with downstream tasks a, b and a group g makes of a choice."""
    with DAG("d"):
        branch = BranchPythonOperator(task_id="branch", python_callable=lambda: choice)
        a, b, later = (EmptyOperator(task_id=name) for name in ("a", "b", "later"))
        with TaskGroup("g") as group:
            EmptyOperator(task_id="x") >> EmptyOperator(task_id="z")
            EmptyOperator(task_id="y")
        branch >> [a, b, group] >> later
    return attempt(branch)


@pytest.mark.parametrize(
    ("choice", "followed"),
    [
        ("a", ("a",)),
        (["a", "b"], ("a", "b")),
        ("g", ("g.x", "g.y")),
        (["g", "a"], ("a", "g.x", "g.y")),
        ("g.x", ("g.x",)),
        (None, ()),
        ([], ()),
    ],
)
def test_a_branch_follows_tasks_and_groups(choice: Any, followed: tuple[str, ...]) -> None:
    result = branch_to(choice)
    assert result.skip == Skip(mode=SkipMode.UNFOLLOWED, followed=followed)
    assert returned(result) == ({} if choice is None else {"return_value": choice})


@pytest.mark.parametrize(
    ("choice", "detail"),
    [
        ("A1", "the branch 'branch' chose 'A1', but the DAG has no task or group of that id"),
        ("x", "the branch 'branch' chose 'x', but the DAG has no task or group of that id"),
        ("late", "the DAG has no task or group of that id; did you mean 'later'?"),
        ("later", "which is not directly downstream of it; directly downstream are: a, b, g.x, g.y"),
        (3, "a branch must return a task id, a group id, a list of them or None, not 3"),
    ],
)
def test_a_branch_that_cannot_be_followed_fails(choice: Any, detail: str) -> None:
    result = branch_to(choice)
    assert (result.outcome, result.cause, result.skip) == (Outcome.FAILED, Cause.ERROR, None)
    assert detail in str(result.detail)


def test_branches_can_be_functions_and_operators_of_ones_own() -> None:
    class Own(BaseBranchOperator):
        def choose_branch(self, context: Any) -> str:
            return "a" if context["ds"] == "2026-01-01" else "b"

    with DAG("d"):

        @task.branch
        def decorated(name: str) -> str:
            return name

        own, function = Own(task_id="own"), decorated("b")
        [own, function] >> EmptyOperator(task_id="a")
        [own, function] >> EmptyOperator(task_id="b")
    assert attempt(own).skip == Skip(mode=SkipMode.UNFOLLOWED, followed=("a",))
    assert attempt(function.operator).skip == Skip(mode=SkipMode.UNFOLLOWED, followed=("b",))


def test_a_short_circuit_skips_everything_or_what_is_direct_or_nothing() -> None:
    def short(value: Any, **arguments: Any) -> Any:
        with DAG("d"):
            return attempt(ShortCircuitOperator(task_id="s", python_callable=lambda: value, **arguments))

    assert short([]).skip == Skip(mode=SkipMode.ALL)
    assert short(0, ignore_downstream_trigger_rules=False).skip == Skip(mode=SkipMode.DIRECT)
    assert short("yes").skip is None
    assert returned(short(0)) == {"return_value": 0}
    with DAG("d"):

        @task.short_circuit(ignore_downstream_trigger_rules=False)
        def go() -> bool:
            return False

        operator = go().operator
    assert attempt(operator).skip == Skip(mode=SkipMode.DIRECT)


def test_arguments_of_the_operators_are_checked() -> None:
    with DAG("d"):
        with pytest.raises(DagDefinitionError, match="python_callable must be a function, not 'f'"):
            BranchPythonOperator(task_id="a", python_callable="f")
        with pytest.raises(DagDefinitionError, match="skip_on_exit_code must be exit codes, not '99'"):
            BashOperator(task_id="b", bash_command="x", skip_on_exit_code="99")


def test_bash_gets_no_terminal_and_no_standard_input() -> None:
    assert last_line(bash("read -r line || echo nothing to read")) == "nothing to read"
