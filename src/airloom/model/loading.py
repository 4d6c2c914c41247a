"""What parsing a DAG file gives: specs, and errors that point at the author's line."""

import msgspec

from airloom.model.spec import DagSpec


class LoadError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a DAG file, or one dag in it, cannot be used. `text` is one sentence or a few; `line` is in `rel_path`."""

    rel_path: str
    text: str
    line: int | None = None
    dag_id: str | None = None
    traceback: str | None = None


class ParsedFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A DAG file as it was understood. `threads`: its import started threads, so nothing is forked from after it.
    `modules`: the other files of its bundle that the import brought in; when one changes, this file is parsed again.
    `bundle_version`: the commit that it is of, if it comes from a repository.
    """

    rel_path: str
    file_hash: str
    dags: tuple[DagSpec, ...] = ()
    errors: tuple[LoadError, ...] = ()
    threads: bool = False
    modules: tuple[str, ...] = ()
    seconds: float = 0.0
    bundle_version: str | None = None
