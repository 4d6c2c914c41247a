"""The roles that need a broker and no database: a Celery worker, and Flower."""

import logging
import re
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from airloom import __version__
from airloom.executors.settings import LocalSettings, cores, read_settings, write_settings
from airloom.executors.unix_socket import take_lock
from airloom.model.errors import Conflict, SettingsError
from airloom.model.queues import queue_fault
from airloom.runtime.http_server import HttpServer
from airloom.sections import Settings
from airloom.wiring.process import (
    celery_settings,
    find_folders,
    log_to_stderr,
    make_home,
    runner_settings,
    with_celery,
)

#: the executor whose work it is
_EXECUTOR = "celery"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SLOTS = re.compile(r"([0-9]+)(?:\.\.([0-9]+))?")
_MOST_SLOTS = 10_000


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says instead of the settings; "" or (): as they say."""

    name: str = ""
    queues: tuple[str, ...] = ()
    concurrency: str = ""
    server: str = ""
    token_file: str = ""


def worker(settings: Settings, options: Options, say: Callable[[str], None]) -> int:
    """Be a worker until told to stop. Gives the exit status. Raises AirloomError."""
    chosen = with_options(settings, options)
    section = chosen.worker
    home = chosen.core.home
    name = section.name or socket.gethostname()
    if not _NAME.fullmatch(name):
        raise SettingsError(f"[worker] name {name!r}: a name has up to 100 letters, digits, dots, dashes, underscores")
    if not section.queues:
        raise SettingsError("[worker] queues names none: a worker needs one at least, such as default")
    for queue in section.queues:
        if fault := queue_fault(queue):
            raise SettingsError(f"[worker] queues: {queue!r}: {fault}")
    least, most = slots_of(section.concurrency)
    broker = celery_settings(chosen)
    parts = with_celery("airloom.runtime.worker.settings", "a worker")
    running = with_celery("airloom.runtime.worker.worker", "a worker")
    make_home(home)
    find_folders(chosen)
    lock = take_lock(str(home / "worker.lock"))
    if lock is None:
        raise Conflict(
            f"another worker uses the home folder {home}: stop it, or give this one a folder of its own in AIRLOOM_HOME"
        )
    runner = _runner(chosen, home, name, most)
    _find_token(Path(runner.token_file))
    # What is wrong with these is told here, not in the runner's log.
    HttpServer(runner.server, runner.token_file, runner.ca_file)
    replaces = _write(runner)
    log_to_stderr(celery=logging.CRITICAL, kombu=logging.ERROR, amqp=logging.ERROR)
    told = parts.WorkerSettings(
        name=name,
        broker=broker,
        runner=runner,
        queues=section.queues,
        slots=parts.Slots(least=least, most=most),
        grace=section.grace,
        memory_reserve=section.memory_reserve,
        replaces=replaces,
    )
    tasks = f"{told.slots} task{'' if most == 1 else 's'}"
    say(
        f"Airloom {__version__} worker {name}: queues {', '.join(section.queues)}; {tasks} at once\n"
        f"  broker {broker.shown}   server {section.server}   home {home}\n"
        "Ctrl-C stops it when its tasks have ended, a second one at once."
    )
    return int(running.Worker(told).run())


def flower(settings: Settings, address: str, port: int, arguments: Sequence[str], say: Callable[[str], None]) -> None:
    """Serve Flower until interrupted. Raises AirloomError."""
    broker = celery_settings(settings)
    serving = with_celery("airloom.runtime.worker.flower", "Flower")
    say(f"Flower, for the broker {broker.shown}, at http://{address}:{port}. Ctrl-C stops it.")
    try:
        serving.run_flower(broker, address, port, arguments)
    except OSError as error:
        raise SettingsError(f"Flower cannot listen at {address}:{port}: {error.strerror or error}") from None


def with_options(settings: Settings, options: Options) -> Settings:
    """The settings with what the command line says."""
    given = {name: value for name, value in msgspec.structs.asdict(options).items() if value}
    return msgspec.structs.replace(settings, worker=msgspec.structs.replace(settings.worker, **given))


def slots_of(text: str) -> tuple[int, int]:
    """The least and the most slots that `4` or `4..32` mean; "": one for each core. Raises SettingsError."""
    if not text.strip():
        return cores(), cores()
    found = _SLOTS.fullmatch(text.strip())
    least = int(found[1]) if found else 0
    most = int(found[2]) if found and found[2] else least
    if not 1 <= least <= most <= _MOST_SLOTS:
        raise SettingsError(
            f"[worker] concurrency {text!r}: write a number of tasks such as 16, or a range such as 4..32, "
            f"from 1 to {_MOST_SLOTS:,}"
        )
    return least, most


def _runner(settings: Settings, home: Path, name: str, most: int) -> LocalSettings:
    """What its runner is told."""
    section = settings.worker
    return msgspec.structs.replace(
        runner_settings(settings, home, settings.bundles),
        name=_EXECUTOR,
        parallelism=most,
        server=section.server,
        token_file=section.token_file or str(home / "runner.token"),
        ca_file=section.ca_file,
        queues=section.queues,
        worker=name,
        release=__version__,
        lease=settings.runner.lease,
    )


def _write(told: LocalSettings) -> bool:
    """Put it where the runner finds it; whether something else was there. Raises SettingsError."""
    try:
        before = read_settings(told.file)
    except (OSError, msgspec.MsgspecError):
        before = None
    try:
        write_settings(told)
    except OSError as error:
        raise SettingsError(f"cannot write {told.file}: {error.strerror}") from None
    return before is not None and before != told


def _find_token(file: Path) -> None:
    try:
        file.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"the token of this worker in {file} cannot be read: {error.strerror}. On the server's machine "
            "`airloom tokens add-runner NAME` makes one: put it there, or say with [worker] token_file where it is"
        ) from None
