"""EmptyOperator: a task that does nothing, to join or fork paths."""

from typing import TYPE_CHECKING

from airloom.sdk.operator import BaseOperator

if TYPE_CHECKING:
    from airloom.sdk.context import Context


class EmptyOperator(BaseOperator):
    """Does nothing. The scheduler settles it without starting a process."""

    ui_color = "#e8f7e4"

    def execute(self, context: "Context") -> None:
        """Nothing."""
