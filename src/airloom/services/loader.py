"""The loader: watches bundles, has changed DAG files parsed in child processes, and keeps what they define.

A file that cannot be parsed is an import error, and its dags go on with their last good version. What is gone from the
files is retired; its history stays.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from watchfiles import watch

from airloom.bundles.local import FileStat, LocalFolder, content_hash, may_define_dags
from airloom.model.errors import StoreError
from airloom.model.events import Reload
from airloom.model.loading import LoadError, ParsedFile
from airloom.runtime.parsing import ParseJob, ParserPool
from airloom.store import dags, inbox
from airloom.store.database import Connection, Database

log = logging.getLogger("airloom.loader")

#: seconds to wait before a database that failed is tried again
_AFTER_FAILURE = 1.0
#: milliseconds that file events are gathered, so that a file is read when it has been written
_DEBOUNCE = 100


class Loader:
    """The service, for one bundle. `notify`: called after a commit that the leader should know of."""

    name = "loader"

    def __init__(
        self,
        db: Database,
        bundle: LocalFolder,
        parser: ParserPool,
        notify: Callable[[], None],
        now: Callable[[], float],
        interval: float,
        paused: bool,
    ) -> None:
        self._db = db
        self._bundle = bundle
        self._parser = parser
        self._notify = notify
        self._now = now
        self._interval = interval
        self._paused = paused
        #: files as they were when they were last looked at; None until the database was asked
        self._seen: dict[str, FileStat] | None = None
        self._hashes: dict[str, str] = {}
        self._watch: FolderWatch | None = None

    def tick(self) -> float:
        """Look at all files once. Returns the seconds until the next look, if no file event comes before."""
        try:
            self._look()
        except StoreError as error:
            log.error("%s; DAG files are looked at again in %g s", error, _AFTER_FAILURE)
            self._seen = None
            return _AFTER_FAILURE
        return self._interval

    def watch(self, folder_watch: "FolderWatch") -> None:
        """Have file events tell of changes; it ends with the loader."""
        self._watch = folder_watch
        folder_watch.start()

    def interrupt(self) -> None:
        """A look ends by itself, within the time that one file may take."""

    def close(self) -> None:
        """End the parser's processes and the file events."""
        self._parser.close()
        if self._watch is not None:
            self._watch.stop()

    def _look(self) -> None:
        if self._seen is None:
            with self._db.reading() as conn:
                known = dags.files(conn, self._bundle.name)
            self._hashes = {rel_path: row.file_hash for rel_path, row in known.items()}
            # Sizes are not kept: a file that was stored with this time is taken for unchanged.
            self._seen = {rel_path: FileStat(row.mtime, -1) for rel_path, row in known.items()}
        found = self._bundle.scan()
        for rel_path in sorted(self._hashes.keys() - found.keys()):
            self._forget(rel_path)
        changed = [rel_path for rel_path, stat in found.items() if not _same(self._seen.get(rel_path), stat)]
        sources: dict[str, bytes] = {}
        for parsed in self._parser.parse(list(self._jobs(changed, sources))):
            self._save(parsed, sources[parsed.rel_path], found[parsed.rel_path].mtime)
        self._seen = found

    def _jobs(self, changed: Iterable[str], sources: dict[str, bytes]) -> Iterator[ParseJob]:
        for rel_path in changed:
            try:
                source = self._bundle.read(rel_path)
            except FileNotFoundError:
                continue
            except OSError as error:
                text = f"the file cannot be read: {error.strerror}"
                problem = ParsedFile(rel_path=rel_path, file_hash="", errors=(LoadError(rel_path=rel_path, text=text),))
                self._save(problem, b"", 0.0)
                continue
            file_hash = content_hash(source)
            if not may_define_dags(source):
                if rel_path in self._hashes:
                    self._forget(rel_path)
            elif self._hashes.get(rel_path) != file_hash:
                sources[rel_path] = source
                yield self._job(rel_path, file_hash)

    def _job(self, rel_path: str, file_hash: str) -> ParseJob:
        root = self._bundle.root
        return ParseJob(path=str(root / rel_path), rel_path=rel_path, file_hash=file_hash, root=str(root))

    def _save(self, parsed: ParsedFile, source: bytes, mtime: float) -> None:
        text = source.decode("utf-8", "surrogateescape")
        with self._db.transaction() as conn:
            changed = dags.save_file(
                conn, self._bundle.name, parsed, text, self._now(), mtime=mtime, paused=self._paused
            )
            self._tell(conn, changed)
        self._hashes[parsed.rel_path] = parsed.file_hash
        for error in parsed.errors:
            log.warning("%s%s: %s", parsed.rel_path, "" if error.line is None else f":{error.line}", error.text)
        if changed:
            log.info("%s: %s", parsed.rel_path, ", ".join(changed))
            self._notify()

    def _forget(self, rel_path: str) -> None:
        with self._db.transaction() as conn:
            gone = dags.forget_file(conn, self._bundle.name, rel_path, self._now())
            self._tell(conn, gone)
        self._hashes.pop(rel_path, None)
        if gone:
            log.info("%s is gone, and with it: %s", rel_path, ", ".join(gone))
            self._notify()

    def _tell(self, conn: Connection, dag_ids: Sequence[str]) -> None:
        """The leader learns of it in the same commit."""
        if dag_ids:
            inbox.put(conn, Reload(dag_ids=tuple(dag_ids)), self.name, self._now())


def _same(old: FileStat | None, new: FileStat) -> bool:
    return old is not None and old.mtime == new.mtime and old.size in (-1, new.size)


class FolderWatch:
    """A thread that rings when something below a folder changes."""

    def __init__(self, folder: Path, ring: Callable[[], None]) -> None:
        self._folder = folder
        self._ring = ring
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="folder-watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join(2.0)

    def _watch(self) -> None:
        try:
            for _ in watch(self._folder, stop_event=self._stop, debounce=_DEBOUNCE, step=20, raise_interrupt=False):
                self._ring()
        except (OSError, RuntimeError) as error:
            # The regular look at the folder goes on without it.
            log.warning("changes below %s are not told at once: %s", self._folder, error)
