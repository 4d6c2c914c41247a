"""What a pod of Kubernetes runs, as a process without one: with the work, a home, and a place for last words."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from airloom.executors import pod_terms
from airloom.executors.settings import LocalSettings
from airloom.model.wire import Submit, frame
from airloom.model.work import Work
from tests.api.remote_rig import Remote
from tests.executors.rig import runner_pid
from tests.waiting import DEADLINE, wait_for_end


class Pod:
    """The process, in a folder of its own."""

    def __init__(self, remote: Remote, *, command: tuple[str, ...] = (sys.executable, "-m", "airloom")) -> None:
        assert remote.local is not None
        # Short: a Unix socket's path may have 107 bytes.
        self._folder = tempfile.TemporaryDirectory(prefix="pod-")
        self.folder = Path(self._folder.name)
        self.home = self.folder / "home"
        self.home.mkdir(exist_ok=True)
        self.work = self.folder / "work"
        self.words = self.folder / "last-words"
        self.words.touch()
        self.settings: LocalSettings = msgspec.structs.replace(
            remote.local, home=str(self.home), token_file="", queues=(), parallelism=1
        )
        self.process: subprocess.Popen[bytes] | None = None
        #: whoever reads the standard output, if it is not a file
        self.reader: int | None = None
        self._command = command
        #: variables that are others than the test's own
        self.environment: dict[str, str] = {}

    def start(self, work: Work, *arguments: str, **fields: Any) -> None:
        """Start it. fields: settings that are to be others."""
        self.work.write_bytes(frame(Submit(works=(work,))))
        self.settings = msgspec.structs.replace(self.settings, **fields)
        environment = {
            **os.environ,
            **self.environment,
            pod_terms.SETTINGS: msgspec.json.encode(self.settings).decode(),
            pod_terms.WORK: str(self.work),
            pod_terms.LAST_WORDS: str(self.words),
        }
        with (self.folder / "out").open("ab") as out, (self.folder / "err").open("ab") as err:
            self.process = subprocess.Popen(
                [*self._command, *pod_terms.RUN[1:], *arguments],
                env=environment, stdin=subprocess.DEVNULL, stdout=self.reader or out, stderr=err,
                cwd=self.folder, start_new_session=True,
            )  # fmt: skip

    def ended(self) -> int:
        """Wait for its end; the exit status."""
        assert self.process is not None
        return self.process.wait(DEADLINE)

    def run(self, work: Work, *arguments: str, **fields: Any) -> int:
        """Start it, and wait for its end."""
        self.start(work, *arguments, **fields)
        return self.ended()

    @property
    def last_words(self) -> str:
        """The termination message."""
        return self.words.read_text()

    @property
    def printed(self) -> str:
        """What `kubectl logs` would show of its standard output."""
        return (self.folder / "out").read_text()

    @property
    def said(self) -> str:
        """What it says itself."""
        return (self.folder / "err").read_text()

    def kill_runner(self) -> None:
        """Kill the process that runs the try, as the kernel does when there is no memory left."""
        os.kill(runner_pid(self.home, self.settings.name), signal.SIGKILL)

    def kill(self) -> None:
        """Kill the container."""
        assert self.process is not None
        runner = runner_pid(self.home, self.settings.name)
        self.process.kill()
        self.process.wait()
        wait_for_end(runner)

    def close(self) -> None:
        """Kill all of it."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._folder.cleanup()
