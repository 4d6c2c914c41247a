"""Which of several loaders parses DAG files: one at a time, so that two never undo each other's work."""

import threading
from collections.abc import Callable

from airloom.store.database import Database
from airloom.store.leadership import LeaderLock

#: seconds between two looks of a loader that stands by
STAND_BY = 2.0


class Duty:
    """One process's claim to load, which ends with the process or its connection. Any thread may ask.

    `begin` is called when it becomes this process's, before anybody is told so.
    """

    def __init__(self, db: Database, begin: Callable[[], None]) -> None:
        self._lock = LeaderLock(db, "loader")
        self._begin = begin
        self._mutex = threading.Lock()
        self._mine = False
        self._term = 0

    def term(self) -> int | None:
        """None: this process is not to load. Otherwise a number, another one whenever others may have loaded meanwhile.
        Raises StoreError."""
        with self._mutex:
            self._mine = self._mine and self._lock.held()
            if not self._mine and self._lock.acquire():
                self._begin()
                self._mine = True
                self._term += 1
            return self._term if self._mine else None

    def resign(self) -> None:
        """Let another one do it."""
        with self._mutex:
            self._mine = False
            self._lock.release()
