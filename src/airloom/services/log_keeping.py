"""Keeps logs in few pieces, and moves finished ones to the object store where one is set. It may die at any line: an
object is whole before the log is said to be there, and only then the rows or the file go.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

from airloom.model.errors import AirloomError, LogsAway
from airloom.model.report import TryKey
from airloom.operations.log_store import LogStore
from airloom.operations.ops import Ops
from airloom.operations.try_logs import GRACE, TryLog, log_of, open_log
from airloom.runtime.logs import remove_log
from airloom.store import log_chunks, runners, runs
from airloom.store.log_chunks import LogHead

log = logging.getLogger("airloom.logs")

#: seconds between two looks, after a store failed, and between two looks at the files of this machine
_EVERY, _AFTER_TROUBLE, _FILES_EVERY = 5.0, 30.0, 60.0
#: logs that are taken at once, and objects that are on their way to the store together
_BATCH, _AT_ONCE = 200, 8

_FILE = re.compile(r"dag_id=([^/]+)/run_id=([^/]+)/task_id=([^/]+)(?:/map_index=(\d+))?/attempt=(\d+)\.log")

T = TypeVar("T")


class LogKeeper:
    """The service. What is in the database it keeps only while `leads` says so; files of this machine it stores always.

    rest: seconds for which nothing was written to a file before it is stored.
    """

    name = "logs"

    def __init__(self, ops: Ops, leads: Callable[[], bool], rest: float) -> None:
        self._ops = ops
        self._leads = leads
        self._rest = rest
        self._stopped = False
        self._files_at = 0.0
        #: files that are of no try which the database knows
        self._unknown: set[str] = set()
        #: why the object store cannot be used; empty: it can, as far as is known
        self.trouble = ""

    def tick(self) -> float:
        """One look at what there is to do. Returns the seconds until the next."""
        try:
            if self._leads():
                self._gather()
                self._settle()
            if self._ops.logs.store is not None:
                self._store_all(self._ops.logs.store)
        except AirloomError as error:
            self._failed(error)
            return _AFTER_TROUBLE
        if self.trouble:
            log.info("logs are kept in order again")
            self.trouble = ""
        return _EVERY

    def interrupt(self) -> None:
        """End after what is on its way."""
        self._stopped = True

    def close(self) -> None:
        """Nothing is open."""

    def _failed(self, error: AirloomError) -> None:
        if str(error) != self.trouble:
            log.error("%s; logs stay where they are, and it is tried again every %g s", error, _AFTER_TROUBLE)
        self.trouble = str(error)

    # --- in the database ----------------------------------------------------------------------------------------------
    def _gather(self) -> None:
        """Put the pieces of logs together that grow."""
        with self._ops.db.reading() as conn:
            keys = log_chunks.loose_logs(conn, _BATCH)
        for key in keys:
            self.put_together(key)

    def put_together(self, key: TryKey) -> None:
        """Keep the pieces of a log in few rows."""
        with self._ops.db.reading() as conn:
            windows = log_chunks.windows(conn, key)
        for window in windows:
            # What takes time is done before the transaction.
            with self._ops.db.reading() as conn:
                data = log_chunks.joined(conn, key, window)
            with self._ops.db.transaction() as conn:
                log_chunks.put_together(conn, key, window, data)

    def _settle(self) -> None:
        """Without an object store: put finished logs together for good."""
        if self._ops.logs.store is not None:
            return
        for heads in self._done():
            for head in heads:
                if head.loose > log_chunks.FEW:
                    self.put_together(head.key)
            with self._ops.db.transaction() as conn:
                log_chunks.settle(conn, [head.key for head in heads], self._ops.now())

    def _done(self) -> Iterator[list[LogHead]]:
        """Finished logs, some at a time."""
        after = TryKey(0, 0)
        while not self._stopped:
            with self._ops.db.reading() as conn:
                heads = log_chunks.done_logs(conn, self._ops.now() - GRACE, after, _BATCH)
            if not heads:
                return
            yield heads
            after = heads[-1].key

    # --- to the object store ------------------------------------------------------------------------------------------
    def _store_all(self, store: LogStore) -> None:
        with ThreadPoolExecutor(_AT_ONCE, "logs") as pool:

            def each(call: Callable[[LogStore, T], None], items: Iterable[T]) -> None:
                # All are tried, so that one which cannot be stored does not stop the others.
                failed = [error for error in pool.map(lambda item: _error_of(call, store, item), items) if error]
                if failed:
                    raise failed[0]

            if self._leads():
                for heads in self._done():
                    each(self._store_log, heads)
                while names := self._doomed():
                    each(_delete, names)
                    with self._ops.db.transaction() as conn:
                        log_chunks.gone(conn, names)
            if time.monotonic() >= self._files_at:
                for files in self._files():
                    each(self._store_file, files)
                self._files_at = time.monotonic() + _FILES_EVERY

    def _store_log(self, store: LogStore, head: LogHead) -> None:
        with self._ops.db.reading() as conn:
            named = runs.run_and_ti(conn, head.key.ti_id)
        if named is None or self._stopped:
            return  # it is being deleted, or stays for the next leader
        found = log_of(*named, head.key.try_number)
        with open_log(self._ops, found) as source:
            size = store.put(found.object_name, source)
        if size != head.size:
            raise LogsAway(f"the store of logs {store.address} took {size:,} of {head.size:,} bytes of a log")
        with self._ops.db.transaction() as conn:
            log_chunks.move_to_object(conn, head.key, found.object_name, self._ops.now())

    def _doomed(self) -> list[str]:
        with self._ops.db.reading() as conn:
            return [] if self._stopped else log_chunks.doomed(conn, _BATCH)

    def _files(self) -> Iterator[list[tuple[Path, TryLog]]]:
        """Files of tries that ended a while ago, some at a time."""
        found: list[tuple[Path, TryLog]] = []
        folder = self._ops.logs.folder
        for path in [] if folder is None else folder.glob("dag_id=*/**/attempt=*.log"):
            name = path.relative_to(folder or path).as_posix()
            if self._stopped:
                return
            if name in self._unknown or not _older(path, time.time() - self._rest):
                continue
            named = self._finished(name)
            if named is not None:
                found.append((path, named))
            if len(found) == _BATCH:
                yield found
                found = []
        if found:
            yield found

    def _finished(self, name: str) -> TryLog | None:
        """Whose log a file is, if its try has ended a while ago."""
        match = _FILE.fullmatch(name)
        end = None
        if match is not None:
            dag_id, run_id, task_id = (unquote(part) for part in match.group(1, 2, 3))
            index, number = -1 if match[4] is None else int(match[4]), int(match[5])
            with self._ops.db.reading() as conn:
                end = runners.end_of(conn, (dag_id, run_id, task_id, index), number)
        if match is None or end is None:
            self._unknown.add(name)
            return None
        key, at = end
        if at is None or at > time.time() - self._rest:
            return None
        return TryLog(key=key, dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=index)

    def _store_file(self, store: LogStore, found: tuple[Path, TryLog]) -> None:
        path, named = found
        if self._stopped:
            return
        try:
            with path.open("rb") as source:
                at = path.stat().st_mtime
                size = store.put(named.object_name, source)
            with self._ops.db.transaction() as conn:
                log_chunks.add_object(conn, named.key, named.object_name, size, at)
            remove_log(path)
        except FileNotFoundError:
            return  # somebody else removed it
        except OSError as error:
            log.warning("the log %s stays here: %s", path, error.strerror)


def _delete(store: LogStore, name: str) -> None:
    store.delete(name)


def _error_of(call: Callable[[LogStore, T], None], store: LogStore, item: T) -> AirloomError | None:
    try:
        call(store, item)
    except AirloomError as error:
        return error
    return None


def _older(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except OSError:
        return False
