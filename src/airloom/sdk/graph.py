"""The tasks, groups and edges of one DAG. Edges may be between groups; they are resolved to edges between tasks as late
as can be, so that the order in which a file states them makes no difference.
"""

from collections import defaultdict
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from airloom.sdk.edges import GraphNode
from airloom.sdk.source import Site, author_site, definition_error
from airloom.sdk.taskgroup import TaskGroup

if TYPE_CHECKING:
    from airloom.sdk.operator import BaseOperator

Upstream = dict[str, set[str]]


class Graph:
    """What is in a DAG, by id, and what runs after what."""

    def __init__(self, dag_id: str) -> None:
        self.dag_id = dag_id
        self.tasks: dict[str, BaseOperator] = {}
        self.groups: dict[str, TaskGroup] = {}
        self._sites: dict[str, Site | None] = {}
        self._edges: dict[tuple[str, str], str | None] = {}
        self._resolved: tuple[Upstream, dict[tuple[str, str], str]] | None = None

    def add_task(self, task: "BaseOperator") -> None:
        """Take in a new task; raises DagDefinitionError if its id is in use."""
        self._claim(task.task_id, "task")
        self.tasks[task.task_id] = task
        self._resolved = None

    def add_group(self, group: TaskGroup) -> None:
        """Take in a new group; raises DagDefinitionError if its id is in use."""
        self._claim(group.group_id, "task group")
        self.groups[group.group_id] = group
        self._resolved = None

    def add_edge(self, up: GraphNode, down: GraphNode, label: str | None = None) -> None:
        """`down` runs after `up`. Raises DagDefinitionError for a task that would wait for itself."""
        up_id, down_id = up.node_id, down.node_id
        if up_id == down_id:
            raise definition_error(f"{up_id!r} cannot run after itself")
        for outer, inner in ((up, down), (down, up)):
            if isinstance(outer, TaskGroup) and outer.contains(inner):
                raise definition_error(
                    f"{inner.node_id!r} is inside the group {outer.group_id!r} and cannot depend on it"
                )
        self._edges[up_id, down_id] = label or self._edges.get((up_id, down_id))
        self._resolved = None

    def upstream(self) -> Upstream:
        """For each task the ids of the tasks that it runs directly after."""
        return self._resolve()[0]

    def labels(self) -> dict[tuple[str, str], str]:
        """The labels of edges between tasks."""
        return self._resolve()[1]

    def downstream_of(self, task_id: str) -> set[str]:
        """The ids of the tasks that run directly after a task."""
        return {down for down, ups in self.upstream().items() if task_id in ups}

    def roots(self, group: TaskGroup) -> list[str]:
        """The tasks of a group that wait for no other task of it."""
        upstream = self.upstream()
        inside = {task.task_id for task in group.tasks()}
        return sorted(task_id for task_id in inside if not upstream[task_id] & inside)

    def in_order(self) -> list[str]:
        """All tasks, each after those that it waits for, ties by id. Raises DagDefinitionError naming a cycle."""
        upstream = self.upstream()
        downstream: defaultdict[str, list[str]] = defaultdict(list)
        waiting = {task_id: len(ups) for task_id, ups in upstream.items()}
        for task_id, ups in upstream.items():
            for up in ups:
                downstream[up].append(task_id)
        ready = [task_id for task_id, count in waiting.items() if not count]
        heapify(ready)
        order: list[str] = []
        while ready:
            task_id = heappop(ready)
            order.append(task_id)
            for down in downstream[task_id]:
                waiting[down] -= 1
                if not waiting[down]:
                    heappush(ready, down)
        if len(order) < len(upstream):
            self._raise_cycle(upstream, set(upstream) - set(order))
        return order

    def _claim(self, node_id: str, kind: str) -> None:
        other = "task" if node_id in self.tasks else "task group" if node_id in self.groups else None
        if other is not None:
            site = self._sites[node_id]
            where = f" (line {site.line})" if site else ""
            raise definition_error(
                f"the DAG {self.dag_id!r} has a {other} {node_id!r} already{where}: a second {kind} needs another id"
            )
        self._sites[node_id] = author_site()

    def _raise_cycle(self, upstream: Upstream, rest: set[str]) -> None:
        path: list[str] = []
        task_id = min(rest)
        while task_id not in path:
            path.append(task_id)
            task_id = min(upstream[task_id] & rest)
        cycle = [*path[path.index(task_id) :], task_id][::-1]
        start = cycle.index(min(cycle))
        cycle = [*cycle[start:-1], *cycle[: start + 1]]
        raise definition_error(
            f"the tasks of the DAG {self.dag_id!r} wait for each other in a circle: {' >> '.join(cycle)}",
            self._sites[cycle[0]],
        )

    def _resolve(self) -> tuple[Upstream, dict[tuple[str, str], str]]:
        if self._resolved is None:
            self._resolved = self._resolve_edges()
        return self._resolved

    def _resolve_edges(self) -> tuple[Upstream, dict[tuple[str, str], str]]:
        upstream: Upstream = {task_id: set() for task_id in self.tasks}
        labels: dict[tuple[str, str], str] = {}
        ends: dict[tuple[str, bool], list[str]] = {}
        # A group's first and last tasks follow from the edges inside it: inner edges come first.
        for (up_id, down_id), label in sorted(self._edges.items(), key=lambda item: -self._common_depth(*item[0])):
            for up in self._ends(up_id, upstream, ends, last=True):
                for down in self._ends(down_id, upstream, ends, last=False):
                    upstream[down].add(up)
                    if label:
                        labels[up, down] = label
        return upstream, labels

    def _ends(
        self, node_id: str, upstream: Upstream, known: dict[tuple[str, bool], list[str]], last: bool
    ) -> list[str]:
        if node_id in self.tasks:
            return [node_id]
        if (node_id, last) not in known:
            inside = {task.task_id for task in self.groups[node_id].tasks()}
            if last:
                followed = {up for task_id in inside for up in upstream[task_id]}
                known[node_id, last] = sorted(inside - followed)
            else:
                known[node_id, last] = sorted(task_id for task_id in inside if not upstream[task_id] & inside)
        return known[node_id, last]

    def _common_depth(self, up_id: str, down_id: str) -> int:
        depth = 0
        for one, other in zip(self._path(up_id), self._path(down_id), strict=False):
            if one is not other:
                break
            depth += 1
        return depth

    def _path(self, node_id: str) -> list[TaskGroup]:
        task = self.tasks.get(node_id)
        group = task.task_group if task is not None else self.groups[node_id].parent_group
        path: list[TaskGroup] = []
        while group is not None:
            path.append(group)
            group = group.parent_group
        return path[::-1]
