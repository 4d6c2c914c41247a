"""The operator behind `@task.bash`; apart from the other decorated ones because subprocess takes time to import."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airloom.sdk.operators.bash import BashOperator
from airloom.sdk.operators.python import PythonOperator

if TYPE_CHECKING:
    from airloom.sdk.context import Context


class DecoratedBash(PythonOperator, BashOperator):
    """`@task.bash`: the function returns the command."""

    custom_operator_name = "@task.bash"
    # The command is made by the function, so it is rendered after the call and not with the other fields.
    template_fields = ("templates_dict", "op_args", "op_kwargs", "env", "cwd")
    template_ext = ()
    ui_color = BashOperator.ui_color

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Sequence[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, bash_command="", **kwargs
        )

    def execute(self, context: "Context") -> Any:
        """Call the function, render the command that it returns, and run it."""
        self.bash_command = self.render_template(PythonOperator.execute(self, context), context)
        return self.run_command()
