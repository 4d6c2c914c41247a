"""Tells runners at once what they are to end, and what people want of their workers: one thread follows the feed for
all their streams, while there are any.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from airloom.model.errors import AirloomError
from airloom.model.report import TryKey
from airloom.model.wire import CancelTries, Wanted
from airloom.operations import remote_runners
from airloom.operations.ops import Ops
from airloom.store.notify import Listener

log = logging.getLogger("airloom.api")

#: seconds after which it is looked though no hint came, and between two looks at least
_PATIENCE, _GATHER = 1.0, 0.2
#: of the time that a look takes, how long none follows: with thousands of pods it takes its time
_REST = 9.0
#: seconds after which a runner is told again to end a try that it has still
_AGAIN = 5.0

#: what a runner is to hear; None: another stream of its has taken over
Follower = asyncio.Queue[CancelTries | Wanted | None]


class Cancels:
    """For one event loop. `listen` gives what hears that the feed has news."""

    def __init__(self, ops: Ops, listen: Callable[[], Listener]) -> None:
        self._ops = ops
        self._listen = listen
        self._lock = threading.Lock()
        self._followers: dict[str, Follower] = {}
        #: by runner: the worker that it is a part of, and what was wanted of that when it was last told
        self._workers: dict[str, str] = {}
        self._wanted: dict[str, Wanted] = {}
        self._told: dict[tuple[str, TryKey], float] = {}
        self._running = False

    def follow(self, runner: str, worker: str) -> Follower:
        """What the runner is to hear comes here from now on, and to nobody who followed for it before."""
        follower: Follower = asyncio.Queue()
        with self._lock:
            before = self._followers.pop(runner, None)
            self._followers[runner] = follower
            self._workers[runner] = worker
            self._wanted.pop(runner, None)
            if not self._running:
                self._running = True
                loop = asyncio.get_running_loop()
                threading.Thread(target=self._serve, args=(loop,), name="cancels", daemon=True).start()
        if before is not None:
            before.put_nowait(None)
        return follower

    def leave(self, runner: str, follower: Follower) -> None:
        """Nobody takes from this one any more."""
        with self._lock:
            if self._followers.get(runner) is follower:
                del self._followers[runner], self._workers[runner]
                self._wanted.pop(runner, None)

    # --- in the thread ------------------------------------------------------------------------------------------------
    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        listener: Listener | None = None
        trouble = ""
        try:
            while self._names():
                began = time.monotonic()
                try:
                    listener = listener or self._listen()
                    self._look(loop)
                    trouble = ""
                except AirloomError as error:
                    if str(error) != trouble:
                        log.error("what runners are to end cannot be read: %s; it is tried again", error)
                    trouble = str(error)
                    time.sleep(_PATIENCE)
                    continue
                time.sleep(max(_GATHER, _REST * (time.monotonic() - began)))
                listener.wait(_PATIENCE)
        except RuntimeError:
            if not loop.is_closed():
                raise
        finally:
            if listener is not None:
                listener.close()

    def _names(self) -> set[str]:
        """Whose streams there are; if there are none, the thread ends."""
        with self._lock:
            self._running = bool(self._followers)
            return set(self._followers)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        self._told = {told: at for told, at in self._told.items() if now - at < _AGAIN}
        for runner, cancels in remote_runners.unwanted(self._ops, self._names()).items():
            new = tuple(cancel for cancel in cancels if (runner, cancel.key) not in self._told)
            self._told.update(((runner, cancel.key), now) for cancel in new)
            if new:
                self._say(loop, runner, CancelTries(cancels=new))
        with self._lock:
            workers = {runner: worker for runner, worker in self._workers.items() if worker}
        for runner, wanted in remote_runners.wanted_of(self._ops, workers).items():
            with self._lock:
                news = runner in self._followers and self._wanted.get(runner) != wanted
                if news:
                    self._wanted[runner] = wanted
            if news:
                self._say(loop, runner, wanted)

    def _say(self, loop: asyncio.AbstractEventLoop, runner: str, message: CancelTries | Wanted) -> None:
        follower = self._followers.get(runner)
        if follower is not None:
            loop.call_soon_threadsafe(follower.put_nowait, message)
