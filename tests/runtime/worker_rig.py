"""A worker as a process on a real broker, a runner that is the test's own, and messages as the executor sends them."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from amqp.exceptions import MessageNacked
from kombu import Connection

from airloom.executors.celery.app import make_app, make_queue
from airloom.executors.celery.broker import Broker
from airloom.executors.celery.settings import CelerySettings
from airloom.executors.settings import LocalSettings
from airloom.executors.unix_socket import Listener
from airloom.model.report import Cause, Ended, Outcome, Report, TryKey
from airloom.model.wire import (
    CancelTries,
    Claimed,
    Refusal,
    Reports,
    Slots,
    Standing,
    Stop,
    Submit,
    ToIntake,
)
from airloom.model.work import RunInfo, Work
from airloom.runtime.channel import Channel, Closed
from tests.waiting import DEADLINE, wait_for

TOKEN = "s3cr3t-t0ken-of-a-try"


def work_of(number: int, *, queue: str = "default", priority: int = 1) -> Work:
    """A try, told from others by its number."""
    return Work(
        key=TryKey(number, 1),
        dag_id="etl",
        task_id=f"task{number}",
        run=RunInfo(run_id="r1", run_type="manual", run_after=0.0),
        run_key=1,
        bundle="dags",
        rel_path="etl.py",
        version_id=1,
        queue=queue,
        executor="celery",
        priority=priority,
        token=TOKEN,
    )


class Post:
    """Sends messages to a broker, and counts those that wait there."""

    def __init__(self, url: str, queue_type: str = "classic") -> None:
        self.settings = CelerySettings(url=url, queue_type=queue_type)
        self.app = make_app(self.settings)

    def ready(self, queue: str = "default") -> None:
        """Wait until the queue takes messages: a new quorum queue refuses them until it has a leader."""
        declared = make_queue(self.settings, queue)
        options = {"confirm_publish": True}
        with closing(self.app.connection_for_write(transport_options=options)) as connection:
            producer = self.app.amqp.Producer(connection)

            def taken() -> bool:
                try:
                    producer.publish("probe", declare=[declared], exchange="", routing_key=declared.name)
                except MessageNacked:
                    return False
                return True

            wait_for(taken, "the queue to take messages")
            declared(connection.default_channel).purge()

    def send(self, *works: Work) -> None:
        """As the executor does."""
        broker = Broker(self.settings)
        broker.publish(works, lambda _key: None)
        broker.close()

    def send_raw(self, body: Any, queue: str = "default", **options: Any) -> None:
        """Something else than a task of Airloom's."""
        declared = make_queue(self.settings, queue)
        with closing(self.app.connection_for_write()) as connection, self.app.amqp.Producer(connection) as producer:
            producer.publish(body, declare=[declared], exchange="", routing_key=declared.name, **options)

    def waiting(self, queue: str = "default") -> int:
        """Messages that no worker has."""
        with closing(Connection(self.settings.url, transport_options=self.app.conf.broker_transport_options)) as at:
            channel = at.default_channel
            count: int = make_queue(self.settings, queue).queue_declare(channel=channel).message_count
            return count


class Runner:
    """What a worker takes for the runner of its home: the test says what it answers."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        path = LocalSettings(home=str(home), name="celery", bundles={}).work_socket
        self._listener = Listener(path)
        self._channel: Channel[ToIntake] | None = None
        #: all that it was told, in order
        self.heard: list[ToIntake] = []
        #: the keys of what it was handed, in order
        self.keys: list[TryKey] = []

    def connected(self, worker: "WorkerProcess | None" = None) -> None:
        """Wait for the worker, and tell it that this runner takes work."""

        def came() -> Any:
            if worker is not None:
                assert worker.process.poll() is None, f"the worker ended ({worker.process.returncode}):\n{worker.said}"
            return self._listener.accept()

        self._channel = Channel(wait_for(came, "the worker to connect"), ToIntake)
        self.stand()

    def stand(self, *, taking: bool = True, why: str = "", stop: bool = False) -> None:
        """Say how it stands."""
        self.say(Standing(taking=taking, why=why, stop=stop))

    def say(self, message: Any) -> None:
        """Tell the worker."""
        assert self._channel is not None
        self._channel.send(message)

    def grant(self, *keys: TryKey) -> None:
        """The server has granted these."""
        self.say(Claimed(granted=keys))

    def refuse(self, key: TryKey, reason: str = "another runner has it") -> None:
        """The server has refused this."""
        self.say(Claimed(refused=(Refusal(key, reason),)))

    def end(self, *keys: TryKey, outcome: Outcome = Outcome.SUCCESS, cause: Cause | None = None) -> None:
        """These have ended."""
        ends: tuple[Report, ...] = tuple(
            Ended(key=key, at=time.time(), outcome=outcome, cause=cause, detail="it broke" if cause else None)
            for key in keys
        )
        self.say(Reports(seq=0, reports=ends))

    def listen(self) -> list[ToIntake]:
        """What has come by now."""
        assert self._channel is not None
        try:
            came = self._channel.receive()
        except Closed:
            self._channel.close()
            self._channel = None
            raise
        self.heard += came
        self.keys += [work.key for message in came if isinstance(message, Submit) for work in message.works]
        return came

    def handed(self, count: int) -> list[TryKey]:
        """Wait until so many tries in all have been handed over; their keys."""
        wait_for(lambda: self.listen() is None or len(self.keys) >= count, f"{count} tries at the runner")
        return self.keys

    def told(self, kind: type[Slots] | type[Stop] | type[CancelTries]) -> Any:
        """Wait for a message of a kind; the last one."""

        def found() -> Any:
            self.listen()
            return next((message for message in reversed(self.heard) if isinstance(message, kind)), None)

        return wait_for(found, f"{kind.__name__} at the runner")

    def hang_up(self) -> None:
        """Close the connection, as a runner that dies."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def close(self) -> None:
        """Listen no more."""
        self.hang_up()
        self._listener.close()


class WorkerProcess:
    """`airloom worker` with a home of its own."""

    def __init__(self, home: Path, url: str, *arguments: str, **variables: str) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        (home / "runner.token").write_text("token-of-the-runner")
        self._said = home / "said"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRLOOM_")}
        environment |= {"AIRLOOM_HOME": str(home), "AIRLOOM__CELERY__BROKER": url, **variables}
        with self._said.open("ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "airloom", "worker", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd=home,
            )

    def says(self, text: str) -> str:
        """Wait for a text in what it writes; all of it."""
        return str(wait_for(lambda: self.said if text in self.said else "", f"{text!r} in:\n{self.said}"))

    @property
    def said(self) -> str:
        """What it has written."""
        return self._said.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for its end; its status."""
        return self.process.wait(DEADLINE)

    def close(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


class Site:
    """A broker, and workers of it with their runners."""

    def __init__(self, folder: Path, url: str, queue_type: str, stack: ExitStack) -> None:
        self._folder = folder
        self.url = url
        self.post = Post(url, queue_type)
        self._variables = {"AIRLOOM__CELERY__QUEUE_TYPE": queue_type}
        self._stack = stack

    def home(self, name: str) -> Path:
        return self._folder / name

    def runner(self, name: str = "one") -> Runner:
        runner = Runner(self.home(name))
        self._stack.callback(runner.close)
        return runner

    def start(self, name: str, *arguments: str, url: str = "", **variables: str) -> WorkerProcess:
        told = self._variables | variables
        worker = WorkerProcess(self.home(name), url or self.url, "--name", name, *arguments, **told)
        self._stack.callback(worker.close)
        return worker

    def worker(self, name: str = "one", slots: str = "2", *arguments: str) -> tuple[WorkerProcess, Runner]:
        """A worker that takes work."""
        runner = self.runner(name)
        worker = self.start(name, "-c", slots, *arguments)
        runner.connected(worker)
        return worker, runner
