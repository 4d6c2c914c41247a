"""The names that come near a wrong one, to end the sentence that says it is wrong."""

import difflib
from collections.abc import Callable, Iterable


def did_you_mean(
    name: str, names: Iterable[str], *, most: int = 1, cutoff: float = 0.6, show: Callable[[str], str] = str
) -> str:
    """'; did you mean X?' with the names that are like `name`, or nothing. cutoff: how much, up to 1.0."""
    close = difflib.get_close_matches(name, list(names), most, cutoff)
    return f"; did you mean {' or '.join(map(show, close))}?" if close else ""
