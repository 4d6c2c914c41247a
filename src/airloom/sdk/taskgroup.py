"""TaskGroup: tasks that belong together, shown as one box, with a common id prefix and common default arguments."""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from airloom.sdk import scope
from airloom.sdk.edges import GraphNode
from airloom.sdk.naming import check_id
from airloom.sdk.source import author_site, definition_error

if TYPE_CHECKING:
    from airloom.sdk.dag import DAG
    from airloom.sdk.operator import BaseOperator


class TaskGroup(GraphNode):
    """A group of tasks. Use it as a context manager, and connect it with `>>` like a task: what runs after it runs
    after its last tasks, what runs before it before its first ones."""

    def __init__(
        self,
        group_id: str,
        prefix_group_id: bool = True,
        parent_group: "TaskGroup | None" = None,
        dag: "DAG | None" = None,
        default_args: Mapping[str, Any] | None = None,
        tooltip: str = "",
        ui_color: str = "CornflowerBlue",
        ui_fgcolor: str = "#000",
        add_suffix_on_collision: bool = False,
        group_display_name: str = "",
        doc_md: str | None = None,
    ) -> None:
        self.site = author_site()
        self.dag, self.parent_group = scope.place(dag, parent_group)
        if self.dag is None:
            raise definition_error(f"the task group {group_id!r} belongs to no DAG: create it inside `with DAG(...)`")
        self.own_id = check_id("group", group_id)
        self.prefix_group_id = prefix_group_id
        if add_suffix_on_collision:
            self.own_id = self.dag.unused_id(self.own_id, self.parent_group)
        self.default_args = dict(default_args or {})
        self.tooltip = tooltip or doc_md or ""
        self.ui_color = ui_color
        self.ui_fgcolor = ui_fgcolor
        self.group_display_name = group_display_name
        self.children: dict[str, TaskGroup | BaseOperator] = {}
        self.dag.graph.add_group(self)
        if self.parent_group is not None:
            self.parent_group.children[self.group_id] = self

    @property
    def group_id(self) -> str:
        """The full id, with the prefixes of the groups around it."""
        return self.parent_group.child_id(self.own_id) if self.parent_group is not None else self.own_id

    @property
    def node_id(self) -> str:
        """The full id."""
        return self.group_id

    @property
    def label(self) -> str:
        """The name to show."""
        return self.group_display_name or self.own_id

    def child_id(self, own_id: str) -> str:
        """The full id of a member that calls itself `own_id`."""
        prefix: str | None = None
        if self.prefix_group_id:
            prefix = self.group_id
        elif self.parent_group is not None:
            return self.parent_group.child_id(own_id)
        return f"{prefix}.{own_id}" if prefix else own_id

    def add(self, task: "BaseOperator") -> None:
        """Take a task in as a member."""
        self.children[task.task_id] = task

    def tasks(self) -> "Iterator[BaseOperator]":
        """All tasks inside, those of inner groups too."""
        for child in self.children.values():
            if isinstance(child, TaskGroup):
                yield from child.tasks()
            else:
                yield child

    def contains(self, node: GraphNode) -> bool:
        """Whether a task or group is inside, at any depth."""
        group = node.parent_group if isinstance(node, TaskGroup) else getattr(node, "task_group", None)
        while group is not None:
            if group is self:
                return True
            group = group.parent_group
        return False

    def inherited_args(self) -> dict[str, Any]:
        """The default arguments of this group and those around it; inner ones win."""
        outer = self.parent_group.inherited_args() if self.parent_group is not None else {}
        return {**outer, **self.default_args}

    def __enter__(self) -> "TaskGroup":
        assert self.dag is not None
        scope.enter(self.dag, self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        scope.leave()

    def __repr__(self) -> str:
        return f"<TaskGroup {self.group_id}>"
