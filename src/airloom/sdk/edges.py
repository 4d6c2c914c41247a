"""Dependencies between tasks: `>>`, `<<`, lists, `chain`, `cross_downstream` and labels."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airloom.sdk.source import definition_error

if TYPE_CHECKING:
    from airloom.sdk.dag import DAG


class DependencyMixin:
    """Whatever `>>` connects: a task, a task group, the output of a task."""

    @property
    def nodes(self) -> Sequence["GraphNode"]:
        """The tasks and groups that an edge to this attaches to."""
        raise NotImplementedError

    def set_upstream(self, other: Any, edge_modifier: "EdgeModifier | None" = None) -> None:
        """Make this run after `other`, a task, a group or a list of them."""
        connect(other, self, edge_modifier)

    def set_downstream(self, other: Any, edge_modifier: "EdgeModifier | None" = None) -> None:
        """Make `other`, a task, a group or a list of them, run after this."""
        connect(self, other, edge_modifier)

    def __rshift__(self, other: Any) -> Any:
        if isinstance(other, EdgeModifier):
            return EdgeModifier(other.label, upstream=self)
        connect(self, other)
        return other

    def __lshift__(self, other: Any) -> Any:
        if isinstance(other, EdgeModifier):
            return EdgeModifier(other.label, downstream=self)
        connect(other, self)
        return other

    def __rrshift__(self, other: Any) -> Any:
        connect(other, self)
        return self

    def __rlshift__(self, other: Any) -> Any:
        connect(self, other)
        return self


class GraphNode(DependencyMixin):
    """A task or a task group: what edges are between."""

    dag: "DAG | None"

    @property
    def node_id(self) -> str:
        """The full id, with the prefixes of the groups around it."""
        raise NotImplementedError

    @property
    def nodes(self) -> Sequence["GraphNode"]:
        """Itself."""
        return (self,)


class EdgeModifier:
    """A label on its way between two sides: `a >> Label("when empty") >> b`."""

    def __init__(self, label: str, upstream: Any = None, downstream: Any = None) -> None:
        if not isinstance(label, str):
            raise definition_error(f"a label is a string, not {type(label).__name__}")
        self.label = label
        self._upstream = upstream
        self._downstream = downstream

    def __rshift__(self, other: Any) -> Any:
        if self._upstream is None:
            return EdgeModifier(self.label, downstream=other)
        connect(self._upstream, other, self)
        return other

    def __lshift__(self, other: Any) -> Any:
        if self._downstream is None:
            return EdgeModifier(self.label, upstream=other)
        connect(other, self._downstream, self)
        return other

    def __rrshift__(self, other: Any) -> "EdgeModifier":
        return EdgeModifier(self.label, upstream=other)

    def __rlshift__(self, other: Any) -> "EdgeModifier":
        return EdgeModifier(self.label, downstream=other)


def Label(label: str) -> EdgeModifier:
    """Text to show on an edge."""
    return EdgeModifier(label)


def connect(upstream: Any, downstream: Any, modifier: EdgeModifier | None = None) -> None:
    """Make everything in `downstream` run after everything in `upstream`. Raises DagDefinitionError."""
    label = modifier.label if modifier is not None else None
    downs = _nodes(downstream)
    for up in _nodes(upstream):
        for down in downs:
            _common_dag(up, down).graph.add_edge(up, down, label)


def chain(*tasks: Any) -> None:
    """`chain(a, [b, c], [d, e], f)`: a before b and c, b before d, c before e, d and e before f.

    Two lists that follow each other must have the same length. A Label may stand between two elements.
    """
    for left, right, label in _neighbours(tasks, "chain"):
        if isinstance(left, Sequence) and isinstance(right, Sequence):
            if len(left) != len(right):
                raise definition_error(
                    f"chain() pairs two lists that follow each other, but they have {len(left)} and {len(right)} "
                    "elements; use cross_downstream() or chain_linear() to connect each with each"
                )
            for up, down in zip(left, right, strict=True):
                connect(up, down, label)
        else:
            connect(left, right, label)


def chain_linear(*elements: Any) -> None:
    """Connects each element with the next; of a list every member is connected with every member of the next."""
    for left, right, label in _neighbours(elements, "chain_linear"):
        connect(left, right, label)


def cross_downstream(from_tasks: Any, to_tasks: Any) -> None:
    """Every task of `to_tasks` runs after every task of `from_tasks`."""
    connect(from_tasks, to_tasks)


def _neighbours(elements: Sequence[Any], name: str) -> list[tuple[Any, Any, EdgeModifier | None]]:
    pairs: list[tuple[Any, Any, EdgeModifier | None]] = []
    left: Any = None
    label: EdgeModifier | None = None
    for element in elements:
        if isinstance(element, EdgeModifier):
            label = element
            continue
        if left is not None:
            pairs.append((left, element, label))
        left, label = element, None
    if not pairs:
        raise definition_error(f"{name}() needs at least two tasks to connect")
    return pairs


def _nodes(value: Any) -> list[GraphNode]:
    if isinstance(value, DependencyMixin):
        return list(value.nodes)
    if isinstance(value, list | tuple | set):
        return [node for item in value for node in _nodes(item)]
    if callable(value):
        name = getattr(value, "__name__", type(value).__name__)
        raise definition_error(f"{name!r} is a function, not a task: call it, {name}(), to make the task")
    raise definition_error(f"only tasks, task groups and lists of them can be connected, not {type(value).__name__}")


def _common_dag(up: GraphNode, down: GraphNode) -> "DAG":
    if up.dag is None and down.dag is None:
        raise definition_error(
            f"{up.node_id!r} and {down.node_id!r} belong to no DAG: create them inside `with DAG(...)`"
        )
    if up.dag is None or down.dag is None:
        dag = up.dag or down.dag
        assert dag is not None
        dag.add_task(up if up.dag is None else down)
        return dag
    if up.dag is not down.dag:
        raise definition_error(
            f"{up.node_id!r} is in the DAG {up.dag.dag_id!r} and {down.node_id!r} in {down.dag.dag_id!r}: "
            "a dependency cannot cross from one DAG to another"
        )
    return up.dag
