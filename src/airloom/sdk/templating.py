"""Whether a value holds a template at all: jinja2 is imported only if so."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from airloom.sdk.lazy import load
from airloom.sdk.resolving import Render, parts

if TYPE_CHECKING:
    from airloom.sdk.dag import DAG
    from airloom.sdk.operator import BaseOperator


def has_template(value: Any, task: "BaseOperator") -> bool:
    """Whether a string in `value` is a template or names a file of the task's template_ext."""
    extensions = tuple(task.template_ext)
    custom = task.dag is not None and bool(task.dag.jinja_environment_kwargs)
    for part in parts(value):
        if isinstance(part, str) and (
            custom or "{{" in part or "{%" in part or "{#" in part or part.endswith(extensions)
        ):
            return True
    return False


def needs_templates(dag: "DAG") -> bool:
    """Whether a task of the DAG holds a template, so that jinja2 is worth importing before its tries are forked."""
    return any(has_template(value, task) for task in dag.tasks for _name, value in task.templated())


def renderer(task: "BaseOperator", context: Mapping[str, Any], value: Any) -> Render:
    """How the strings in `value` are rendered."""
    if not has_template(value, task):
        return _as_it_is
    return cast("Render", load("airloom.sdk.templates").jinja_renderer(task, context))


def _as_it_is(text: str) -> Any:
    return text
