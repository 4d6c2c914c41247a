"""The line to the runner of this machine: keeps one there, and a connection to its work socket, in Celery's loop."""

import logging
import time
from collections.abc import Callable
from typing import Any

from airloom.executors.runner_keeper import RunnerKeeper
from airloom.executors.runner_process import RunnerProcess
from airloom.executors.settings import LocalSettings
from airloom.executors.unix_socket import connect
from airloom.model.wire import FrameError, FromIntake, ToIntake
from airloom.runtime.channel import Channel, Closed
from airloom.runtime.fence import Fence

log = logging.getLogger("airloom.worker")


class RunnerLine:
    """`heard` is called with what the runner says, `changed` when one is connected or lost.

    The loop of Celery's does not run while the broker is out of reach, and forgets everything when it has lost it:
    `watch` tells of a loop that is about to run, and `look` does meanwhile what is due.
    """

    def __init__(
        self, settings: LocalSettings, heard: Callable[[FromIntake], None], changed: Callable[[], None]
    ) -> None:
        self._path = settings.work_socket
        self._heard = heard
        self._changed = changed
        self.process = RunnerProcess(settings, "airloom.runtime.remote_runner")
        self._keeper = RunnerKeeper(self.process, self._say)
        self._trouble = ""
        self._hub: Any = None
        self._timer: Any = None
        self._look_at = 0.0
        self._channel: Channel[FromIntake] | None = None
        #: a runner that hangs ends no tries when it is out of touch: it is killed as long before that is a danger
        self._patience = Fence(settings.lease, 0.0).patience
        self._heard_at = 0.0
        #: whether a runner that has gone is followed by another one
        self.keeping = True

    @property
    def connected(self) -> bool:
        """Whether there is a runner."""
        return self._channel is not None

    def watch(self, hub: Any) -> None:
        """This loop runs from now on."""
        self._hub = hub
        self._timer = None
        if self._channel is not None:
            hub.add_reader(self._channel.fileno(), self.look)
            if self._channel.blocked:
                hub.add_writer(self._channel.fileno(), self._flush)
        self.look()

    def look(self) -> None:
        """Hear what the runner has said; see to it that there is one."""
        if self._channel is not None:
            self._read(self._channel)
        elif self.keeping:
            now = time.monotonic()
            if now >= self._look_at and not self._connect():
                self._look_at = self._keeper.look(now)
            if self._channel is None:
                self._look_again(self._look_at - now)

    def check(self) -> None:
        """Kill a runner that has given no sign of life for too long; the next one ends what it left running."""
        self.look()
        silent = time.monotonic() - self._heard_at
        if self._channel is not None and self.keeping and silent > self._patience:
            self._say(f"the runner hangs: it has given no sign of life for {silent:.0f} s, and is killed")
            self.process.kill()
            self._lose()

    def send(self, message: ToIntake) -> bool:
        """Tell the runner; False if there is none."""
        if self._channel is None:
            return False
        try:
            self._channel.send(message)
        except Closed:
            self._lose()
            return False
        return True

    def close(self) -> None:
        """Leave the runner to itself."""
        self.keeping = False
        if self._channel is not None:
            self._lose()

    def _connect(self) -> bool:
        try:
            sock = connect(self._path)
        except OSError:
            return False
        sock.setblocking(False)
        self._channel = Channel(sock, FromIntake)
        self._channel.on_blocked = self._blocked
        self._keeper.connected()
        self._heard_at = time.monotonic()
        self._trouble = ""
        if self._hub is not None:
            self._hub.add_reader(self._channel.fileno(), self.look)
        self._changed()
        return True

    def _read(self, channel: Channel[FromIntake]) -> None:
        while self._channel is channel and not channel.idle:
            try:
                messages = channel.receive()
            except FrameError as error:
                self._say(f"the runner says what cannot be read: {error}")
                self.process.kill()
                self._lose()
                return
            except Closed:
                if self.keeping:
                    log.error("the runner has died; another one is started, which ends what is left of its tries")
                self._lose()
                return
            if not channel.idle:
                self._heard_at = time.monotonic()
            for message in messages:
                self._keeper.well()
                self._heard(message)
        channel.idle = False

    def _lose(self) -> None:
        channel, self._channel = self._channel, None
        assert channel is not None
        if self._hub is not None:
            self._hub.remove(channel.fileno())
        channel.close()
        self._keeper.lost()
        self._look_at = 0.0
        self._changed()
        if self.keeping:
            self._look_again(0.0)

    def _blocked(self) -> None:
        if self._hub is not None and self._channel is not None:
            self._hub.add_writer(self._channel.fileno(), self._flush)

    def _flush(self) -> None:
        if self._channel is None:
            return
        try:
            self._channel.flush()
        except Closed:
            self._lose()
            return
        if not self._channel.blocked:
            self._hub.remove_writer(self._channel.fileno())

    def _look_again(self, seconds: float) -> None:
        if self._hub is not None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._hub.call_later(max(0.0, seconds), self.look)

    def _say(self, text: str) -> None:
        if text != self._trouble:
            self._trouble = text
            log.error("%s", text)
