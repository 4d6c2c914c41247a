"""Fetches commits of bundles in processes of their own, for a runner that may not wait."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import msgspec

from airloom.bundles.fetch import Fetched, FetchJob
from airloom.runtime.loop import Loop

#: seconds that a process has to end when it is not wanted any more
_LAST_WORDS = 2.0


class Fetcher:
    """The processes that fetch."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._children: set[subprocess.Popen[bytes]] = set()

    def begin(self, job: FetchJob, told: Callable[[Fetched], None]) -> None:
        """Fetch; `told` is called once, later or at once."""
        command = [sys.executable, "-P", "-m", "airloom.bundles.fetch", msgspec.json.encode(job).decode()]
        try:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
        except OSError as error:
            told(Fetched(error=f"no process can be started: {error.strerror}"))
            return
        assert child.stdout is not None
        self._children.add(child)
        said = bytearray()
        fd = child.stdout.fileno()

        def readable() -> None:
            data = os.read(fd, 65536)
            said.extend(data)
            # Its line, or its end without one. It goes on after the line: it tidies up.
            if data.endswith(b"\n") or (not data and not said.endswith(b"\n")):
                told(_understood(bytes(said)))
            if not data:
                self._reap(child)

        self._loop.watch(fd, readable)

    def close(self) -> None:
        """End them."""
        for child in list(self._children):
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(_LAST_WORDS)
            except subprocess.TimeoutExpired:
                child.kill()
            self._reap(child)

    def _reap(self, child: "subprocess.Popen[bytes]") -> None:
        self._children.discard(child)
        if child.stdout is not None:
            self._loop.unwatch(child.stdout.fileno())
            child.stdout.close()
        child.wait()


def _understood(said: bytes) -> Fetched:
    try:
        return msgspec.json.decode(said, type=Fetched)
    except msgspec.MsgspecError:
        return Fetched(error="the process that was to fetch it ended early; the runner's log may say why")
