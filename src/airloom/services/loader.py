"""The loader: watches bundles, has changed DAG files parsed in child processes, and keeps what they define.

A file that cannot be parsed is an import error, and its dags go on with their last good version. What is gone from the
files is retired; its history stays.
"""

import logging
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from watchfiles import watch

from airloom.bundles.local import FileStat, LocalFolder, content_hash, keep_source, may_define_dags
from airloom.executors.settings import kept_source
from airloom.model.errors import StoreError
from airloom.model.events import Reload
from airloom.model.loading import LoadError, ParsedFile
from airloom.model.processes import LoaderState
from airloom.runtime.parsing import ParseJob, ParserPool
from airloom.store import dags, inbox
from airloom.store.dags import FileRow
from airloom.store.database import Connection, Database
from airloom.store.rows import storable

log = logging.getLogger("airloom.loader")

#: seconds to wait before a database that failed is tried again
_AFTER_FAILURE = 1.0
#: how many times as long as it took a file to fail it is let alone: one that never returns holds up all others' changes
_FORBEARANCE = 20
#: milliseconds that file events are gathered, so that a file is read when it has been written
_DEBOUNCE = 100


class LoaderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """interval: seconds between two looks at the folder; a file that fails is tried again no sooner. refresh: seconds
    after which a file is parsed again though nothing changed, for DAGs made from what lies outside; 0 = never.
    paused: whether a new dag is, if it does not say so itself. home: where copies of
    DAG files are kept, if they are.
    """

    interval: float = 30.0
    refresh: float = 300.0
    paused: bool = True
    home: Path | None = None


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
        settings: LoaderSettings,
    ) -> None:
        self._db = db
        self._bundle = bundle
        self._parser = parser
        self._notify = notify
        self._now = now
        self._settings = settings
        self._watch: FolderWatch | None = None
        #: whether this look had anything to tell the leader
        self._told = False
        #: what is told of it to others
        self.state = LoaderState(bundle=bundle.name)
        #: files that define no DAG, as they were when that was found
        self._others: dict[str, FileStat] = {}
        #: when files that failed are tried again
        self._again: dict[str, float] = {}

    def tick(self) -> float:
        """Look at all files once. Returns the seconds until the next look, if no file event comes before."""
        self._told = False
        try:
            self._look()
        except StoreError as error:
            log.error("%s; DAG files are looked at again in %g s", error, _AFTER_FAILURE)
            return _AFTER_FAILURE
        # An id may have come free for which another file has waited: that one is due now.
        return 0.0 if self._told else self._settings.interval

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
        began = self._now()
        with self._db.reading() as conn:
            known = dags.files(conn, self._bundle.name)
            failing: dict[str, set[str]] = {}
            for row in dags.import_errors(conn):
                failing.setdefault(row.rel_path, set()).add(row.text)
        try:
            found = self._bundle.scan()
        except OSError as away:
            log.error("the folder %s cannot be read: %s; its dags stay as they are", self._bundle.root, away.strerror)
            trouble = storable(f"the folder {self._bundle.root} cannot be read: {away.strerror}")
            self.state = msgspec.structs.replace(self.state, trouble=trouble)
            return
        for rel_path in sorted(known.keys() - found.keys()):
            self._forget(rel_path)
        due = [rel_path for rel_path in found if self._is_due(rel_path, found, known, failing, began)]
        due += self._overdue(known.keys() & found.keys() - set(due) - failing.keys(), known, began)
        sources: dict[str, bytes] = {}
        for parsed in self._parser.parse(self._jobs(due, known, found, sources)):
            source = sources.pop(parsed.rel_path)
            self._save(parsed, source, began, found[parsed.rel_path].mtime)
            if parsed.errors:
                took = self._now() - began
                self._again[parsed.rel_path] = began + took + max(self._settings.interval, _FORBEARANCE * took)
            for error in parsed.errors:
                if error.text not in failing.get(parsed.rel_path, ()):
                    place = parsed.rel_path if error.line is None else f"{parsed.rel_path}:{error.line}"
                    log.warning("%s: %s", place, error.text)
        self.state = LoaderState(
            bundle=self._bundle.name, files=len(found), looked_at=began, seconds=self._now() - began
        )

    def _is_due(
        self,
        rel_path: str,
        found: Mapping[str, FileStat],
        known: Mapping[str, FileRow],
        failing: Mapping[str, Any],
        now: float,
    ) -> bool:
        """Whether a file is new, or it or a module that it imports has changed, or it failed a while ago."""
        row = known.get(rel_path)
        if row is None:
            return self._others.get(rel_path) != found[rel_path]
        if row.file_hash == "" or row.mtime != found[rel_path].mtime:
            return True
        if any(self._has_changed(module, found, row.parsed_at) for module in row.modules):
            return True
        return rel_path in failing and now >= self._again.get(rel_path, row.parsed_at + self._settings.interval)

    def _has_changed(self, module: str, found: Mapping[str, FileStat], since: float) -> bool:
        if module in found:
            return found[module].mtime >= since
        # Not among the files that are looked at: it is gone, or in a folder that is ignored.
        return not (self._bundle.root / module).exists()

    def _overdue(self, rel_paths: Iterable[str], known: Mapping[str, FileRow], now: float) -> list[str]:
        """Files whose refresh has come: the oldest, and at one look only their share, so that the load is even."""
        refresh, interval = self._settings.refresh, self._settings.interval
        if not refresh:
            return []
        share = 1 + math.ceil(len(known) * interval / refresh)
        old = sorted((known[rel_path].parsed_at, rel_path) for rel_path in rel_paths)
        return [rel_path for parsed_at, rel_path in old[:share] if now - parsed_at >= refresh]

    def _jobs(
        self,
        due: Iterable[str],
        known: Mapping[str, FileRow],
        found: Mapping[str, FileStat],
        sources: dict[str, bytes],
    ) -> Iterator[ParseJob]:
        """What is to be parsed; the text of each goes into `sources`."""
        root = self._bundle.root
        for rel_path in due:
            try:
                source = self._bundle.read(rel_path)
            except FileNotFoundError:
                continue
            except OSError as error:
                problem = LoadError(rel_path=rel_path, text=f"the file cannot be read: {error.strerror}")
                self._save(ParsedFile(rel_path=rel_path, file_hash="", errors=(problem,)), b"", self._now(), 0.0)
                continue
            if may_define_dags(source):
                sources[rel_path] = source
                file_hash = content_hash(source)
                yield ParseJob(path=str(root / rel_path), rel_path=rel_path, file_hash=file_hash, root=str(root))
                continue
            self._others[rel_path] = found[rel_path]
            if rel_path in known:
                self._forget(rel_path)

    def _save(self, parsed: ParsedFile, source: bytes, now: float, mtime: float) -> None:
        text = source.decode("utf-8", "surrogateescape")
        if parsed.dags and self._settings.home is not None:
            self._keep(self._settings.home, parsed.file_hash, source)
        with self._db.transaction() as conn:
            changed = dags.save_file(
                conn, self._bundle.name, parsed, text, now, mtime=mtime, paused=self._settings.paused
            )
            self._tell(conn, changed)
        if changed:
            log.info("%s: %s", parsed.rel_path, ", ".join(changed))
            self._notify()

    def _keep(self, home: Path, file_hash: str, source: bytes) -> None:
        """A run goes on with the code of its version, whatever becomes of the file."""
        try:
            keep_source(Path(kept_source(str(home), file_hash)), source)
        except OSError as error:
            log.error("%s: a copy of a DAG file cannot be kept; its runs follow the file", error)

    def _forget(self, rel_path: str) -> None:
        with self._db.transaction() as conn:
            gone = dags.forget_file(conn, self._bundle.name, rel_path, self._now())
            self._tell(conn, gone)
        if gone:
            log.info("%s defines no more: %s", rel_path, ", ".join(gone))
            self._notify()

    def _tell(self, conn: Connection, dag_ids: Sequence[str]) -> None:
        """The leader learns of it in the same commit."""
        if dag_ids:
            self._told = True
            inbox.put(conn, Reload(dag_ids=tuple(dag_ids)), self.name, self._now())


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
