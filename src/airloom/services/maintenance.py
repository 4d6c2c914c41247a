"""Retention: history and logs that are older than the settings keep are deleted, in small steps."""

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

from airloom.model.errors import StoreError
from airloom.store.cleanup import clean, expire, forget_logs, sweep
from airloom.store.database import Database

log = logging.getLogger("airloom.maintenance")

_DAY = 86400.0
#: Seconds after which an answer that nobody fetched goes.
_UNFETCHED = 3600.0


class Maintenance:
    """The service. keep: days for runs, for logs, for the audit log; 0 = for ever. Rows are deleted only while `leads`
    says so."""

    name = "maintenance"

    def __init__(
        self, db: Database, logs: Path, keep: tuple[int, int, int], every: float, leads: Callable[[], bool]
    ) -> None:
        self._db = db
        self._logs = logs
        self._keep_runs, self._keep_logs, self._keep_audit = keep
        self._every = every
        self._leads = leads

    def tick(self) -> float:
        """One clean-up. Returns the seconds until the next."""
        if self._leads():
            try:
                self._clean_database(time.time())
            except StoreError as error:
                log.error("retention: %s; it goes on at the next time", error)
        if self._keep_logs:
            self._clean_logs(time.time() - self._keep_logs * _DAY)
        return self._every

    def interrupt(self) -> None:
        """A clean-up ends by itself, batch by batch."""

    def close(self) -> None:
        """Nothing is open."""

    def _clean_database(self, now: float) -> None:
        sweep(self._db, now - _UNFETCHED)
        expire(self._db, now, now - self._keep_audit * _DAY if self._keep_audit else None)
        if self._keep_logs:
            forget_logs(self._db, now - self._keep_logs * _DAY)
        if self._keep_runs:
            counts = clean(self._db, now - self._keep_runs * _DAY, keep_last=True)
            if counts.runs:
                log.info("retention: %d runs with %d task instances deleted", counts.runs, counts.tis)

    def _clean_logs(self, before: float) -> None:
        # A folder that was touched since may be about to get a log.
        folders = [path for path in self._logs.rglob("*") if path.is_dir() and _older(path, before)]
        # Those of tries: what lies beside their folders is the runner's own, which it has open.
        for path in self._logs.glob("*/**/*.log"):
            try:
                if _older(path, before):
                    path.unlink()
            except OSError as error:
                log.warning("retention: the log %s stays: %s", path, error.strerror)
        # From the innermost; one that is not empty stays.
        for folder in sorted(folders, reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _older(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except OSError:
        return False
