"""The fork server: a lean single-threaded process that forks what runs the authors' code.

The base zygote is started by command line. It forks a zygote per DAG file version, which imports the file and then
forks that file's task processes. A zygote reaps its children and tells how each ended.
"""

import contextlib
import faulthandler
import gc
import os
import select
import signal
import socket
import sys
import traceback
from typing import Any, NoReturn

from airloom.runtime.channel import Channel, Closed
from airloom.runtime.messages import (
    Exited,
    Fork,
    Forked,
    Grow,
    Imported,
    ImportFailed,
    Signal,
    ToZygote,
)
from airloom.runtime.process import die_with_parent, flush_stdio, kill_group, kill_session, thread_count
from airloom.runtime.rehearsal import rehearse
from airloom.runtime.source import describe_failure, import_file
from airloom.runtime.task import TaskProcess


class Zygote:
    """Serves one channel; `dags` are those of its file, None in the base zygote."""

    def __init__(self, channel: Channel[ToZygote], dags: dict[str, Any] | None) -> None:
        self._channel = channel
        self._imported = dags is not None
        self._task = TaskProcess(dags)  # what every child will be
        self._ids: dict[int, int] = {}  # process number -> id
        self._pids: dict[int, int] = {}  # id -> process number
        self._wake = os.pipe()

    def serve(self) -> NoReturn:
        """Fork, signal and reap until the channel closes; children die with this process."""
        for end in self._wake:
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        poller = select.poll()
        poller.register(self._channel.fileno(), select.POLLIN)
        poller.register(self._wake[0], select.POLLIN)
        while True:
            ready = {fd for fd, _events in poller.poll()}
            try:
                if self._channel.fileno() in ready:
                    for message in self._channel.receive_with_fds():
                        self._handle(message)
                if self._wake[0] in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake[0], 4096)
                self._reap()
            except Closed:
                os._exit(0)

    def _handle(self, message: ToZygote) -> None:
        match message:
            case Fork(id=id):
                fds = [self._channel.fds.popleft() for _ in range(3)]
                self._fork(id, fds, message)
            case Grow(id=id):
                fds = [self._channel.fds.popleft() for _ in range(2)]
                self._fork(id, fds, message)
            case Signal(id=id, number=number, group=group):
                pid = self._pids.get(id)
                if pid is not None:
                    if group:
                        kill_group(pid, number)
                    os.kill(pid, number)  # it is not reaped yet, so the number is its own

    def _fork(self, id: int, fds: list[int], message: Fork | Grow) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            pid = -1
            self._channel.send(Forked(id, None, f"fork: {error.strerror}"))
        if pid == 0:
            self._become(fds, message, parent)
        for fd in fds:
            os.close(fd)
        if pid > 0:
            self._ids[pid] = id
            self._pids[id] = pid
            self._channel.send(Forked(id, pid))

    def _become(self, fds: list[int], message: Fork | Grow, parent: int) -> NoReturn:
        """In the child: be the task process, or the file's zygote."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            die_with_parent(parent)
            os.setsid()
            self._channel.close()
            for end in self._wake:
                os.close(end)
            os.dup2(fds[1], 1)
            os.dup2(fds[-1], 2)
            for fd in fds[1:]:
                os.close(fd)
            if not self._imported:
                _open_stdio()
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fds[0])
            if isinstance(message, Grow):
                serve_file(sock, message.path, message.source, message.root)
            gc.enable()
            self._task.serve(sock)
        except BaseException:
            traceback.print_exc()
        finally:
            flush_stdio()
            os._exit(1)

    def _reap(self) -> None:
        while True:
            try:
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if dead is None:
                return
            pid = dead.si_pid
            kill_group(pid)  # before it is reaped: until then no other group can have this number
            if dead.si_status != 0:  # it could not tidy up after itself
                kill_session(pid)
            _pid, status = os.waitpid(pid, 0)
            child = self._ids.pop(pid, None)
            if child is not None:
                del self._pids[child]
                self._channel.send(Exited(child, status))


def _open_stdio() -> None:
    """Make Python's stdout and stderr anew: those that it started with were made for a file, not for a pipe."""
    for fd, name in ((1, "stdout"), (2, "stderr")):
        stream = open(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def serve_file(sock: socket.socket, path: str, source: str, root: str) -> NoReturn:
    """Be the zygote of one DAG file."""
    me = os.getpid()
    channel: Channel[ToZygote] = Channel(sock, ToZygote)
    try:
        dags, files = import_file(path, source, root)
    except BaseException as error:
        if os.getpid() == me:
            flush_stdio()
            channel.send(ImportFailed(describe_failure(error, path, root), traceback.format_exc()))
        os._exit(0)
    if os.getpid() != me:  # the file forked; the child came out of the import as well
        os._exit(0)
    flush_stdio()
    threads = thread_count() > 1
    channel.send(Imported(files, threads))
    if threads:
        os._exit(0)
    gc.collect()
    gc.freeze()
    Zygote(channel, dags).serve()


def main() -> NoReturn:
    """`python -m airloom.runtime.zygote FD PARENT`: the base zygote, on an inherited socket."""
    die_with_parent(int(sys.argv[2]))
    sock = socket.socket(fileno=int(sys.argv[1]))
    sock.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rehearse()
    faulthandler.enable()  # a crash shows in the log where it was; all that is forked from here has it
    gc.collect()
    gc.freeze()
    gc.disable()
    Zygote(Channel(sock, ToZygote), None).serve()


if __name__ == "__main__":
    main()
