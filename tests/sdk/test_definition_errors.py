"""What an author can get wrong: each is told with the line and a sentence, and does not take other dags along."""

from pathlib import Path

import pytest

from tests.sdk.trying import parse

HEAD = """from datetime import datetime, timedelta
from airloom import *
"""

#: what the file says in its third line and after, the line of the error, what the error says
WRONG = {
    "cycle": (
        "with DAG('d'):\n a, b, c = (EmptyOperator(task_id=x) for x in 'abc')\n a >> b >> c >> a",
        4,
        "the tasks of the DAG 'd' wait for each other in a circle: a >> b >> c >> a",
    ),
    "itself": ("with DAG('d'):\n a = EmptyOperator(task_id='a')\n a >> a", 5, "'a' cannot run after itself"),
    "two tasks": (
        "with DAG('d'):\n EmptyOperator(task_id='a')\n EmptyOperator(task_id='a')",
        5,
        "the DAG 'd' has a task 'a' already (line 4): a second task needs another id",
    ),
    "group and task": (
        "with DAG('d'):\n TaskGroup('a')\n EmptyOperator(task_id='a')",
        5,
        "the DAG 'd' has a task group 'a' already (line 4): a second task needs another id",
    ),
    "two dags": (
        "a = DAG('d')\nb = DAG('d')",
        3,
        "the file makes 2 DAGs with the id 'd' (lines 3, 4); each needs an id of its own",
    ),
    "bad task id": ("with DAG('d'):\n EmptyOperator(task_id='a b')", 4, "the task id 'a b' may only have letters"),
    "bad group id": ("with DAG('d'):\n TaskGroup('a.b')", 4, "the group id 'a.b' may only have letters"),
    "bad dag id": ("DAG('ö')", 3, "the dag id 'ö' may only have letters"),
    "no task id": ("with DAG('d'):\n EmptyOperator()", 4, "EmptyOperator needs a task_id"),
    "by place": ("with DAG('d'):\n EmptyOperator('a')", 4, "EmptyOperator takes arguments by name only"),
    "trigger rule": (
        "with DAG('d'):\n EmptyOperator(task_id='a', trigger_rule='all_sucess')",
        4,
        "task 'a': there is no trigger_rule 'all_sucess'; did you mean 'all_success'?",
    ),
    "pool slots": (
        "with DAG('d'):\n EmptyOperator(task_id='a', pool_slots=0)",
        4,
        "pool_slots must be 1 or more, not 0",
    ),
    "queue with a comma": (
        "with DAG('d'):\n EmptyOperator(task_id='a', queue='gpu,cpu')",
        4,
        "task 'a': queue 'gpu,cpu': a queue's name has no comma",
    ),
    "long queue": (
        "with DAG('d'):\n EmptyOperator(task_id='a', queue='ü' * 101)",
        4,
        "a queue's name has up to 200 bytes",
    ),
    "queue of two lines": (
        "with DAG('d'):\n EmptyOperator(task_id='a', queue='a\\nb')",
        4,
        "a queue's name has printable characters, and no spaces around them",
    ),
    "retries": ("with DAG('d'):\n EmptyOperator(task_id='a', retries=-1)", 4, "task 'a': retries must be 0 or more"),
    "too many retries": (
        "with DAG('d'):\n EmptyOperator(task_id='a', retries=2**31)",
        4,
        "task 'a': retries must be at most 1,000,000,000, not 2147483648",
    ),
    "mapped over a key": (
        "with DAG('d'):\n a = BashOperator(task_id='a', bash_command='true')\n"
        " BashOperator.partial(task_id='b').expand(bash_command=a.output['files'])",
        5,
        "'bash_command' is mapped over the key 'files' of a, which is not supported yet",
    ),
    "delay": ("with DAG('d'):\n EmptyOperator(task_id='a', retry_delay='5m')", 4, "retry_delay must be a timedelta or"),
    "memory": ("with DAG('d'):\n EmptyOperator(task_id='a', memory_limit='lots')", 4, "is not a size such as 512Mi"),
    "misspelt argument": (
        "with DAG('d'):\n BashOperator(\n  task_id='a', bash_command='true', retires=3)",
        4,
        "BashOperator (task 'a') has no argument 'retires'; did you mean 'retries'?",
    ),
    "misspelt default argument": (
        "with DAG('d', default_args={'retires': 3}):\n EmptyOperator(task_id='a')",
        3,
        "DAG 'd': no task takes 'retires' of default_args; did you mean 'retries'?",
    ),
    "misspelt dag argument": (
        "DAG('d', shedule=None)",
        3,
        "DAG 'd' has no argument 'shedule'; did you mean 'schedule'?",
    ),
    "old dag argument": ("DAG('d', schedule_interval='@daily')", 3, "'schedule_interval' is called 'schedule' now"),
    "unsupported operator argument": (
        "with DAG('d'):\n EmptyOperator(task_id='a', depends_on_past=True)",
        4,
        "the argument 'depends_on_past' is not supported yet",
    ),
    "unsupported callback": (
        "with DAG('d', default_args={'on_failure_callback': print}):\n EmptyOperator(task_id='a')",
        4,
        "the argument 'on_failure_callback' is not supported yet",
    ),
    "unsupported dag argument": (
        "DAG('d', dagrun_timeout=timedelta(hours=1))",
        3,
        "DAG 'd': the argument 'dagrun_timeout' is not supported yet",
    ),
    "unsupported decorator": ("@task.virtualenv\ndef f(): ...", 3, "there is no @task.virtualenv here"),
    "own start date": (
        "with DAG('d', start_date=datetime(2026, 1, 1)):\n EmptyOperator(task_id='a', start_date=datetime(2025, 1, 1))",
        4,
        "task 'a': a start_date other than the DAG's is not supported yet",
    ),
    "dates": ("DAG('d', start_date=datetime(2026, 1, 2), end_date=datetime(2026, 1, 1))", 3, "is before start_date"),
    "not called": (
        "@task\ndef f(): ...\nwith DAG('d'):\n EmptyOperator(task_id='a') >> f",
        6,
        "'f' is a function, not a task: call it, f(), to make the task",
    ),
    "outside a dag": ("@task\ndef f(): ...\nf()", 5, "the task 'f' is made outside a DAG"),
    "arguments of a function": (
        "@task\ndef f(x): ...\nwith DAG('d'):\n f()",
        6,
        "f(): missing a required argument: 'x'",
    ),
    "loop over an output": (
        "@task\ndef f(): ...\nwith DAG('d'):\n for x in f(): pass",
        6,
        "use .expand() to run a task for each item",
    ),
    "output in a field that is not templated": (
        "@task\ndef f(): ...\nwith DAG('d'):\n BashOperator(task_id='a', bash_command='x', output_encoding=f())",
        6,
        "the argument 'output_encoding' is given the output of 'f', but BashOperator does not have it among its",
    ),
    "partial only": (
        "with DAG('d'):\n BashOperator.partial(task_id='a')",
        4,
        "DAG 'd': .partial(task_id='a') was not followed by .expand(...)",
    ),
    "param without default": (
        "d = DAG('d', schedule='@daily', params={'n': Param(type='integer')})",
        3,
        "DAG 'd' has a schedule, so every param needs a default, but 'n' has none",
    ),
    "param that breaks its schema": (
        "d = DAG('d', schedule='@daily', params={'n': Param(0, type='integer', minimum=1)})",
        3,
        "DAG 'd' has a schedule, but the default of the param 'n' must be at least 1, not 0",
    ),
    "schema": ("Param(1, type='int')", 3, "Param: the schema type 'int' is not one of string, integer"),
    "schema keyword": ("Param(1, minimun=1)", 3, "Param: the schema keyword 'minimun' is not known here"),
    "executor config": (
        "with DAG('d'):\n EmptyOperator(task_id='a', executor_config={'pod': object()})",
        4,
        "task 'a': executor_config must be plain JSON values",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_error_names_the_line_and_what_is_wrong(tmp_path: Path, name: str) -> None:
    text, line, message = WRONG[name]
    parsed = parse(tmp_path, HEAD + text)
    assert parsed.errors, "the file was taken as right"
    assert message in parsed.errors[0].text
    assert parsed.errors[0].line == line
    assert parsed.errors[0].traceback is None


def test_a_dag_that_is_wrong_by_itself_leaves_the_others_good(tmp_path: Path) -> None:
    parsed = parse(
        tmp_path,
        HEAD
        + "with DAG('bad', schedule='61 * * * *') as bad:\n EmptyOperator(task_id='a')\n"
        + "with DAG('good') as good:\n EmptyOperator(task_id='a')\n",
    )
    assert [spec.dag_id for spec in parsed.dags] == ["good"]
    assert [(error.dag_id, error.line) for error in parsed.errors] == [("bad", 3)]


def test_defaults_of_unsupported_arguments_are_accepted(tmp_path: Path) -> None:
    args = "depends_on_past=False, on_failure_callback=None, wait_for_downstream=False, email=['a@b'], sla=None"
    parsed = parse(
        tmp_path,
        HEAD + f"with DAG('d', fail_fast=False, dagrun_timeout=None):\n EmptyOperator(task_id='a', {args}, doc_md='x')",
    )
    assert parsed.errors == ()
    assert parsed.dags[0].tasks[0].doc == "x"


def test_an_error_in_a_helper_points_at_the_statement_of_the_dag_file_that_used_it(tmp_path: Path) -> None:
    (tmp_path / "errhelper.py").write_text("def boom():\n    raise ValueError('no luck')\n")
    text = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nimport errhelper\n\nerrhelper.boom()\n"
    parsed = parse(tmp_path, text)
    assert (parsed.errors[0].text, parsed.errors[0].line) == ("ValueError: no luck", 4)
    assert "errhelper.py" in (parsed.errors[0].traceback or "")
    assert "airloom/sdk" not in (parsed.errors[0].traceback or "")
