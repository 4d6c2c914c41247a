"""Cursors: where a list goes on, as an opaque text, so that a page costs the same wherever it begins."""

import base64
import binascii
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Query

from airloom.model.errors import InvalidRequest

T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
#: the number of a run or of a task instance in a cursor, which anybody may have made up
RowNumber = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Cursor = Annotated[str | None, Query(max_length=2000, description="`next` of the part before.")]


def encode_cursor(position: Any) -> str:
    """The text that stands for `position`, which is JSON-like."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def decode_cursor(text: str | None, kind: type[T]) -> T | None:
    """The position that a cursor stands for; None for no cursor. Raises InvalidRequest if it is none of ours."""
    if text is None:
        return None
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return msgspec.json.decode(data, type=kind)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise InvalidRequest("the cursor is none that was given out for this list: begin without one") from None
