"""XCom values as JSON. Plain JSON stays as it is; other common types are tagged: {"__airloom__": "date", "value": ...}.

Tuples become lists. What has no form here is refused with the place in the value where it sits.
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePath
from typing import Any
from uuid import UUID

import msgspec

from airloom.sdk.exceptions import XComEncodeError

TAG = "__airloom__"
VALUE = "value"
#: bytes of one XCom; what is larger belongs in a file or an object store
MAX_BYTES = 16 * 1024 * 1024
_MAX_DEPTH = 200
_ADVICE = "write it to a file or an object store, and return where it is"

_WRITE: dict[type, tuple[str, Callable[[Any], Any]]] = {
    datetime: ("datetime", datetime.isoformat),
    date: ("date", date.isoformat),
    time: ("time", time.isoformat),
    timedelta: ("timedelta", lambda span: [span.days, span.seconds, span.microseconds]),
    Decimal: ("decimal", str),
    UUID: ("uuid", str),
    bytes: ("bytes", lambda data: base64.b64encode(data).decode()),
}
_READ: dict[str, Callable[[Any], Any]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda parts: timedelta(*parts),
    "decimal": Decimal,
    "uuid": UUID,
    "bytes": base64.b64decode,
    "float": float,
    "path": Path,
}


def encode(value: Any, name: str = "return value", max_bytes: int | None = MAX_BYTES) -> bytes:
    """`value` as JSON. `name` is what errors call it. Raises XComEncodeError: a type without a form, or too large."""
    try:
        data = msgspec.json.encode(_plain(value, name, 0))
    except UnicodeEncodeError:
        raise XComEncodeError(f"{name} holds text that is not valid Unicode (a lone surrogate)") from None
    if max_bytes is not None and len(data) > max_bytes:
        raise XComEncodeError(
            f"{name} takes {len(data):,} bytes as JSON, and an XCom may have {max_bytes:,}: {_ADVICE}"
        )
    return data


def decode(data: bytes) -> Any:
    """The value that `encode` was given."""
    value = msgspec.json.decode(data)
    return _rich(value) if TAG.encode() in data else value


def _plain(value: Any, place: str, depth: int) -> Any:
    if value is None or value is True or value is False:
        return value
    kind = type(value)
    if kind is str or kind is int:
        return value
    if depth > _MAX_DEPTH:
        raise XComEncodeError(f"{place[:60]}... is nested more than {_MAX_DEPTH} deep, or contains itself")
    if isinstance(value, Enum):
        return _plain(value.value, place, depth + 1)
    if isinstance(value, float):
        number = float(value)
        return number if number - number == 0 else {TAG: "float", VALUE: str(number)}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, dict):
        return _plain_dict(value, place, depth)
    if isinstance(value, set | frozenset):
        items = [_plain(item, f"{place}{{...}}", depth + 1) for item in value]
        return {TAG: "frozenset" if isinstance(value, frozenset) else "set", VALUE: sorted(items, key=_sort_key)}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview | range):
        return [_plain(item, f"{place}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, PurePath):
        return {TAG: "path", VALUE: str(value)}
    for known, (tag, write) in _WRITE.items():
        if isinstance(value, known):
            return {TAG: tag, VALUE: write(value)}
    if getattr(value, "shape", None) == () and hasattr(value, "item"):  # a number of numpy's
        return _plain(value.item(), place, depth + 1)
    raise XComEncodeError(f"{place} is {_named(kind)}, which cannot be kept as an XCom: {_ADVICE}")


def _plain_dict(value: dict[Any, Any], place: str, depth: int) -> dict[str, Any]:
    if TAG not in value and all(type(key) is str for key in value):
        return {key: _plain(item, f"{place}[{key!r}]", depth + 1) for key, item in value.items()}
    pairs = [
        [_plain(key, f"the key {key!r} of {place}", depth + 1), _plain(item, f"{place}[{key!r}]", depth + 1)]
        for key, item in value.items()
    ]
    return {TAG: "dict", VALUE: pairs}


def _rich(value: Any) -> Any:
    if isinstance(value, list):
        return [_rich(item) for item in value]
    if not isinstance(value, dict):
        return value
    tag = value.get(TAG)
    if tag is None:
        return {key: _rich(item) for key, item in value.items()}
    inner = value[VALUE]
    if tag == "dict":
        return {_hashable(_rich(key)): _rich(item) for key, item in inner}
    if tag in ("set", "frozenset"):
        items: Iterator[Any] = (_hashable(_rich(item)) for item in inner)
        return set(items) if tag == "set" else frozenset(items)
    return _READ[tag](inner)


def _hashable(value: Any) -> Any:
    """Lists can neither be keys nor in a set: there they were tuples."""
    return tuple(_hashable(item) for item in value) if isinstance(value, list) else value


def _sort_key(item: Any) -> bytes:
    return msgspec.json.encode(item)


def _named(kind: type) -> str:
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
