"""Modules that cost time to import and that few files need: the one place where something is imported while running."""

import importlib
from types import ModuleType


def load(module: str) -> ModuleType:
    """The module of that name, so that a DAG file's import stays fast and small.

    Used for jinja2 (only when a field holds a template), for decorated operators other than `@task` itself, for asyncio
    (only for `async def` tasks), for airloom.sdk.pod_override (only for an executor_config) and for
    airloom.model.spelling (only to word an error).
    """
    return importlib.import_module(module)
