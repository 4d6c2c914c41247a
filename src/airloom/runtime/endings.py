"""From the way a process ended to the way its try ended."""

import os
import signal
from pathlib import Path

import msgspec

from airloom.model.report import Cause, Outcome
from airloom.runtime.messages import Result
from airloom.runtime.process import signal_name

#: what people, init systems and the kernel end processes with; the others a process brings upon itself
_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})


class Kill(msgspec.Struct):
    """We are ending a try: why, in a sentence, and whether it had to be forced."""

    cause: Cause
    detail: str
    forced: bool = False


class Ending(msgspec.Struct, frozen=True):
    """How a try ended. `result` is what the task said, if that counts."""

    outcome: Outcome
    cause: Cause | None = None
    detail: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    result: Result | None = None


def judge(status: int | None, result: Result | None, kill: Kill | None, oom: bool) -> Ending:
    """How a try ended whose process ended with `status` (None: together with its zygote).

    `oom`: the kernel has killed a process for lack of memory just now.
    """
    code = None if status is None or os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    number = os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else None
    if kill is not None:
        forced = "; it did not heed SIGTERM and was killed" if kill.forced else ""
        return Ending(Outcome.FAILED, kill.cause, kill.detail + forced, code, number)
    if status is None:
        cause, detail = Cause.KILLED, "its process ended together with the fork server that it came from"
    elif code == 0 and result is not None:
        return Ending(result.outcome, result.cause, result.detail, code, None, result)
    else:
        cause, detail = describe_exit(status)
        if oom and number == signal.SIGKILL:
            cause, detail = Cause.OOM, "the kernel killed its process: the machine or its group had no memory left"
    if result is not None:
        detail += ", after the task had returned"
    return Ending(Outcome.FAILED, cause, detail, code, number)


def describe_exit(status: int) -> tuple[Cause, str]:
    """Cause and sentence for an exit status."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number in _FROM_OUTSIDE:
            return Cause.KILLED, f"its process was killed from outside with {signal_name(number)}"
        return Cause.SIGNAL, f"its process crashed with {signal_name(number)}"
    return Cause.EXIT, f"its process ended itself with exit status {os.WEXITSTATUS(status)}"


class OomCounter:
    """Counts the kernel's out-of-memory kills in this process's control group (or, without one, on the machine)."""

    def __init__(self) -> None:
        self._files = [path for path in _counter_files() if _read_counter(path) is not None]
        self._last = self._read()

    def risen(self) -> bool:
        """Whether there was one since the last call."""
        now = self._read()
        risen, self._last = now > self._last, now
        return risen

    def _read(self) -> int:
        return _read_counter(self._files[0]) or 0 if self._files else 0


def _counter_files() -> list[Path]:
    """Where the count may be, the best place first."""
    files = []
    try:
        groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        groups = []
    for _number, controllers, path in groups:
        if controllers == "":
            files.append(Path(f"/sys/fs/cgroup{path}/memory.events"))
        elif controllers == "memory":
            files += [Path(f"/sys/fs/cgroup/memory{path}/memory.oom_control"), Path("/sys/fs/cgroup/memory.events")]
    return [*files, Path("/proc/vmstat")]


def _read_counter(path: Path) -> int | None:
    try:
        for line in path.read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    except OSError:
        return None
    return None
