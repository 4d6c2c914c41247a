"""Where in the author's file a statement stands: every definition error points there."""

import sys
from typing import NamedTuple

from airloom.model.errors import DagDefinitionError

_PACKAGE = __file__.removesuffix("sdk/source.py")


class Site(NamedTuple):
    """A line of a file."""

    filename: str
    line: int


_statement: Site | None = None


def author_site() -> Site | None:
    """The statement of the author's that is being carried out: the first frame outside Airloom."""
    if _statement is not None:
        return _statement
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(_PACKAGE):
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return Site(frame.f_code.co_filename, frame.f_lineno)


def module_file() -> str | None:
    """The file whose top level is being executed: a DAG that a helper function makes belongs to the file that calls."""
    frame = sys._getframe(1)
    while frame.f_code.co_name != "<module>":
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return frame.f_code.co_filename


class one_statement:
    """Until the end of the block, errors point at the statement that entered it, however deep the calls go."""

    def __enter__(self) -> Site | None:
        global _statement
        self._before = _statement
        _statement = author_site()
        return _statement

    def __exit__(self, *_error: object) -> None:
        global _statement
        _statement = self._before


def definition_error(message: str, site: Site | None = None) -> DagDefinitionError:
    """The error to raise for a DAG file that says what cannot be."""
    place = site or author_site()
    if place is None:
        return DagDefinitionError(message)
    return DagDefinitionError(message, place.filename, place.line)
