"""A small world for tests of the Celery executor: a database, the task API in a thread, and a worker as a process.

One of these serves the tests of a class, for a worker takes seconds to start; each test has a rig of its own in it.
"""

import dataclasses
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import delete, insert, select, update

from airloom import settings
from airloom.api.remote import office
from airloom.api.state import Api
from airloom.bundles.local import content_hash
from airloom.executors.base import AnswerTask, Executor
from airloom.executors.celery.app import make_app, make_queue
from airloom.executors.celery.broker import Broker
from airloom.model.bundles import LocalBundle
from airloom.model.events import Reported
from airloom.model.log_lines import LogLine
from airloom.model.processes import ProcessKind, ProcessRow, RunnerState
from airloom.model.report import Ended, HandedBack, Report, Started, TryKey
from airloom.model.run import RunRow, RunType, TIRow, TryRow
from airloom.model.states import RunState, TIState
from airloom.model.wire import TaskRequest
from airloom.model.work import Cancel, Work
from airloom.operations import remote_runners, try_logs
from airloom.operations.ops import Ops, make_ops
from airloom.operations.try_tokens import try_tokens
from airloom.store import inbox, processes, tables
from airloom.store.database import Database, connect
from airloom.store.notify import feed_notifier
from airloom.wiring import parts, process
from tests.api.remote_rig import ApiServer
from tests.executors.rig import Rig
from tests.logs import lines_of, log_of
from tests.servers import as_child
from tests.waiting import DEADLINE, wait_for

#: seconds between two looks into the inbox
_PAUSE = 0.02
#: what the task API says of a try whose task instance was cleared
_CLEARED = "it was cleared while it was running"


class CeleryWorld:
    """What the tests of a class share."""

    def __init__(self, folder: Path, database: str, celery: dict[str, str]) -> None:
        self.home, self.worker, self.dags = folder / "home", folder / "worker", folder / "dags"
        for made in (self.home, self.worker, self.dags):
            made.mkdir()
        self.environment = {
            "AIRLOOM_HOME": str(self.home),
            "AIRLOOM__DATABASE__URL": database,
            "AIRLOOM__CORE__DAGS_FOLDER": str(self.dags),
            "AIRLOOM__CORE__EXECUTORS": "celery",
            **celery,
        }
        self.settings = settings.load(self.environment, folder).settings
        self.db: Database = connect(database)
        self.ops: Ops = dataclasses.replace(make_ops(self.settings, self.db), env={})
        config = parts.world_config(self.settings)
        self._api = Api(ops=self.ops, settings=self.settings, world_config=config, now=time.time)
        self.api = ApiServer(self._api)
        self._token = remote_runners.make_runner_token(self.ops, "workers").text
        self.numbers = itertools.count(1)
        #: of the test that runs now
        self.answer: AnswerTask = lambda key, request: None
        self.executors: list[Executor] = []
        self.process: subprocess.Popen[bytes]
        self._celery = celery

    def answer_task(self, _ops: Ops, key: TryKey, request: TaskRequest) -> Any:
        """In the place of the operation that answers tasks."""
        return self.answer(key, request)

    # --- the worker ---------------------------------------------------------------------------------------------------
    def start_worker(self, known: bool = True, **environment: str) -> None:
        """Start `airloom worker`; known: and wait until the server knows it."""
        before = {row.id for row, _ in self.runners()}
        self.process = self._spawn(self.worker, environment)

        def came() -> bool:
            assert self.process.poll() is None, f"the worker ended:\n{self.worker_says()}"
            return not known or any(row.id not in before for row, _ in self.runners())

        try:
            wait_for(came, "the worker to be known")
        except AssertionError as error:
            raise AssertionError(f"{error}; it says:\n{self.worker_says()}{self.runner_says()}") from None

    def stop_worker(self) -> None:
        """End it in good order."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def refused_worker(self, folder: Path, name: str, why: str) -> str:
        """Start another worker until it has said why it is refused; all that it said."""
        home = folder / "other"
        home.mkdir()
        process = self._spawn(home, {"AIRLOOM__WORKER__NAME": name})
        logs = (home / "worker.log", home / "logs" / "runner.log")

        def said() -> str:
            return "".join(log.read_text() for log in logs if log.exists())

        try:
            wait_for(lambda: why in said(), "the worker to be refused")
        finally:
            process.terminate()
            process.wait(DEADLINE)
        return said()

    def _spawn(self, home: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        (home / "runner.token").write_text(self._token)
        own = {
            "AIRLOOM_HOME": str(home),
            "AIRLOOM__CORE__DAGS_FOLDER": str(self.dags),
            "AIRLOOM__WORKER__NAME": "one",
            "AIRLOOM__WORKER__CONCURRENCY": "4",
            "AIRLOOM__WORKER__SERVER": self.api.url,
            "AIRLOOM__RUNNER__HEARTBEAT": "1",
            "AIRLOOM__LOCAL__GRACE": "0.3",
            **self._celery,
            **environment,
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRLOOM")}
        with (home / "worker.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "airloom", "worker"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home, env={**inherited, **own},
                preexec_fn=as_child(),
            )  # fmt: skip

    def worker_says(self) -> str:
        return (self.worker / "worker.log").read_text(errors="replace")

    def runner_says(self) -> str:
        log = self.worker / "logs" / "runner.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def runners(self) -> list[tuple[ProcessRow, RunnerState]]:
        """The runners that are known."""
        with self.db.reading() as conn:
            rows = processes.list_processes(conn, ProcessKind.RUNNER)
        return [(row, msgspec.convert(row.state, RunnerState)) for row in rows]

    # --- what a test may change ---------------------------------------------------------------------------------------
    def set_broker(self, url: str) -> None:
        """Executors and workers that are started from now on have another broker."""
        self._celery["AIRLOOM__CELERY__BROKER"] = url
        self.configure()

    def configure(self) -> None:
        """Executors that are started from now on are told what is set by now."""
        self.settings = settings.load({**self.environment, **self._celery}, self.home).settings

    def shift_clock(self, seconds: float) -> None:
        """The server's clock is so far ahead of the worker's."""
        now = lambda: time.time() + seconds  # noqa: E731
        self.ops = dataclasses.replace(self.ops, now=now)
        self.api.stop()
        self.api = ApiServer(dataclasses.replace(self._api, ops=self.ops, now=now))
        self.api.start()

    def keep_source(self, file: Path) -> str:
        """Have the text of a DAG file in the database, as that of the version that runs are of; its hash."""
        text = file.read_bytes()
        found = content_hash(text)
        version = {"id": 1, "dag_id": file.stem, "number": 1, "spec": b"{}", "spec_hash": "s", "created_at": 0.0}
        with self.db.transaction() as conn:
            conn.execute(insert(tables.dag_code).values(file_hash=found, source=text))
            place = {"file_hash": found, "bundle": "dags", "rel_path": file.name}
            conn.execute(insert(tables.dag_version).values(**version, **place))
        return found

    def seal(self, work: Work) -> Work:
        """The work with its token."""
        return try_tokens(self.ops).seal(work)

    def waiting(self, queue: str) -> int:
        """How many messages the broker has in a queue."""
        with closing(Broker(process.celery_settings(self.settings))) as broker:
            return broker.lengths([queue])[queue]

    def send(self, body: str, headers: dict[str, Any], **properties: Any) -> None:
        """Put any message into the queue `default`."""
        celery = process.celery_settings(self.settings)
        queue = make_queue(celery, "default")
        with make_app(celery).connection_for_write() as connection:
            connection.Producer().publish(
                body, routing_key=queue.name, declare=[queue], headers=headers,
                **{"content_type": "application/json", "content_encoding": "utf-8", **properties},
            )  # fmt: skip

    def purge(self, queue: str) -> None:
        """Delete the messages of a queue."""
        celery = process.celery_settings(self.settings)
        with make_app(celery).connection_for_write() as connection:
            make_queue(celery, queue).bind(connection.channel()).purge()

    def close(self) -> None:
        """End everything."""
        for executor in self.executors:
            executor.close(0)
        if hasattr(self, "process"):
            self.stop_worker()
        self.api.stop()
        self.ops.notifier.close()
        self.db.close()


@contextmanager
def patched(world: CeleryWorld) -> Iterator[CeleryWorld]:
    """The task API serves, and what tasks ask is answered by the test."""
    with closing(world), pytest.MonkeyPatch.context() as patch:
        patch.setattr(office, "answer", world.answer_task)
        world.api.start()
        yield world


class CeleryRig(Rig):
    """Makes the rows of its works, as the scheduler does, and takes what the task API left in the inbox."""

    #: of the executor
    name = "celery"

    def __init__(self, folder: Path, world: CeleryWorld) -> None:
        super().__init__(folder)
        self.world = world
        self.pause = _PAUSE
        # A folder of its own in what the worker has: another test's file of the same name is another file.
        self._under = f"test{next(world.numbers)}"
        self.dags.rmdir()
        self.dags = world.dags / self._under
        self.dags.mkdir()
        self._ids = world.numbers

    def rel_path(self, dag: str) -> str:
        return f"{self._under}/{dag}.py"

    def start_celery(self, connected: bool = True) -> None:
        """Use a new Celery executor from now on. connected: and wait until it has its broker."""
        self.start(self._make)
        self.world.answer = self._answer
        if connected:
            wait_for(lambda: self.executor.capacity()[0] != 0, "the broker to be connected")

    def _make(self, _answer: AnswerTask, wake: Callable[[], None]) -> Executor:
        bundles = {"dags": LocalBundle(path=str(self.world.dags))}
        local = parts.local_settings(self.world.settings, self.world.db, self.world.home, bundles)
        celery = process.celery_settings(self.world.settings)
        executor = parts.make_executors(("celery",), local, self.world.ops, wake, celery)["celery"]
        self.world.executors.append(executor)
        return executor

    def work(self, dag: str, task: str = "t0", **fields: Any) -> Work:
        """A new try of a task, with its rows."""
        file = self.dags / f"{dag}.py"
        told = {"executor": self.name, "file_hash": content_hash(file.read_bytes()), **fields}
        work = super().work(dag, task, **told)
        number = work.key.ti_id
        work = self.works[work.key] = msgspec.structs.replace(work, run_key=number)
        now = time.time()
        run = RunRow(
            id=number, dag_id=dag, run_id=work.run.run_id, version_id=1, run_type=RunType.MANUAL,
            state=RunState.RUNNING, run_after=now,
        )  # fmt: skip
        ti = TIRow(
            id=number, run_id=number, task_id=task, map_index=work.map_index, state=TIState.QUEUED, try_number=1,
            queued_at=now, executor=self.name,
        )  # fmt: skip
        made = TryRow(
            ti_id=number, try_number=1, state=TIState.QUEUED, executor=self.name, queue=work.queue, queued_at=now
        )
        with self.world.db.transaction() as conn:
            for table, row in ((tables.dag_run, run), (tables.task_instance, ti), (tables.task_try, made)):
                values = {k: v for k, v in msgspec.to_builtins(row).items() if k in table.c}
                conn.execute(insert(table).values({**values, "conf": "{}"} if table is tables.dag_run else values))
        return work

    def cancel(self, work: Work, reason: str, grace: float | None = None) -> str:
        """The task API tells the runner, by the task instance's state."""
        self._set_state([work.key], TIState.RESTARTING)
        self.executor.cancel([Cancel(key=work.key, executor=self.name, reason=reason, grace=grace)])
        return _CLEARED

    def until(self, met: Callable[[], bool], what: str) -> None:
        try:
            super().until(met, what)
        except AssertionError as error:
            said = f"{self.world.worker_says()}\n{self.world.runner_says()}"
            raise AssertionError(f"{error}\nexecutor: {self.executor.capacity()}; worker:\n{said}") from None

    def poll(self) -> list[Report]:
        reports = super().poll()
        with self.world.db.transaction() as conn:
            for number, command in inbox.take(conn, 1000):
                assert isinstance(command, Reported)
                reports += command.reports
                conn.execute(delete(tables.inbox).where(tables.inbox.c.id == number))
            for report in reports:
                enter(conn, report)
        return reports

    def log(self, work: Work) -> list[LogLine]:
        """The whole log of a try that has ended, as the database has it when it is complete."""
        ops, log = self.world.ops, log_of(work)
        wait_for(lambda: try_logs.look(ops, [log])[work.key].over, "the log to be complete")
        return lines_of(ops, log)

    def close(self) -> None:
        """Nothing of this test's is wanted any more; waits until the worker has nothing of it."""
        mine = set(self.works)
        with self.world.db.transaction() as conn:
            live = {
                TryKey(row.ti_id, row.try_number)
                for row in conn.execute(select(tables.task_try).where(tables.task_try.c.ended_at.is_(None)))
            }
        self._set_state(sorted(mine & live), TIState.RESTARTING)
        wait_for(
            lambda: self.poll() is not None and not any(mine & set(state.tries) for _, state in self.world.runners()),
            "the worker to end what is left of the test",
        )
        self.executor.close(0)

    def _set_state(self, keys: list[TryKey], state: TIState) -> None:
        with self.world.db.transaction() as conn:
            for key in keys:
                at = tables.task_instance.c.id == key.ti_id
                conn.execute(update(tables.task_instance).where(at).values(state=state.value))
        with closing(feed_notifier(self.world.db, self.world.home)) as hints:
            hints.notify()


def enter(conn: Any, report: Report) -> None:
    """A report in the row of its try, as the scheduler writes it."""
    match report:
        case Started():
            values: dict[str, Any] = {"started_at": report.at, "state": TIState.RUNNING.value}
        case Ended() | HandedBack():
            values = {"ended_at": report.at, "state": TIState.FAILED.value}
    table = tables.task_try
    at = (table.c.ti_id == report.key.ti_id, table.c.try_number == report.key.try_number)
    conn.execute(update(table).where(*at).values(values))
