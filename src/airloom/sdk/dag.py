"""DAG: tasks, what runs after what, and when a run is made."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

from airloom.sdk import arguments, scope
from airloom.sdk.edges import GraphNode
from airloom.sdk.graph import Graph
from airloom.sdk.naming import check_id
from airloom.sdk.params import DagParam, ParamsDict
from airloom.sdk.source import author_site, definition_error, module_file
from airloom.sdk.taskgroup import TaskGroup
from airloom.sdk.xcom import MISSING

if TYPE_CHECKING:
    from airloom.sdk.operator import BaseOperator

#: called with every DAG that a file means to publish, while the file is imported
_announce: Callable[["DAG"], None] | None = None


def set_announce(listener: Callable[["DAG"], None] | None) -> Callable[["DAG"], None] | None:
    """Have `listener` told of DAGs as they are made; returns the listener before it."""
    global _announce
    before, _announce = _announce, listener
    return before


class DAG:
    """A DAG. Use it as a context manager: tasks and groups made inside the `with` block belong to it.

    schedule: None, "@once", "@daily" and the like, a cron expression, a timedelta or a timetable; it is read in the
    time zone of start_date, or UTC. max_active_tasks: how many tasks of one run may run at once. The others have
    Airflow's names and meanings. Raises DagDefinitionError.
    """

    def __init__(
        self,
        dag_id: str,
        *,
        description: str | None = None,
        schedule: Any = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        catchup: bool = False,
        default_args: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        max_active_tasks: int = 16,
        max_active_runs: int = 16,
        tags: Sequence[str] | None = None,
        doc_md: str | None = None,
        dag_display_name: str | None = None,
        owner_links: Mapping[str, str] | None = None,
        is_paused_upon_creation: bool | None = None,
        auto_register: bool = True,
        template_searchpath: str | Sequence[str] | None = None,
        template_undefined: type | None = None,
        user_defined_macros: Mapping[str, Any] | None = None,
        user_defined_filters: Mapping[str, Any] | None = None,
        jinja_environment_kwargs: Mapping[str, Any] | None = None,
        render_template_as_native_obj: bool = False,
        **others: Any,
    ) -> None:
        self.site = author_site()
        self.dag_id = check_id("dag", dag_id)
        who = f"DAG {dag_id!r}"
        known = arguments.constructor_arguments(DAG)
        arguments.refuse(others, who, arguments.DAG_UNSUPPORTED, known)
        self.description = description
        self.schedule = schedule
        self.default_args = arguments.mapping(who, "default_args", default_args)
        self.params = ParamsDict({**self.default_args.pop("params", {}), **arguments.mapping(who, "params", params)})
        self.start_date = arguments.moment(who, "start_date", start_date or self.default_args.get("start_date"))
        self.end_date = arguments.moment(who, "end_date", end_date or self.default_args.get("end_date"))
        if self.start_date and self.end_date and self.end_date < self.start_date:
            raise definition_error(f"{who}: end_date {self.end_date} is before start_date {self.start_date}")
        self.catchup = arguments.flag(who, "catchup", catchup)
        self.max_active_tasks = arguments.whole_number(who, "max_active_tasks", max_active_tasks, 1)
        self.max_active_runs = arguments.whole_number(who, "max_active_runs", max_active_runs, 1)
        if isinstance(tags, str):
            raise definition_error(f"{who}: tags must be a list of strings, not the string {tags!r}")
        self.tags = {arguments.text(who, "a tag", tag) for tag in tags or ()}
        self.doc_md = doc_md
        self.dag_display_name = dag_display_name or dag_id
        self.owner_links = dict(owner_links or {})
        self.is_paused_upon_creation = is_paused_upon_creation
        self.auto_register = auto_register
        self.template_searchpath = template_searchpath
        self.template_undefined = template_undefined
        self.user_defined_macros = arguments.mapping(who, "user_defined_macros", user_defined_macros)
        self.user_defined_filters = arguments.mapping(who, "user_defined_filters", user_defined_filters)
        self.jinja_environment_kwargs = arguments.mapping(who, "jinja_environment_kwargs", jinja_environment_kwargs)
        self.render_template_as_native_obj = render_template_as_native_obj
        self.graph = Graph(dag_id)
        self.fileloc = module_file()
        #: partial() calls that have not been followed by expand() yet: (task id, site)
        self.unexpanded: dict[int, tuple[str, Any]] = {}
        #: for each id the number behind the last use of it, so that the next use need not look at all of them
        self._suffixes: dict[str, int] = {}

    @property
    def tasks(self) -> "list[BaseOperator]":
        """All tasks."""
        return list(self.graph.tasks.values())

    @property
    def task_dict(self) -> "dict[str, BaseOperator]":
        """All tasks by id."""
        return self.graph.tasks

    @property
    def task_ids(self) -> list[str]:
        """The ids of all tasks."""
        return list(self.graph.tasks)

    @property
    def task_group_dict(self) -> dict[str, TaskGroup]:
        """All task groups by id."""
        return self.graph.groups

    @property
    def roots(self) -> "list[BaseOperator]":
        """The tasks that wait for no other."""
        return [self.graph.tasks[task_id] for task_id, ups in self.graph.upstream().items() if not ups]

    @property
    def leaves(self) -> "list[BaseOperator]":
        """The tasks that no other waits for."""
        followed = set().union(*self.graph.upstream().values())
        return [task for task_id, task in self.graph.tasks.items() if task_id not in followed]

    def has_task(self, task_id: str) -> bool:
        """Whether there is a task of that id."""
        return task_id in self.graph.tasks

    def get_task(self, task_id: str) -> "BaseOperator":
        """The task of that id; raises KeyError."""
        return self.graph.tasks[task_id]

    def add_task(self, task: GraphNode) -> None:
        """Take a task in. Operators made inside the `with` block have been already."""
        task.dag = self
        if isinstance(task, TaskGroup):
            self.graph.add_group(task)
            return
        operator: BaseOperator = task  # type: ignore[assignment]
        self.graph.add_task(operator)
        if operator.task_group is not None:
            operator.task_group.add(operator)

    def add_tasks(self, tasks: Sequence[GraphNode]) -> None:
        """Take several tasks in."""
        for task in tasks:
            self.add_task(task)

    def topological_sort(self) -> "list[BaseOperator]":
        """All tasks, each after those that it waits for. Raises DagDefinitionError if there is a cycle."""
        return [self.graph.tasks[task_id] for task_id in self.graph.in_order()]

    def param(self, name: str, default: Any = MISSING) -> DagParam:
        """A param as an argument for tasks; its value is the one that the run was given."""
        return DagParam(self, name, default)

    def unused_id(self, own_id: str, group: TaskGroup | None) -> str:
        """`own_id`, or with `__1`, `__2` ... behind it if that id is in use in the group."""
        full = group.child_id(own_id) if group is not None else own_id
        number = self._suffixes.get(full, 0)
        while True:
            suffix = f"__{number}" if number else ""
            if full + suffix not in self.graph.tasks and full + suffix not in self.graph.groups:
                self._suffixes[full] = number
                return own_id + suffix
            number += 1

    def announce(self) -> None:
        """Tell the loader that the file publishes this DAG."""
        if _announce is not None and self.auto_register:
            _announce(self)

    def __enter__(self) -> "DAG":
        scope.enter(self, None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        scope.leave()
        self.announce()

    def __repr__(self) -> str:
        return f"<DAG: {self.dag_id}>"
