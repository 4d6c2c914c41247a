"""Branches, short circuits and trigger rules: tasks that are skipped, and tasks that run all the same.

airloom run examples/04-branching.py
airloom run examples/04-branching.py --conf '{"amount": 5000}'
airloom run examples/04-branching.py --conf '{"amount": 0}'
"""

from airloom import EmptyOperator, Label, Param, TriggerRule, chain, dag, task


@dag(schedule=None, params={"amount": Param(120, type="integer", minimum=0, description="An order's value")})
def branching():
    @task.short_circuit
    def is_there_anything(params: dict) -> bool:
        return params["amount"] > 0

    @task.branch
    def choose(params: dict) -> str:
        return "ask_a_person" if params["amount"] >= 1000 else "accept"

    @task
    def accept() -> str:
        return "accepted"

    @task
    def ask_a_person() -> str:
        return "someone looks at it"

    # It would be skipped with the branch that was not taken; this rule lets it run when any branch has.
    decided = EmptyOperator(task_id="decided", trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)

    choice = choose()
    chain(is_there_anything(), choice)
    choice >> Label("below 1000") >> accept() >> decided
    choice >> Label("1000 or more") >> ask_a_person() >> decided


branching()
