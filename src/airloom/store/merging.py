"""Merges lists that were read in parts into one page."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

Item = TypeVar("Item")


def merge(
    parts: Iterable[tuple[Sequence[Item], Any]], place: Callable[[Item], Any], limit: int, *, ascending: bool = False
) -> tuple[list[Item], Any]:
    """The first `limit` of all items in the order of their places, and the place to go on from, None at the end.

    Each part has its items and the place up to which it is known; None: to its end. What lies beyond the nearest such
    place waits for the next page, as another part may have something before it.
    """
    known = list(parts)
    ends = [end for _, end in known if end is not None]
    items = sorted((item for found, _ in known for item in found), key=place, reverse=not ascending)
    bound = None
    if ends:
        bound = min(ends) if ascending else max(ends)
        items = [item for item in items if (place(item) <= bound if ascending else place(item) >= bound)]
    if len(items) > limit:
        return items[:limit], place(items[limit - 1])
    return items, bound
