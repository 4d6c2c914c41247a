"""One run of a DAG file in the foreground: `airloom run`."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from airloom.bundles.local import LocalFolder, content_hash, keep_source
from airloom.executors.settings import kept_source
from airloom.model.bundles import LocalBundle
from airloom.model.errors import Conflict, InvalidRequest, NotFound
from airloom.model.events import TriggerRun
from airloom.model.loading import ParsedFile
from airloom.model.run import PoolRow
from airloom.model.spec import DagSpec
from airloom.operations.ops import make_ops
from airloom.runtime.parsing import ParseJob, ParserPool
from airloom.sdk.params import run_params
from airloom.sections import Settings
from airloom.services.leader import Leadership
from airloom.services.one_run import RunObserver, RunRecord, RunSummary, drive
from airloom.services.scheduler import Scheduler
from airloom.services.service import Bell
from airloom.settings import Loaded
from airloom.store.dags import dag_row, forget_file, save_file
from airloom.store.database import Connection, Database, connect
from airloom.store.pools import get_pool, set_pool
from airloom.wiring.parts import (
    local_settings,
    make_executors,
    migrating,
    world_config,
)
from airloom.wiring.process import FILE_BUNDLE, make_home

#: seconds after which the runner of a run in memory ends: nobody can come back to it
_ORPHAN_OF_MEMORY = 5.0


def run_file(
    loaded: Loaded,
    path: Path,
    dag_id: str | None,
    conf: Mapping[str, Any],
    observer: RunObserver,
    *,
    keep: bool = False,
) -> RunSummary:
    """One run of a DAG file in the foreground, with the scheduler and executors of the settings.

    keep: in the database and the home folder of the settings; otherwise in memory, with the logs in a temporary folder.
    Raises AirloomError when the file cannot be loaded or the run cannot be made.
    """
    settings = loaded.settings
    bundle, rel_path = _bundle_of(settings, path)
    source = bundle.read(rel_path)
    parsed = _parse(settings, bundle, rel_path, content_hash(source))
    spec = _choose(parsed, dag_id)
    run_params(spec.params, dict(conf))
    _check_executors(spec, settings.core.executors)
    with contextlib.ExitStack() as stack:
        home = settings.core.home if keep else Path(tempfile.mkdtemp(prefix="airloom-run-"))
        make_home(home)
        if not keep:
            stack.callback(_leave_only_logs, home)
        db = stack.enter_context(contextlib.closing(connect(settings.database.url if keep else "sqlite://")))
        migrating().migrate(db)
        leadership = Leadership(db, settings.scheduler.lease, time.time)
        leadership.require()
        paused = settings.core.dags_are_paused_at_creation
        with db.transaction() as conn:
            _provide_pools(conn, spec, make=not keep)
            save_file(conn, bundle.name, parsed, source.decode("utf-8", "surrogateescape"), time.time(), paused=paused)
            _check_owner(conn, spec.dag_id, bundle.name, rel_path)
        if bundle.name == FILE_BUNDLE:
            stack.callback(_forget, db, rel_path)
        keep_source(Path(kept_source(str(home), parsed.file_hash)), source)
        bell = Bell()
        local = local_settings(settings, db, home, {bundle.name: LocalBundle(path=str(bundle.root))})
        if not keep:
            local = msgspec.structs.replace(local, orphan_timeout=min(local.orphan_timeout, _ORPHAN_OF_MEMORY))
        executors = make_executors(settings.core.executors, local, make_ops(settings, db), bell.ring)
        for executor in executors.values():
            stack.callback(executor.close, 0.0)
        record = RunRecord(spec, observer)
        config = world_config(settings, schedules=False, foreground=spec.dag_id)
        brain = Scheduler(db, config, executors, leadership, time.time, record.on_commit)
        stack.callback(brain.close)
        drive(db, brain, bell, TriggerRun(dag_id=spec.dag_id, conf=dict(conf), by="airloom run"), record)
        return record.summary(str(home / "logs"))


def _bundle_of(settings: Settings, path: Path) -> tuple[LocalFolder, str]:
    """The bundle that the file is in, or the file's own folder; and the file's path in there."""
    for name, bundle in settings.bundles.items():
        if isinstance(bundle, LocalBundle) and path.is_relative_to(bundle.path):
            return LocalFolder(name, Path(bundle.path)), path.relative_to(bundle.path).as_posix()
    return LocalFolder(FILE_BUNDLE, path.parent), path.name


def _parse(settings: Settings, bundle: LocalFolder, rel_path: str, file_hash: str) -> ParsedFile:
    parser = ParserPool(1, settings.loader.parse_timeout)
    try:
        job = ParseJob(path=str(bundle.root / rel_path), rel_path=rel_path, file_hash=file_hash, root=str(bundle.root))
        (parsed,) = parser.parse([job])
    finally:
        parser.close()
    return parsed


def _choose(parsed: ParsedFile, dag_id: str | None) -> DagSpec:
    """The dag that is meant. Raises AirloomError with the file's errors, NotFound, InvalidRequest."""
    found = {spec.dag_id: spec for spec in parsed.dags}
    if dag_id in found:
        return found[dag_id]
    if parsed.errors:
        raise InvalidRequest(
            "\n".join(
                f"{error.rel_path}{'' if error.line is None else f':{error.line}'}: {error.text}"
                for error in parsed.errors
            )
        )
    if not found:
        raise NotFound(f"{parsed.rel_path} defines no DAG; a function with @dag makes one when it is called")
    if dag_id is not None:
        raise NotFound(f"{parsed.rel_path} defines no dag {dag_id}; it has {', '.join(found)}")
    if len(found) > 1:
        raise InvalidRequest(f"{parsed.rel_path} defines {len(found)} DAGs: choose one with --dag: {', '.join(found)}")
    return next(iter(found.values()))


def _check_executors(spec: DagSpec, configured: tuple[str, ...]) -> None:
    """Raise InvalidRequest if a task could never start because its executor is not there."""
    for task in spec.tasks:
        if task.executor is not None and task.executor not in configured:
            raise InvalidRequest(
                f"task {task.task_id} asks for the executor {task.executor!r}, which is not configured: [core] "
                f"executors has {', '.join(configured)}"
            )


def _provide_pools(conn: Connection, spec: DagSpec, *, make: bool) -> None:
    """See that every pool which the tasks name is there, since nobody could make it while they wait.

    make: they are made, without limit; otherwise InvalidRequest is raised for one that is missing.
    """
    for name in sorted({task.pool for task in spec.tasks}):
        if make:
            set_pool(conn, PoolRow(name=name, slots=-1))
        elif get_pool(conn, name) is None:
            raise InvalidRequest(
                f"there is no pool {name!r} for a run that is kept: make it with `airloom pools set {name} SLOTS` "
                "while a scheduler runs, or run without --keep"
            )


def _check_owner(conn: Connection, dag_id: str, bundle: str, rel_path: str) -> None:
    """Raise Conflict if the dag was not saved because another file, which comes first, defines it."""
    row = dag_row(conn, dag_id)
    if row is None or (row.bundle, row.rel_path) != (bundle, rel_path):
        owner = "another file" if row is None else row.rel_path
        raise Conflict(
            f"the database has a dag {dag_id!r} from {owner}: give this one another id, or run it without --keep"
        )


def _forget(db: Database, rel_path: str) -> None:
    """A file outside of the DAGs' folder was run once: its history stays, and no scheduler takes on its dags."""
    with db.transaction() as conn:
        forget_file(conn, FILE_BUNDLE, rel_path, time.time())


def _leave_only_logs(home: Path) -> None:
    for entry in home.iterdir():
        if entry.name != "logs":
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)
