"""Zygotes and their task processes as the runner and the parser see them: handles to processes that live elsewhere."""

import contextlib
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from airloom.model.wire import FrameError
from airloom.runtime.channel import Channel, Closed
from airloom.runtime.loop import Loop, Timer
from airloom.runtime.messages import FileState, Fork, FromTask, FromZygote, Signal, ToTask, ToZygote
from airloom.runtime.source import file_state

_TAIL = 64 * 1024
_READ = 64 * 1024
#: reads of a pipe after its process is gone; a pipe holds no more than a few
_LAST_READS = 32


class Placed(Protocol):
    """A try, as far as its place is concerned."""

    path: str
    root: str
    file_hash: str
    source: str
    reuse: bool


class Process:
    """A task process. `pid` is None until it is forked; `busy`: it has a try; `gone`: it is to be given no other."""

    __slots__ = ("_broken", "_heard", "_loop", "_pipes", "_printed", "busy", "channel", "gone", "id", "pid", "zygote")

    def __init__(self, id: int, zygote: "Zygote", channel: Channel[FromTask], out: int, err: int) -> None:
        self.id = id
        self.zygote = zygote
        self.channel = channel
        self.pid: int | None = None
        self.busy = False
        self.gone = False
        self._pipes = (("stdout", out), ("stderr", err))
        self._loop: Loop | None = None
        self._heard: Callable[[Process, FromTask], None]
        self._printed: Callable[[Process, str, bytes], None]
        self._broken: Callable[[Process, FrameError], None]

    def serve(
        self,
        loop: Loop,
        heard: Callable[["Process", FromTask], None],
        printed: Callable[["Process", str, bytes], None],
        broken: Callable[["Process", FrameError], None],
    ) -> None:
        """Hear it from now on: its messages, and what comes through the pipes of its stdout and stderr. `broken` is
        told when it sends what is no message; nothing is heard of it after that."""
        if self._loop is None:
            self._loop, self._heard, self._printed, self._broken = loop, heard, printed, broken
            loop.serve(self.channel, self._read_channel)
            for source, fd in self._pipes:
                loop.watch(fd, partial(self._read_pipe, source, fd))

    def send(self, message: ToTask) -> None:
        """Tell it something; lost if it is dead, which its exit status tells."""
        with contextlib.suppress(Closed):
            self.channel.send(message)

    def signal(self, number: int, group: bool) -> None:
        """Send it a signal, or its whole process group. Nothing happens if it is gone."""
        self.zygote.send(Signal(self.id, number, group))

    def read_pipes(self) -> None:
        """Read what it has printed until now."""
        if self._loop is not None:
            for source, fd in self._pipes:
                for _ in range(_LAST_READS):
                    if not self._read_pipe(source, fd):
                        break

    def read_rest(self) -> None:
        """It has ended: read everything that it has said."""
        if self._loop is not None:
            while self._read_channel():
                continue
            self.read_pipes()

    def close(self) -> None:
        """Close what leads to the process; if it lives and has no try, it exits."""
        if self._loop is not None:
            self._loop.unwatch(self.channel.fileno())
            for _source, fd in self._pipes:
                self._loop.unwatch(fd)
        self.channel.close()
        for _source, fd in self._pipes:
            os.close(fd)

    def _read_channel(self) -> bool:
        """Read once; False if there is no more."""
        try:
            messages = self.channel.receive()
        except (Closed, FrameError) as error:  # its exit status tells the rest
            if self._loop is not None:
                self._loop.unwatch(self.channel.fileno())
            if isinstance(error, FrameError):
                self._broken(self, error)
            return False
        for message in messages:
            self._heard(self, message)
        return not self.channel.idle

    def _read_pipe(self, source: str, fd: int) -> bool:
        """Read once; False if there is no more."""
        try:
            data = os.read(fd, _READ)
        except BlockingIOError:
            return False
        if data:
            self._printed(self, source, data)
        elif self._loop is not None:
            self._loop.unwatch(fd)
        return bool(data)


class Zygote:
    """A fork server. `key` is the path and hash of its file; None for the base zygote, which has no file."""

    def __init__(
        self,
        loop: Loop,
        id: int,
        sock: socket.socket,
        key: tuple[str, str] | None,
        on_readable: Callable[["Zygote"], None],
    ) -> None:
        sock.setblocking(False)
        self.id = id
        self.key = key
        self.channel: Channel[FromZygote] = Channel(sock, FromZygote)
        self.open = True
        self.ready = key is None
        self.retired = False
        self.files: tuple[FileState, ...] = ()
        self.waiting: deque[Any] = deque()
        self.processes: dict[int, Process] = {}
        self.spare: Process | None = None
        self.idle: list[Process] = []
        #: forks that it was asked for and has not yet told of
        self.forking = 0
        self.used_at = time.monotonic()
        self.import_timer: Timer | None = None
        self.timed_out = False
        self._loop = loop
        self._output = -1
        self._tail = b""
        loop.serve(self.channel, lambda: on_readable(self))

    @property
    def busy(self) -> bool:
        """Whether a try runs or waits here."""
        return bool(self.waiting) or any(process.busy for process in self.processes.values())

    def fresh(self) -> bool:
        """Whether what it has imported is still what the files say."""
        return all(file_state(state.path) == state for state in self.files)

    def send(self, message: ToZygote, fds: tuple[int, ...] = ()) -> None:
        """Tell it something; lost if it is dead, which the base zygote tells."""
        with contextlib.suppress(Closed):
            self.channel.send(message, fds)

    def fork(self, id: int) -> Process | None:
        """Have a task process forked; None if there are no descriptors left for it."""
        try:
            ours, theirs, fds = _plumbing()
        except OSError:
            return None
        process = Process(id, self, Channel(ours, FromTask), fds[0], fds[2])
        self.processes[id] = process
        self.forking += 1
        self.send(Fork(id), (theirs.detach(), fds[1], fds[3]))
        return process

    def take(self, reuse: bool) -> Process | None:
        """A process that is there already, or None."""
        if reuse and self.idle:
            return self.idle.pop()
        spare, self.spare = self.spare, None
        return spare

    def forget(self, process: Process) -> None:
        """The process is gone, or is to go."""
        process.gone = True
        self.processes.pop(process.id, None)
        if self.spare is process:
            self.spare = None
        if process in self.idle:
            self.idle.remove(process)

    def listen(self, output: int) -> None:
        """Keep the last of what the import prints, which comes from this pipe."""
        os.set_blocking(output, False)
        self._output = output
        self._loop.watch(output, self._printed)

    def printed(self) -> str:
        """What the import has printed last."""
        if self._output >= 0:
            self._printed()
        return self._tail.decode("utf-8", "replace")

    def close(self) -> None:
        """Close what leads to it; it exits when it finds that, and its processes with it."""
        if self.import_timer is not None:
            self.import_timer.cancel()
        if self.open:
            self.open = False
            self._loop.unwatch(self.channel.fileno())
            self.channel.close()
        self._close_output()

    def _printed(self) -> None:
        try:
            data = os.read(self._output, _TAIL)
        except BlockingIOError:
            return
        self._tail = b"" if self.ready else (self._tail + data)[-_TAIL:]
        if not data:
            self._close_output()

    def _close_output(self) -> None:
        if self._output >= 0:
            self._loop.unwatch(self._output)
            os.close(self._output)
            self._output = -1


class BaseProcess:
    """The base zygote's own process: started by command line, so that it inherits nothing but one socket."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Start it. Raises OSError."""
        self.sock, theirs = socket.socketpair()
        with theirs:
            theirs.set_inheritable(True)
            command = [sys.executable, "-P", "-m", "airloom.runtime.zygote", str(theirs.fileno()), str(os.getpid())]
            self.pid = os.posix_spawn(sys.executable, command, environment)

    def kill(self) -> None:
        """End it, and everything that came from it."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """The status with which it ended."""
        return os.waitpid(self.pid, 0)[1]


def _plumbing() -> tuple[socket.socket, socket.socket, list[int]]:
    """A socket pair and two pipes, ours non-blocking; all of them or none."""
    fds: list[int] = []
    ours, theirs = socket.socketpair()
    try:
        for _ in range(2):
            read, write = os.pipe()
            fds += [read, write]
            os.set_blocking(read, False)
    except OSError:
        ours.close()
        theirs.close()
        for fd in fds:
            os.close(fd)
        raise
    ours.setblocking(False)
    return ours, theirs, fds
