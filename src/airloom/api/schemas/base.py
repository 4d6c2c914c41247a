"""What all resources share: times, pages, problems."""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _moment(value: Any) -> Any:
    try:
        return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else value
    except (OverflowError, OSError):
        raise ValueError("this is too far away to be a moment") from None


#: A moment; epoch seconds, as the model has them, are taken too.
Moment = Annotated[datetime, BeforeValidator(_moment)]


class Out(BaseModel):
    """What is given. It is made from the model's structs by their attributes."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class In(BaseModel):
    """What is taken. An unknown field is refused: it is mostly a misspelt one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
