"""Waiting for what other threads and processes do, which cannot wake a test."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

#: seconds after which a test gives up; nothing takes a tenth of that
DEADLINE = 60.0

T = TypeVar("T")


def wait_for(look: Callable[[], T | None], what: str, seconds: float = DEADLINE) -> T:
    """The first true value of `look`."""
    give_up = time.monotonic() + seconds
    while not (value := look()):
        assert time.monotonic() < give_up, f"waited {seconds:g} s for {what}"
        time.sleep(0.01)
    return value


def wait_for_end(*pids: int) -> None:
    """Wait until none of the processes lives."""
    wait_for(lambda: not any(map(alive, pids)), f"the end of {', '.join(map(str, pids))}")


def alive(pid: int) -> bool:
    """Whether a process lives; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
