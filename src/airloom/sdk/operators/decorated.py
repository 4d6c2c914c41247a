"""The operators behind `@task`, `@task.branch` and `@task.short_circuit`: each calls the decorated function."""

from airloom.sdk.operators.python import BranchPythonOperator, PythonOperator, ShortCircuitOperator


class DecoratedPython(PythonOperator):
    """`@task`"""

    custom_operator_name = "@task"


class DecoratedBranch(BranchPythonOperator):
    """`@task.branch`"""

    custom_operator_name = "@task.branch"


class DecoratedShortCircuit(ShortCircuitOperator):
    """`@task.short_circuit`"""

    custom_operator_name = "@task.short_circuit"
