"""Jinja templates in fields: names, files, undefined names, native values, and jinja2 only where there is one."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import jinja2
import pytest

from airloom import DAG, BaseOperator, literal
from airloom.sdk.execution import needs_templates
from airloom.sdk.loading import import_dags
from tests.sdk.trying import Client, attempt, returned


class Say(BaseOperator):
    """Returns its field."""

    template_fields = ("text",)
    template_ext = (".txt",)

    def __init__(self, *, text: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.text = text

    def execute(self, context: Any) -> Any:
        return [self.text]


def said(text: Any, client: Client | None = None, *, dag: DAG | None = None, **values: Any) -> Any:
    """What a field is when the task runs."""
    task = Say(task_id="say", text=text, dag=dag or DAG("d", params={"p": {"q": 1}}))
    return returned(attempt(task, client, **values))["return_value"][0]


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("{{ ds }} {{ ts_nodash }} {{ run_id }}", "2026-01-01 20260101T000000 manual__2026-01-01"),
        ("{{ dag.dag_id }}.{{ task.task_id }} {{ ti.try_number }} {{ dag_run.conf['c'] }}", "d.say 1 x"),
        ("{{ params.p.q }} {{ params['p'] }}", "1 {'q': 1}"),
        ("{{ macros.ds_add(ds, 5) }} {{ macros.ds_format(ds, '%Y-%m-%d', '%d/%m') }}", "2026-01-06 01/01"),
        ("{{ macros.json.dumps([1]) }} {{ macros.timedelta(days=1) }}", "[1] 1 day, 0:00:00"),
        ("{{ logical_date.year }} {{ data_interval_end.strftime('%d') }}", "2026 02"),
        ("{{ var.value.plain }} {{ var.json.object.k }} {{ var.value.get('none', 'd') }}", "v 1 d"),
        ("{{ conn.db.host }}:{{ conn.db.port }}", "h:5"),
        ("{{ ti.xcom_pull('up') }}", "from up"),
        ("{{ prev_start_date_success }}", "None"),
        ("{% for i in range(3) %}{{ i }}{% endfor %}", "012"),
        ("{# nothing #}plain", "plain"),
        ("no template", "no template"),
        (["{{ ds }}", {"{{ ds }}": ("{{ ds }}", 1)}], ["2026-01-01", {"{{ ds }}": ["2026-01-01", 1]}]),
        (literal("{{ ds }}"), "{{ ds }}"),
        ([literal("{{ ds }}"), "{{ ds }}"], ["{{ ds }}", "2026-01-01"]),
        (5, 5),
    ],
)
def test_templates_are_rendered_in_the_tasks_context(text: Any, rendered: Any) -> None:
    client = Client()
    client.variables = {"plain": "v", "object": '{"k": 1}'}
    client.connections = {"db": {"conn_id": "db", "conn_type": "x", "host": "h", "port": 5, "extra": {}}}
    client.keep("up", "from up")
    assert said(text, client, conf={"c": "x"}) == rendered


def test_an_undefined_name_fails_unless_the_dag_says_otherwise() -> None:
    dag = DAG("d")
    result = attempt(Say(task_id="a", text="{{ nothing }}", dag=dag))
    assert result.detail == "UndefinedError: 'nothing' is undefined"
    assert said("[{{ nothing }}]", dag=DAG("d", template_undefined=jinja2.Undefined)) == "[]"


def test_values_of_other_tasks_are_not_rendered() -> None:
    dag = DAG("d")
    up = Say(task_id="up", text="x", dag=dag)
    client = Client()
    client.keep("up", "{{ ds }}")
    assert said([up.output, "{{ ds }}"], client, dag=dag) == ["{{ ds }}", "2026-01-01"]


def test_macros_filters_and_native_objects_are_the_dags() -> None:
    dag = DAG(
        "d",
        user_defined_macros={"double": lambda x: 2 * x},
        user_defined_filters={"shout": str.upper},
        render_template_as_native_obj=True,
    )
    assert said(["{{ double(4) }}", "{{ 'a' | shout }}", "{{ [1, 2] }}"], dag=dag) == [8, "A", [1, 2]]


def test_any_moment_can_be_written_as_the_logical_date_is() -> None:
    names = ("ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz")
    assert said([f"{{{{ logical_date | {name} }}}}" for name in names]) == said([f"{{{{ {name} }}}}" for name in names])


def test_other_delimiters_are_seen() -> None:
    dag = DAG("d", jinja_environment_kwargs={"variable_start_string": "<<", "variable_end_string": ">>"})
    assert said("<< ds >> {{ ds }}", dag=dag) == "2026-01-01 {{ ds }}"


FILE = """from airloom import DAG
from tests.sdk.test_templates import Say
with DAG("d", template_searchpath={path!r}) as dag:
    Say(task_id="beside", text="beside.txt")
    Say(task_id="elsewhere", text="elsewhere.txt")
    Say(task_id="gone", text="gone.txt")
"""


def test_files_are_read_beside_the_dag_file_and_in_the_search_path(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "more").mkdir()
    (tmp_path / "dags" / "beside.txt").write_text("beside {{ ds }}")
    (tmp_path / "more" / "elsewhere.txt").write_text("{% include 'beside.txt' %} and {{ ds_nodash }}")
    path = tmp_path / "dags" / "file.py"
    path.write_text(FILE.format(path=str(tmp_path / "more")))
    dag = import_dags(str(path))["d"]
    assert returned(attempt(dag.get_task("beside")))["return_value"] == ["beside 2026-01-01"]
    assert returned(attempt(dag.get_task("elsewhere")))["return_value"] == ["beside 2026-01-01 and 20260101"]
    assert "the template file 'gone.txt' is not in the folder" in str(attempt(dag.get_task("gone")).detail)


def test_a_dag_says_whether_it_needs_jinja() -> None:
    plain, templated, file, mapped = DAG("a"), DAG("b"), DAG("c"), DAG("d")
    Say(task_id="say", text=["no", {"t": 1}], dag=plain)
    Say(task_id="say", text=["no", {"t": "{{ ds }}"}], dag=templated)
    Say(task_id="say", text="x.txt", dag=file)
    Say.partial(task_id="say", dag=mapped).expand(text=["{{ ds }}"])
    assert [needs_templates(dag) for dag in (plain, templated, file, mapped)] == [False, True, True, True]


def test_jinja_is_not_imported_for_tasks_without_templates() -> None:
    code = """
import sys
from airloom import DAG, task
from tests.sdk.trying import attempt
with DAG("d"):
    @task
    def f(x): return x
    operator = f("text").operator
assert attempt(operator).outcome == "success"
sys.exit("jinja2" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0
