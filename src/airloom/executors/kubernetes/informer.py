"""Follows the pods of one namespace: lists them, then watches what happens, and lists again when the server forgot.

It keeps nothing but the version that it has come to. What it tells is complete: whatever happened between a list and
the one before shows in the difference of the two, which is for whom it tells to find.
"""

import logging
import random
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from typing import Protocol

from airloom.executors.kubernetes.client.api import Api, Watch
from airloom.executors.kubernetes.client.errors import ApiError, Gone, Unreachable
from airloom.executors.kubernetes.client.objects import Pod
from airloom.executors.kubernetes.pods import Place

log = logging.getLogger("airloom.executor")

#: seconds after which the server is to end a watch, so that those of many do not end together
_WATCH = (270, 330)
#: seconds before another attempt: at first, and at most; half of it is by chance
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
#: a watch that ends sooner, and has told nothing, is no good: the next one waits
_SHORT = 1.0
#: watches that are refused one after the other before everything is listed anew: the version may be the reason
_REFUSALS = 3


class Listener(Protocol):
    """Who is told. All of it is called by the informer's thread."""

    def listed(self, place: Place, pods: Iterable[Pod], began: float) -> None:
        """These are all pods there are; what was made before `began` (monotonic time) is among them, if it is there."""

    def changed(self, place: Place, pod: Pod) -> None:
        """A pod is there, and like this."""

    def deleted(self, place: Place, pod: Pod) -> None:
        """A pod is not there any more; it was like this at last."""

    def watching(self, place: Place, trouble: str) -> None:
        """Why nothing is seen of what happens there; "": it is."""


class Informer:
    """A thread that follows a place. selector: of labels."""

    def __init__(self, api: Api, place: Place, selector: str, listener: Listener) -> None:
        self._api = api
        self._place = place
        self._selector = selector
        self._listener = listener
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._watch: Watch | None = None
        #: from where to watch; "" if everything is to be listed
        self._version = ""
        self._failures = 0
        name = f"airloom-pods-{place.cluster}-{place.namespace}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; the thread may take a moment: `join`."""
        self._closed.set()
        with self._lock:
            if self._watch is not None:
                self._watch.close()

    def join(self, seconds: float) -> None:
        """Wait for the thread."""
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._closed.is_set():
            pause = 0.0
            try:
                self._follow()
            except Gone:
                # At once; but a server that forgets what it has just told is not asked without end.
                pause = self._next_pause() if self._failures else 0.0
                self._version = ""
            except (ApiError, Unreachable) as error:
                if self._closed.is_set():
                    return
                if self._failures > 1 or not self._version:
                    # A watch that is cut is nothing unusual: the next one goes on.
                    self._listener.watching(self._place, str(error))
                if isinstance(error, ApiError) and self._failures % _REFUSALS == 0:
                    self._version = ""
                pause = max(self._next_pause(), getattr(error, "retry_after", None) or 0.0)
            except Exception:
                log.exception("the thread that watches the pods of %s failed; it goes on", self._place.namespace)
                self._version = ""
                pause = _LONGEST_PAUSE
            else:
                pause = self._next_pause() if self._failures else 0.0
            self._closed.wait(pause)

    def _next_pause(self) -> float:
        span: float = min(_FIRST_PAUSE * 2 ** min(self._failures, 10), _LONGEST_PAUSE)
        return span * random.uniform(0.5, 1.0)

    def _follow(self) -> None:
        """List if need be, and watch until the watch ends."""
        # It has failed unless it tells something, or lasts.
        self._failures += 1
        if not self._version:
            began = time.monotonic()
            listed = self._api.list_pods(self._place.namespace, self._selector)
            self._listener.listed(self._place, listed.pods, began)
            self._version = listed.version
            self._listener.watching(self._place, "")
        began = time.monotonic()
        seconds = random.randint(*_WATCH)
        with closing(self._api.watch_pods(self._place.namespace, self._selector, self._version, seconds)) as watch:
            if not self._keep(watch):
                return
            self._listener.watching(self._place, "")
            for watched in watch:
                self._failures = 0
                if watched.pod is None:
                    pass
                elif watched.kind == "DELETED":
                    self._listener.deleted(self._place, watched.pod)
                else:
                    self._listener.changed(self._place, watched.pod)
                # Not before it was told: what fails on its way is told again.
                self._version = watched.version
        if time.monotonic() - began >= _SHORT:
            self._failures = 0

    def _keep(self, watch: Watch) -> bool:
        """Let `close` reach this watch; False if it was called already."""
        with self._lock:
            self._watch = watch
            return not self._closed.is_set()
