"""Sees that the DAG code of a try is on this machine before the try gets a process, as its run wants it.

The code of a folder is the folder's, unless the DAG file there is not that of the try's version: then its text comes
from the server. That of a repository is the commit's, which a process of its own fetches.
"""

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from airloom.bundles.fetch import Fetched, FetchJob
from airloom.bundles.git import COMMIT, root_of
from airloom.bundles.local import content_hash, keep_source
from airloom.executors.settings import LocalSettings
from airloom.model.report import TryKey
from airloom.model.wire import GetSource
from airloom.model.work import Work
from airloom.runtime.code_in_use import CodeInUse
from airloom.runtime.fetcher import Fetcher
from airloom.runtime.loop import Loop, Timer
from airloom.runtime.sources import Sources

#: seconds after which a try whose code cannot be had is handed back
_PATIENCE = 60.0
#: seconds until another attempt, doubled each time; and between two looks for tries that have waited for too long
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 15.0
_LOOK = 5.0


class Code(NamedTuple):
    """Where a try's code is: its bundle's root, its DAG file, and the file that has the text of its version."""

    root: str
    path: str
    source: str


class Refused(Exception):
    """The work is such that no code can ever be had for it; the text says why."""


class _Want:
    """What tries wait for: a commit's folder, a DAG file's text, a folder that is away. `seek` begins to get it."""

    def __init__(self, name: tuple[str, ...], seek: Callable[["_Want"], None]) -> None:
        self.name = name
        self.seek = seek
        self.waiting: dict[TryKey, tuple[Work, float]] = {}
        self.wait = _FIRST_WAIT
        self.why = ""  # why it could not be had
        self.timer: Timer | None = None


class Preparation:
    """Finds the code of tries. `told` hears where it is of those that had to wait, or why it cannot be had; `ask` sends
    to the server."""

    def __init__(
        self,
        loop: Loop,
        settings: LocalSettings,
        ask: Callable[[GetSource], None],
        told: Callable[[TryKey, Code | str], None],
    ) -> None:
        self.settings = settings
        self._loop = loop
        self.sources = Sources(ask)
        self._told = told
        self._wants: dict[tuple[str, ...], _Want] = {}
        self._fetcher = Fetcher(loop)
        #: (mtime, size, hash) of DAG files, by path
        self._hashes: dict[str, tuple[int, int, str]] = {}
        self._in_use = CodeInUse(loop, settings.fetched)

    def find(self, work: Work) -> Code | None:
        """The code of a try. None: it has to be waited for, and `told` will be called. Raises Refused."""
        if "\0" in work.rel_path or work.rel_path.startswith("/") or ".." in work.rel_path.split("/"):
            raise Refused(f"the DAG file {work.rel_path!r} is refused: its path leads out of its bundle")
        if work.bundle in self.settings.repositories:
            return self._of_commit(work)
        return self._of_folder(work)

    def forget(self, key: TryKey) -> bool:
        """The try is over, or not wanted; whether it was waiting."""
        self._in_use.forget(key)
        for want in self._wants.values():
            if want.waiting.pop(key, None) is not None:
                # What is being fetched goes on: another try may want it.
                if not want.waiting:
                    self._drop(want)
                return True
        return False

    def close(self) -> None:
        """Get nothing more."""
        for want in list(self._wants.values()):
            self._drop(want)
        self._fetcher.close()

    # --- where it is -------------------------------------------------------------------------------------------------
    def _of_folder(self, work: Work) -> Code | None:
        given = self.settings.bundles.get(work.bundle)
        if given is None and self.settings.server:  # a slip in the settings of this machine: others may have it
            self._wait(work, ("bundle", work.bundle), self._seek_bundle)
            return None
        if given is None:
            raise Refused(self._no_bundle(work.bundle))
        root = given.rstrip("/")
        if not os.path.isdir(root):  # noqa: PTH112 -- done for each try, as all that follows
            self._wait(work, ("folder", root), partial(self._seek_folder, root))
            return None
        path = f"{root}/{work.rel_path}"
        # The file may have changed, or be gone, since the run began: its version's text is kept.
        kept = self.settings.kept_source(work.file_hash)
        if os.path.exists(kept):  # noqa: PTH110
            if self.settings.server:
                self._in_use.use(work.key, kept)
            return Code(root, path, kept)
        if not self.settings.server or self._hash_of(path) == work.file_hash:
            return Code(root, path, path)
        self._wait(work, ("source", work.file_hash), self._seek_source)
        return None

    def _of_commit(self, work: Work) -> Code | None:
        bundle, commit = self.settings.repositories[work.bundle], work.bundle_version
        if commit is None:
            raise Refused(
                f"the run began when the bundle {work.bundle} was a folder, and by now it is a repository: trigger the "
                "dag again"
            )
        if not COMMIT.fullmatch(commit):
            raise Refused(f"{commit!r} is no commit of the bundle {work.bundle}")
        root = root_of(self.settings.home, work.bundle, bundle, commit)
        if not os.path.isdir(root):  # noqa: PTH112
            # As it is now: the settings may change while a try waits, and not have the bundle any more.
            job = FetchJob(home=self.settings.home, name=work.bundle, bundle=bundle, commit=commit)
            self._wait(work, ("commit", work.bundle, commit), partial(self._seek_commit, job))
            return None
        self._in_use.use(work.key, root.removesuffix(bundle.subfolder))
        path = f"{root}/{work.rel_path}"
        return Code(root, path, path)

    def _hash_of(self, path: str) -> str:
        """The hash of a file's content, which is read only if it has changed; empty if there is none."""
        try:
            stat = os.stat(path)  # noqa: PTH116
            known = self._hashes.get(path)
            if known is None or known[:2] != (stat.st_mtime_ns, stat.st_size):
                known = (stat.st_mtime_ns, stat.st_size, content_hash(Path(path).read_bytes()))
                self._hashes[path] = known
        except OSError:
            return ""
        return known[2]

    # --- what is waited for ------------------------------------------------------------------------------------------
    def _wait(self, work: Work, name: tuple[str, ...], seek: Callable[[_Want], None]) -> None:
        want = self._wants.get(name)
        first = want is None
        if want is None:
            want = self._wants[name] = _Want(name, seek)
        want.waiting[work.key] = (work, time.monotonic() + _PATIENCE)
        if first:
            # Not at once: whoever asked is told later in any case.
            want.timer = self._loop.later(0.0, partial(seek, want))

    def _no_bundle(self, name: str) -> str:
        there = ", ".join(sorted((*self.settings.bundles, *self.settings.repositories)))
        return f"the settings of this machine have no bundle {name!r}; they have {there}"

    def _seek_bundle(self, want: _Want) -> None:
        name = want.name[1]
        if name in self.settings.bundles or name in self.settings.repositories:
            self._there(want)
        else:
            self._failed(want, self._no_bundle(name))

    def _seek_folder(self, root: str, want: _Want) -> None:
        if os.path.isdir(root):  # noqa: PTH112
            self._there(want)
        else:
            self._failed(want, f"the folder {root} is not on this machine: is a disk not mounted?")

    def _seek_source(self, want: _Want) -> None:
        self.sources.get(_first(want), partial(self._answered, want))
        self._watch_answer(want)

    def _watch_answer(self, want: _Want) -> None:
        """The server may be out of reach for longer than tries wait. It is asked again when it is there."""
        if want.waiting:
            silence = f"the server did not send the text of {_first(want).rel_path} that the run needs"
            self._give_up_late(want, want.why or silence)
            want.timer = self._loop.later(_LOOK, lambda: self._watch_answer(want))
        else:
            self._drop(want)

    def _answered(self, want: _Want, text: bytes | None) -> None:
        if not want.waiting:
            return
        work = _first(want)
        if text is None or content_hash(text) != work.file_hash:
            self._failed(want, f"the server does not have the text of {work.rel_path} that the run needs")
            return
        try:
            keep_source(Path(self.settings.kept_source(work.file_hash)), text)
        except OSError as error:
            self._failed(want, f"the text of {work.rel_path} cannot be kept in {self.settings.home}: {error.strerror}")
            return
        self._there(want)

    def _seek_commit(self, job: FetchJob, want: _Want) -> None:
        def told(fetched: Fetched) -> None:
            if fetched.error:
                self._failed(want, f"commit {job.commit[:12]} of the bundle {job.name} cannot be had: {fetched.error}")
            else:
                self._there(want)

        self._fetcher.begin(job, told)

    # --- how it came out ---------------------------------------------------------------------------------------------
    def _drop(self, want: _Want) -> None:
        if self._wants.get(want.name) is want:
            del self._wants[want.name]
        if want.timer is not None:
            want.timer.cancel()

    def _failed(self, want: _Want, why: str) -> None:
        """It cannot be had now: it is looked for again, but not for those who have waited for long enough."""
        want.why = why
        self._give_up_late(want, why)
        self._drop(want)
        if want.waiting:
            self._wants[want.name] = want
            want.timer = self._loop.later(want.wait, lambda: want.seek(want))
            want.wait = min(2 * want.wait, _LONGEST_WAIT)

    def _give_up_late(self, want: _Want, why: str) -> None:
        now = time.monotonic()
        for key in [key for key, (_work, until) in want.waiting.items() if now >= until]:
            del want.waiting[key]
            self._told(key, why)

    def _there(self, want: _Want) -> None:
        """What was waited for is there. Some may need one thing more, and wait again."""
        self._drop(want)
        for key, (work, _until) in want.waiting.items():
            try:
                code = self.find(work)
            except Refused as refused:
                self._told(key, str(refused))
                continue
            if code is not None:
                self._told(key, code)


def _first(want: _Want) -> Work:
    return next(iter(want.waiting.values()))[0]
