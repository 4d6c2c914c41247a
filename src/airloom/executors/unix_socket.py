"""Unix sockets in the home folder: their addresses, who may listen, who is at the other end."""

import contextlib
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from airloom.model.errors import AirloomError, Conflict

_LONGEST = 100  # of sun_path's 108 bytes (104 on macOS)


@contextlib.contextmanager
def address(path: str) -> Iterator[str]:
    """An address for `path` that fits the system's limit, however long the path is; good inside the `with` block."""
    if len(os.fsencode(path)) <= _LONGEST:
        yield path
        return
    folder = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{Path(path).name}"
    finally:
        os.close(folder)


class Listener:
    """Listens at `path`, which only this user may connect to.

    A socket that a dead process left is replaced. Raises Conflict when a living process listens there, and
    AirloomError when the folder does not let itself be written to.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = take_lock(path + ".lock")
        if self._lock is None:
            raise Conflict(
                f"another process listens at {path}: a scheduler with this home folder is running already. "
                "Stop it, or give this one a home folder of its own"
            )
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            Path(path).unlink(missing_ok=True)
            before = os.umask(0o177)
            try:
                with address(path) as name:
                    self.sock.bind(name)
            finally:
                os.umask(before)
            self.sock.listen(8)
            self.sock.setblocking(False)
        except OSError as error:
            self.sock.close()
            os.close(self._lock)
            raise AirloomError(f"cannot listen at {path}: {error.strerror}") from error

    def accept(self) -> socket.socket | None:
        """The next connection, non-blocking; None if it is another user's, or none any more."""
        try:
            sock, _address = self.sock.accept()
        except OSError:
            return None
        uid = peer(sock)[1]
        if uid is not None and uid != os.getuid():
            sock.close()
            return None
        sock.setblocking(False)
        return sock

    def close(self) -> None:
        """Stop listening and remove the socket."""
        self.sock.close()
        Path(self._path).unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def connect(path: str) -> socket.socket:
    """A connection to the socket at `path`. Raises OSError if nobody of this user's listens."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with address(path) as name:
            sock.connect(name)
        uid = peer(sock)[1]
        if uid is not None and uid != os.getuid():
            raise PermissionError(f"another user listens at {path}")
    except OSError:
        sock.close()
        raise
    return sock


def peer(sock: socket.socket) -> tuple[int | None, int | None]:
    """Process number and user of the other end; None where the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None, None
    pid, uid, _gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid


def take_lock(path: str) -> int | None:
    """Hold the lock file until the returned descriptor is closed or this process ends; None if another holds it.

    Raises AirloomError when the file cannot be made.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise AirloomError(f"cannot write {path}: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd
