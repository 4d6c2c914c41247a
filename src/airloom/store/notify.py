"""Hints between processes that there is news: for the leader, in the inbox; for those that follow the feed, in that.
A hint may be lost or come twice; rows are the truth.

PostgreSQL carries them by NOTIFY, on connections of their own. With SQLite all is on one machine, and a datagram to a
Unix socket in the home folder does. The caller sees to it that hints do not come too often.
"""

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from airloom.model.errors import AirloomError, StoreError
from airloom.store.database import Database

_CHANNEL = "airloom"
#: what dialects.add_to_feed notifies
_FEED_CHANNEL = "airloom_feed"
#: The bytes that the path of a Unix socket may have, the last one being 0: 108 on Linux, 104 elsewhere.
_SOCKET_PATH = 104
#: What the sockets of processes that follow the feed are called, around their numbers.
_FOLLOWER, _WAKE = "api-", ".wake"
#: Seconds after which it is looked for new ones at the latest.
_LOOK = 1.0
#: Seconds between two attempts to reach a server that is away.
_RECONNECT = 1.0


class Notifier(Protocol):
    """Tells that there is news."""

    def notify(self) -> None:
        """Send a hint. Never raises for want of a listener or of a connection."""

    def join(self, conn: Connection) -> bool:
        """Have the commit of this transaction send the hint, sooner than one that follows it; False: it cannot."""

    def close(self) -> None:
        """Free what it has open."""


class Listener(Protocol):
    """Hears hints. `wait` is for one thread; `close` may be called by any, and ends a wait."""

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds. True: there may be news. False: the time is over, or it was closed."""

    def close(self) -> None:
        """End a wait that is going on, and hear nothing more."""


def notifier(db: Database, wake_path: Path) -> Notifier:
    """What tells the leader of `db` that there is news. `wake_path`: the leader's socket, used with SQLite only."""
    if db.in_memory:
        return _Nobody()
    return _DatagramNotifier(wake_path) if db.path is not None else _PostgresNotifier(db)


def listener(db: Database, wake_path: Path) -> Listener:
    """What hears the hints for the leader of `db`. It replaces a socket that a dead leader left at `wake_path`.

    Raises AirloomError when the socket cannot be made there.
    """
    if db.in_memory:
        return _Silence()
    return _DatagramListener(wake_path) if db.path is not None else _PostgresListener(db, _CHANNEL)


def feed_notifier(db: Database, home: Path) -> Notifier:
    """What tells all that follow the feed of `db` that a commit has added to it. On PostgreSQL the commit itself does.
    `home`: the folder of their sockets, used with SQLite only."""
    return _Nobody() if db.path is None else _DatagramsNotifier(home)


def feed_listener(db: Database, home: Path, name: str = "") -> Listener:
    """What hears the hints for a process that follows the feed of `db`; `name` tells several of one process apart.
    Raises AirloomError when its socket cannot be made in `home`."""
    if db.in_memory:
        return _Silence()
    if db.path is None:
        return _PostgresListener(db, _FEED_CHANNEL)
    return _DatagramListener(home / f"{_FOLLOWER}{os.getpid()}{name}{_WAKE}")


class _Bell:
    """A pipe by which another thread ends a wait."""

    def __init__(self) -> None:
        self._out, self._in = os.pipe()
        self._lock = threading.Lock()
        self.rung = False

    def fileno(self) -> int:
        return self._out

    def ring(self) -> None:
        with self._lock:
            if not self.rung:
                self.rung = True
                os.write(self._in, b"!")

    def __del__(self) -> None:
        os.close(self._out)
        os.close(self._in)


class _Nobody:
    """In memory there is one process, and nobody to tell."""

    def notify(self) -> None:
        """Nothing to send."""

    def join(self, conn: Connection) -> bool:
        """Nothing to send."""
        return True

    def close(self) -> None:
        """Nothing is open."""


class _Silence:
    """In memory no other process can have news."""

    def __init__(self) -> None:
        self._closed = threading.Event()

    def wait(self, timeout: float) -> bool:
        self._closed.wait(timeout)
        return False

    def close(self) -> None:
        self._closed.set()


def _readable(files: list[Any], timeout: float) -> list[Any]:
    """Those of `files` that have something to read, as soon as one has."""
    poll = select.poll()
    for file in files:
        poll.register(file, select.POLLIN)
    ready = {number for number, _ in poll.poll(max(timeout, 0.0) * 1000)}
    return [file for file in files if file.fileno() in ready]


@contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """A name for `path` that fits in a socket address, however long the path is."""
    if len(os.fsencode(path)) < _SOCKET_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class _DatagramNotifier:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def notify(self) -> None:
        # No socket, nobody at it, or a full queue, which says that a hint is there already.
        with contextlib.suppress(OSError), _reachable(self._path) as name:
            self._socket.sendto(b"!", name)

    def join(self, conn: Connection) -> bool:
        return False

    def close(self) -> None:
        self._socket.close()


class _DatagramsNotifier:
    """Tells every socket of its kind in the folder, however many processes have one there."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._paths: list[Path] = []
        self._seen = -1
        self._look_at = 0.0

    def notify(self) -> None:
        with contextlib.suppress(OSError):
            self._look()
        for path in self._paths:
            try:
                with _reachable(path) as name:
                    self._socket.sendto(b"!", name)
            except ConnectionRefusedError:
                # Its process was killed.
                path.unlink(missing_ok=True)
            except OSError:
                continue

    def join(self, conn: Connection) -> bool:
        return False

    def close(self) -> None:
        self._socket.close()

    def _look(self) -> None:
        """See which sockets there are, if any may have come. The folder's time is too coarse to tell of all."""
        now, changed = time.monotonic(), self._home.stat().st_mtime_ns
        if changed != self._seen or now >= self._look_at:
            self._paths = [path for path in self._home.glob(f"{_FOLLOWER}*{_WAKE}") if path.is_socket()]
            self._seen, self._look_at = changed, now + _LOOK


class _DatagramListener:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._bell = _Bell()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        # Made beside its place and moved there: it replaces what a dead leader left in one step.
        made = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            made.unlink(missing_ok=True)
            with _reachable(made) as name:
                self._socket.bind(name)
            made.chmod(0o600)
            self._inode = made.stat().st_ino
            made.replace(path)
        except OSError as error:
            self._socket.close()
            raise AirloomError(f"the socket {path} cannot be made: {error.strerror or error}") from error

    def wait(self, timeout: float) -> bool:
        if self._bell.rung:
            return False
        if self._socket not in _readable([self._bell, self._socket], timeout):
            return False
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(16):
                pass
        return True

    def close(self) -> None:
        self._bell.ring()
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()


class _PostgresNotifier:
    def __init__(self, db: Database) -> None:
        self._db = db
        self._session: Connection | None = None
        self._lock = threading.Lock()

    def notify(self) -> None:
        with self._lock:
            # Once more on a fresh connection, if the server has closed the one that is open.
            for _ in range(2):
                try:
                    if self._session is None:
                        self._session = self._db.session()
                    self._session.exec_driver_sql(f"NOTIFY {_CHANNEL}")
                    return
                except (DBAPIError, StoreError):
                    self._drop()

    def join(self, conn: Connection) -> bool:
        conn.exec_driver_sql(f"NOTIFY {_CHANNEL}")
        return True

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


class _PostgresListener:
    def __init__(self, db: Database, channel: str) -> None:
        self._db = db
        self._channel = channel
        self._bell = _Bell()
        self._session: Connection | None = None
        self._retry_at = 0.0

    def wait(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while not self._bell.rung:
            if self._session is None and time.monotonic() >= self._retry_at and self._connect():
                # There may have been hints before this connection.
                return True
            watched: list[Any] = [self._bell]
            until = deadline
            if self._session is not None:
                watched.append(self._driver())
            else:
                until = min(deadline, self._retry_at)
            readable = _readable(watched, until - time.monotonic())
            if self._session is not None and watched[-1] in readable and self._heard():
                return True
            if time.monotonic() >= deadline:
                return False
        self._drop()
        return False

    def close(self) -> None:
        self._bell.ring()

    def _driver(self) -> Any:
        assert self._session is not None
        return self._session.connection.driver_connection

    def _connect(self) -> bool:
        try:
            session = self._db.session()
            self._session = session
            session.exec_driver_sql(f"LISTEN {self._channel}")
        except (StoreError, DBAPIError):
            self._drop()
            return False
        return True

    def _heard(self) -> bool:
        """Take what has come. A connection that is gone is dropped, and made anew by the next turn of `wait`."""
        assert self._session is not None
        # The driver's own class, so that it is loaded only where it is used.
        broken: Any = self._session.dialect.loaded_dbapi.Error
        try:
            return bool(list(self._driver().notifies(timeout=0)))
        except broken:
            self._drop()
            return False

    def _drop(self) -> None:
        self._retry_at = time.monotonic() + _RECONNECT
        if self._session is not None:
            self._session.invalidate()
            self._session.close()
            self._session = None
