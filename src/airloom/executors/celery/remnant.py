"""What is left of an executor that the settings name no more: tries that a worker has go on, and are lost with that
worker only; those that nobody has are handed back, to be run elsewhere.
"""

import logging
import time
from collections.abc import Iterable

from airloom.executors.celery.book import Book
from airloom.executors.cluster import WITHDRAWN, Cluster
from airloom.model.errors import StoreError
from airloom.model.report import Cause, Ended, HandedBack, Outcome, Report, TryKey

log = logging.getLogger("airloom.executor")

#: seconds between two looks at the database
_LOOK = 2.0


class Remnant:
    """Watches over the tries of the executor of that name. It is called from one thread."""

    def __init__(self, name: str, cluster: Cluster) -> None:
        self._name = name
        self._cluster = cluster
        self._book = Book()
        self._reports: list[Report] = []
        self._look_at = 0.0

    def adopt(self, keys: Iterable[TryKey]) -> set[TryKey]:
        """Those of the tries that a worker has, and those that nobody has any more. Raises StoreError."""
        claims = self._cluster.look().claims
        asked = {key for key in keys if key in claims}
        free = self._cluster.withdraw({key for key in asked if claims[key] in ("", WITHDRAWN)})
        text = f"executor {self._name} is not in [core] executors any more"
        self._reports = [HandedBack(key=key, at=time.time(), detail=text) for key in sorted(free)]
        self._book.adopt(asked - free, time.monotonic())
        log.warning(
            "%s: of its tries %d that workers have go on, %d that nobody had are handed back",
            text,
            len(asked - free),
            len(free),
        )
        return asked

    def poll(self) -> list[Report]:
        """What no runner will tell."""
        now = time.monotonic()
        if len(self._book) and now >= self._look_at:
            self._look_at = now + _LOOK
            try:
                self._look(now)
            except StoreError as error:
                log.warning("what runs cannot be watched: %s", error)
        reports, self._reports = self._reports, []
        return reports

    def _look(self, began: float) -> None:
        for key, why in self._book.look(self._cluster.look(), began, time.monotonic()):
            self._book.forget(key)
            self._reports.append(Ended(key=key, at=time.time(), outcome=Outcome.FAILED, cause=Cause.LOST, detail=why))
        if gone := self._book.gone():
            self._cluster.forget(gone)
