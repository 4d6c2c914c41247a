"""A task's template fields as text, as people are shown them: bounded, and without what is named like a secret."""

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import islice
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import msgspec

from airloom.sdk.secrecy import is_secret

if TYPE_CHECKING:
    from airloom.sdk.operator import BaseOperator

#: characters of one field
LONGEST = 10_000
_MASK = "***"
_DEEPEST = 20
#: fields that are shown at most
_MOST = 100
_CONTAINERS = (list, tuple, set, frozenset)


def rendered(task: "BaseOperator") -> dict[str, str]:
    """Field -> text, of each template field that holds something: its text as it is, anything else like JSON."""
    found: dict[str, str] = {}
    for name in islice(task.template_fields, _MOST):
        value = getattr(task, name)
        if value is not None and not (isinstance(value, (str, dict, *_CONTAINERS)) and not value):
            found[name] = _MASK if is_secret(name) else _text(value)
    return found


def _text(value: Any) -> str:
    if isinstance(value, str):
        return _clean(value)
    pieces: list[str] = []
    size = 0
    for piece in _pieces(value, 0):
        pieces.append(piece)
        size += len(piece)
        if size >= LONGEST:
            break
    return "".join(pieces)[:LONGEST]


def _clean(text: str) -> str:
    """The beginning of a text, without halves of characters, which no message can hold."""
    return text[:LONGEST].encode("utf-8", "replace").decode()


def _pieces(value: Any, depth: int) -> Iterator[str]:
    """The text of a value, bit by bit, so that no more of a large one is made than is shown."""
    if isinstance(value, str):
        yield msgspec.json.encode(_clean(value)).decode()
    elif value is None or isinstance(value, bool):
        yield "null" if value is None else str(value).lower()
    elif isinstance(value, int | float):
        yield int.__repr__(value) if isinstance(value, int) else float.__repr__(value)
    elif isinstance(value, dict | list | tuple | set | frozenset):
        yield from _inside(value, depth + 1)
    elif isinstance(value, date | timedelta | PurePath):
        yield msgspec.json.encode(_clean(str(value))).decode()
    else:
        # What a class of the author's says of itself may be anything, and take any time.
        yield f"<{type(value).__name__}>"


def _inside(value: Any, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        yield "…"
        return
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    yield opening
    separator = ""
    if isinstance(value, dict):
        for key, item in value.items():
            name = _clean(str(key)) if isinstance(key, str | int) else type(key).__name__
            yield f"{separator}{msgspec.json.encode(name).decode()}: "
            yield from [f'"{_MASK}"'] if isinstance(key, str) and is_secret(key) else _pieces(item, depth)
            separator = ", "
    else:
        for item in value:
            yield separator
            yield from _pieces(item, depth)
            separator = ", "
    yield closing
