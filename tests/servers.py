"""Private servers for the tests: a PostgreSQL of their own in a temporary folder, which is gone when pytest is.

Where no server binaries are found the tests fail and say what to install; AIRLOOM_TEST_NO_POSTGRES=1 skips them.
"""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg import sql

NO_POSTGRES = "AIRLOOM_TEST_NO_POSTGRES"
_PR_SET_PDEATHSIG = 1
_CLONE_NEWNET = 0x40000000
#: Speed instead of safety: the data live as long as the test run. A commit survives a kill of the server.
_SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "max_connections=200",
    "shared_buffers=64MB",
    "autovacuum=off",
)


class NoPostgres(Exception):
    """There are no PostgreSQL server binaries on this machine; the text says what to do."""


def find_binaries() -> Path:
    """The folder of `initdb` and `postgres`. Raises NoPostgres if there is none."""
    folders = [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    if pg_config := shutil.which("pg_config"):
        asked = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        folders.insert(0, Path(asked.stdout.strip()))
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    folders += sorted(installed, key=lambda folder: float(folder.parent.name), reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise NoPostgres(
        "the tests of the PostgreSQL store need its server binaries: apt-get install postgresql "
        f"(or set {NO_POSTGRES}=1 to skip them)"
    )


def _other_user() -> pwd.struct_passwd | None:
    """Who runs the server: PostgreSQL refuses root. None: this user can."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPostgres("PostgreSQL does not run as root and there is no user postgres or nobody to run it as")


def as_child(
    end: int | None = signal.SIGKILL, user: pwd.struct_passwd | None = None, network: str = ""
) -> Callable[[], None]:
    """What a child does before it becomes its program. end: the signal that it gets when the thread of this process
    that started it ends; None: none. user: who it becomes. network: the network namespace that it enters.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def prepare() -> None:
        if network:
            entered = os.open(f"/run/netns/{network}", os.O_RDONLY | os.O_CLOEXEC)
            if libc.setns(entered, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {network}")
        if user is not None:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
        # After setuid: a change of user clears it.
        if end is not None and hasattr(libc, "prctl"):
            libc.prctl(_PR_SET_PDEATHSIG, end)

    return prepare


def free_port() -> int:
    """A port that nobody listens at; a server that has to be told one in advance, and come back at it, gets this."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


class PostgresServer:
    """A running server. `create()` makes a fresh database; `stop()` ends the server and deletes its folder."""

    def __init__(self, host: str = "", network: str = "") -> None:
        """host: an address to listen at, without passwords, beside the socket, in that network namespace."""
        self._binaries = find_binaries()
        self._user = _other_user()
        self._host = host
        self._network = network
        self._port = free_port() if host else 5432
        # Short: a Unix socket's path may have 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="airloom-pg-"))
        self._counter = 0
        try:
            if self._user is not None:
                os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
            self._initdb()
            self.start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _initdb(self) -> None:
        command = [str(self._binaries / "initdb"), "-D", str(self.folder / "data"), "-U", "airloom", "-A", "trust"]
        command += ["-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions"]
        prepare = as_child(user=self._user)
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", preexec_fn=prepare, check=False)
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr or done.stdout}")
        if self._host:
            with (self.folder / "data/pg_hba.conf").open("a") as rules:
                rules.write("host all all all trust\n")

    def start(self) -> None:
        """Serve, with the data that there are."""
        command = [str(self._binaries / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        for setting in (*_SETTINGS, f"listen_addresses={self._host}", f"port={self._port}"):
            command += ["-c", setting]
        prepare = as_child(signal.SIGQUIT, self._user, self._network)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", preexec_fn=prepare
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.process.kill()
                    log_text = (self.folder / "log").read_text()
                    raise RuntimeError(f"PostgreSQL did not start: {error}\n{log_text}") from error
                time.sleep(0.02)

    def url(self, database: str) -> str:
        """The address of a database of this server."""
        return f"postgresql://airloom@/{database}?host={self.folder}&port={self._port}"

    def address(self, database: str) -> str:
        """The same over the network."""
        return f"postgresql://airloom@{self._host}:{self._port}/{database}"

    def create(self, template: str = "template1") -> str:
        """A fresh database, copied from `template`, which nobody may be connected to; returns its name."""
        self._counter += 1
        name = f"test_{self._counter}"
        make = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        self._execute(make)
        return name

    def drop(self, name: str) -> None:
        """Delete a database, whoever is connected to it."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def crash(self) -> None:
        """End the server at once; what it kept stays."""
        self.process.send_signal(signal.SIGQUIT)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """End the server at once and delete everything it kept."""
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)
