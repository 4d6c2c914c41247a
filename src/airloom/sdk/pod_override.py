"""A task's executor_config as plain data: objects of any Kubernetes client's, in it or instead of parts, become what
Kubernetes' JSON has. No client is imported for it: the author's file has done that."""

from collections.abc import Mapping
from typing import Any

from airloom.model.pod_shape import config_fault
from airloom.sdk.source import Site, definition_error


def checked_config(who: str, config: Mapping[str, Any], site: Site | None) -> dict[str, Any]:
    """The executor_config of a task as plain data. Raises DagDefinitionError for what is for Kubernetes and cannot be
    right."""
    plain = {key: _plain(value) for key, value in config.items()}
    if fault := config_fault(plain):
        raise definition_error(f"{who}: executor_config: {fault}", site)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    # The official client's objects say themselves what their attributes are called in JSON, those of all its releases.
    names = getattr(type(value), "attribute_map", None)
    if isinstance(names, Mapping):
        given = ((name, getattr(value, attribute, None)) for attribute, name in names.items())
        return {name: _plain(one) for name, one in given if one is not None}
    to_dict = getattr(type(value), "to_dict", None)
    if callable(to_dict):
        return _without_none(to_dict(value))
    return value


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(one) for key, one in value.items() if one is not None}
    return [_without_none(one) for one in value] if isinstance(value, list | tuple) else value
