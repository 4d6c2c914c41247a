"""Choosing which of the tasks directly downstream go on."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airloom.model.report import Skip, SkipMode
from airloom.sdk.exceptions import AirflowException
from airloom.sdk.naming import did_you_mean
from airloom.sdk.operator import BaseOperator

if TYPE_CHECKING:
    from airloom.sdk.context import Context


class BranchMixIn(BaseOperator):
    """Gives an operator `do_branch`."""

    def do_branch(self, context: "Context", branches_to_execute: str | Iterable[str] | None) -> Any:
        """Follow these tasks or groups, and skip what else is directly downstream, with whatever only that leads to.

        None or an empty list follows nothing. Raises AirflowException for ids that are not directly downstream.
        """
        followed = self._followed(branches_to_execute)
        context["ti"].request_skip(Skip(mode=SkipMode.UNFOLLOWED, followed=tuple(followed)))
        return branches_to_execute

    def _followed(self, branches: Any) -> list[str]:
        if branches is None:
            return []
        names = [branches] if isinstance(branches, str) else branches
        if not isinstance(names, list | tuple | set) or not all(isinstance(name, str) for name in names):
            raise AirflowException(
                f"a branch must return a task id, a group id, a list of them or None, not {branches!r}"
            )
        assert self.dag is not None
        followed: set[str] = set()
        downstream = self.downstream_task_ids
        for name in names:
            group = self.dag.task_group_dict.get(name)
            if group is None and name not in self.dag.task_dict:
                hint = did_you_mean(name, [*self.dag.task_dict, *self.dag.task_group_dict])
                raise AirflowException(
                    f"the branch {self.task_id!r} chose {name!r}, but the DAG has no task or group of that id{hint}"
                )
            found = set(self.dag.graph.roots(group)) & downstream if group is not None else {name} & downstream
            if not found:
                raise AirflowException(
                    f"the branch {self.task_id!r} chose {name!r}, which is not directly downstream of it; "
                    f"directly downstream are: {', '.join(sorted(downstream)) or 'none'}"
                )
            followed |= found
        return sorted(followed)


class BaseBranchOperator(BranchMixIn):
    """For branches of your own: write `choose_branch(context)`."""

    def choose_branch(self, context: "Context") -> str | Iterable[str] | None:
        """The id or ids of the tasks or groups to follow; None for none."""
        raise NotImplementedError(f"{type(self).__name__} has no choose_branch(context) method")

    def execute(self, context: "Context") -> Any:
        """Choose, and skip the rest."""
        return self.do_branch(context, self.choose_branch(context))
