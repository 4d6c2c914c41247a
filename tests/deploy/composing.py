"""Reads compose files as Docker Compose does: variables of .env, merge keys, what a second file adds and overrides."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy" / "compose"
#: by broker, the files of a project
PROJECTS = {"redis": ("compose.yaml",), "rabbitmq": ("compose.yaml", "compose.rabbitmq.yaml")}

#: $$, ${NAME}, ${NAME-default}, ${NAME:-default}, ${NAME:?}
_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?:(:?[-?])([^}]*))?\}|(.))")
#: lists that a second file replaces; every other one it adds to
_REPLACED = {"command", "entrypoint", "test"}


class Wrong(Exception):
    """A compose file that Docker Compose would refuse."""


class _Override(list):  # type: ignore[type-arg]
    """A list that replaces the one before."""


class _Loader(yaml.SafeLoader):
    """YAML with Docker Compose's tag, and no key twice."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        """A mapping, before its merge keys are replaced by what they stand for."""
        node = super().compose_mapping_node(anchor)
        keys = [key.value for key, _ in node.value]
        if len(set(keys)) < len(keys):
            raise Wrong(f"a key is there twice in {keys}, {node.start_mark}")
        return node


_Loader.add_constructor("!override", lambda loader, node: _Override(loader.construct_sequence(node, deep=True)))


def read_env(path: Path) -> dict[str, str]:
    """The variables of an .env file."""
    lines = [line for line in path.read_text("utf-8").splitlines() if line.strip() and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def load(*names: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    """The project that these files of deploy/compose describe, in this order. Raises Wrong."""
    env = read_env(COMPOSE / ".env") if env is None else env
    project: dict[str, Any] = {}
    for name in names:
        project = _merged(project, _filled(yaml.load((COMPOSE / name).read_text("utf-8"), _Loader), env))
    return project


def fill(text: str, env: dict[str, str]) -> str:
    """The text with the values of its variables. Raises Wrong for one that must be there and is not."""

    def value(match: re.Match[str]) -> str:
        dollar, name, sign, rest, stray = match.groups()
        if dollar:
            return "$"
        if stray is not None:
            raise Wrong(f"{text!r}: a $ that is meant is written $$")
        found = env.get(name)
        missing = not found if sign and sign.startswith(":") else found is None
        if not missing:
            return str(found)
        if sign is None or sign.endswith("?"):
            raise Wrong(f"{text!r}: {name} is not set")
        return str(rest)

    return _VARIABLE.sub(value, text)


def _filled(value: Any, env: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, env) for key, item in value.items()}
    if isinstance(value, list):
        return type(value)(_filled(item, env) for item in value)
    return fill(value, env) if isinstance(value, str) else value


def _merged(first: Any, second: Any, key: str = "") -> Any:
    if isinstance(first, dict) and isinstance(second, dict):
        both = {name: _merged(first[name], second[name], name) for name in first.keys() & second.keys()}
        return first | second | both
    if isinstance(first, list) and isinstance(second, list) and key not in _REPLACED:
        return list(second) if isinstance(second, _Override) else first + second
    return second
