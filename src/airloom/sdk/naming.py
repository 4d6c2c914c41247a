"""Ids of dags, tasks and groups, and the nearest right name for a wrong one."""

import re
from collections.abc import Iterable

from airloom.sdk.lazy import load
from airloom.sdk.source import definition_error

_KEY = re.compile(r"[\w.-]+", re.ASCII)
_GROUP_KEY = re.compile(r"[\w-]+", re.ASCII)
MAX_LENGTH = 250


def check_id(kind: str, value: object) -> str:
    """`value` as the id of a dag, task or group; raises DagDefinitionError if it cannot be one."""
    if not isinstance(value, str):
        raise definition_error(f"the {kind} id must be a string, not {type(value).__name__}")
    pattern, allowed = (_GROUP_KEY, "") if kind == "group" else (_KEY, ", dots")
    if not pattern.fullmatch(value):
        raise definition_error(f"the {kind} id {value!r} may only have letters (a-z), digits{allowed}, '-' and '_'")
    if len(value) > MAX_LENGTH:
        raise definition_error(f"the {kind} id {value[:40]!r}... has {len(value)} characters; {MAX_LENGTH} are allowed")
    return value


def did_you_mean(name: str, candidates: Iterable[str], cutoff: float = 0.6) -> str:
    """'; did you mean X?' or nothing, to end a sentence with. cutoff: how like it is to be, up to 1.0."""
    spelling = load("airloom.model.spelling")
    return str(spelling.did_you_mean(name, map(str, candidates), cutoff=cutoff, show=repr))
