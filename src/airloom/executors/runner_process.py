"""A runner as a process: starting it, finding a living one, ending it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from airloom.executors.settings import LocalSettings
from airloom.executors.unix_socket import take_lock
from airloom.model.errors import AirloomError

#: what tasks have no business to know: how to reach the database, the broker and the store of logs, the keys that open
#: what is in them, and the connections and variables of which each task is to get only what it asks for
_PRIVATE = re.compile(
    r"AIRLOOM_+(DATABASE|SECURITY|SECRETS?|API|AUTH|CELERY|LOGS)_|AIRLOOM_.*(SECRET|PASSWORD|KEY|TOKEN|URL|DSN)|"
    r"AIRFLOW__(DATABASE|SECRETS|API|WEBSERVER|CELERY)__|AIRFLOW__.*(FERNET|SECRET|PASSWORD|SQL_ALCHEMY)|"
    r"(AIRLOOM|AIRFLOW)_(CONN|VAR)_|FLOWER_|PG(PASSWORD|USER|HOST|HOSTADDR|SERVICE|SERVICEFILE|PASSFILE)$",
    re.IGNORECASE,
)


def clean_environment(environment: dict[str, str]) -> dict[str, str]:
    """The environment without what names the database, holds a key of Airloom's own, or is a task's to ask for."""
    return {name: value for name, value in environment.items() if not _PRIVATE.match(name)}


class RunnerProcess:
    """The one runner of a home folder. It outlives the process that started it. module: what is run."""

    def __init__(self, settings: LocalSettings, module: str = "airloom.runtime.runner") -> None:
        self._settings = settings
        self._module = module
        self._home = Path(settings.home)
        self._child: subprocess.Popen[bytes] | None = None
        self.log = str(self._home / "logs" / "runner.log")

    def start(self) -> None:
        """Start a runner. Raises AirloomError if that is not possible."""
        self.reap()
        try:
            Path(self.log).parent.mkdir(parents=True, exist_ok=True)
            with Path(self.log).open("ab") as log:
                self._child = subprocess.Popen(
                    [sys.executable, "-P", "-m", self._module, self._settings.file],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=clean_environment(dict(os.environ)),
                    cwd=self._home,
                    start_new_session=True,
                )
        except OSError as error:
            raise AirloomError(f"the runner cannot be started: {error}") from error

    def alive(self) -> bool:
        """Whether a runner lives, whoever started it. One that is about to take its lock counts, if it is our child."""
        self.reap()
        if self._child is not None:
            return True
        lock = take_lock(self._settings.lock)
        if lock is None:
            return True
        os.close(lock)
        return False

    @property
    def ours(self) -> bool:
        """Whether the runner that lives was started here."""
        return not self.reap()

    def kill(self) -> None:
        """Kill the runner that lives, if one does."""
        pid = self._pid()
        if pid is not None and self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def wait(self, timeout: float) -> bool:
        """Wait for our child's end; True when it has ended (or was not our child)."""
        if self._child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(timeout)
        return self.reap()

    def reap(self) -> bool:
        """Forget our child if it has ended; True when there is none."""
        if self._child is not None and self._child.poll() is not None:
            self._child = None
        return self._child is None

    def _pid(self) -> int | None:
        """The number of the living runner, from its lock file or our child."""
        if self._child is not None:
            return self._child.pid
        try:
            return int(Path(self._settings.lock).read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None
