"""The roles of a process: standalone, scheduler, loader, API."""

import contextlib
import importlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from airloom.executors.base import Executor
from airloom.model.structs import prepare_structs
from airloom.operations.ops import Ops, make_ops, open_ops, wake_path
from airloom.operations.secret_key import fingerprints
from airloom.operations.users import first_link
from airloom.runtime.process import die_with_parent
from airloom.sections import Settings
from airloom.services.aside import run_aside
from airloom.services.followers import Followers
from airloom.services.inbox_listener import InboxListener
from airloom.services.keeper import NICE, Keeper
from airloom.services.leader import Leadership
from airloom.services.listening import Sockets, listen_at
from airloom.services.log_keeping import LogKeeper
from airloom.services.maintenance import Maintenance
from airloom.services.reporting import Reporting, SchedulerReport, scheduler_tells
from airloom.services.scheduler import Scheduler
from airloom.services.service import Bell, Daemon
from airloom.services.tracing import make_tracing
from airloom.settings import Loaded
from airloom.store.database import Database, connect
from airloom.store.notify import feed_notifier, listener
from airloom.store.revision import check, is_current
from airloom.wiring.loading import Loaders
from airloom.wiring.parts import (
    local_settings,
    make_executors,
    migrating,
    remnant_of,
    world_config,
)
from airloom.wiring.process import celery_settings, find_folders, log_to_stderr, make_home

log = logging.getLogger("airloom")

#: seconds that a stopping process waits for each of its threads
_JOIN = 10.0
#: seconds after the end of a try, and of its time to be ended, from which on the file of its log is stored elsewhere
_LOG_REST = 60.0


def standalone(loaded: Loaded, on_ready: Callable[[str], None]) -> int:
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
        return _serve(loaded, ready, _migrate, loads=True)
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
            ops.logs.check()
            ops.secrets()  # a key that is none is told now, not to each browser
            on_ready(first_link(ops, sockets.address(settings.api)))
    _serve_api(settings, sockets)
    return 0


def _start_api(settings: Settings, sockets: Sockets) -> "subprocess.Popen[bytes]":
    """Another API process, in the place of the one that was forked."""
    numbers = sockets.numbers()
    inherited = ",".join(map(str, (os.getpid(), *numbers)))
    # Where this one listens may have been said on its command line.
    place = ["--host", settings.api.host, "--port", str(settings.api.port)]
    command = [sys.executable, "-P", "-m", "airloom", "api", *place, "--inherited", inherited]
    return subprocess.Popen(command, pass_fds=numbers, start_new_session=True)


def _migrate(db: Database) -> None:
    """Bring the database to this version. What does that is large, and hardly ever needed: it gets a process."""
    if not is_current(db):
        db.close()
        run_aside(lambda: migrating().migrate(db))


def _serving() -> Any:
    """The web framework, a third of the memory of the process that serves, is loaded by no other one."""
    return importlib.import_module("airloom.api.serving")


def _serve_api(settings: Settings, sockets: Sockets) -> None:
    with open_ops(settings) as ops:
        ops.logs.check()
        serving = _serving()
        prepare_structs()
        serving.serve(ops, settings, world_config(settings), sockets)


def scheduler(loaded: Loaded, on_ready: Callable[[], None]) -> int:
    """The same on a database that is migrated already, where several may stand by."""
    make_home(loaded.settings.core.home)
    log_to_stderr()

    def ready(_: Ops) -> Callable[[], None]:
        on_ready()
        return lambda: None

    return _serve(loaded, ready, check, loads=loaded.settings.scheduler.loader)


def loader(loaded: Loaded, on_ready: Callable[[], None]) -> int:
    """The loaders alone, on a database that is migrated already, where several may stand by."""
    settings = loaded.settings
    make_home(settings.core.home)
    log_to_stderr()
    find_folders(settings)
    with contextlib.ExitStack() as stack:
        ops = stack.enter_context(open_ops(settings))
        prepare_structs()
        loaders = Loaders(settings, ops, ops.notifier.notify)
        stack.callback(loaders.close)
        daemons = [*loaders.daemons(), Daemon(Reporting(ops.db, lambda _inbox: loaders.tell(), time.time), Bell())]
        with _stop_signal() as stopped:
            for daemon in daemons:
                daemon.start()
            on_ready()
            stopped.wait()
            _end(daemons)
    return 0


def _end(daemons: list[Daemon]) -> None:
    for daemon in reversed(daemons):
        daemon.stop()
    for daemon in daemons:
        if not daemon.join(_JOIN):
            log.warning("%s did not end within %g s", daemon.name, _JOIN)


def _serve(
    loaded: Loaded,
    on_ready: Callable[[Ops], Callable[[], None]],
    prepare: Callable[[Database], None],
    *,
    loads: bool,
) -> int:
    """`on_ready` gives what is to be called at the end, while the database is open still. loads: DAG files, too."""
    settings = loaded.settings
    if loads:
        find_folders(settings)
    with contextlib.ExitStack() as stack:
        db = stack.enter_context(contextlib.closing(connect(settings.database.url)))
        prepare(db)
        ops = make_ops(settings, db)
        stack.callback(ops.notifier.close)
        leadership = Leadership(db, settings.scheduler.lease, time.time)
        if db.path is not None:
            leadership.require()
        keeper = _log_keeper(settings, ops, leadership)
        bell = Bell()
        local = local_settings(settings, db, settings.core.home, settings.bundles)
        executors = make_executors(settings.core.executors, local, ops, bell.ring, celery_settings(settings), settings)
        for executor in executors.values():
            stack.callback(executor.close, 0.0)
        prepare_structs()
        brain = Scheduler(db, world_config(settings), executors, leadership, time.time)
        brain.see_out(partial(remnant_of, ops))
        hints = feed_notifier(db, settings.core.home)
        stack.callback(hints.close)
        brain.watch(Followers(hints).on_commit)
        loaders = _loaders(settings, ops, brain, bell) if loads else None
        daemons = [
            Daemon(brain, bell),
            Daemon(InboxListener(listener(db, wake_path(settings)), brain, bell), Bell()),
            *(loaders.daemons() if loaders is not None else ()),
            _maintenance(settings, db, leadership),
            Daemon(keeper, Bell()),
        ]
        tracing = make_tracing(settings.otel, local.owner)
        if tracing is not None:
            brain.watch(tracing.on_commit)
            daemons.append(Daemon(tracing, Bell()))
        dropped = partial(getattr, tracing, "dropped", 0)
        keys = fingerprints(ops.secrets())
        report = SchedulerReport(leadership, brain.turns, dropped, lambda: keeper.trouble, keys)
        brain.watch(report.on_commit)
        tell = partial(scheduler_tells, report, loaders.tell if loaders is not None else tuple, executors)
        daemons.append(Daemon(Reporting(db, tell, time.time), Bell()))
        if loaders is not None:
            stack.callback(loaders.close)
        _run(daemons, executors, lambda: stack.callback(on_ready(ops)), stack.close)
    return 0


def _run(
    daemons: list[Daemon], executors: Mapping[str, Executor], begun: Callable[[], object], end: Callable[[], None]
) -> None:
    """`begun` is called when they run, `end` when they have ended; a signal is heard until then."""
    with _stop_signal() as stopped:
        for daemon in daemons:
            daemon.start()
        begun()
        stopped.wait()
        log.info("stopping")
        # What runs is ended; the next start hears of it and runs it again.
        for executor in executors.values():
            executor.close(0.0)
        _end(daemons)
        end()


def _loaders(settings: Settings, ops: Ops, brain: Scheduler, bell: Bell) -> Loaders:
    def tell_the_leader() -> None:
        # The one in this process at once, any other by the database.
        brain.hint()
        bell.ring()
        ops.notifier.notify()

    return Loaders(settings, ops, tell_the_leader)


def _log_keeper(settings: Settings, ops: Ops, leadership: Leadership) -> LogKeeper:
    ops.logs.check()
    return LogKeeper(ops, lambda: leadership.epoch is not None, _LOG_REST + settings.local.grace)


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
