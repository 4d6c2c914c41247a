"""Arguments that get their value when the task runs, anywhere inside lists and dicts: XComs, params, literals."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airloom.sdk.operator import BaseOperator

Render = Callable[[str], Any]


class Resolvable:
    """Stands in an argument for a value that only the run knows."""

    def resolve(self, context: Mapping[str, Any]) -> Any:
        """The value, in the context of a try."""
        raise NotImplementedError

    def references(self) -> "Iterator[BaseOperator]":
        """The tasks that must have run before."""
        return iter(())


class LiteralValue(Resolvable):
    """A value that is passed on as it is: no template in it is rendered."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def resolve(self, context: Mapping[str, Any]) -> Any:
        return self.value

    def __repr__(self) -> str:
        return f"literal({self.value!r})"


def literal(value: Any) -> LiteralValue:
    """Keep `value` from being rendered as a template, as in `bash_command=literal("echo {{ raw }}")`."""
    return LiteralValue(value)


def parts(value: Any) -> Iterator[Any]:
    """Everything inside a value, through lists, tuples, sets and dicts, that is none of these."""
    if isinstance(value, str) or value is None:
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from parts(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from parts(item)
    else:
        yield value


def references(value: Any) -> "Iterator[BaseOperator]":
    """The tasks whose XComs a value needs."""
    for part in parts(value):
        if isinstance(part, Resolvable):
            yield from part.references()


def resolve(value: Any, context: Mapping[str, Any], render: Render) -> Any:
    """`value` with every resolvable replaced and every string rendered; containers are copied, never changed."""
    if isinstance(value, str):
        return render(value)
    if isinstance(value, Resolvable):
        return value.resolve(context)
    if isinstance(value, dict):
        return {key: resolve(item, context, render) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(resolve(item, context, render) for item in value))
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(resolve(item, context, render) for item in value)
    return value
