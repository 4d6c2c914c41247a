"""Importing a DAG file in a child process: its search path, what it was made of, and what to say when it fails."""

import importlib
import os
import sys
import traceback
from typing import TYPE_CHECKING

from airloom.runtime.messages import FileState
from airloom.sdk.execution import needs_templates
from airloom.sdk.loading import import_dags

if TYPE_CHECKING:
    from airloom.sdk.dag import DAG


def enter_bundle(root: str) -> None:
    """Let imports find the bundle's modules first, and relative paths start at its root."""
    if root not in sys.path:
        sys.path.insert(0, root)
    os.chdir(root)


def import_file(path: str, source: str, root: str) -> tuple[dict[str, "DAG"], tuple[FileState, ...]]:
    """Import a DAG file from `source`, which is the file or a copy of it, and what its tasks will need.

    Gives its DAGs by id, and the state of each source file that this imported: `source`, and those of the bundle.
    Raises whatever the file raises.
    """
    enter_bundle(root)
    own = file_state(source)
    dags = import_dags(path, source)
    if any(needs_templates(dag) for dag in dags.values()):
        importlib.import_module("jinja2")
    helpers = (file_state(name) for name in imported_from(root, path))
    return dags, tuple(state for state in (own, *helpers) if state is not None)


def imported_from(root: str, path: str) -> list[str]:
    """The bundle's source files that this process has imported, but the DAG file itself and installed packages."""
    prefix = root.rstrip("/") + "/"
    names = {getattr(module, "__file__", None) or "" for module in tuple(sys.modules.values())}
    return sorted(name for name in names if name.startswith(prefix) and name != path and "/site-packages/" not in name)


def file_state(path: str) -> FileState | None:
    """What the file is like now, or None if there is none."""
    try:
        stat = os.stat(path)  # noqa: PTH116 -- several times faster than Path.stat, and done for each try
    except OSError:
        return None
    return FileState(path, stat.st_mtime_ns, stat.st_size)


def describe_failure(error: BaseException, path: str, root: str) -> str:
    """One line: the error, and the author's line that led to it."""
    text = traceback.format_exception_only(error)[-1].strip()
    place = _place(error, path, root)
    return f"{text} ({place})" if place else text


def _place(error: BaseException, path: str, root: str) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    for mine in (path, root.rstrip("/") + "/"):
        for name, line in reversed(frames):
            if name.startswith(mine):
                return f"{name}:{line}"
    return ""
