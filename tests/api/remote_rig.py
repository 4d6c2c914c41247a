"""A scheduler on a real database, the task API in a thread, and a runner as a process with a home of its own."""

import dataclasses
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import uvicorn

from airloom import settings
from airloom.api.remote.app import make_task_app
from airloom.api.state import Api
from airloom.bundles.local import LocalFolder
from airloom.bundles.sources import FolderSource, Source
from airloom.executors.settings import LocalSettings, write_settings
from airloom.executors.unix_socket import connect as connect_unix
from airloom.model.events import TriggerRun
from airloom.model.log_lines import LogLine
from airloom.model.report import Cause, Ended, Outcome, Report, TryKey
from airloom.model.states import RUN_FINISHED
from airloom.model.wire import FromIntake, Standing, Submit, ToIntake, Unframer, frame
from airloom.model.work import Cancel, Work
from airloom.operations import remote_runners
from airloom.operations.asking import ask
from airloom.operations.ops import Ops, make_ops, wake_path
from airloom.operations.try_tokens import TryTokens, try_tokens
from airloom.runtime.parsing import ParserPool
from airloom.sections import Settings
from airloom.services.inbox_listener import InboxListener
from airloom.services.leader import Leadership
from airloom.services.loader import Loader, LoaderSettings
from airloom.services.scheduler import Scheduler
from airloom.services.service import Bell, Daemon
from airloom.store import runs
from airloom.store.database import Database, connect
from airloom.store.notify import feed_notifier, listener
from airloom.wiring import parts
from tests.logs import lines_of, log_of
from tests.waiting import DEADLINE, wait_for

Heard = TypeVar("Heard", bound=FromIntake)


class HandingExecutor:
    """Hands work to the runner at a work socket, as a Celery worker does; what becomes of it the task API tells."""

    def __init__(self, tokens: TryTokens, path: str, wake: Callable[[], None]) -> None:
        self._tokens = tokens
        self._path = path
        self._wake = wake
        self._reports: list[Report] = []
        #: whoever hands over work stays there, or it is given back
        self._lines: list[Visit] = []
        self.works: dict[TryKey, Work] = {}
        self.held: list[Work] = []
        #: whether work waits for a runner
        self.holding = False

    def capacity(self) -> tuple[int | None, str]:
        return None, ""

    def submit(self, works: Iterable[Work]) -> None:
        for work in map(self._tokens.seal, works):
            self.works[work.key] = work
            if self.holding:
                self.held.append(work)
            else:
                self.hand(work)

    def hand(self, work: Work) -> None:
        """Give work to the runner that listens there."""
        line = Visit(self._path)
        self._lines.append(line)
        line.say(Submit(works=(work,)))

    def poll(self) -> list[Report]:
        reports, self._reports = self._reports, []
        return reports

    def lose(self, key: TryKey) -> None:
        """Say that a try is lost, as one does whose lease has run out."""
        end = Ended(key=key, at=time.time(), outcome=Outcome.FAILED, cause=Cause.LOST, detail="no runner has it")
        self._reports.append(end)
        self._wake()

    def cancel(self, cancels: Iterable[Cancel]) -> None:
        """The task API tells the runner."""

    def adopt(self, keys: Iterable[TryKey]) -> set[TryKey]:
        return set(keys)

    def close(self, grace: float) -> None:
        for line in self._lines:
            line.sock.close()


class Visit:
    """A connection to a runner's work socket, as a worker has it."""

    def __init__(self, path: str) -> None:
        def connected() -> socket.socket | None:
            try:
                return connect_unix(path)
            except OSError:
                return None

        self.sock: socket.socket = wait_for(connected, "a runner to listen")
        self.sock.settimeout(DEADLINE)
        self._unframer: Unframer[FromIntake] = Unframer(FromIntake)
        self._unread: list[FromIntake] = []
        #: all that came
        self.heard: list[FromIntake] = []

    def say(self, message: ToIntake) -> None:
        self.sock.sendall(frame(message))

    def hear(self, kind: type[Heard]) -> Heard:
        """The next message of this kind that comes; others are passed over."""
        while True:
            while self._unread:
                message = self._unread.pop(0)
                self.heard.append(message)
                if isinstance(message, kind):
                    return message
            data = self.sock.recv(65536)
            assert data, "the runner has gone"
            self._unread += self._unframer.feed(data)

    def refused(self, *parts: str) -> None:
        """Hear until no work is taken, and all of this is said why."""
        while (said := self.hear(Standing)).taking or not all(part in said.why for part in parts):
            pass

    def wait_for(self, message: FromIntake) -> None:
        """Hear until this comes."""
        while self.hear(type(message)) != message:
            pass

    def __enter__(self) -> "Visit":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()


class ApiServer:
    """The task API in a thread, at a port that stays the same when it is stopped and started."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.port = 0
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve, with nothing remembered of before."""
        app = make_task_app(self._api)
        config = uvicorn.Config(app, port=self.port, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        self._server = server = uvicorn.Server(config)
        self._thread = threading.Thread(target=server.run)
        self._thread.start()
        wait_for(lambda: server.started or not self._thread.is_alive(), "the server to start")
        self.port = server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Serve no more; connections are cut."""
        if self._server is not None:
            self._server.should_exit = True
            self._thread.join(DEADLINE)
            self._server = None


class Remote:
    """All of it, with the clock that everybody has."""

    def __init__(self, options: Settings, ops: Ops, worker: Path) -> None:
        self.settings = options
        self.ops = ops
        self.db: Database = ops.db
        self.worker = worker
        self.dags = options.core.dags_folder
        api = Api(ops=ops, settings=options, world_config=parts.world_config(options), now=time.time)
        self.api = ApiServer(api)
        self.runner: subprocess.Popen[bytes] | None = None
        self.local: LocalSettings | None = None
        self.executor: HandingExecutor
        self.bell = Bell()
        self.brain: Scheduler

    # --- the parts ----------------------------------------------------------------------------------------------------
    def set_up_runner(self, token: str, **fields: Any) -> None:
        """Write what a runner is told, in a home of its own. `fields`: settings that are to be others."""
        (self.worker / "token").write_text(token)
        local = LocalSettings(
            home=str(self.worker),
            name="celery",
            owner=remote_runners.database_of(self.ops),
            bundles={settings.DAGS_BUNDLE: str(self.dags)},
            parallelism=4,
            heartbeat=0.2,
            grace=1.0,
            orphan_timeout=DEADLINE,
            server=self.api.url,
            token_file=str(self.worker / "token"),
            queues=("default", "gpu"),
        )
        self.local = msgspec.structs.replace(local, **fields)
        write_settings(self.local)

    def start_runner(self) -> None:
        """Start the runner."""
        assert self.local is not None
        with (self.worker / "runner.log").open("ab") as log:
            self.runner = subprocess.Popen(
                [sys.executable, "-m", "airloom.runtime.remote_runner", self.local.file],
                stdout=log,
                stderr=log,
                cwd=self.worker,
            )

    def kill_runner(self) -> None:
        """End the runner, without a word."""
        assert self.runner is not None
        self.runner.kill()
        self.runner.wait(DEADLINE)

    def stop_runner(self) -> int:
        """Have the runner end in good order."""
        assert self.runner is not None
        self.runner.send_signal(signal.SIGTERM)
        return self.runner.wait(DEADLINE)

    def runner_says(self) -> str:
        return (self.worker / "runner.log").read_text()

    # --- authoring and asking -----------------------------------------------------------------------------------------
    def write(self, name: str, source: str) -> None:
        """A DAG file, loaded."""
        self.dags.mkdir(exist_ok=True)
        (self.dags / f"{name}.py").write_text(source)
        self.load(FolderSource(LocalFolder(settings.DAGS_BUNDLE, self.dags)))

    def load(self, source: Source) -> None:
        """Let a loader look at a bundle once."""

        def wake() -> None:
            self.brain.hint()
            self.bell.ring()

        options = LoaderSettings(refresh=0.0, paused=False)
        with closing(Loader(self.db, source, ParserPool(1, 30.0), wake, time.time, options)) as loader:
            loader.tick()

    def trigger(self, dag_id: str) -> str:
        return str(ask(self.ops, TriggerRun(dag_id=dag_id))["run_id"])

    def ended(self, dag_id: str, run_id: str) -> str:
        """Wait for the end of a run; its state."""

        def over() -> str | None:
            with self.db.reading() as conn:
                run = runs.find_run(conn, dag_id, run_id)
            return run.state.value if run is not None and run.state in RUN_FINISHED else None

        return str(wait_for(over, f"the end of {dag_id}"))

    def key_of(self, task_id: str) -> TryKey:
        """The last try that was handed out of a task, waited for."""

        def found() -> TryKey | None:
            keys = [key for key, work in self.executor.works.items() if work.task_id == task_id]
            return keys[-1] if keys else None

        key: TryKey = wait_for(found, f"{task_id} to be handed out")
        return key

    def log(self, key: TryKey) -> list[LogLine]:
        """What the server has of a try's log."""
        return lines_of(self.ops, log_of(self.executor.works[key]))

    def has_logged(self, key: TryKey, text: str) -> bool:
        return any(text in line.text for line in self.log(key))


@contextmanager
def remote_rig(folder: Path, url: str) -> Iterator[Remote]:
    """Scheduler and API run; the runner is the test's to start."""
    home, worker = folder / "home", folder / "worker"
    home.mkdir()
    worker.mkdir()
    variables = {"AIRLOOM_HOME": str(home), "AIRLOOM__DATABASE__URL": url, "AIRLOOM__SCHEDULER__ANSWER_TIMEOUT": "30"}
    options = settings.load(variables, home).settings
    with closing(connect(options.database.url)) as db, ExitStack() as stack:
        ops = dataclasses.replace(make_ops(options, db), env={})
        stack.callback(ops.notifier.close)
        remote = Remote(options, ops, worker)
        followers = feed_notifier(db, home)
        stack.callback(followers.close)
        leadership = Leadership(db, options.scheduler.lease, time.time)
        work_socket = LocalSettings(home=str(worker), name="celery", bundles={}).work_socket
        remote.executor = HandingExecutor(try_tokens(ops), work_socket, remote.bell.ring)
        config = parts.world_config(options, schedules=False)
        remote.brain = Scheduler(db, config, {"local": remote.executor}, leadership, time.time)
        remote.brain.watch(lambda _, plan: followers.notify() if plan.feed is not None else None)
        for daemon in (
            Daemon(remote.brain, remote.bell),
            Daemon(InboxListener(listener(db, wake_path(options)), remote.brain, remote.bell), Bell()),
        ):
            daemon.start()
            stack.callback(daemon.join, 10.0)
            stack.callback(daemon.stop)
        stack.callback(lambda: remote.runner is None or (remote.runner.kill(), remote.runner.wait()))
        stack.callback(remote.api.stop)
        remote.api.start()
        made = remote_runners.make_runner_token(ops, "workers")
        remote.set_up_runner(made.text)
        yield remote
