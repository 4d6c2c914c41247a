"""Tasks that call a Python function."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any

from airloom.model.report import Skip, SkipMode
from airloom.sdk.arguments import flag
from airloom.sdk.context import CONTEXT_KEYS
from airloom.sdk.lazy import load
from airloom.sdk.operator import BaseOperator
from airloom.sdk.operators.branching import BranchMixIn
from airloom.sdk.source import definition_error

if TYPE_CHECKING:
    from airloom.sdk.context import Context


class PythonOperator(BaseOperator):
    """Calls `python_callable(*op_args, **op_kwargs)`. The function also gets what its signature names of the context
    (`ti`, `ds`, `params` ...), or all of it if it takes `**kwargs`. It may be `async def`."""

    template_fields: Collection[str] = ("templates_dict", "op_args", "op_kwargs")
    template_fields_renderers = {"templates_dict": "json", "op_args": "py", "op_kwargs": "py"}
    ui_color = "#ffefeb"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Sequence[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        templates_dict: Mapping[str, Any] | None = None,
        templates_exts: Sequence[str] | None = None,
        show_return_value_in_logs: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(python_callable):
            raise definition_error(f"task {self.own_id!r}: python_callable must be a function, not {python_callable!r}")
        self.python_callable = python_callable
        self.op_args: Any = op_args if op_args is not None else ()
        self.op_kwargs: Any = op_kwargs if op_kwargs is not None else {}
        self.templates_dict = templates_dict
        if templates_exts:
            self.template_ext = tuple(templates_exts)
        self.show_return_value_in_logs = flag(
            f"task {self.own_id!r}", "show_return_value_in_logs", show_return_value_in_logs
        )

    def execute(self, context: "Context") -> Any:
        """Call the function and return what it returns."""
        if self.templates_dict is not None:
            context["templates_dict"] = self.templates_dict
        return self.call(context)

    def call(self, context: "Context") -> Any:
        """The function's return value."""
        named = call_keywords(self.python_callable, self.op_args, self.op_kwargs, context)
        result = self.python_callable(*self.op_args, **named)
        if inspect.iscoroutine(result):
            return load("asyncio").run(result)
        return result


class BranchPythonOperator(PythonOperator, BranchMixIn):
    """The function returns the id or ids of the tasks or groups directly downstream that go on; the rest is skipped."""

    def execute(self, context: "Context") -> Any:
        """Call the function, and skip what it does not name."""
        return self.do_branch(context, super().execute(context))


class ShortCircuitOperator(PythonOperator):
    """If the function returns something falsy, everything downstream is skipped; with
    `ignore_downstream_trigger_rules=False` only what is directly downstream, and the rest by its trigger rules."""

    def __init__(self, *, ignore_downstream_trigger_rules: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ignore_downstream_trigger_rules = ignore_downstream_trigger_rules

    def execute(self, context: "Context") -> Any:
        """Call the function, and skip downstream tasks unless it returns something true."""
        condition = super().execute(context)
        if not condition:
            self.log.info("The condition is %r: skipping downstream tasks", condition)
            mode = SkipMode.ALL if self.ignore_downstream_trigger_rules else SkipMode.DIRECT
            context["ti"].request_skip(Skip(mode=mode))
        return condition


def call_keywords(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], context: "Context"
) -> dict[str, Any]:
    """`kwargs` and what `function` takes of the context besides."""
    if type(function) is FunctionType and not vars(function):  # as most are; inspect.signature takes far longer
        code = function.__code__
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        given = min(len(args), code.co_argcount)
        free = names[max(given, code.co_posonlyargcount) :]
        takes_all, taken = bool(code.co_flags & inspect.CO_VARKEYWORDS), names[:given]
    else:
        try:
            parameters = inspect.signature(function).parameters
        except (TypeError, ValueError):  # some functions written in C do not tell
            return dict(kwargs)
        by_name = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        free = tuple(name for name, each in list(parameters.items())[len(args) :] if each.kind in by_name)
        takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        taken = tuple(parameters)[: len(args)]
    if takes_all:
        offered: Mapping[str, Any] = context.everything()
        wanted = set(offered) - set(taken)
    else:
        offered = context
        wanted = {name for name in free if name in CONTEXT_KEYS and name in offered}
    return {**{name: offered[name] for name in wanted if name not in kwargs}, **kwargs}
