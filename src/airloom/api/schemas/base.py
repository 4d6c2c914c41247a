"""What all resources share: times, pages, problems."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _moment(value: Any) -> Any:
    try:
        return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else value
    except (OverflowError, OSError):
        raise ValueError("this is too far away to be a moment") from None


#: levels of lists and objects in a request
_DEEPEST = 64
_UNFIT = re.compile("[\\0\ud800-\udfff]")

#: A moment; epoch seconds, as the model has them, are taken too.
Moment = Annotated[datetime, BeforeValidator(_moment)]


class Out(BaseModel):
    """What is given. It is made from the model's structs by their attributes."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class In(BaseModel):
    """What is taken. An unknown field is refused: it is mostly a misspelt one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _can_be_kept(cls, data: Any) -> Any:
        """Refuse what a database cannot hold, and what is nested as nobody means it, wherever it is in the request."""
        left: list[tuple[Any, int]] = [(data, 0)]
        while left:
            value, depth = left.pop()
            if depth > _DEEPEST:
                raise ValueError(f"it is nested more than {_DEEPEST} levels deep")
            if isinstance(value, str) and _UNFIT.search(value):
                raise ValueError("a text cannot hold the character NUL, or half of a surrogate pair")
            if isinstance(value, dict):
                left += [(part, depth + 1) for entry in value.items() for part in entry]
            elif isinstance(value, list):
                left += [(part, depth + 1) for part in value]
        return data


Item = TypeVar("Item")


class Page(Out, Generic[Item]):
    """A part of a list. `next` is the cursor of the part that follows, null at the end."""

    items: list[Item]
    next: str | None = Field(default=None, description="Give it as `cursor` to get what follows.")


class Problem(Out):
    """What is wrong with a request (RFC 9457, application/problem+json)."""

    type: str = Field(description="Names the kind of problem: about:blank, or a path under /problems/.")
    title: str
    status: int
    detail: str = Field(description="One sentence: what is wrong, and what to do about it.")
    errors: list[dict[str, Any]] | None = Field(default=None, description="Which fields are wrong, and how.")
