"""Where tries get their processes: a zygote for each DAG file version in use, and the processes forked from it.

A try gets a process that was forked ahead of need, or one that has finished another try (reuse), or a new one.
"""

import contextlib
import itertools
import os
import signal
import socket
import time
from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

from airloom.executors.settings import LocalSettings
from airloom.model.report import Cause
from airloom.runtime.channel import Closed
from airloom.runtime.endings import describe_exit
from airloom.runtime.loop import Loop, Timer
from airloom.runtime.messages import Exited, Forked, FromZygote, Grow, Imported, ImportFailed, Signal
from airloom.runtime.zygotes import BaseProcess, Placed, Process, Zygote

#: forks that a zygote has been asked for and has not yet done; more would only wait in its socket
_FORKING = 8
#: processes that wait for another try of their file
_IDLE = 16


P_contra = TypeVar("P_contra", bound=Placed, contravariant=True)
P = TypeVar("P", bound=Placed)


class Guardian(Protocol[P_contra]):
    """Who has the tries: told what becomes of the places they asked for. May not ask for a place from within."""

    def assigned(self, attempt: P_contra, process: Process) -> None:
        """`process` is to run the try; it may not be forked yet."""

    def forked(self, process: Process) -> None:
        """The process exists, and has its number."""

    def exited(self, process: Process, status: int | None) -> None:
        """The process is gone, or let go. None: with its zygote. Its descriptors are closed after this."""

    def unplaced(self, attempt: P_contra, cause: Cause, detail: str, output: str) -> None:
        """There will be no process for the try. `output`: what the import printed, and its traceback."""


class Nursery(Generic[P]):
    """Keeps the zygotes, within the settings' limits."""

    def __init__(
        self,
        loop: Loop,
        guardian: Guardian[P],
        settings: LocalSettings,
        environment: Mapping[str, str],
    ) -> None:
        self._loop = loop
        self._guardian = guardian
        self.settings = settings
        self._environment = environment
        self._base: Zygote | None = None
        self._base_process: BaseProcess | None = None
        self._files: dict[tuple[str, str], Zygote] = {}  # in use for new tries; the most recently used is the last
        self._children: dict[int, Zygote] = {}  # every file zygote that is not known to be gone, by id
        self._threaded: set[tuple[str, str]] = set()
        self._ids = itertools.count(1)
        self._sweep: Timer | None = None

    def place(self, attempt: P) -> None:
        """Find a process for a try; the guardian is told, perhaps at once."""
        try:
            zygote = self._zygote_for(attempt)
        except OSError as error:
            self._guardian.unplaced(attempt, Cause.LAUNCH, f"no process could be started: {error.strerror}", "")
            return
        zygote.used_at = time.monotonic()
        zygote.waiting.append(attempt)
        self._pump(zygote)

    def withdraw(self, attempt: P) -> bool:
        """Take back a try that has no process yet; False if it has one."""
        for zygote in (*self._children.values(), self._base):
            if zygote is not None and attempt in zygote.waiting:
                zygote.waiting.remove(attempt)
                return True
        return False

    def release(self, process: Process) -> None:
        """The process can run another try."""
        process.busy = False
        zygote = process.zygote
        if zygote.retired or len(zygote.idle) >= _IDLE:
            self._gone(process, None)
        else:
            zygote.used_at = time.monotonic()
            zygote.idle.append(process)
            self._pump(zygote)
        self._settle(zygote)

    def start(self) -> Zygote:
        """Start the base zygote, if there is none. Raises OSError."""
        if self._base is None:
            self._base_process = BaseProcess(self._environment)
            self._base = Zygote(self._loop, 0, self._base_process.sock, None, self._readable)
        return self._base

    def close(self) -> None:
        """End every zygote, and so every process."""
        self._files = {}
        for zygote in (*self._children.values(), self._base):
            if zygote is not None:
                for process in list(zygote.processes.values()):
                    self._gone(process, None)
                zygote.close()
        if self._base_process is not None:
            self._base_process.kill()
        self._base = self._base_process = None
        self._children = {}

    # --- zygotes ---------------------------------------------------------------------------------------------------
    def _zygote_for(self, attempt: P) -> Zygote:
        base = self.start()
        key = (attempt.path, attempt.file_hash)
        if key in self._threaded:
            return base
        zygote = self._files.pop(key, None)
        if zygote is not None and (not zygote.open or (zygote.ready and not zygote.fresh())):
            self._retire(zygote)
            zygote = None
        if zygote is None:
            zygote = self._grow(base, key, attempt)
        self._files[key] = zygote
        return zygote

    def _grow(self, base: Zygote, key: tuple[str, str], attempt: P) -> Zygote:
        output, write = os.pipe()
        try:
            ours, theirs = socket.socketpair()
        except OSError:
            os.close(output)
            os.close(write)
            raise
        zygote = Zygote(self._loop, next(self._ids), ours, key, self._readable)
        zygote.listen(output)
        self._children[zygote.id] = zygote
        base.send(Grow(zygote.id, key[0], attempt.source, attempt.root), (theirs.detach(), write))

        def overdue() -> None:
            zygote.timed_out = True
            base.send(Signal(zygote.id, signal.SIGKILL, True))

        zygote.import_timer = self._loop.later(self.settings.import_timeout, overdue)
        if self._sweep is None:
            self._sweep = self._loop.later(self.settings.zygote_idle, self._retire_idle)
        return zygote

    def _retire(self, zygote: Zygote) -> None:
        """Use it no more; it goes when its last try has ended."""
        zygote.retired = True
        if zygote.key is not None and self._files.get(zygote.key) is zygote:
            del self._files[zygote.key]
        for process in [process for process in zygote.processes.values() if not process.busy]:
            self._gone(process, None)
        if not zygote.busy:
            zygote.close()

    def _retire_idle(self) -> None:
        self._sweep = None
        before = time.monotonic() - self.settings.zygote_idle
        for zygote in list(self._files.values()):
            if zygote.used_at <= before and not zygote.busy:
                self._retire(zygote)
        if self._files:
            self._sweep = self._loop.later(self.settings.zygote_idle / 2, self._retire_idle)

    def _settle(self, zygote: Zygote) -> None:
        """A try of the zygote's has ended: perhaps it, or another, is to go now."""
        if zygote.retired and not zygote.busy:
            zygote.close()
        if len(self._files) > self.settings.zygote_limit:
            for unused in [zygote for zygote in self._files.values() if not zygote.busy]:
                if len(self._files) > self.settings.zygote_limit:
                    self._retire(unused)

    # --- what zygotes tell -------------------------------------------------------------------------------------------
    def _readable(self, zygote: Zygote) -> None:
        try:
            messages = zygote.channel.receive()
        except Closed:
            if zygote is self._base:
                self._base_died(zygote)
            else:
                zygote.printed()  # read before it is closed; the base zygote tells how it ended
                zygote.close()
            return
        for message in messages:
            self._handle(zygote, message)
        self._pump(zygote)

    def _handle(self, zygote: Zygote, message: FromZygote) -> None:
        match message:
            case Forked(id=id, pid=pid):
                process = zygote.processes.get(id)
                if process is not None:
                    zygote.forking -= 1
                    process.pid = pid
                    if pid is None:
                        self._gone(process, None)
                    else:
                        self._guardian.forked(process)
                elif pid is None and id in self._children:
                    self._zygote_gone(self._children[id], Cause.LAUNCH, message.error)
            case Exited(id=id, status=status):
                if id in zygote.processes:
                    self._gone(zygote.processes[id], status)
                elif id in self._children:
                    self._zygote_exited(self._children[id], status)
            case Imported():
                self._imported(zygote, message)
            case ImportFailed(detail=detail, traceback=traceback):
                self._unplace(zygote, Cause.IMPORT, detail, zygote.printed() + traceback)

    def _imported(self, zygote: Zygote, message: Imported) -> None:
        if zygote.import_timer is not None:
            zygote.import_timer.cancel()
        zygote.files = message.files
        zygote.ready = not message.threads
        if message.threads and zygote.key is not None and self._base is not None:
            self._threaded.add(zygote.key)
            self._files.pop(zygote.key, None)
            self._base.waiting.extend(zygote.waiting)
            zygote.waiting.clear()
            self._pump(self._base)

    def _unplace(self, zygote: Zygote, cause: Cause, detail: str, output: str) -> None:
        """No try can be run from this zygote."""
        if zygote.key is not None and self._files.get(zygote.key) is zygote:
            del self._files[zygote.key]
        while zygote.waiting:
            self._guardian.unplaced(zygote.waiting.popleft(), cause, detail, output)

    def _zygote_exited(self, zygote: Zygote, status: int) -> None:
        with contextlib.suppress(Closed):  # what it said before it ended counts first
            while zygote.open:
                messages = zygote.channel.receive()
                if zygote.channel.idle:
                    break
                for message in messages:
                    self._handle(zygote, message)
        cause, how = describe_exit(status)
        path = zygote.key[0] if zygote.key else ""
        if zygote.timed_out:
            self._zygote_gone(
                zygote, Cause.IMPORT, f"{path} was not imported within {self.settings.import_timeout:g} s"
            )
        elif zygote.ready:
            self._zygote_gone(zygote, Cause.LAUNCH, f"the fork server of {path} is gone: {how}")
        else:
            cause = cause if cause is Cause.KILLED else Cause.IMPORT
            self._zygote_gone(zygote, cause, f"{path} could not be imported: {how}")

    def _zygote_gone(self, zygote: Zygote, cause: Cause, detail: str) -> None:
        self._children.pop(zygote.id, None)
        self._unplace(zygote, cause, detail, zygote.printed())
        for process in list(zygote.processes.values()):
            self._gone(process, None)
        zygote.close()

    def _base_died(self, base: Zygote) -> None:
        status = self._base_process.wait() if self._base_process is not None else 0
        self._base = self._base_process = None
        detail = f"the fork server is gone: {describe_exit(status)[1]}; logs/runner.log may say more"
        for zygote in (*self._children.values(), base):
            self._zygote_gone(zygote, Cause.LAUNCH, detail)

    # --- processes -------------------------------------------------------------------------------------------------
    def _pump(self, zygote: Zygote) -> None:
        """Give the waiting tries processes, as far as there are; keep a spare when there is nothing else to do."""
        forks = False
        while zygote.ready and zygote.open and zygote.waiting:
            attempt = zygote.waiting[0]
            forks = not attempt.reuse
            process = zygote.take(attempt.reuse)
            if process is None:
                if zygote.forking >= _FORKING:
                    return
                process = zygote.fork(next(self._ids))
            zygote.waiting.popleft()
            if process is None:
                detail = "no process could be started: there are no file descriptors left"
                self._guardian.unplaced(attempt, Cause.LAUNCH, detail, "")
                continue
            process.busy = True
            self._guardian.assigned(attempt, process)
        if forks and zygote.key is not None and zygote.spare is None and zygote.open:
            zygote.spare = zygote.fork(next(self._ids))

    def _gone(self, process: Process, status: int | None) -> None:
        """A process has ended, or is let go: it exits when it finds its channel closed."""
        zygote = process.zygote
        zygote.forget(process)
        zygote.used_at = time.monotonic()
        self._guardian.exited(process, status)
        process.close()
        self._settle(zygote)
