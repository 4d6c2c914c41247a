"""The loader: watches bundles, has changed DAG files parsed in child processes, and keeps what they define.

A file that cannot be parsed is an import error, and its dags go on with their last good version. What is gone from the
files is retired; its history stays.
"""

import logging
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from watchfiles import watch

from airloom.bundles.git_program import RepositoryError
from airloom.bundles.local import FileStat, content_hash, keep_source, may_define_dags
from airloom.bundles.sources import Source, View
from airloom.executors.settings import kept_source
from airloom.model.errors import StoreError
from airloom.model.events import Reload
from airloom.model.loading import LoadError, ParsedFile
from airloom.model.processes import LoaderState
from airloom.runtime.parsing import ParseJob, ParserPool
from airloom.services.duty import STAND_BY
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
    """interval: seconds between two looks at all files; a file that fails is tried again no sooner. refresh: seconds
    after which a file is parsed again though nothing changed, for DAGs made from what lies outside; 0 = never.
    paused: whether a new dag is, if it does not say so itself. home: where copies of
    DAG files are kept, if they are.
    """

    interval: float = 30.0
    refresh: float = 300.0
    paused: bool = True
    home: Path | None = None


class Loader:
    """The service, for one bundle. `notify`: called after a commit that the leader should know of. `term`: of Duty."""

    name = "loader"

    def __init__(
        self,
        db: Database,
        bundle: Source,
        parser: ParserPool,
        notify: Callable[[], None],
        now: Callable[[], float],
        settings: LoaderSettings,
        term: Callable[[], int | None] = lambda: 0,
    ) -> None:
        self._db = db
        self._bundle = bundle
        self._term = term
        self._last_term: int | None = None
        self._parser = parser
        self._notify = notify
        self._now = now
        self._settings = settings
        self._watch: FolderWatch | None = None
        #: whether this look had anything to tell the leader
        self._told = False
        #: what is told of it to others
        self.state = LoaderState(bundle=bundle.name, kind=bundle.kind)
        #: files that define no DAG, as they were when that was found
        self._others: dict[str, FileStat] = {}
        #: when files that failed are tried again
        self._again: dict[str, float] = {}

    def tick(self) -> float:
        """Look at all files once. Returns the seconds until the next look, if no file event comes before."""
        self._told = False
        try:
            term = self._term()
            self._tell_state(standby=term is None)
            if term is None:
                return STAND_BY
            if term != self._last_term:
                self._last_term = term
                self._bundle.reset()
            self._look()
        except StoreError as error:
            log.error("%s; DAG files are looked at again in %g s", error, _AFTER_FAILURE)
            return _AFTER_FAILURE
        # An id may have come free for which another file has waited: that one is due now.
        return 0.0 if self._told else min(self._settings.interval, self._bundle.due_in())

    def watch(self, folder_watch: "FolderWatch") -> None:
        """Have file events tell of changes; it ends with the loader."""
        self._watch = folder_watch
        folder_watch.start()

    def interrupt(self) -> None:
        """A look ends by itself, within the time that one file may take; what is fetched is not waited for."""
        self._bundle.interrupt()

    def close(self) -> None:
        """End the parser's processes and the file events."""
        self._parser.close()
        if self._watch is not None:
            self._watch.stop()

    def _tell_state(self, **values: Any) -> None:
        self.state = msgspec.structs.replace(self.state, **values)

    def _look(self) -> None:
        began = self._now()
        with self._db.reading() as conn:
            known = dags.files(conn, self._bundle.name)
            failing: dict[str, set[str]] = {}
            for row in dags.import_errors(conn):
                if row.bundle == self._bundle.name:
                    failing.setdefault(row.rel_path, set()).add(row.text)
        try:
            view = self._bundle.view(_commit_of(known.values()))
            found = view.folder.scan()
        except (OSError, RepositoryError) as away:
            self._trouble(
                str(away)
                if isinstance(away, RepositoryError)
                else f"the folder {away.filename} cannot be read: {away.strerror}"
            )
            return
        self._trouble(self._bundle.trouble)
        for rel_path in sorted(known.keys() - found.keys()):
            self._forget(rel_path)
        look = _Look(began, view, found, known, failing)
        changed = self._move_on(look)
        due = [rel_path for rel_path in found if rel_path in changed or self._is_due(rel_path, look)]
        due += self._overdue(known.keys() & found.keys() - set(due) - failing.keys(), known, began)
        self._parse(due, look)
        self._tell_state(
            version=view.commit,
            fetched_at=self._bundle.fetched_at,
            files=len(found),
            looked_at=began,
            seconds=self._now() - began,
        )

    def _trouble(self, text: str) -> None:
        text = storable(text)
        if text and text != self.state.trouble:
            log.error("bundle %s: %s; its dags stay as they are", self._bundle.name, text)
        self._tell_state(trouble=text)

    def _parse(self, due: Iterable[str], look: "_Look") -> None:
        sources: dict[str, bytes] = {}
        for parsed in self._parser.parse(self._jobs(due, look, sources)):
            source = sources.pop(parsed.rel_path)
            self._save(parsed, source, look)
            if parsed.errors:
                took = self._now() - look.began
                self._again[parsed.rel_path] = look.began + took + max(self._settings.interval, _FORBEARANCE * took)
            for error in parsed.errors:
                if error.text not in look.failing.get(parsed.rel_path, ()):
                    place = parsed.rel_path if error.line is None else f"{parsed.rel_path}:{error.line}"
                    log.warning("%s: %s", place, error.text)

    def _move_on(self, look: "_Look") -> set[str]:
        """At a new commit: the files that have to be parsed, because they, or what they import, are not what they were.
        The dags of all others move on to it as they are."""
        commit = look.view.commit
        behind = {} if commit is None else {path: row for path, row in look.both() if row.bundle_version != commit}
        if commit is None or not behind:
            return set()
        before = {row.bundle_version for row in behind.values()}
        changes = {old: None if old is None else self._bundle.changes(old, commit) for old in before}
        due = set()
        for rel_path, row in behind.items():
            differing = changes[row.bundle_version]
            if rel_path in look.failing or differing is None or not differing.isdisjoint((rel_path, *row.modules)):
                due.add(rel_path)
        same = sorted(behind.keys() - due)
        if same:
            with self._db.transaction() as conn:
                dag_ids = dags.move_on(conn, self._bundle.name, same, commit)
                self._tell(conn, dag_ids)
            if dag_ids:
                self._notify()
        return due

    def _is_due(self, rel_path: str, look: "_Look") -> bool:
        """Whether a file is new, or it or a module that it imports has changed, or it failed a while ago."""
        row, stat = look.known.get(rel_path), look.found[rel_path]
        if row is None:
            return self._others.get(rel_path) != stat
        if row.file_hash == "":
            return True
        if look.view.commit is None and (
            row.mtime != stat.mtime or any(_has_changed(module, look, row.parsed_at) for module in row.modules)
        ):
            return True
        return rel_path in look.failing and look.began >= self._again.get(
            rel_path, row.parsed_at + self._settings.interval
        )

    def _overdue(self, rel_paths: Iterable[str], known: Mapping[str, FileRow], now: float) -> list[str]:
        """Files whose refresh has come: the oldest, and at one look only their share, so that the load is even."""
        refresh, interval = self._settings.refresh, self._settings.interval
        if not refresh:
            return []
        share = 1 + math.ceil(len(known) * interval / refresh)
        old = sorted((known[rel_path].parsed_at, rel_path) for rel_path in rel_paths)
        return [rel_path for parsed_at, rel_path in old[:share] if now - parsed_at >= refresh]

    def _jobs(self, due: Iterable[str], look: "_Look", sources: dict[str, bytes]) -> Iterator[ParseJob]:
        """What is to be parsed; the text of each goes into `sources`."""
        folder = look.view.folder
        for rel_path in due:
            try:
                source = folder.read(rel_path)
            except FileNotFoundError:
                continue
            except OSError as error:
                problem = LoadError(rel_path=rel_path, text=f"the file cannot be read: {error.strerror}")
                self._save(ParsedFile(rel_path=rel_path, file_hash="", errors=(problem,)), b"", look)
                continue
            if may_define_dags(source):
                sources[rel_path] = source
                file_hash = content_hash(source)
                path = str(folder.root / rel_path)
                yield ParseJob(path=path, rel_path=rel_path, file_hash=file_hash, root=str(folder.root))
                continue
            self._others[rel_path] = look.found[rel_path]
            if rel_path in look.known:
                self._forget(rel_path)

    def _save(self, parsed: ParsedFile, source: bytes, look: "_Look") -> None:
        text = source.decode("utf-8", "surrogateescape")
        commit = look.view.commit
        if parsed.dags and self._settings.home is not None and commit is None:
            self._keep(self._settings.home, parsed.file_hash, source)
        parsed = msgspec.structs.replace(parsed, bundle_version=commit)
        # What could not be read is not known by its time.
        mtime = look.found[parsed.rel_path].mtime if parsed.file_hash and commit is None else 0.0
        now, paused = look.began if parsed.file_hash else self._now(), self._settings.paused
        with self._db.transaction() as conn:
            changed = dags.save_file(conn, self._bundle.name, parsed, text, now, mtime=mtime, paused=paused)
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


class _Look(NamedTuple):
    """One look at a bundle: when it began, what is there, what the rows know of each file, and which errors it had."""

    began: float
    view: View
    found: Mapping[str, FileStat]
    known: Mapping[str, FileRow]
    failing: Mapping[str, Set[str]]

    def both(self) -> Iterator[tuple[str, FileRow]]:
        """The rows of files that are there."""
        return ((path, row) for path, row in self.known.items() if path in self.found)


def _has_changed(module: str, look: _Look, since: float) -> bool:
    if module in look.found:
        return look.found[module].mtime >= since
    # Not among the files that are looked at: it is gone, or in a folder that is ignored.
    return not (look.view.folder.root / module).exists()


def _commit_of(rows: Iterable[FileRow]) -> str | None:
    """The commit of most rows: all move on to a new one at once, but those that have to be parsed for it."""
    commits = Counter(row.bundle_version for row in rows if row.bundle_version is not None)
    return commits.most_common(1)[0][0] if commits else None


def retire_others(db: Database, bundles: Set[str], now: Callable[[], float]) -> None:
    """The dags of all bundles but these: the settings have them no more."""
    with db.transaction() as conn:
        gone: list[str] = []
        for bundle in dags.bundles(conn):
            for rel_path in dags.files(conn, bundle) if bundle not in bundles else ():
                gone += dags.forget_file(conn, bundle, rel_path, now())
        if gone:
            inbox.put(conn, Reload(dag_ids=tuple(gone)), Loader.name, now())
    if gone:
        log.info("of bundles that the settings have no more: %s", ", ".join(gone))


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
