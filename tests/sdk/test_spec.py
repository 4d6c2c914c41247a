"""The spec of a DAG: every argument arrives, and nothing of the machine or the moment does."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from airloom import DAG, BashOperator, EmptyOperator, Param, TaskGroup, task
from airloom.model.spec import (
    DagSpec,
    Isolation,
    LiteralInput,
    MapSpec,
    TaskSpec,
    TriggerRule,
    WeightRule,
    XComInput,
    decode,
    encode,
)
from airloom.model.spec_hash import spec_hash
from airloom.sdk.spec_of import spec_of
from tests.sdk.trying import parse


def only_task(dag: DAG) -> TaskSpec:
    """The spec of a DAG's one task."""
    (spec,) = spec_of(dag).tasks
    return spec


def test_every_argument_of_a_task_arrives() -> None:
    with DAG("d") as dag:
        BashOperator(
            task_id="a",
            bash_command="true",
            owner="me",
            retries=3,
            retry_delay=timedelta(minutes=1),
            retry_exponential_backoff=True,
            max_retry_delay=600,
            execution_timeout=timedelta(hours=1),
            trigger_rule="none_failed",
            pool="p",
            pool_slots=2,
            priority_weight=7,
            weight_rule="absolute",
            queue="q",
            executor="e",
            executor_config={"k": [1]},
            isolation="reuse",
            memory_limit="512Mi",
            max_active_tis_per_dag=4,
            max_active_tis_per_dagrun=5,
            task_display_name="The A",
            doc_md="words",
        )
    assert only_task(dag) == TaskSpec(
        task_id="a",
        operator="BashOperator",
        owner="me",
        retries=3,
        retry_delay=60.0,
        retry_exponential_backoff=2.0,
        max_retry_delay=600.0,
        execution_timeout=3600.0,
        trigger_rule=TriggerRule.NONE_FAILED,
        pool="p",
        pool_slots=2,
        priority_weight=7,
        weight_rule=WeightRule.ABSOLUTE,
        queue="q",
        executor="e",
        executor_config={"k": [1]},
        isolation=Isolation.REUSE,
        memory_limit=512 * 1024 * 1024,
        max_active_tis_per_dag=4,
        max_active_tis_per_dagrun=5,
        display_name="The A",
        doc="words",
        ui_color="#f0ede4",
        template_fields=("bash_command", "env", "cwd"),
    )


def test_every_argument_of_a_dag_arrives() -> None:
    dag = DAG(
        "d",
        description="about",
        catchup=True,
        max_active_tasks=3,
        max_active_runs=1,
        tags=["b", "a"],
        doc_md="long",
        dag_display_name="The D",
        is_paused_upon_creation=True,
        params={"n": Param(1, "how many", type="integer"), "free": "x", "needed": Param()},
    )
    assert spec_of(dag) == DagSpec(
        dag_id="d",
        description="about",
        catchup=True,
        max_active_tasks=3,
        max_active_runs=1,
        tags=("a", "b"),
        doc="long",
        display_name="The D",
        is_paused_upon_creation=True,
        params={
            "free": {"value": "x", "schema": {}},
            "n": {"value": 1, "schema": {"type": "integer", "description": "how many"}},
            "needed": {"schema": {}},
        },
    )


def test_default_arguments_apply_from_dag_to_inner_group_to_task() -> None:
    with DAG("d", default_args={"retries": 1, "pool": "dag", "queue": "dag", "bash_command": "default"}) as dag:
        with TaskGroup("g", default_args={"pool": "outer", "queue": "outer"}):
            with TaskGroup("h", default_args={"queue": "inner"}):
                BashOperator(task_id="b", owner="x")
            BashOperator(task_id="c", bash_command="own", default_args={"retries": 5}, pool="mine")
        EmptyOperator(task_id="a")
    found = {spec.task_id: (spec.retries, spec.pool, spec.queue) for spec in spec_of(dag).tasks}
    assert found == {"g.h.b": (1, "outer", "inner"), "g.c": (5, "mine", "outer"), "a": (1, "dag", "dag")}
    assert vars(dag.get_task("g.h.b"))["bash_command"] == "default"


def test_only_an_empty_operator_without_anything_to_do_is_empty() -> None:
    class Loud(EmptyOperator):
        def execute(self, context: object) -> None:
            """Would say something."""

    with DAG("d") as dag:
        EmptyOperator(task_id="empty")
        EmptyOperator(task_id="hooked", pre_execute=lambda context: None)
        Loud(task_id="loud")
    assert {spec.task_id: spec.empty for spec in spec_of(dag).tasks} == {"empty": True, "hooked": False, "loud": False}


def test_mapped_tasks_say_what_they_are_mapped_over() -> None:
    with DAG("d") as dag:

        @task
        def make() -> dict[str, int]:
            return {}

        @task(retries=4)
        def use(x: int, y: int, z: int) -> None: ...

        made = make()
        use.partial(z=1).expand(x=[1, 2, 3], y=made)
        BashOperator.partial(task_id="bash", queue="q").expand_kwargs(made)
    specs = {spec.task_id: spec for spec in spec_of(dag).tasks}
    assert specs["use"].map == MapSpec(inputs=(LiteralInput(arg="x", length=3), XComInput(arg="y", task_id="make")))
    assert specs["bash"].map == MapSpec(inputs=(XComInput(arg="kwargs", task_id="make"),), kwargs=True)
    assert (specs["use"].retries, specs["use"].upstream, specs["use"].operator) == (4, ("make",), "@task")
    assert (specs["bash"].queue, specs["bash"].operator, specs["bash"].template_fields) == (
        "q",
        "BashOperator",
        ("bash_command", "env", "cwd"),
    )


def test_a_spec_survives_its_encoding() -> None:
    with DAG("d", schedule="@daily", params={"n": 1}) as dag:
        EmptyOperator(task_id="a") >> EmptyOperator(task_id="b")
    assert decode(encode(spec_of(dag))) == spec_of(dag)


SAME = """
from airloom import DAG, BashOperator, task, Param
with DAG("d", tags={TAGS}, params={PARAMS}, user_defined_macros={"f": lambda: object()}) as dag:
    @task(executor_config={CONFIG})
    def f(x=object()): ...
    f()
    BashOperator(task_id="b", bash_command="b", owner="z")
    BashOperator(task_id="c", bash_command="c", owner="a")
"""


def test_equal_dags_in_other_words_folders_and_processes_have_the_same_hash(tmp_path: Path) -> None:
    one = SAME.replace("{TAGS}", "{'x', 'y', 'z'}").replace("{PARAMS}", "{'p': 1, 'q': 2}")
    other = SAME.replace("{TAGS}", "['z', 'y', 'x']").replace("{PARAMS}", "{'q': 2, 'p': 1}")
    hashes = set()
    for number, text in enumerate((one, other)):
        config = ("{'a': 1, 'b': {'c': 2, 'd': 3}}", "{'b': {'d': 3, 'c': 2}, 'a': 1}")[number]
        folder = tmp_path / str(number)
        folder.mkdir()
        (spec,) = parse(folder, text.replace("{CONFIG}", config)).dags
        hashes.add(spec_hash(spec))
        code = (
            "import sys; from airloom.sdk.loading import parse_file; from airloom.model.spec_hash import spec_hash;"
            f"sys.stdout.write(spec_hash(parse_file({str(folder / 'dags.py')!r}, 'dags.py', '').dags[0]))"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder)
        hashes.add(run.stdout)
    assert len(hashes) == 1
