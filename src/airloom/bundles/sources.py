"""What the loader looks at: a folder as it is, or the commit that a branch points to."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from airloom.bundles.git import Repository
from airloom.bundles.git_program import RepositoryError
from airloom.bundles.local import LocalFolder
from airloom.model.bundles import GitBundle

#: seconds after which a repository that could not be reached is tried again, if its `refresh` is no less
_AGAIN = 15.0


class View(NamedTuple):
    """The files of a bundle at one moment. commit: None where nothing names the moment."""

    folder: LocalFolder
    commit: str | None


class Source(Protocol):
    """One bundle. `trouble`: what is wrong though there is something to look at."""

    name: str
    kind: str
    trouble: str
    #: when it last came to know what there is, if that is more than a look at a folder
    fetched_at: float | None

    def view(self, known: str | None) -> View:
        """What there is. known: the commit that the loader's rows are of. Raises OSError, RepositoryError."""

    def changes(self, old: str, new: str) -> set[str] | None:
        """The files that differ between two commits; None if that cannot be told."""

    def due_in(self) -> float:
        """Seconds after which `view` may give something new without a file event."""

    def reset(self) -> None:
        """Take nothing for known: another process may have been at work."""

    def interrupt(self) -> None:
        """Come back from what waits, for good."""


class FolderSource:
    """A folder of this machine."""

    kind = "local"
    trouble = ""
    fetched_at: float | None = None

    def __init__(self, folder: LocalFolder) -> None:
        self.name = folder.name
        self.folder = folder

    def view(self, known: str | None) -> View:
        """The folder as it is."""
        return View(self.folder, None)

    def changes(self, old: str, new: str) -> set[str] | None:
        """A folder has no past."""
        return None

    def due_in(self) -> float:
        """Whatever the loader's interval is."""
        return float("inf")

    def reset(self) -> None:
        """Nothing is remembered."""

    def interrupt(self) -> None:
        """Nothing waits."""


class GitSource:
    """A repository, of which the home has a clone. `now`: seconds, of any clock."""

    kind = "git"

    def __init__(self, home: str, name: str, bundle: GitBundle, now: Callable[[], float]) -> None:
        self.name = name
        self.trouble = ""
        self.fetched_at: float | None = None
        self._refresh = bundle.refresh
        self._repository = Repository(home, name, bundle)
        self._now = now
        self._commit: str | None = None
        self._due = float("-inf")

    def view(self, known: str | None) -> View:
        """The commit that the ref points to. While the repository cannot be reached: the last one that was found, or
        else `known`, so that nothing goes back to what this home happens to have."""
        now = self._now()
        if now >= self._due:
            try:
                commit = self._repository.fetch()
                root = self._repository.check_out(commit)
                self._commit, self.trouble, self.fetched_at = commit, "", now
                self._due = now + self._refresh
                self._repository.sweep(now, commit)
                return View(LocalFolder(self.name, Path(root)), commit)
            except RepositoryError as error:
                self.trouble = str(error)
                self._due = now + min(self._refresh, _AGAIN)
        last = self._commit or known
        if last is None:
            raise RepositoryError(self.trouble)
        try:
            return View(LocalFolder(self.name, Path(self._repository.check_out(last))), last)
        except RepositoryError as error:
            raise RepositoryError(self.trouble or str(error)) from None

    def changes(self, old: str, new: str) -> set[str] | None:
        """What differs, by what the clone knows."""
        return self._repository.changes(old, new)

    def due_in(self) -> float:
        """Until the next fetch."""
        return max(0.0, self._due - self._now())

    def reset(self) -> None:
        """Fetch at the next look."""
        self._commit, self._due = None, float("-inf")

    def interrupt(self) -> None:
        """End the fetch that goes on."""
        self._repository.interrupt()
