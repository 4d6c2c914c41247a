"""Jinja rendering. Imported only when a field holds a template, because jinja2 is slow to import."""

from collections import ChainMap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2.nativetypes import NativeEnvironment, native_concat

from airloom.sdk.dates import DATE_TEXTS
from airloom.sdk.exceptions import AirflowException
from airloom.sdk.resolving import Render

if TYPE_CHECKING:
    from airloom.sdk.dag import DAG
    from airloom.sdk.operator import BaseOperator


def jinja_renderer(task: "BaseOperator", context: Mapping[str, Any]) -> Render:
    """A function that renders a string, or the file that it names if it ends with one of the task's template_ext."""
    native = task.render_template_as_native_obj
    if native is None:
        native = task.dag is not None and task.dag.render_template_as_native_obj
    environment = template_environment(task.dag, native)
    extensions = tuple(task.template_ext)
    # The context makes some of its values only when they are asked for, so it is looked up in and never copied.
    names = ChainMap(context, environment.globals)  # type: ignore[arg-type]

    def render(text: str) -> Any:
        if text.endswith(extensions):
            try:
                template = environment.get_template(text)
            except jinja2.TemplateNotFound as error:
                raise AirflowException(
                    f"task {task.task_id!r}: the template file {error.name!r} is not in the folder of the DAG file"
                    f"{' or in template_searchpath' if task.dag and task.dag.template_searchpath else ''}; "
                    "a text that only ends like a file name is kept from being read by literal(...)"
                ) from None
        else:
            template = environment.from_string(text)
        chunks = template.root_render_func(template.new_context(names, shared=True))  # type: ignore[arg-type]
        return native_concat(chunks) if native else "".join(chunks)

    return render


def template_environment(dag: "DAG | None", native: bool) -> jinja2.Environment:
    """The Jinja environment of a DAG: its search path, macros, filters and treatment of undefined names."""
    folders: list[str] = []
    options: dict[str, Any] = {"undefined": jinja2.StrictUndefined, "cache_size": 0}
    if dag is not None:
        if dag.fileloc:
            folders.append(str(Path(dag.fileloc).parent))
        folders.extend(_folders(dag.template_searchpath))
        if dag.template_undefined is not None:
            options["undefined"] = dag.template_undefined
        options.update(dag.jinja_environment_kwargs)
    options.setdefault("loader", jinja2.FileSystemLoader(folders))
    environment: jinja2.Environment = NativeEnvironment(**options) if native else jinja2.Environment(**options)
    environment.filters.update(DATE_TEXTS)
    if dag is not None:
        environment.globals.update(dag.user_defined_macros)
        environment.filters.update(dag.user_defined_filters)
    return environment


def _folders(searchpath: str | Sequence[str] | None) -> list[str]:
    if searchpath is None:
        return []
    return [searchpath] if isinstance(searchpath, str) else [str(folder) for folder in searchpath]
