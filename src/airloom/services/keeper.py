"""Keeps a child process of ours there: it is forked before this process has threads, and again after it died.

Forked, it shares the memory of all that is imported already. A process of its own in between does the forking, so that
the scheduler's threads and connections are never copied.
"""

import contextlib
import gc
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import NamedTuple, NoReturn

from airloom.runtime.process import die_with_parent

log = logging.getLogger("airloom.keeper")

#: seconds before a child that died is forked again: at first, and at most; one that lived longer than the latter
#: begins anew
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
#: seconds that the child has to end
_LAST_WORDS = 5
#: the status of a child that was never told to begin
_NEVER_BEGAN = 90
_SIGNALS = (signal.SIGTERM, signal.SIGALRM)


class Keeper:
    """In the child, `prepare` runs at once, and `serve`, once `go` was called, until SIGTERM. The child ends when this
    process does."""

    def __init__(self, name: str, prepare: Callable[[], object], serve: Callable[[], None]) -> None:
        """Fork. To be called while this process has one thread and has opened no database."""
        self._name = name
        gc.collect()
        # What is here now stays: the collector shall not write into pages that are shared, in either process.
        gc.freeze()
        ready, self._go = os.pipe()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._go)
            _keep(name, parent, _Child(name, ready, prepare, serve))
        os.close(ready)

    def go(self) -> None:
        """The child may begin: what it needs is there."""
        os.write(self._go, b"!")
        os.close(self._go)
        self._go = -1

    def stop(self) -> None:
        """End it, and wait for that. Does nothing the second time."""
        if self._go >= 0:
            os.close(self._go)
            self._go = -1
        if self._pid:
            os.kill(self._pid, signal.SIGTERM)
            os.waitpid(self._pid, 0)
            self._pid = 0


class _Child(NamedTuple):
    """What the child is to do. ready: where it hears that it may."""

    name: str
    ready: int
    prepare: Callable[[], object]
    serve: Callable[[], None]

    def run(self, keeper: int, *, wait: bool) -> NoReturn:
        """Do it. wait: for the word that it may."""
        status = 1
        try:
            die_with_parent(keeper)
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            gc.enable()
            self.prepare()
            if wait and os.read(self.ready, 1) != b"!":
                os._exit(_NEVER_BEGAN)
            self.serve()
            status = 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except BaseException:
            log.error("%s failed\n%s", self.name, traceback.format_exc())
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)


def _keep(name: str, parent: int, work: _Child) -> NoReturn:
    """The process in between."""
    gc.disable()
    die_with_parent(parent)
    # Ctrl-C is for the parent, which ends everything in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keeper = os.getpid()
    child = 0
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        if not child:
            os._exit(0)
        stopping = True
        os.kill(child, signal.SIGTERM)
        signal.alarm(_LAST_WORDS)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGALRM, lambda _number, _frame: os.kill(child, signal.SIGKILL))
    pause = _FIRST_PAUSE
    first = True
    while True:
        began = time.monotonic()
        # No signal between the fork and the moment at which the child's number is known.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        child = os.fork()
        if child == 0:
            work.run(keeper, wait=first)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        child = 0
        if stopping or status == _NEVER_BEGAN:
            os._exit(0)
        first = False
        if time.monotonic() - began > _LONGEST_PAUSE:
            pause = _FIRST_PAUSE
        log.error("%s ended by itself (status %d); it is started again in %g s", name, status, pause)
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
