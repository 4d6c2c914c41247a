"""What the operating system offers to keep processes in hand: dying with the parent, groups, leftovers, statuses."""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

#: in the environment of everything that a runner starts; its value names the runner
MARK = "AIRLOOM_RUNNER"

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """Have this process killed when `parent`, which must be its parent, dies. Ends it now if that has happened."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def flush_stdio() -> None:
    """Write out what Python and C code have buffered for stdout and stderr."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    _libc.fflush(None)


def kill_group(group: int, number: int = signal.SIGKILL) -> None:
    """Signal a process group; it is no error if it has no process any more."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def kill_session(session: int) -> None:
    """Kill every process of a session; its leader must not have been reaped yet."""
    for pid in processes():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == session:
                os.kill(pid, signal.SIGKILL)


def signal_name(number: int) -> str:
    """SIGKILL for 9, and so on."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def thread_count() -> int:
    """How many threads this process has, those of C code included."""
    try:
        return len(list(Path("/proc/self/task").iterdir()))
    except OSError:  # not Linux: only Python's own can be counted
        threading = sys.modules.get("threading")
        return 1 if threading is None else int(threading.active_count())


def kill_leftovers(runner: str, sessions: Iterable[int]) -> None:
    """Kill what a dead runner's tries left behind, and wait until it is gone (2 s at most).

    A leftover is a process that has the runner's mark in its environment, or is in the session of one of its tries,
    whose leader is dead (a process number is not given away while a session has its name, so a session without
    its leader is the try's own).
    """
    mark = f"{MARK}={runner}".encode()

    def marked(pid: int) -> bool:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")

    _kill_all(marked)  # the leaders of the sessions are among these
    dead = {session for session in sessions if _ended(session)}
    if dead:
        _kill_all(lambda pid: os.getsid(pid) in dead and not _ended(pid))


def _kill_all(chosen: Callable[[int], bool]) -> None:
    deadline = time.monotonic() + 2.0
    while time.monotonic() < deadline:
        found = False
        for pid in processes():
            with contextlib.suppress(OSError):  # gone meanwhile, or another user's
                if chosen(pid):
                    os.kill(pid, signal.SIGKILL)
                    found = True
        if not found:
            return
        time.sleep(0.005)


def _ended(pid: int) -> bool:
    """Whether there is no such process, or only its exit status is left of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in ("Z", "X")
    except OSError:
        return True


def processes() -> list[int]:
    """The numbers of all other processes (none where there is no /proc)."""
    if sys.platform != "linux":
        return []
    return [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit() and int(entry.name) != os.getpid()]
