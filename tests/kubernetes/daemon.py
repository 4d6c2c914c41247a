"""A server program of a test cluster as a process, with its log in a file."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.servers import as_child

#: A child dies with the thread that started it: this one lives as long as the process.
_STARTER = ThreadPoolExecutor(1, "starter")
#: seconds that a program may take to serve; the slowest takes six on a quiet machine
STARTING = 90.0


class Daemon:
    """A process that can be stopped, killed, frozen and started again, by any thread; it dies with this process."""

    def __init__(self, command: Sequence[str], log: Path, network: str = "") -> None:
        """network: the network namespace that it lives in; empty: this process's."""
        self.command = list(command)
        self._log = log
        self._network = network
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """Its number, or that of the last one that ran."""
        assert self.process is not None, f"{self.command[0]} was not started"
        return self.process.pid

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Let it run; it need not serve yet."""
        with self._log.open("ab") as log:
            self.process = _STARTER.submit(
                subprocess.Popen,
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._log.parent,
                env={**os.environ, **(environment or {})}, preexec_fn=as_child(network=self._network), process_group=0,
            ).result()  # fmt: skip

    def wait_until(self, serves: Callable[[], bool], seconds: float = STARTING) -> None:
        """Return when `serves` is true. Raises RuntimeError with the end of its log if that takes too long."""
        deadline = time.monotonic() + seconds
        while not serves():
            if not self.running or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self.command[0]} did not start:\n{_reason(self.said())}")
            time.sleep(0.02)

    def stop(self, patience: float = 20.0) -> None:
        """End it in good order, or by force after that many seconds."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it as a power cut does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def freeze(self) -> None:
        """Let it do nothing more, with its connections open, until `thaw`."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def said(self) -> str:
        """What it wrote to its log."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""


def _reason(text: str) -> str:
    """What matters of a log: what Go's programs say before they print all their stacks, and its end."""
    fatal = [line for line in text.splitlines() if re.match(r"F\d{4} |panic|fatal", line)]
    return "\n".join([*fatal[:3], text[-1500:]])
