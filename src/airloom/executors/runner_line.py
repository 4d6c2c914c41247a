"""The server's end of the line to the local runner: listens, keeps a runner there, carries messages. One thread."""

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Iterable
from typing import Protocol

from airloom.executors.runner_keeper import CONNECT_TIMEOUT, RunnerKeeper
from airloom.executors.runner_process import RunnerProcess
from airloom.executors.settings import LocalSettings, write_settings
from airloom.executors.unix_socket import Listener
from airloom.model.errors import AirloomError
from airloom.model.wire import FrameError, FromRunner, Hello, Stop, Unframer, frame, understood

_CHUNK = 256 * 1024


class Owner(Protocol):
    """Who uses the line. Called from its thread."""

    def greeted(self, hello: Hello) -> None:
        """A runner is there. Calls `begin`."""

    def heard(self, message: FromRunner) -> None:
        """It says something."""

    def trouble(self, text: str) -> None:
        """There is no runner, and why; "" when there is one again."""


class RunnerLine:
    """Keeps one runner connected until `close`. Raises Conflict at once if another server uses the same home folder."""

    def __init__(self, settings: LocalSettings, owner: Owner) -> None:
        self._settings = settings
        self._owner = owner
        self._listener = Listener(settings.socket)
        try:
            write_settings(settings)
        except OSError as error:
            self._listener.close()
            raise AirloomError(f"cannot write {settings.file}: {error.strerror}") from error
        self._process = RunnerProcess(settings)
        self._keeper = RunnerKeeper(self._process, owner.trouble)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener.sock, selectors.EVENT_READ)
        self._nudge_read, self._nudge_write = socket.socketpair()
        self._nudge_read.setblocking(False)
        self._selector.register(self._nudge_read, selectors.EVENT_READ)
        self._sending = threading.Lock()
        self._sock: socket.socket | None = None
        self._greeted = False
        self._out = bytearray()
        self._unframer: Unframer[FromRunner] = Unframer(FromRunner)
        self._heard_at = 0.0
        self._look_at = 0.0
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="airloom-runner-line", daemon=True)

    def start(self) -> None:
        """Start the thread, which sees to a runner."""
        self._thread.start()

    @property
    def connected(self) -> bool:
        """Whether a runner is there that has been greeted."""
        return self._greeted

    def begin(self, first: Iterable[bytes]) -> None:
        """Send the first frames to a runner that has just said Hello; from now on, `send` takes more."""
        with self._sending:
            self._greeted = self._sock is not None
            for data in first:
                self._out += data
            self._flush()

    def send(self, data: bytes) -> bool:
        """Send a frame; False if there is no runner that has been greeted. Never waits. Any thread may call it."""
        with self._sending:
            if self._sock is None or not self._greeted:
                return False
            self._out += data
            self._flush()
            if self._out:
                self._nudge()
            return True

    def close(self, grace: float) -> None:
        """Have the runner stop within `grace` seconds (and what it needs to end tries), then free everything."""
        self._closing = True
        if self.send(frame(Stop(grace=grace))):
            self._thread.join(grace + self._settings.grace + CONNECT_TIMEOUT / 2)  # it ends when the runner has gone
        self._process.kill()
        self._nudge()
        self._thread.join()
        self._process.kill()  # the thread may just have started one
        self._process.wait(5.0)
        self._disconnect()
        self._selector.close()
        self._nudge_read.close()
        self._nudge_write.close()
        self._listener.close()

    # --- in the thread ---------------------------------------------------------------------------------------------
    def _serve(self) -> None:
        while not self._closing or self._sock is not None:
            for key, events in self._selector.select(self._timeout()):
                if key.fileobj is self._listener.sock:
                    self._accept()
                elif key.fileobj is self._nudge_read:
                    with contextlib.suppress(BlockingIOError):
                        self._nudge_read.recv(4096)
                elif key.fileobj is self._sock:
                    if events & selectors.EVENT_WRITE:
                        with self._sending:
                            self._flush()
                    if events & selectors.EVENT_READ:
                        self._read()
            self._watch_writes()
            self._keep_runner()

    def _timeout(self) -> float:
        if self._sock is None:
            return max(0.0, self._look_at - time.monotonic())
        return max(0.0, self._heard_at + self._settings.heartbeat_timeout - time.monotonic())

    def _keep_runner(self) -> None:
        """See to it that there is a runner: wait for one that lives, start one if none does, kill one that hangs."""
        now = time.monotonic()
        if self._sock is not None:
            if now - self._heard_at > self._settings.heartbeat_timeout:
                self._read()  # if this process itself was held up, what the runner said meanwhile counts
            if self._sock is not None and now - self._heard_at > self._settings.heartbeat_timeout:
                self._process.kill()
                self._disconnect()
            return
        if not self._closing:
            self._look_at = self._keeper.look(now)

    def _accept(self) -> None:
        sock = self._listener.accept()
        if sock is None:
            return
        self._disconnect()
        with self._sending:
            self._sock, self._greeted, self._unframer = sock, False, Unframer(FromRunner)
        self._heard_at = time.monotonic()
        self._keeper.connected()
        self._selector.register(sock, selectors.EVENT_READ)

    def _read(self) -> None:
        assert self._sock is not None
        try:
            data = self._sock.recv(_CHUNK)
            messages = self._unframer.feed(data)
        except BlockingIOError:
            return
        except FrameError:
            self._process.kill()
            self._disconnect()
            return
        except OSError:
            data, messages = b"", []
        if not data:
            self._disconnect()
            return
        for message in messages:
            if isinstance(message, Hello):
                self._greet(message)
            elif self._greeted:
                self._owner.heard(message)
        self._heard_at = time.monotonic()  # an answer may have taken its time, in which nobody listened

    def _greet(self, hello: Hello) -> None:
        # of a release of Airloom that is far off, or with tries of another database: they cannot be kept
        if not understood(hello) or hello.owner != self._settings.owner:
            self._process.kill()
            self._disconnect()
            return
        self._keeper.well()
        self._owner.greeted(hello)
        self._owner.trouble("")

    def _disconnect(self) -> None:
        with self._sending:
            if self._sock is not None:
                self._selector.unregister(self._sock)
                self._sock.close()
            self._sock, self._greeted = None, False
            self._out.clear()
        self._keeper.lost()
        self._look_at = 0.0

    def _flush(self) -> None:
        """Send what the socket takes. Under `_sending`. A broken connection is noticed by the reader."""
        if self._out and self._sock is not None:
            with contextlib.suppress(OSError):
                sent = self._sock.send(self._out)
                del self._out[:sent]

    def _watch_writes(self) -> None:
        with self._sending:
            if self._sock is not None:
                events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._out else 0)
                if self._selector.get_key(self._sock).events != events:
                    self._selector.modify(self._sock, events)

    def _nudge(self) -> None:
        with contextlib.suppress(OSError):
            self._nudge_write.send(b"\0")
