"""Keeps a child process of ours there: forked before this process has threads, started anew after it died.

Forked, it shares the memory of all that is imported already. A process with threads must not fork, so one that takes
the place of a dead one is a program of its own, and takes more.
"""

import contextlib
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

from airloom.runtime.process import die_with_parent

log = logging.getLogger("airloom.keeper")

#: seconds before a child that died is started again: at first, and at most; after one that lived longer, at first again
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
#: seconds that the child has to end
_LAST_WORDS = 5.0
#: by how much the child gives way to this process, and to what that starts
NICE = 5


class Keeper:
    """In the child, `prepare` runs at once, and `serve`, once `go` was called, until SIGTERM.

    again: starts another one after it died. The child ends when this process does.
    """

    def __init__(
        self,
        name: str,
        prepare: Callable[[], object],
        serve: Callable[[], None],
        again: Callable[[], "subprocess.Popen[bytes]"],
    ) -> None:
        """Fork. To be called by the main thread while there is no other one, and no database is open."""
        self._name = name
        self._again = again
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        gc.collect()
        # What is here now stays: the collector shall not write into pages that are shared, in either process.
        gc.freeze()
        ready, self._go = os.pipe()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._go)
            _run(name, parent, ready, prepare, serve)
        os.close(ready)

    def go(self) -> None:
        """The child may begin: what it needs is there."""
        with contextlib.suppress(BrokenPipeError):  # it is dead already
            os.write(self._go, b"!")
        os.close(self._go)
        self._go = -1
        self._thread = threading.Thread(target=self._watch, name=f"keeper of {self._name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the child, and wait for that. Does nothing the second time."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._thread is None:
            os.close(self._go)
            os.waitpid(self._pid, 0)
            return
        self._signal(signal.SIGTERM)
        self._thread.join(_LAST_WORDS)
        if self._thread.is_alive():
            self._signal(signal.SIGKILL)
            self._thread.join()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)

    def _watch(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            began = time.monotonic()
            status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
            if self._stopping.is_set():
                return
            if time.monotonic() - began > _LONGEST_PAUSE:
                pause = _FIRST_PAUSE
            log.error("%s ended by itself (status %d); it is started again in %g s", self._name, status, pause)
            if self._stopping.wait(pause):
                return
            pause = min(2 * pause, _LONGEST_PAUSE)
            self._pid = self._again().pid
            if self._stopping.is_set():
                self._signal(signal.SIGTERM)


def _run(name: str, parent: int, ready: int, prepare: Callable[[], object], serve: Callable[[], None]) -> NoReturn:
    """The child's life."""
    status = 1
    try:
        # Ctrl-C in the terminal is for the parent, which ends everything in order.
        os.setsid()
        die_with_parent(parent)
        # Where there are not cores enough for both, people who look give way to tasks that run.
        os.nice(NICE)
        prepare()
        if os.read(ready, 1) == b"!":
            serve()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        log.error("%s failed\n%s", name, traceback.format_exc())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
