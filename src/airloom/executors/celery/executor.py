"""The Celery executor: tries go to the broker as messages, and the workers that take them claim them in the database.

What becomes of a claimed try comes from its runner by the task API. From here come only the ends that no runner can
tell: of tries that are lost with their runner, and of those that were cancelled before anyone had claimed them.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence

from airloom.executors.celery.book import Book
from airloom.executors.celery.messages import work_fault
from airloom.executors.celery.publisher import Publisher
from airloom.executors.celery.settings import CelerySettings
from airloom.executors.cluster import Cluster
from airloom.model.errors import StoreError
from airloom.model.queues import queue_fault
from airloom.model.report import Cause, Ended, Outcome, Report, TryKey
from airloom.model.work import Cancel, Work

__all__ = ["CeleryExecutor"]

log = logging.getLogger("airloom.executor")

#: seconds between two looks at the database; so that many tries make no difference, a look that takes long is followed
#: by a pause of so many times its length, of so many seconds at most
_LOOK = 2.0
_REST = 200
_LONGEST_PAUSE = 10.0
#: seconds that closing waits for each thread
_JOIN = 2.0


class CeleryExecutor:
    """Publishes tries at the broker, and watches over them until they have ended."""

    def __init__(self, settings: CelerySettings, cluster: Cluster, wake: Callable[[], None]) -> None:
        self._settings = settings
        self._cluster = cluster
        self._wake = wake
        self._lock = threading.Lock()
        self._book = Book()
        #: of tries that are in the book
        self._cancels: dict[TryKey, Cancel] = {}
        self._reports: list[Report] = []
        self._trouble = f"the broker {settings.shown} is not connected yet"
        self._closed = threading.Event()
        self._news = threading.Event()
        self._publisher = Publisher(settings, self)
        self._publisher.start()
        self._watcher = threading.Thread(target=self._watch, name="airloom-celery-watcher", daemon=True)
        self._watcher.start()

    # --- the executor protocol -------------------------------------------------------------------------------------
    def capacity(self) -> tuple[int | None, str]:
        """Any number: what no worker has a slot for waits at the broker. None while the broker takes nothing."""
        if self._closed.is_set():
            return 0, "the scheduler is stopping"
        return (0, self._trouble) if self._trouble else (None, "")

    def submit(self, works: Iterable[Work]) -> None:
        """Have these published. One that can be no message, or whose queue no broker can have, ends at once."""
        with self._lock:
            ready = []
            for work in works:
                if fault := queue_fault(work.queue):
                    self._end(work.key, f"it cannot go to the queue {work.queue!r}: {fault}", Cause.LAUNCH)
                elif fault := work_fault(work):
                    self._end(work.key, fault, Cause.LAUNCH)
                else:
                    ready.append(work)
            new = self._book.submit(ready, time.monotonic())
            first = len(self._book) == new
        if new:
            self._publisher.ring()
            if first:
                self._news.set()

    def poll(self) -> list[Report]:
        """The ends that no runner can tell."""
        with self._lock:
            reports, self._reports = self._reports, []
            return reports

    def cancel(self, cancels: Iterable[Cancel]) -> None:
        """End these: what nobody has claimed is taken back; to a runner that has claimed one the task API tells it."""
        with self._lock:
            wanted = {cancel.key: cancel for cancel in cancels if cancel.key in self._book}
            self._cancels |= wanted
        if wanted:
            self._news.set()

    def adopt(self, keys: Iterable[TryKey]) -> set[TryKey]:
        """Those that a runner has claimed. The others have to be submitted again: whether the broker has their messages
        nobody knows, and a second one does no harm. Raises StoreError."""
        wanted = set(keys)
        claims = self._cluster.look().claims if wanted else {}
        claimed = {key for key in wanted if claims.get(key)}
        with self._lock:
            self._reports = [report for report in self._reports if report.key in wanted]
            over = {report.key for report in self._reports}
            self._book.keep(wanted - over)
            self._cancels = {key: cancel for key, cancel in self._cancels.items() if key in wanted}
            self._book.adopt(claimed - over, time.monotonic())
        self._news.set()
        return claimed | over

    def close(self, grace: float) -> None:
        """Publish nothing more. What is claimed runs on, and what is not published yet the next scheduler submits."""
        self._closed.set()
        self._wake()
        self._news.set()
        self._publisher.close(_JOIN)
        self._watcher.join(_JOIN)

    # --- for the publisher (this is its Owner) ---------------------------------------------------------------------
    def unsent(self, most: int) -> Sequence[Work]:
        """The next to be published, sealed. Raises AirloomError."""
        with self._lock:
            works = self._book.unsent(most)
        return [self._cluster.seal(work) for work in works]

    def sent(self, keys: Collection[TryKey]) -> None:
        """These are safe at the broker."""
        with self._lock:
            self._book.sent(keys, time.monotonic())

    def waiting_at(self) -> list[str]:
        """The queues that are to be measured."""
        with self._lock:
            return self._book.waiting_at()

    def measured(self, lengths: dict[str, int], at: float) -> None:
        """How long they were."""
        with self._lock:
            self._book.measured(lengths, at)

    def trouble(self, text: str) -> None:
        """What is wrong at the broker."""
        if text != self._trouble:
            if text:
                log.warning("%s; trying again", text)
            else:
                log.info("the broker %s is connected", self._settings.shown)
            self._trouble = text
            self._wake()

    # --- the watcher -----------------------------------------------------------------------------------------------
    def _watch(self) -> None:
        look_at, told = 0.0, ""
        while True:
            with self._lock:
                idle = not len(self._book)
            self._news.wait(None if idle else max(0.0, look_at - time.monotonic()))
            self._news.clear()
            if self._closed.is_set():
                return
            try:
                self._take_back()
                if time.monotonic() >= look_at:
                    look_at, told = time.monotonic() + self._look(), ""
            except StoreError as error:
                if str(error) != told:
                    told = str(error)
                    log.warning("what runs cannot be watched: %s", told)
                look_at = time.monotonic() + _LOOK
            except Exception:
                log.exception("the thread that watches what runs failed; it goes on")
                look_at = time.monotonic() + _LONGEST_PAUSE

    def _take_back(self) -> None:
        """Withdraw what was cancelled and is not claimed. What is claimed its runner hears of, or it is lost."""
        with self._lock:
            asked = set(self._cancels)
        if not asked:
            return
        taken = self._cluster.withdraw(asked)
        with self._lock:
            for key in taken & self._cancels.keys():
                self._end(key, "")

    def _look(self) -> float:
        """See what became of the tries; how many seconds later to look again."""
        began = time.monotonic()
        view = self._cluster.look()
        now = time.monotonic()
        with self._lock:
            for lost in self._book.look(view, began, now):
                self._end(lost.key, lost.why)
            self._cancels = {key: cancel for key, cancel in self._cancels.items() if key in self._book}
            again = self._book.republish(now)
            gone = self._book.gone()
        if gone:
            self._cluster.forget(gone)
        if again:
            log.warning("tries whose messages must be lost, published again: %d", again)
            self._publisher.ring()
        return min(max(_LOOK, _REST * (now - began)), _LONGEST_PAUSE)

    def _end(self, key: TryKey, why: str, cause: Cause = Cause.LOST) -> None:
        """Report the end of a try that no runner will report."""
        cancel = self._cancels.pop(key, None)
        self._book.forget(key)
        cause, detail = (cause, why) if cancel is None else (Cause.CANCELLED, cancel.reason)
        self._reports.append(Ended(key=key, at=time.time(), outcome=Outcome.FAILED, cause=cause, detail=detail))
        self._wake()
