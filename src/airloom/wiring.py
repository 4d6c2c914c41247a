"""The composition root: the only module that names concrete executors, stores and notifiers."""

import contextlib
import importlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import msgspec

from airloom.bundles.local import LocalFolder, content_hash, keep_source
from airloom.decide.state import WorldConfig
from airloom.executors.base import Executor
from airloom.executors.local import LocalExecutor
from airloom.executors.sequential import sequential_executor
from airloom.executors.settings import LocalSettings, kept_source
from airloom.model.errors import Conflict, InvalidRequest, NotFound, SettingsError, StoreError
from airloom.model.events import TriggerRun
from airloom.model.loading import ParsedFile
from airloom.model.run import PoolRow
from airloom.model.spec import DagSpec, Isolation
from airloom.operations.ops import Ops, open_ops, wake_path
from airloom.operations.secret_key import read_secret_keys
from airloom.operations.task_requests import answer
from airloom.operations.users import first_link
from airloom.runtime.parsing import ParseJob, ParserPool
from airloom.runtime.process import die_with_parent
from airloom.sdk.params import run_params
from airloom.services.aside import run_aside
from airloom.services.followers import Followers
from airloom.services.inbox_listener import InboxListener
from airloom.services.keeper import NICE, Keeper
from airloom.services.leader import Leadership
from airloom.services.listening import Sockets, listen_at
from airloom.services.loader import FolderWatch, Loader, LoaderSettings
from airloom.services.maintenance import Maintenance
from airloom.services.one_run import RunObserver, RunRecord, RunSummary, drive
from airloom.services.reporting import Reporting, SchedulerReport, scheduler_tells
from airloom.services.scheduler import Scheduler
from airloom.services.service import Bell, Daemon
from airloom.services.tracing import make_tracing
from airloom.settings import Loaded, Settings
from airloom.store.dags import dag_row, forget_file, save_file
from airloom.store.database import Connection, Database, connect
from airloom.store.leadership import database_id
from airloom.store.notify import feed_notifier, listener, notifier
from airloom.store.pools import get_pool, set_pool
from airloom.store.revision import check, is_current
from airloom.store.secrets import Secrets

log = logging.getLogger("airloom")

#: the bundle of [core] dags_folder, and that of a file elsewhere that is run by itself
DAGS_BUNDLE = "dags"
FILE_BUNDLE = "file"
#: seconds that a stopping process waits for each of its threads
_JOIN = 10.0
#: seconds after which the runner of a run in memory ends: nobody can come back to it
_ORPHAN_OF_MEMORY = 5.0


def world_config(settings: Settings, *, schedules: bool = True, foreground: str | None = None) -> WorldConfig:
    """What the scheduler's decisions depend on."""
    core = settings.core
    return WorldConfig(
        executors=core.executors,
        parallelism=core.parallelism,
        infrastructure_retries=core.infrastructure_retries,
        max_map_length=core.max_map_length,
        schedules=schedules,
        foreground=foreground,
    )


def local_settings(settings: Settings, db: Database, home: Path, bundles: Mapping[str, Path]) -> LocalSettings:
    """What the local executor and its runner are told."""
    with db.reading() as conn:
        owner = database_id(conn)
    local, runner = settings.local, settings.runner
    return LocalSettings(
        home=str(home),
        owner=owner,
        bundles={name: str(root) for name, root in bundles.items()},
        parallelism=local.parallelism,
        isolation=Isolation(local.isolation),
        grace=local.grace,
        import_timeout=runner.import_timeout,
        orphan_timeout=runner.orphan_timeout,
        zygote_limit=runner.zygote_limit,
        memory_limit=local.memory_limit or None,
        log_limit=runner.log_max_bytes,
        xcom_limit=settings.xcom.max_size,
        heartbeat=runner.heartbeat,
    )


def make_executors(
    names: tuple[str, ...], local: LocalSettings, ops: Ops, wake: Callable[[], None]
) -> dict[str, Executor]:
    """The configured executors, started."""
    kinds = {"local": LocalExecutor, "sequential": sequential_executor}
    return {name: kinds[name](local, partial(answer, ops), wake) for name in names}


def make_home(home: Path) -> None:
    """The home folder is there and can be written to, or a StoreError says what is wrong."""
    try:
        # Its own user's: the database and the logs in it tell what tasks do.
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise StoreError(
            f"the home folder {home} cannot be written to: {error.strerror}; correct its rights, or set "
            "AIRLOOM_HOME to another folder"
        ) from None


def _find_dags(folder: Path, home: Path) -> None:
    """The folder of DAG files is there, or a SettingsError says so. The one in the home folder is made."""
    if folder == home / "dags" and not folder.exists():
        folder.mkdir()
    if not folder.is_dir():
        raise SettingsError(f"the folder of DAG files {folder} {'is a file' if folder.exists() else 'does not exist'}")


def _ops(settings: Settings, db: Database) -> Ops:
    return Ops(
        db=db,
        notifier=notifier(db, wake_path(settings)),
        secrets=cache(lambda: Secrets(read_secret_keys(settings))),
        answer_timeout=settings.scheduler.answer_timeout,
    )


def standalone(loaded: Loaded, dags_folder: Path, on_ready: Callable[[str], None]) -> int:
    """Scheduler, loader, executors, and in a process of its own the API with the web UI, until SIGINT or SIGTERM. Makes
    and migrates its database. `on_ready` is given a link that logs in, once."""
    settings = loaded.settings
    make_home(settings.core.home)
    log_to_stderr()
    sockets = listen_at(settings.api)
    address = sockets.address(settings.api)
    serve = partial(_serve_api, settings, sockets)
    keeper = Keeper("the API", _serving, serve, partial(_start_api, settings, sockets))

    def ready(ops: Ops) -> Callable[[], None]:
        link = first_link(ops, address)
        keeper.go()
        on_ready(link)
        # Before the database is closed here: the last one who closes SQLite tidies it up.
        return keeper.stop

    try:
        return _serve(loaded, dags_folder, ready, _migrate)
    finally:
        keeper.stop()
        sockets.close()


def api(loaded: Loaded, on_ready: Callable[[str], None], inherited: str = "") -> int:
    """The API with the web UI alone, on a database that is migrated already. `on_ready` is given its address, with a
    login for once while nobody could log in otherwise.

    inherited: the parent's number and those of the sockets that it opened, when this one takes the place of another.
    """
    settings = loaded.settings
    log_to_stderr()
    if inherited:
        parent, *numbers = map(int, inherited.split(","))
        die_with_parent(parent)
        os.nice(NICE)
        sockets = Sockets.inherited(numbers)
    else:
        sockets = listen_at(settings.api)
        with open_ops(settings) as ops:
            on_ready(first_link(ops, sockets.address(settings.api)))
    _serve_api(settings, sockets)
    return 0


def _start_api(settings: Settings, sockets: Sockets) -> "subprocess.Popen[bytes]":
    """Another API process, in the place of the one that was forked."""
    numbers = sockets.numbers()
    inherited = ",".join(map(str, (os.getpid(), *numbers)))
    # Where this one listens may have been said on its command line.
    place = {"AIRLOOM__API__HOST": settings.api.host, "AIRLOOM__API__PORT": str(settings.api.port)}
    environment = {**os.environ, **place}
    command = [sys.executable, "-P", "-m", "airloom", "api", "--inherited", inherited]
    return subprocess.Popen(command, env=environment, pass_fds=numbers, start_new_session=True)


def _migrate(db: Database) -> None:
    """Bring the database to this version. What does that is large, and hardly ever needed: it gets a process."""
    if not is_current(db):
        db.close()
        run_aside(lambda: _migrating().migrate(db))


def _migrating() -> Any:
    return importlib.import_module("airloom.store.migrate")


def _serving() -> Any:
    """The web framework, a third of the memory of the process that serves, is loaded by no other one."""
    return importlib.import_module("airloom.api.serving")


def _serve_api(settings: Settings, sockets: Sockets) -> None:
    with open_ops(settings) as ops:
        _serving().serve(ops, settings, world_config(settings), sockets)


def scheduler(loaded: Loaded, on_ready: Callable[[], None]) -> int:
    """The same on a database that is migrated already, where several may stand by."""
    make_home(loaded.settings.core.home)
    log_to_stderr()

    def ready(_: Ops) -> Callable[[], None]:
        on_ready()
        return lambda: None

    return _serve(loaded, loaded.settings.core.dags_folder, ready, check)


def _serve(
    loaded: Loaded,
    dags_folder: Path,
    on_ready: Callable[[Ops], Callable[[], None]],
    prepare: Callable[[Database], None],
) -> int:
    """`on_ready` gives what is to be called at the end, while the database is open still."""
    settings = loaded.settings
    _find_dags(dags_folder, settings.core.home)
    with contextlib.ExitStack() as stack:
        db = stack.enter_context(contextlib.closing(connect(settings.database.url)))
        prepare(db)
        ops = _ops(settings, db)
        stack.callback(ops.notifier.close)
        leadership = Leadership(db, settings.scheduler.lease, time.time)
        if db.path is not None:
            leadership.require()
        bell = Bell()
        local = local_settings(settings, db, settings.core.home, {DAGS_BUNDLE: dags_folder})
        executors = make_executors(settings.core.executors, local, ops, bell.ring)
        for executor in executors.values():
            stack.callback(executor.close, 0.0)
        brain = Scheduler(db, world_config(settings), executors, leadership, time.time)
        hints = feed_notifier(db, settings.core.home)
        stack.callback(hints.close)
        brain.watch(Followers(hints).on_commit)
        loader, loader_bell = _loader(settings, dags_folder, ops, brain, bell)
        daemons = [
            Daemon(brain, bell),
            Daemon(InboxListener(listener(db, wake_path(settings)), brain, bell), Bell()),
            Daemon(loader, loader_bell),
            _maintenance(settings, db, leadership),
        ]
        tracing = make_tracing(settings.otel, local.owner)
        if tracing is not None:
            brain.watch(tracing.on_commit)
            daemons.append(Daemon(tracing, Bell()))
        report = SchedulerReport(leadership, brain.turns, lambda: 0 if tracing is None else tracing.dropped)
        brain.watch(report.on_commit)
        tell = partial(scheduler_tells, report, lambda: loader.state, executors)
        daemons.append(Daemon(Reporting(db, tell, time.time), Bell()))
        with _stop_signal() as stopped:
            for daemon in daemons:
                daemon.start()
            stack.callback(on_ready(ops))
            stopped.wait()
            log.info("stopping")
            # What runs is ended; the next start hears of it and runs it again.
            for executor in executors.values():
                executor.close(0.0)
            for daemon in reversed(daemons):
                daemon.stop()
            for daemon in daemons:
                if not daemon.join(_JOIN):
                    log.warning("%s did not end within %g s", daemon.name, _JOIN)
            stack.close()
    return 0


def _loader(settings: Settings, dags_folder: Path, ops: Ops, brain: Scheduler, bell: Bell) -> tuple[Loader, Bell]:
    """The loader, and the file events that wake it by its bell."""

    def tell_the_leader() -> None:
        # The one in this process at once, any other by the database.
        brain.hint()
        bell.ring()
        ops.notifier.notify()

    loader = Loader(
        ops.db,
        LocalFolder(DAGS_BUNDLE, dags_folder),
        ParserPool(settings.loader.processes, settings.loader.parse_timeout),
        tell_the_leader,
        ops.now,
        LoaderSettings(
            interval=settings.loader.interval,
            refresh=settings.loader.refresh,
            paused=settings.core.dags_are_paused_at_creation,
            home=settings.core.home,
        ),
    )
    wake = Bell()
    loader.watch(FolderWatch(dags_folder, wake.ring))
    return loader, wake


def _maintenance(settings: Settings, db: Database, leadership: Leadership) -> Daemon:
    keep = (settings.retention.days, settings.logs.retention, settings.retention.audit)
    logs = settings.core.home / "logs"
    return Daemon(Maintenance(db, logs, keep, settings.retention.every, lambda: leadership.epoch is not None), Bell())


@contextlib.contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second SIGINT interrupts for good."""
    stopped = threading.Event()

    def on_signal(number: int, frame: Any) -> None:
        if stopped.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stopped.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
        _migrating().migrate(db)
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
        local = local_settings(settings, db, home, {bundle.name: bundle.root})
        if not keep:
            local = msgspec.structs.replace(local, orphan_timeout=min(local.orphan_timeout, _ORPHAN_OF_MEMORY))
        executors = make_executors(settings.core.executors, local, _ops(settings, db), bell.ring)
        for executor in executors.values():
            stack.callback(executor.close, 0.0)
        record = RunRecord(spec, observer)
        config = world_config(settings, schedules=False, foreground=spec.dag_id)
        brain = Scheduler(db, config, executors, leadership, time.time, record.on_commit)
        stack.callback(brain.close)
        drive(db, brain, bell, TriggerRun(dag_id=spec.dag_id, conf=dict(conf), by="airloom run"), record)
        return record.summary(str(home / "logs"))


def _bundle_of(settings: Settings, path: Path) -> tuple[LocalFolder, str]:
    """The DAGs' folder if the file is in it, or the file's own folder; and the file's path in there."""
    folder = settings.core.dags_folder
    if path.is_relative_to(folder):
        return LocalFolder(DAGS_BUNDLE, folder), path.relative_to(folder).as_posix()
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


def log_to_stderr() -> None:
    """The daemons' own log: plain lines with time and level."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s  %(message)s", "%H:%M:%S"))
    root = logging.getLogger("airloom")
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    root.propagate = False
