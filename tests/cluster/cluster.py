"""A whole cluster of real processes, each on a machine of its own: PostgreSQL, broker, schedulers, APIs, workers."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import msgspec
from sqlalchemy import select

from airloom.model.access import Role
from airloom.model.errors import AirloomError
from airloom.model.processes import ProcessKind, RunnerState
from airloom.operations import credentials, pools, remote_runners, users
from airloom.operations.ops import Ops
from airloom.operations.users import UserChange
from airloom.store import leadership, processes, tables
from airloom.store.database import Database, connect
from airloom.store.migrate import migrate
from airloom.store.notify import notifier
from airloom.store.secrets import Secrets, new_key
from tests.brokers import Broker, RabbitServer, RedisServer
from tests.cluster.network import Machine, Network
from tests.faults.home import processes_of
from tests.servers import PostgresServer, as_child, free_port
from tests.waiting import wait_for

DAGS = Path(__file__).with_name("dags")
#: the queues of each worker, and the API that it speaks with
WORKERS = {
    "w1": (("default",), "a1"),
    "w2": (("gpu",), "a2"),
    "w3": (("default", "late shift"), "a1"),
}
SLOTS = 4
#: the pool with few slots
POOL, POOL_SLOTS = "narrow", 2
#: seconds for all to be there at first
_STARTING = 120.0
#: seconds between two looks at who leads
_LOOK = 0.05


class Member:
    """A process of Airloom's on a machine of its own, with a home of its own; and what it starts."""

    def __init__(self, machine: Machine, home: Path, command: list[str], environment: Mapping[str, str]) -> None:
        self.machine = machine
        self.home = home
        self.journal = home / "journal"
        self._command = [sys.executable, "-P", "-m", "airloom", *command]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRLOOM")}
        own = {"AIRLOOM_HOME": str(home), "CLUSTER_JOURNAL": str(self.journal)}
        self._environment = {**inherited, **environment, **own}
        self.process: subprocess.Popen[bytes]
        self.journal.mkdir(parents=True)
        shutil.copytree(DAGS, home / "dags", ignore=shutil.ignore_patterns("__pycache__"))

    @property
    def name(self) -> str:
        return self.machine.name

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def start(self) -> None:
        """Start it. It ends with this process."""
        with (self.home / "console").open("ab") as console:
            self.process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, cwd=self.home,
                env=self._environment, preexec_fn=as_child(network=self.machine.namespace), start_new_session=True,
            )  # fmt: skip

    def stop(self) -> None:
        """End it in good order."""
        self.process.terminate()

    def kill(self) -> None:
        """End it and everything that it started, at once, as a power cut does."""
        while left := processes_of(self.home):
            # First nobody acts any more, so that nobody sees another one die.
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for pid in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
            if self.process.pid in left:
                self.process.wait()

    def said(self) -> str:
        """What it wrote to its console."""
        return (self.home / "console").read_text(errors="replace")


class Cluster:
    """Use `start`, then `close`. broker: redis or rabbitmq. more: settings of every process, as variables."""

    def __init__(self, folder: Path, broker: str, more: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.network = Network()
        self.token = ""
        self._stack = contextlib.ExitStack()
        self._client = self._stack.enter_context(httpx.Client(timeout=30))
        self._stack.callback(self.network.close)
        self._kind = broker
        self._common: dict[str, str] = {}
        self._more = dict(more or {})
        self._secret = new_key()
        self.postgres: PostgresServer
        self.broker: Broker
        self.db: Database
        self.ops: Ops
        self.schedulers: dict[str, Member] = {}
        self.apis: dict[str, Member] = {}
        self.workers: dict[str, Member] = {}
        self._ports: dict[str, int] = {}
        #: when each epoch was first seen
        self.epochs: list[tuple[float, int]] = []
        self._closed = threading.Event()

    # --- start and end ------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Start everything; returns when all are known."""
        machine = self.network.machine
        data, queue = machine("pg"), machine("mq")
        self.postgres = PostgresServer(data.address, data.namespace)
        self._stack.callback(self.postgres.stop)
        self.broker = (RedisServer if self._kind == "redis" else RabbitServer)(queue.address, queue.namespace)
        self._stack.callback(self.broker.close)
        self._prepare()
        watcher = threading.Thread(target=self._watch, name="cluster-watcher")
        watcher.start()
        self._stack.callback(watcher.join)
        self._stack.callback(self._closed.set)
        for name in ("s1", "s2"):
            self.schedulers[name] = self._member(name, ["scheduler"], {})
        for name in ("a1", "a2"):
            self.apis[name] = self._api(name)
        for name, (queues, api) in WORKERS.items():
            self.workers[name] = self._worker(name, queues, api)
        for member in self.members():
            member.start()
        self.ready()
        pools.set_pool(self.ops, POOL, POOL_SLOTS)

    def members(self) -> list[Member]:
        """All processes of Airloom's."""
        return [*self.schedulers.values(), *self.apis.values(), *self.workers.values()]

    def ready(self) -> None:
        """Wait until all members are there, and know each other."""
        for member in self.members():
            wait_for(
                lambda it=member: self._there(it), f"{member.name} to be there; it says:\n{member.said()}", _STARTING
            )

    def _there(self, member: Member) -> bool:
        assert member.running, f"{member.name} has ended:\n{member.said()}"
        if member.name in self.schedulers:
            return self.is_scheduling(member.process.pid)
        if member.name in self.apis:
            return self.serves(member.name)
        return self.is_working(member.name)

    def close(self) -> None:
        """End and remove everything."""
        for member in self.members():
            if hasattr(member, "process"):
                member.kill()
        self._stack.close()

    # --- looking ------------------------------------------------------------------------------------------------------
    def leader(self) -> tuple[int, Member] | None:
        """The epoch, and the scheduler that leads, if one does."""
        with self.db.reading() as conn:
            row = leadership.current(conn)
        if row is None:
            return None
        found = [one for one in self.schedulers.values() if one.running and one.process.pid == row.pid]
        return (row.epoch, found[0]) if found else None

    def is_scheduling(self, pid: int) -> bool:
        """Whether the scheduler with that number has told that it is there."""
        with self.db.reading() as conn:
            rows = processes.list_processes(conn, ProcessKind.SCHEDULER)
        return any(row.pid == pid and row.alive(time.time()) for row in rows)

    def is_working(self, name: str) -> bool:
        """Whether a living runner of that worker is known."""
        with self.db.reading() as conn:
            rows = processes.list_processes(conn, ProcessKind.RUNNER)
        states = [msgspec.convert(row.state, RunnerState) for row in rows if row.alive(time.time())]
        return any(state.worker == name for state in states)

    def serves(self, name: str) -> bool:
        """Whether an API answers."""
        try:
            return self.get(name, "/dags").status_code == 200
        except httpx.TransportError:
            return False

    def get(self, api: str, path: str, **query: Any) -> httpx.Response:
        """What an API answers to an administrator."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return self._client.get(f"{self.url(api)}/api/v1{path}", headers=headers, params=query)

    def url(self, api: str) -> str:
        return f"http://{self.apis[api].machine.address}:{self._ports[api]}"

    # --- parts --------------------------------------------------------------------------------------------------------
    def _prepare(self) -> None:
        """The database, with what people make in it."""
        name = self.postgres.create()
        self.db = connect(self.postgres.url(name))
        self._stack.callback(self.db.close)
        migrate(self.db)
        hints = notifier(self.db, self.folder / "none")
        self._stack.callback(hints.close)
        self.ops = Ops(db=self.db, notifier=hints, secrets=cache(lambda: Secrets([self._secret])), env={})
        users.add_user(self.ops, "boss", UserChange(role=Role.ADMIN, password=secrets.token_hex(16)))
        self.token = credentials.make_token(self.ops, "boss", "the test's").text
        self._common = {
            "AIRLOOM__DATABASE__URL": self.postgres.address(name),
            "AIRLOOM__CORE__SECRET_KEY": self._secret,
            "AIRLOOM__CORE__EXECUTORS": "celery",
            "AIRLOOM__CORE__DAGS_ARE_PAUSED_AT_CREATION": "false",
            "AIRLOOM__CELERY__BROKER": self.broker.fresh(),
            **self._more,
        }

    def _member(self, name: str, command: list[str], own: dict[str, str]) -> Member:
        machine = self.network.machine(name)
        return Member(machine, self.folder / name, command, {**self._common, **own})

    def _api(self, name: str) -> Member:
        self._ports[name] = port = free_port()
        own = {"AIRLOOM__API__HOSTS": "*", "AIRLOOM__API__PORT": str(port), "AIRLOOM__API__HOST": "0.0.0.0"}
        return self._member(name, ["api"], own)

    def _worker(self, name: str, queues: tuple[str, ...], api: str) -> Member:
        own = {
            "AIRLOOM__WORKER__NAME": name,
            "AIRLOOM__WORKER__QUEUES": ",".join(queues),
            "AIRLOOM__WORKER__CONCURRENCY": str(SLOTS),
            "AIRLOOM__WORKER__SERVER": self.url(api),
        }
        # A worker has neither the database's address nor the key.
        broker = {
            name: value for name, value in self._common.items() if "DATABASE" not in name and "SECRET" not in name
        }
        worker = Member(self.network.machine(name), self.folder / name, ["worker"], {**broker, **own})
        (worker.home / "runner.token").write_text(remote_runners.make_runner_token(self.ops, name).text)
        return worker

    def _watch(self) -> None:
        """Write down when who leads has changed."""
        last = -1
        while not self._closed.wait(_LOOK):
            with contextlib.suppress(AirloomError), self.db.reading() as conn:
                row = conn.execute(select(tables.leader.c.epoch, tables.leader.c.holder)).one()
                if row.holder is not None and row.epoch != last:
                    last = row.epoch
                    self.epochs.append((time.monotonic(), last))
