"""`@dag`, `@task` with its variants, and `@task_group`."""

import inspect
import typing
from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import Any

from airloom.sdk import scope
from airloom.sdk.arguments import flag
from airloom.sdk.context import CONTEXT_KEYS
from airloom.sdk.dag import DAG
from airloom.sdk.lazy import load
from airloom.sdk.mapping import OperatorPartial
from airloom.sdk.naming import did_you_mean
from airloom.sdk.operator import OperatorMeta
from airloom.sdk.params import Param
from airloom.sdk.source import definition_error, one_statement
from airloom.sdk.taskgroup import TaskGroup
from airloom.sdk.xcom import MISSING, XComArg

Function = Callable[..., Any]


class TaskFunction:
    """A function as a task: calling it in a DAG makes a task, and gives its output to pass on.

    Further uses of the same function get `__1`, `__2` ... behind their task id.
    """

    def __init__(self, function: Function, operator_class: OperatorMeta, arguments: Mapping[str, Any]) -> None:
        if not callable(function) or isinstance(function, type):
            raise definition_error(f"@task decorates a function, not {function!r}")
        self.function = function
        self._class = operator_class
        self._arguments = dict(arguments)
        if "multiple_outputs" not in self._arguments or self._arguments["multiple_outputs"] is None:
            self._arguments["multiple_outputs"] = returns_dict(function)
        else:
            flag("@task", "multiple_outputs", self._arguments["multiple_outputs"])
        update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> XComArg:
        """Make a task that calls the function with these arguments, other tasks' outputs among them."""
        with one_statement():
            self._bind(args, kwargs)
            task = self._class(**self._operator_arguments(), op_args=args, op_kwargs=kwargs)
            return XComArg(task)

    def override(self, **arguments: Any) -> "TaskFunction":
        """The same function with other operator arguments (task_id, retries, pool ...)."""
        return TaskFunction(self.function, self._class, {**self._arguments, **arguments})

    def partial(self, **kwargs: Any) -> "TaskPartial":
        """The function's arguments that are the same for all map indexes."""
        with one_statement():
            self._check_names(kwargs)
            return TaskPartial(self, kwargs)

    def expand(self, **mapped: Any) -> XComArg:
        """One task instance for each combination of the arguments' items; the last argument varies fastest."""
        with one_statement():
            return self.partial().expand(**mapped)

    def expand_kwargs(self, kwargs: Any, strict: bool = True) -> XComArg:
        """One task instance for each dict of arguments."""
        with one_statement():
            return self.partial().expand_kwargs(kwargs, strict)

    def operator_partial(self, kwargs: Mapping[str, Any]) -> OperatorPartial:
        """The partial operator whose function gets `kwargs` besides the mapped arguments."""
        return OperatorPartial(self._class, {**self._operator_arguments(), "op_kwargs": dict(kwargs)}, nest="op_kwargs")

    def check_mapped(self, names: Mapping[str, Any]) -> None:
        """Raise DagDefinitionError for names that the function does not take."""
        self._check_names(names)

    def _operator_arguments(self) -> dict[str, Any]:
        arguments = dict(self._arguments)
        wanted = arguments.pop("task_id", None) or self.function.__name__
        dag, group = scope.place(arguments.get("dag"), arguments.get("task_group"))
        if dag is None:
            raise definition_error(
                f"the task {wanted!r} is made outside a DAG: call {self.function.__name__}() inside `with DAG(...)` "
                "or in a function decorated with @dag; to run the plain function, call .function()"
            )
        doc = inspect.getdoc(self.function)
        if doc and "doc_md" not in arguments and "doc" not in arguments:
            arguments["doc_md"] = doc
        return {**arguments, "task_id": dag.unused_id(wanted, group), "python_callable": self.function}

    def _bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        signature = inspect.signature(self.function)
        try:
            bound = signature.bind_partial(*args, **kwargs).arguments
        except TypeError as error:
            raise definition_error(f"{self.function.__name__}(): {error}") from None
        for name, parameter in signature.parameters.items():
            optional = parameter.default is not parameter.empty or parameter.kind in _COLLECTING
            if name not in bound and not optional and name not in CONTEXT_KEYS:
                raise definition_error(f"{self.function.__name__}(): missing a required argument: {name!r}")

    def _check_names(self, names: Mapping[str, Any]) -> None:
        parameters = inspect.signature(self.function).parameters
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            return
        for name in names:
            if name not in parameters:
                raise definition_error(
                    f"{self.function.__name__}() has no argument {name!r}{did_you_mean(name, parameters)}"
                )


class TaskPartial:
    """`some_task.partial(...)`: waits for `expand`."""

    def __init__(self, task: TaskFunction, kwargs: Mapping[str, Any]) -> None:
        self._task = task
        self._partial = task.operator_partial(kwargs)

    def expand(self, **mapped: Any) -> XComArg:
        """One task instance for each combination of the arguments' items; the last argument varies fastest."""
        with one_statement():
            self._task.check_mapped(mapped)
            return XComArg(self._partial.expand(**mapped))

    def expand_kwargs(self, kwargs: Any, strict: bool = True) -> XComArg:
        """One task instance for each dict of arguments."""
        with one_statement():
            for entry in kwargs if isinstance(kwargs, list | tuple) else ():
                if isinstance(entry, Mapping):
                    self._task.check_mapped(entry)
            return XComArg(self._partial.expand_kwargs(kwargs, strict))


_COLLECTING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def returns_dict(function: Function) -> bool:
    """Whether a function's return annotation says that it returns a dict: each key is then an XCom of its own."""
    annotation = getattr(function, "__annotations__", {}).get("return")
    if isinstance(annotation, str):
        try:
            annotation = typing.get_type_hints(function).get("return")
        except Exception:  # an annotation may be anything, and may name what exists for type checkers only
            return False
    origin = typing.get_origin(annotation) or annotation
    return isinstance(origin, type) and issubclass(origin, Mapping)


class TaskDecorator:
    """`@task` and its variants `@task.bash`, `@task.branch`, `@task.short_circuit`.

    Without arguments or with those of the operator: `@task(retries=2)`.
    """

    _CLASSES = {
        "python": ("airloom.sdk.operators.decorated", "DecoratedPython"),
        "bash": ("airloom.sdk.operators.decorated_bash", "DecoratedBash"),
        "branch": ("airloom.sdk.operators.decorated", "DecoratedBranch"),
        "short_circuit": ("airloom.sdk.operators.decorated", "DecoratedShortCircuit"),
    }

    def __call__(self, function: Any = None, /, **arguments: Any) -> Any:
        """Make a function a task."""
        return self._decorate("python", function, arguments)

    def python(self, function: Any = None, /, **arguments: Any) -> Any:
        """The same as `@task`."""
        return self._decorate("python", function, arguments)

    def bash(self, function: Any = None, /, **arguments: Any) -> Any:
        """The function returns a shell command, which is run."""
        return self._decorate("bash", function, arguments)

    def branch(self, function: Any = None, /, **arguments: Any) -> Any:
        """The function returns the id or ids of the tasks directly downstream that go on."""
        return self._decorate("branch", function, arguments)

    def short_circuit(self, function: Any = None, /, **arguments: Any) -> Any:
        """If the function returns something falsy, everything downstream is skipped."""
        return self._decorate("short_circuit", function, arguments)

    def _decorate(self, kind: str, function: Any, arguments: dict[str, Any]) -> Any:
        module, name = self._CLASSES[kind]
        operator_class: OperatorMeta = getattr(load(module), name)
        for name in ("python_callable", "op_args", "op_kwargs"):
            if name in arguments:
                raise definition_error(f"@task: {name!r} follows from the call of the function")
        if function is None:
            return lambda function: TaskFunction(function, operator_class, arguments)
        return TaskFunction(function, operator_class, arguments)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise definition_error(
            f"there is no @task.{name} here; there are @task, {', '.join('@task.' + kind for kind in self._CLASSES)}"
        )


task = TaskDecorator()


def dag(dag_id: Any = None, /, **arguments: Any) -> Any:
    """Make a function a DAG: `@dag(schedule="@daily")`. Calling the function makes the DAG; its arguments are params.

    The arguments are those of DAG; dag_id is the function's name unless given.
    """
    if callable(dag_id):
        return _dag_factory(dag_id, {})
    if dag_id is not None:
        arguments["dag_id"] = dag_id
    return lambda function: _dag_factory(function, arguments)


def _dag_factory(function: Function, arguments: dict[str, Any]) -> Callable[..., DAG]:
    signature = inspect.signature(function)

    def make(*args: Any, **kwargs: Any) -> DAG:
        with one_statement():
            given = {"dag_id": function.__name__, **arguments}
            if not given.get("doc_md"):
                given["doc_md"] = inspect.getdoc(function)
            made = DAG(**given)
            try:
                bound = signature.bind_partial(*args, **kwargs)
            except TypeError as error:
                raise definition_error(f"{function.__name__}(): {error}") from None
            values = {
                name: made.param(name, _param_default(name, parameter, bound.arguments, made))
                for name, parameter in signature.parameters.items()
            }
        with made:
            function(**values)
        return made

    return update_wrapper(make, function)


def _param_default(name: str, parameter: inspect.Parameter, given: Mapping[str, Any], made: DAG) -> Any:
    if name in given:
        return given[name]
    if parameter.default is not parameter.empty:
        return parameter.default
    return MISSING if name in made.params else Param()


def task_group(function: Any = None, /, **arguments: Any) -> Any:
    """Make a function a task group: the tasks that a call makes are in a group of the function's name."""
    if function is None:
        return lambda function: TaskGroupFunction(function, arguments)
    return TaskGroupFunction(function, arguments)


class TaskGroupFunction:
    """A function as a task group. A call gives what the function returns, or the group if that is nothing."""

    def __init__(self, function: Function, arguments: Mapping[str, Any]) -> None:
        self.function = function
        self._arguments = {"add_suffix_on_collision": True, **arguments}
        update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make the group with its tasks."""
        with one_statement():
            group = TaskGroup(
                **{
                    "group_id": self.function.__name__,
                    "tooltip": inspect.getdoc(self.function) or "",
                    **self._arguments,
                }
            )
        with group:
            result = self.function(*args, **kwargs)
        return group if result is None else result

    def override(self, **arguments: Any) -> "TaskGroupFunction":
        """The same function with other arguments of the group."""
        return TaskGroupFunction(self.function, {**self._arguments, **arguments})

    def partial(self, **_kwargs: Any) -> Any:
        """Not there yet."""
        raise definition_error(f"the task group {self.function.__name__!r} cannot be mapped: this is not supported yet")

    def expand(self, **_kwargs: Any) -> Any:
        """Not there yet."""
        raise definition_error(
            f"the task group {self.function.__name__!r} cannot be mapped: this is not supported yet; "
            "map its tasks one by one"
        )

    expand_kwargs = expand
