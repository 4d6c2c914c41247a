"""Which DAG and task group the statements of a DAG file belong to: the `with` blocks that are open."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airloom.sdk.dag import DAG
    from airloom.sdk.taskgroup import TaskGroup

_open: list[tuple["DAG", "TaskGroup | None"]] = []


def enter(dag: "DAG", group: "TaskGroup | None") -> None:
    """A `with` block of a DAG or a group begins."""
    _open.append((dag, group))


def leave() -> None:
    """The innermost block ends."""
    _open.pop()


def current_dag() -> "DAG | None":
    """The DAG of the innermost open block."""
    return _open[-1][0] if _open else None


def current_group(dag: "DAG | None") -> "TaskGroup | None":
    """The innermost open group, if it belongs to `dag`."""
    if _open and _open[-1][0] is dag:
        return _open[-1][1]
    return None


def place(dag: "DAG | None", group: "TaskGroup | None") -> tuple["DAG | None", "TaskGroup | None"]:
    """The DAG and group of a new task or group, given what its constructor was told."""
    if dag is None:
        dag = group.dag if group is not None else current_dag()
    if group is None:
        group = current_group(dag)
    return dag, group
