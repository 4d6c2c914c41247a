"""Params with a schema, Jinja templates in arguments, the task's context, and an operator of one's own.

airloom run examples/05-templates-and-params.py
airloom run examples/05-templates-and-params.py --conf '{"name": "Ada", "times": 3}'
"""

from airloom import DAG, BaseOperator, BashOperator, Param, task


class RepeatOperator(BaseOperator):
    """Says a text several times. What `template_fields` names is rendered before `execute` is called."""

    template_fields = ("text",)

    def __init__(self, *, text: str, times: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.text = text
        self.times = times

    def execute(self, context):
        for _ in range(self.times):
            self.log.info(self.text)
        return self.text


with DAG(
    "templates_and_params",
    schedule=None,
    params={
        "name": Param("world", type="string", minLength=1),
        "times": Param(2, type="integer", minimum=1, maximum=10),
    },
) as dag:

    @task
    def count(params: dict, run_id: str, ti=None) -> str:
        print(f"Try {ti.try_number} of {ti.task_id} in {run_id}")
        return f"{params['times']} times"

    greet = BashOperator(
        task_id="greet",
        # A value that a user gives goes through the environment: it never becomes a part of the command.
        bash_command='for i in $(seq {{ params.times }}); do echo "$i. Hello, $NAME"; done',
        env={"NAME": "{{ params.name }}"},
        append_env=True,
    )
    repeat = RepeatOperator(task_id="repeat", text="{{ ti.xcom_pull('greet') }}, {{ ti.xcom_pull('count') }}")

    [greet, count()] >> repeat
