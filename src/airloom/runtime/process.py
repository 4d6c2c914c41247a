"""What the operating system offers to keep processes in hand: dying with the parent, groups, leftovers, statuses."""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterable
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
    for entry in Path("/proc").iterdir() if sys.platform == "linux" else ():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if os.getsid(int(entry.name)) == session:
                    os.kill(int(entry.name), signal.SIGKILL)


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


def kill_leftovers(runner: str, sessions: Iterable[int]) -> int:
    """Kill what a dead runner's tries left behind; returns how many processes that was.

    A leftover is a process that has the runner's mark in its environment, or is in the session of one of its tries,
    whose leader is dead (a process number is not given away while a session has its name, so a session without
    its leader is the try's own).
    """
    mark = f"{MARK}={runner}".encode()
    dead = {session for session in sessions if not Path(f"/proc/{session}").exists()}
    killed = 0
    for entry in Path("/proc").iterdir() if sys.platform == "linux" else ():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            marked = mark in (entry / "environ").read_bytes().split(b"\0")
            if marked or os.getsid(int(entry.name)) in dead:
                os.kill(int(entry.name), signal.SIGKILL)
                killed += 1
        except OSError:  # gone meanwhile, or another user's
            continue
    return killed
