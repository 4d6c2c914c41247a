"""A repository of DAG files: one bare clone in the home, and beside it a folder for each commit in use.

Any process of the home may fetch: a lock lets one at a time, and what it makes appears whole, by a rename. The clone
holds no history and may be deleted at any time.
"""

import contextlib
import fcntl
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from airloom.bundles.git_program import FETCHING, Damaged, GitProgram, RepositoryError
from airloom.model.bundles import GitBundle

log = logging.getLogger("airloom.bundles")

T = TypeVar("T")

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
#: seconds between two looks at a lock that another process has
_LOOK = 0.05
#: seconds after which the folder of a commit that nobody used goes
KEPT = 7 * 86400.0
#: where the clone keeps what the ref pointed to last, and the commits that have a folder
_TIP, _KEEP = "refs/airloom/tip", "refs/airloom/kept"


def folder_of(home: str, name: str) -> Path:
    """Where a bundle's clone and folders are in a home."""
    return Path(home) / "bundles" / name


def root_of(home: str, name: str, bundle: GitBundle, commit: str) -> str:
    """Where the DAG files of a commit are, once they are there. `commit` has to be a COMMIT."""
    return f"{home}/bundles/{name}/at/{commit}/{bundle.subfolder}".rstrip("/")


class Repository:
    """The clone of one bundle in a home. Raises RepositoryError where a method does, with one clear sentence."""

    def __init__(self, home: str, name: str, bundle: GitBundle) -> None:
        self._home = home
        self._name = name
        self._bundle = bundle
        self._folder = folder_of(home, name)
        self._git_folder = self._folder / "clone.git"
        self._trees = self._folder / "at"
        self._lock = -1
        self._program = GitProgram(bundle)

    def fetch(self) -> str:
        """Look at the repository, and give the commit that the ref points to. Raises RepositoryError."""
        with self._alone():
            return self._with_a_sound_clone(self._fetch_tip)

    def check_out(self, commit: str) -> str:
        """The folder of a commit's DAG files, which is fetched and made if it has to be. Raises RepositoryError."""
        if not COMMIT.fullmatch(commit):
            raise RepositoryError(f"{commit!r} is no commit")
        tree = self._trees / commit
        if not tree.is_dir():
            with self._alone():
                self._with_a_sound_clone(lambda: self._have_tree(commit, tree))
        with contextlib.suppress(OSError):
            os.utime(tree)
        root = root_of(self._home, self._name, self._bundle, commit)
        if not os.path.isdir(root):  # noqa: PTH112 -- it is a text
            raise RepositoryError(
                f"there is no folder {self._bundle.subfolder} in commit {commit[:12]} of {self.address}: correct "
                f"subfolder in [bundles.{self._name}]"
            )
        return root

    def changes(self, old: str, new: str) -> set[str] | None:
        """The files below the subfolder that differ between two commits; None if that cannot be told."""
        if not COMMIT.fullmatch(old) or not COMMIT.fullmatch(new):
            return None
        below = (f"--relative={self._bundle.subfolder}/",) if self._bundle.subfolder else ()
        try:
            with self._alone():
                names = self._git("diff-tree", "-r", "-z", "--no-renames", "--name-only", *below, old, new, "--")
        except RepositoryError:
            return None  # the old one was of a clone that is gone
        return set(filter(None, names.split("\0")))

    def sweep(self, now: float, in_use: str = "") -> None:
        """Remove the folders of commits that have not been used for long, but not that of `in_use`."""
        with self._alone():
            for tree in self._trees.glob("*"):
                if self._program.interrupted:
                    return
                try:
                    unused = now - tree.stat().st_mtime
                    if tree.name.endswith(".index"):
                        tree.unlink()
                    elif tree.name.startswith("."):  # a process was killed while it made or removed it
                        shutil.rmtree(tree)
                    elif tree.name != in_use and unused > KEPT:
                        gone = tree.with_name(f".{tree.name}")
                        tree.rename(gone)
                        shutil.rmtree(gone)
                        self._git("update-ref", "-d", f"{_KEEP}/{tree.name}")
                except OSError:
                    continue

    def interrupt(self) -> None:
        """End what goes on, which raises RepositoryError there. For good: nothing is begun after this."""
        self._program.interrupt()

    @property
    def interrupted(self) -> bool:
        """Whether it is to end."""
        return self._program.interrupted

    @property
    def address(self) -> str:
        """The repository's address as it may be shown."""
        return self._program.address

    # --- the clone -------------------------------------------------------------------------------------------------
    def _with_a_sound_clone(self, act: Callable[[], T]) -> T:
        """Do it, if need be again with a new clone."""
        try:
            return act()
        except Damaged as damaged:
            log.warning("%s: its clone is damaged and is made anew: %s", self._name, damaged)
            gone = self._git_folder.with_name(".damaged.git")
            shutil.rmtree(gone, ignore_errors=True)
            self._git_folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
            self._begin()
            return act()

    def _fetch_tip(self) -> str:
        ref = self._bundle.ref or "HEAD"
        if COMMIT.fullmatch(ref):
            self._have(ref)
            return ref
        self._git_fetch("--depth=1", f"+{ref}:{_TIP}")
        return self._git("rev-parse", "--verify", "--end-of-options", f"{_TIP}^{{commit}}").strip()

    def _have_tree(self, commit: str, tree: Path) -> None:
        self._have(commit)
        if not tree.is_dir():
            self._unpack(commit, tree)

    def _have(self, commit: str) -> None:
        """See that the clone has a commit."""
        if self._has(commit):
            return
        try:
            # Most servers give any commit by its hash ...
            self._git_fetch("--depth=1", commit)
        except Damaged:
            raise
        except RepositoryError:
            # ... the others only what a branch or tag leads to.
            refs = ("+refs/heads/*:refs/airloom/heads/*", "+refs/tags/*:refs/airloom/tags/*")
            self._git_fetch("--depth=2147483647", *refs)
        if not self._has(commit):
            raise RepositoryError(f"there is no commit {commit} in {self.address} any more")

    def _has(self, commit: str) -> bool:
        try:
            self._git("cat-file", "-e", f"{commit}^{{commit}}")
        except RepositoryError:
            return False
        return True

    def _unpack(self, commit: str, tree: Path) -> None:
        draft = tree.with_name(f".{commit}")
        index = tree.with_name(f".{commit}.index")
        try:
            shutil.rmtree(draft, ignore_errors=True)
            index.unlink(missing_ok=True)
            draft.mkdir(mode=0o700, parents=True)
            work = {"GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(draft)}
            self._git("update-ref", f"{_KEEP}/{commit}", commit)
            self._git("read-tree", commit, **work)
            self._git("checkout-index", "--all", **work)
            index.unlink()
            draft.rename(tree)
        except OSError as error:
            raise RepositoryError(f"commit {commit[:12]} of {self.address} cannot be kept: {error}") from None

    def _git_fetch(self, depth: str, *refs: str) -> None:
        self._program.fetch(self._git_folder, depth, *refs, lock=self._lock)

    def _git(self, *arguments: str, **more: str) -> str:
        """What git says. more: variables of its environment."""
        return self._program.run(f"--git-dir={self._git_folder}", *arguments, lock=self._lock, more=more)

    # --- the lock --------------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """While nobody else of this home works on the clone, which is there then."""
        try:
            self._trees.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise RepositoryError(f"the folder {self._folder} cannot be used: {error.strerror}") from None
        try:
            self._wait_for_lock()
            self._begin()
            yield
        except OSError as error:
            raise RepositoryError(f"the folder {self._folder} cannot be used: {error.strerror}") from None
        finally:
            os.close(self._lock)
            self._lock = -1

    def _wait_for_lock(self) -> None:
        deadline = time.monotonic() + FETCHING
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            if self._program.interrupted or time.monotonic() > deadline:
                raise RepositoryError(f"another process has been fetching {self.address} for too long")
            time.sleep(_LOOK)

    def _begin(self) -> None:
        """Make the clone if there is none; of git's own locks those of processes that were killed are left."""
        if self._git_folder.is_dir():
            for path in (*self._git_folder.glob("*.lock"), *self._git_folder.glob("refs/**/*.lock")):
                path.unlink(missing_ok=True)
            return
        draft = self._git_folder.with_name(".clone.git")
        shutil.rmtree(draft, ignore_errors=True)
        final, self._git_folder = self._git_folder, draft
        try:
            self._git("init", "--quiet", "--bare", "--template=")
        finally:
            self._git_folder = final
        draft.rename(final)
