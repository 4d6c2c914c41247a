"""BaseOperator: the parent of every task. What it is given is checked where the DAG file says it."""

import inspect
from abc import ABCMeta
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, cast

from airloom.model.spec import Isolation, TriggerRule, WeightRule
from airloom.sdk import arguments, scope
from airloom.sdk.edges import GraphNode
from airloom.sdk.lazy import load
from airloom.sdk.naming import check_id
from airloom.sdk.params import ParamsDict
from airloom.sdk.resolving import references, resolve
from airloom.sdk.source import Site, definition_error, one_statement
from airloom.sdk.templating import renderer
from airloom.sdk.xcom import XComArg

if TYPE_CHECKING:
    from logging import Logger

    from airloom.sdk.context import Context
    from airloom.sdk.dag import DAG
    from airloom.sdk.mapping import OperatorPartial
    from airloom.sdk.taskgroup import TaskGroup

Hook = Callable[..., Any]


class OperatorMeta(ABCMeta):
    """Makes `SomeOperator(...)` take the default arguments of its DAG and groups, and join them."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        with one_statement() as site:
            if args:
                raise definition_error(f"{cls.__name__} takes arguments by name only: {cls.__name__}(task_id=..., ...)")
            given = with_defaults(cls, kwargs)
            if "task_id" not in given:
                raise definition_error(f"{cls.__name__} needs a task_id")
            task = cast("BaseOperator", super().__call__(**given))
            task.site = site
            if task.dag is not None:
                task.dag.add_task(task)
            task.check_references(given)
            return task

    def detached(cls, kwargs: Mapping[str, Any]) -> Any:
        """An operator that joins no DAG's graph: what a mapped task is at one map index."""
        return super().__call__(**kwargs)


def with_defaults(cls: type, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """`kwargs`, completed by the default_args of the operator's DAG, its groups and itself, for what `cls` takes."""
    dag, group = scope.place(kwargs.get("dag"), kwargs.get("task_group"))
    defaults: dict[str, Any] = {}
    if dag is not None:
        defaults.update(dag.default_args)
    if group is not None:
        defaults.update(group.inherited_args())
    defaults.update(kwargs.get("default_args") or {})
    accepted = accepted_arguments(cls)
    return {**{name: value for name, value in defaults.items() if name in accepted and name != "task_id"}, **kwargs}


def accepted_arguments(cls: type) -> frozenset[str]:
    """Every argument that an operator class has an opinion on."""
    own = arguments.constructor_arguments(cls)
    return own | arguments.OPERATOR_UNSUPPORTED | arguments.OPERATOR_DESCRIPTIVE


class BaseOperator(GraphNode, metaclass=OperatorMeta):
    """A task. Write a class of your own with `execute(context)`, and name the arguments that may hold templates or
    other tasks' outputs in `template_fields`; the attributes must have the arguments' names.

    retry_delay, max_retry_delay, execution_timeout: a timedelta or seconds. memory_limit: bytes or text ("512Mi").
    isolation: "fork" (a process for each try) or "reuse" (one process runs many tries of this DAG file).
    """

    template_fields: Collection[str] = ()
    template_ext: Sequence[str] = ()
    template_fields_renderers: Mapping[str, str] = {}
    ui_color: str = "#fff"
    ui_fgcolor: str = "#000"
    custom_operator_name: ClassVar[str | None] = None
    is_mapped: ClassVar[bool] = False

    def __init__(
        self,
        *,
        task_id: str,
        dag: "DAG | None" = None,
        task_group: "TaskGroup | None" = None,
        default_args: Mapping[str, Any] | None = None,
        owner: str = "airloom",
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        retries: int | None = 0,
        retry_delay: timedelta | float = 300.0,
        retry_exponential_backoff: bool | float = 0.0,
        max_retry_delay: timedelta | float | None = None,
        execution_timeout: timedelta | float | None = None,
        trigger_rule: str = TriggerRule.ALL_SUCCESS,
        pool: str | None = "default_pool",
        pool_slots: int = 1,
        priority_weight: int = 1,
        weight_rule: str = WeightRule.DOWNSTREAM,
        queue: str = "default",
        executor: str | None = None,
        executor_config: Mapping[str, Any] | None = None,
        isolation: str | None = None,
        memory_limit: int | str | None = None,
        max_active_tis_per_dag: int | None = None,
        max_active_tis_per_dagrun: int | None = None,
        params: Mapping[str, Any] | None = None,
        do_xcom_push: bool = True,
        multiple_outputs: bool = False,
        render_template_as_native_obj: bool | None = None,
        pre_execute: Hook | None = None,
        post_execute: Hook | None = None,
        task_display_name: str | None = None,
        doc: str | None = None,
        doc_md: str | None = None,
        **others: Any,
    ) -> None:
        self.site: Site | None = None
        self.dag, self.task_group = scope.place(dag, task_group)
        self.own_id = check_id("task", task_id)
        who = f"task {task_id!r}"
        for name in arguments.OPERATOR_DESCRIPTIVE & others.keys():
            setattr(self, name, others.pop(name))
        known = accepted_arguments(type(self))
        arguments.refuse(others, f"{type(self).__name__} ({who})", arguments.OPERATOR_UNSUPPORTED, known)
        self.owner = arguments.text(who, "owner", owner)
        self.start_date = arguments.moment(who, "start_date", start_date)
        self.end_date = arguments.moment(who, "end_date", end_date)
        self.retries = arguments.whole_number(who, "retries", retries or 0, 0)
        self.retry_delay = arguments.duration(who, "retry_delay", retry_delay)
        self.retry_exponential_backoff = arguments.backoff(who, retry_exponential_backoff)
        self.max_retry_delay = arguments.positive_duration(who, "max_retry_delay", max_retry_delay)
        self.execution_timeout = arguments.positive_duration(who, "execution_timeout", execution_timeout)
        self.trigger_rule = arguments.one_of(who, "trigger_rule", TriggerRule, trigger_rule)
        self.pool = arguments.text(who, "pool", pool or "default_pool")
        self.pool_slots = arguments.whole_number(who, "pool_slots", pool_slots, 1)
        self.priority_weight = arguments.whole_number(who, "priority_weight", priority_weight)
        self.weight_rule = arguments.one_of(who, "weight_rule", WeightRule, weight_rule)
        self.queue = arguments.queue_name(who, queue)
        self.executor = executor if executor is None else arguments.text(who, "executor", executor)
        self.executor_config = arguments.mapping(who, "executor_config", executor_config)
        self.isolation = isolation if isolation is None else arguments.one_of(who, "isolation", Isolation, isolation)
        self.memory_limit = arguments.memory(who, memory_limit)
        self.max_active_tis_per_dag = arguments.optional_number(
            who, "max_active_tis_per_dag", max_active_tis_per_dag, 1
        )
        self.max_active_tis_per_dagrun = arguments.optional_number(
            who, "max_active_tis_per_dagrun", max_active_tis_per_dagrun, 1
        )
        self.params = ParamsDict(arguments.mapping(who, "params", params))
        self.do_xcom_push = arguments.flag(who, "do_xcom_push", do_xcom_push)
        self.multiple_outputs = arguments.flag(who, "multiple_outputs", multiple_outputs)
        self.render_template_as_native_obj = render_template_as_native_obj
        self._hooks = (pre_execute, post_execute)
        self.task_display_name = task_display_name
        self.doc = doc
        self.doc_md = doc_md

    # --- what it is ---------------------------------------------------------------------------------------------------
    @property
    def task_id(self) -> str:
        """The id in the DAG, with the prefixes of the groups around it."""
        return self.task_group.child_id(self.own_id) if self.task_group is not None else self.own_id

    @property
    def node_id(self) -> str:
        """The id in the DAG."""
        return self.task_id

    @property
    def label(self) -> str:
        """The id without the groups' prefixes."""
        return self.own_id

    @property
    def task_type(self) -> str:
        """The name of the operator's class."""
        return type(self).__name__

    @property
    def operator_name(self) -> str:
        """What kind of task to show it as."""
        return self.custom_operator_name or self.task_type

    @property
    def has_hooks(self) -> bool:
        """Whether pre_execute or post_execute were given as arguments."""
        return self._hooks != (None, None)

    @property
    def output(self) -> XComArg:
        """What `execute` will return, to be passed to other tasks."""
        return XComArg(self)

    @property
    def log(self) -> "Logger":
        """The task's log."""
        return cast("Logger", load("logging").getLogger("airloom.task"))

    @property
    def upstream_task_ids(self) -> set[str]:
        """The tasks that this runs directly after."""
        return set(self.dag.graph.upstream()[self.task_id]) if self.dag is not None else set()

    @property
    def downstream_task_ids(self) -> set[str]:
        """The tasks that run directly after this."""
        return self.dag.graph.downstream_of(self.task_id) if self.dag is not None else set()

    @property
    def upstream_list(self) -> "list[BaseOperator]":
        """The tasks that this runs directly after."""
        return [self.dag.get_task(task_id) for task_id in sorted(self.upstream_task_ids)] if self.dag else []

    @property
    def downstream_list(self) -> "list[BaseOperator]":
        """The tasks that run directly after this."""
        return [self.dag.get_task(task_id) for task_id in sorted(self.downstream_task_ids)] if self.dag else []

    # --- arguments ----------------------------------------------------------------------------------------------------
    @classmethod
    def partial(cls, **kwargs: Any) -> "OperatorPartial":
        """The arguments that are the same for all map indexes; `.expand(...)` takes those that differ."""
        partial_class = load("airloom.sdk.mapping").OperatorPartial
        with one_statement():
            return cast("OperatorPartial", partial_class(cls, kwargs))

    def templated(self) -> Iterator[tuple[str, Any]]:
        """The fields that may hold templates and other tasks' outputs, with their values."""
        if isinstance(self.template_fields, str):
            raise definition_error(f"{self.task_type}: template_fields must be a list or tuple of names", self.site)
        for name in self.template_fields:
            if not hasattr(self, name):
                raise definition_error(
                    f"{self.task_type} names {name!r} in template_fields, but has no such attribute", self.site
                )
            yield name, getattr(self, name)

    def link_references(self) -> set[str]:
        """Make this run after every task whose output a field holds; returns their ids."""
        found = set()
        for _name, value in self.templated():
            for task in references(value):
                found.add(task.task_id)
                if task is not self:
                    self.set_upstream(task)
        return found

    def check_references(self, given: Mapping[str, Any]) -> None:
        """Link the references, and raise DagDefinitionError for one in an argument that is never resolved."""
        found = self.link_references()
        for name, value in given.items():
            if name in ("dag", "task_group", "default_args"):
                continue
            for task in references(value):
                if task.task_id not in found:
                    raise definition_error(
                        f"task {self.task_id!r}: the argument {name!r} is given the output of {task.task_id!r}, but "
                        f"{self.task_type} does not have it among its template_fields, so it would never be filled in"
                    )

    def render_template_fields(self, context: "Context") -> None:
        """Replace templates and other tasks' outputs in the fields by their values. Raises what rendering raises."""
        for name, value in list(self.templated()):
            setattr(self, name, resolve(value, context, renderer(self, context, value)))

    def render_template(self, content: Any, context: "Context") -> Any:
        """`content` with its templates rendered and other tasks' outputs filled in."""
        return resolve(content, context, renderer(self, context, content))

    # --- running ------------------------------------------------------------------------------------------------------
    def pre_execute(self, context: "Context") -> None:
        """Called right before `execute`."""
        if self._hooks[0] is not None:
            self._hooks[0](context)

    def execute(self, context: "Context") -> Any:
        """What the task does; the return value is its XCom. Every operator has its own."""
        raise NotImplementedError(f"{self.task_type} has no execute(context) method")

    def post_execute(self, context: "Context", result: Any = None) -> None:
        """Called right after `execute`, with what it returned."""
        hook = self._hooks[1]
        if hook is not None:
            if len(inspect.signature(hook).parameters) > 1:
                hook(context, result)
            else:
                hook(context)

    def on_kill(self) -> None:
        """Called when the try is to end early: release what would outlive the process."""

    def __repr__(self) -> str:
        return f"<Task({self.operator_name}): {self.task_id}>"
