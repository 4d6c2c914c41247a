"""A dag spec compiled for deciding: task numbers instead of ids, edges as arrays, rules as functions.

One graph is shared by all runs of a version.
"""

from airloom.decide.trigger_rules import RULES, Rule
from airloom.model.report import Skip, SkipMode
from airloom.model.run import VersionRow
from airloom.model.spec import TaskSpec, WeightRule, XComInput

#: Priorities are clamped to 32 bits, as Airflow's are.
MAX_WEIGHT = 2**31 - 1


class Graph:
    """Tasks are numbered in the spec's order, which is topological: `up` numbers are smaller, `down` numbers larger."""

    __slots__ = ("down", "index", "mapped_over", "mapped_up", "rules", "tasks", "up", "version", "weights")

    def __init__(self, version: VersionRow) -> None:
        tasks = version.spec.tasks
        self.version = version
        self.tasks: tuple[TaskSpec, ...] = tasks
        self.index: dict[str, int] = {task.task_id: number for number, task in enumerate(tasks)}
        self.up: list[tuple[int, ...]] = [tuple(self.index[u] for u in task.upstream) for task in tasks]
        down: list[list[int]] = [[] for _ in tasks]
        for number, ups in enumerate(self.up):
            for upstream in ups:
                down[upstream].append(number)
        self.down: list[tuple[int, ...]] = [tuple(numbers) for numbers in down]
        #: those of a task's upstream tasks whose XComs it is expanded over
        self.mapped_over: list[tuple[int, ...]] = [
            tuple(self.index[entry.task_id] for entry in task.map.inputs if isinstance(entry, XComInput))
            if task.map is not None
            else ()
            for task in tasks
        ]
        self.rules: list[Rule] = [RULES[task.trigger_rule] for task in tasks]
        self.weights: list[int] = _weights(self)
        #: those of a task's upstream tasks that are mapped
        self.mapped_up: list[tuple[int, ...]] = [
            tuple(upstream for upstream in ups if tasks[upstream].map is not None) for ups in self.up
        ]

    def reach(self, start: int, *, upstream: bool = False) -> set[int]:
        """All tasks after `start` (or before it), without itself."""
        edges = self.up if upstream else self.down
        found: set[int] = set()
        stack = [start]
        while stack:
            for number in edges[stack.pop()]:
                if number not in found:
                    found.add(number)
                    stack.append(number)
        return found

    def skipped_by(self, task: int, skip: Skip) -> list[int]:
        """The tasks that `skip`, returned by `task`, skips at once; the rest is up to their trigger rules."""
        if skip.mode is SkipMode.ALL:
            return sorted(self.reach(task))
        if skip.mode is SkipMode.DIRECT:
            return list(self.down[task])
        kept: set[int] = set()
        for task_id in skip.followed:
            if task_id in self.index:
                kept.add(self.index[task_id])
                kept |= self.reach(self.index[task_id])
        return [number for number in self.down[task] if number not in kept]


def _weights(graph: Graph) -> list[int]:
    """Each task's priority by its weight rule: its own weight, or with the weights of all tasks after or before it."""
    own = [task.priority_weight for task in graph.tasks]
    after = _reach_masks(graph.down, reverse=True)
    before = _reach_masks(graph.up, reverse=False)
    by_weight: dict[int, int] = {}
    for number, weight in enumerate(own):
        by_weight[weight] = by_weight.get(weight, 0) | (1 << number)

    def total(mask: int) -> int:
        return sum(weight * (mask & members).bit_count() for weight, members in by_weight.items())

    weights = []
    for number, task in enumerate(graph.tasks):
        weight = own[number]
        if task.weight_rule is WeightRule.DOWNSTREAM:
            weight += total(after[number])
        elif task.weight_rule is WeightRule.UPSTREAM:
            weight += total(before[number])
        weights.append(max(-MAX_WEIGHT, min(MAX_WEIGHT, weight)))
    return weights


def _reach_masks(edges: list[tuple[int, ...]], *, reverse: bool) -> list[int]:
    """For each task the set of all tasks it leads to by `edges`, as bits: one OR per edge."""
    masks = [0] * len(edges)
    for number in range(len(edges) - 1, -1, -1) if reverse else range(len(edges)):
        mask = 0
        for neighbour in edges[number]:
            mask |= masks[neighbour] | (1 << neighbour)
        masks[number] = mask
    return masks
