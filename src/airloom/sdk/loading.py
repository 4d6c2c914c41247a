"""Imports DAG files, and turns whatever goes wrong in them into errors that point at the author's line."""

import hashlib
import re
import sys
import threading
import time
import traceback
from pathlib import Path
from types import ModuleType

import airloom
from airloom.model.errors import DagDefinitionError
from airloom.model.loading import LoadError, ParsedFile
from airloom.model.spec import DagSpec
from airloom.sdk.dag import DAG, set_announce
from airloom.sdk.naming import did_you_mean
from airloom.sdk.source import definition_error
from airloom.sdk.spec_of import spec_of

_PACKAGE = str(Path(__file__).parent.parent)
#: what Python says of `from airloom import NAME`
_NOT_OURS = re.compile(r"cannot import name '(\w+)' from 'airloom' ")


def parse_file(path: str, rel_path: str, file_hash: str) -> ParsedFile:
    """The DAGs of a file as specs, and what is wrong with it. Never raises for what its author can cause.

    A dag that is wrong by itself is an error of its own; the others of the file are good all the same.
    """
    began, threads = time.perf_counter(), _thread_count()
    errors: list[LoadError] = []
    specs: list[DagSpec] = []
    dags: list[DAG] = []
    try:
        dags = _collect(path)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        errors.append(load_error(error, path, rel_path))
    for dag in dags:
        try:
            _check_unique(dag, dags)
            specs.append(spec_of(dag))
        except Exception as error:
            errors.append(load_error(error, path, rel_path, dag.dag_id))
    return ParsedFile(
        rel_path=rel_path,
        file_hash=file_hash,
        dags=tuple(sorted(specs, key=lambda spec: spec.dag_id)),
        errors=tuple(errors),
        threads=_thread_count() > threads,
        seconds=time.perf_counter() - began,
    )


def import_dags(path: str, source: str | None = None) -> dict[str, DAG]:
    """The DAGs of a file by id. Raises whatever the file raises, and DagDefinitionError for two of the same id.

    `source`: a copy of the file as it was, to be imported as if it were there still. Imports of the file find what is
    on sys.path; the caller puts the bundle's root there.
    """
    dags = _collect(path, source)
    for dag in dags:
        _check_unique(dag, dags)
        for task in dag.tasks:
            task.link_references()
    return {dag.dag_id: dag for dag in dags}


def load_error(error: BaseException, path: str, rel_path: str, dag_id: str | None = None) -> LoadError:
    """What to tell the author of the file at `path`."""
    definition = isinstance(error, DagDefinitionError)
    if isinstance(error, SystemExit):
        code = "" if error.code is None else repr(error.code)
        text = f"the file called sys.exit({code}) while it was imported; a DAG file must come to its end"
    elif isinstance(error, SyntaxError):
        text = f"{type(error).__name__}: {error.msg}"
        if error.filename and error.filename != path:
            text += f" ({Path(error.filename).name}, line {error.lineno})"
    elif definition:
        text = str(error)
    else:
        text = (_import_advice(error) if isinstance(error, ImportError) else None) or _words_of(error)
    return LoadError(
        rel_path=rel_path,
        text=text,
        line=_line(error, path),
        dag_id=dag_id,
        traceback=None if definition or isinstance(error, SyntaxError) else _traceback(error),
    )


def _words_of(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()


def _import_advice(error: ImportError) -> str | None:
    """What to write instead of an import that only Airflow has, or that has a typing error."""
    if (error.name or "").partition(".")[0] == "airflow":
        return "the file imports airflow: import the same names from airloom (docs/coming-from-airflow.md)"
    missing = _NOT_OURS.match(error.msg)
    if missing is None:
        return None
    hint = did_you_mean(missing[1], airloom.__all__) or "; docs/coming-from-airflow.md lists what is not there yet"
    return f"airloom has no name {missing[1]!r}{hint}"


def _collect(path: str, source: str | None = None) -> list[DAG]:
    """Execute the file as a module of its own, and gather the DAGs that it makes, in its order."""
    announced: list[DAG] = []
    module = ModuleType(f"airloom_dag_{hashlib.sha256(path.encode()).hexdigest()[:12]}_{Path(path).stem}")
    module.__file__ = path
    # Compiled here and not by importlib: its cache takes a file for unchanged if it was changed within a second.
    code = compile(Path(source or path).read_bytes(), path, "exec", dont_inherit=True)
    sys.modules[module.__name__] = module
    before = set_announce(announced.append)
    try:
        exec(code, vars(module))
    finally:
        set_announce(before)
    named = [value for value in vars(module).values() if isinstance(value, DAG)]
    own = [dag for dag in announced if dag.fileloc == path]
    return list({id(dag): dag for dag in [*own, *named]}.values())


def _check_unique(dag: DAG, dags: list[DAG]) -> None:
    lines = [str(other.site.line) for other in dags if other.dag_id == dag.dag_id and other.site is not None]
    if len(lines) > 1:
        raise definition_error(
            f"the file makes {len(lines)} DAGs with the id {dag.dag_id!r} (lines {', '.join(lines)}); "
            "each needs an id of its own",
            dag.site,
        )


def _line(error: BaseException, path: str) -> int | None:
    if isinstance(error, DagDefinitionError) and error.filename == path:
        return error.line
    if isinstance(error, SyntaxError) and error.filename == path:
        return error.lineno
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == path]
    return lines[-1] if lines else None


def _traceback(error: BaseException) -> str:
    """The traceback without the frames of Airloom and of the import machinery that lead to the file."""
    report = traceback.TracebackException.from_exception(error)
    kept = [frame for frame in report.stack if not frame.filename.startswith((_PACKAGE, "<frozen importlib"))]
    report.stack = traceback.StackSummary.from_list(kept)
    return "".join(report.format())


def _thread_count() -> int:
    try:
        return len(list(Path("/proc/self/task").iterdir()))
    except OSError:  # not Linux: threads of C code cannot be counted
        return threading.active_count()
