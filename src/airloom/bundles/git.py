"""A repository of DAG files: one bare clone in the home, and beside it a folder for each commit in use.

Any process of the home may fetch: a lock lets one at a time, and what it makes appears whole, by a rename. The clone
holds no history and may be deleted at any time.
"""

import base64
import contextlib
import fcntl
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from airloom.bundles.definitions import SCHEMES, without_user
from airloom.model.bundles import GitBundle
from airloom.model.errors import AirloomError

log = logging.getLogger("airloom.bundles")

T = TypeVar("T")

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
#: seconds that fetching and other work of git may take
_FETCH, _WORK = 600.0, 120.0
#: seconds between two looks at a lock that another process has
_LOOK = 0.05
#: seconds after which the folder of a commit that nobody used goes
KEPT = 7 * 86400.0
#: where the clone keeps what the ref pointed to last, and the commits that have a folder
_TIP, _KEEP = "refs/airloom/tip", "refs/airloom/kept"
#: who uses an address
_USER = re.compile(r"://[^/@]*@")
#: variables of git's that say how to reach a server, not what to work on
_PASSED = ("GIT_SSL_", "GIT_SSH", "GIT_PROXY_", "GIT_HTTP_")
#: what git says at length, in fewer words
_WORDS = (
    ("Host key verification failed", "the key of its host is not known: add it to a known_hosts_file"),
    ("Permission denied (publickey", "it refuses the ssh key: name one that it knows as ssh_key_file"),
)


#: what git says of a clone that is damaged, as after a power failure
_DAMAGE = ("is corrupt", "is empty", "bad object", "unable to read", "inflate", "bad signature", "a git repository:")


class RepositoryError(AirloomError):
    """What is wanted of a repository cannot be had, now or at all."""


class _Damaged(RepositoryError):
    """The clone itself is no good."""


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
        self._process: subprocess.Popen[bytes] | None = None
        self._interrupted = False

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
                if self._interrupted:
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
        self._interrupted = True
        self._kill()

    @property
    def address(self) -> str:
        """The repository's address as it may be shown."""
        return without_user(self._bundle.url)

    # --- the clone -------------------------------------------------------------------------------------------------
    def _with_a_sound_clone(self, act: Callable[[], T]) -> T:
        """Do it, if need be again with a new clone."""
        try:
            return act()
        except _Damaged as damaged:
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
        except _Damaged:
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
            self._git("read-tree", commit, more=work)
            self._git("checkout-index", "--all", more=work)
            index.unlink()
            draft.rename(tree)
        except OSError as error:
            raise RepositoryError(f"commit {commit[:12]} of {self.address} cannot be kept: {error}") from None

    def _git_fetch(self, depth: str, *refs: str) -> None:
        # Whose the token is goes with the token.
        url = self._bundle.url if not self._bundle.token_file else _USER.sub("://", self._bundle.url)
        settings = {
            "http.lowSpeedLimit": "1000",
            "http.lowSpeedTime": "30",
            "gc.autoDetach": "false",
            **self._credential(),
        }
        options = ("--quiet", "--force", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", depth)
        self._git("fetch", *options, "--end-of-options", url, *refs, more=_config(settings), limit=_FETCH)

    def _credential(self) -> dict[str, str]:
        if not self._bundle.token_file:
            return {}
        try:
            token = Path(self._bundle.token_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise RepositoryError(f"the token_file {self._bundle.token_file} cannot be read: {error}") from None
        if not token or "\n" in token:
            raise RepositoryError(f"the token_file {self._bundle.token_file} is to hold one line: the token")
        parts = urlsplit(self._bundle.url)
        basic = base64.b64encode(f"{parts.username or 'x-access-token'}:{token}".encode()).decode()
        # For this server only, wherever it redirects to; and not on a command line, which everybody can read.
        host = parts.netloc.rpartition("@")[2]
        return {f"http.{parts.scheme}://{host}/.extraHeader": f"Authorization: Basic {basic}"}

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key.startswith(_PASSED) or key[:4] != "GIT_"}
        ssh = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=15"]
        if self._bundle.ssh_key_file:
            ssh += ["-i", self._bundle.ssh_key_file, "-o", "IdentitiesOnly=yes"]
        if self._bundle.known_hosts_file:
            ssh += ["-o", f"UserKnownHostsFile={self._bundle.known_hosts_file}"]
        if self._bundle.ssh_key_file or self._bundle.known_hosts_file or "GIT_SSH_COMMAND" not in kept:
            kept["GIT_SSH_COMMAND"] = shlex.join(ssh)
        return {
            **kept,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "GIT_ALLOW_PROTOCOL": ":".join(SCHEMES),
            "LC_ALL": "C",
        }

    def _git(self, *arguments: str, more: Mapping[str, str] | None = None, limit: float = _WORK) -> str:
        """What git says. Raises RepositoryError with what went wrong, in which there is no secret."""
        command = ["git", f"--git-dir={self._git_folder}", *arguments]
        if self._interrupted:
            raise RepositoryError("this process is stopping")
        try:
            # It has the lock as well: if this process is killed, nobody else begins before it has ended.
            self._process = process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**self._environment(), **(more or {})},
                start_new_session=True,
                pass_fds=(self._lock,),
            )
        except OSError as error:
            raise RepositoryError(f"git cannot be started: {error.strerror}; is it installed?") from None
        if self._interrupted:
            self._kill()
        try:
            out, err = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            self._kill()
            process.communicate()
            raise RepositoryError(f"{self.address} did not answer within {limit:g} s") from None
        finally:
            self._process = None
        if process.returncode:
            said = err.decode("utf-8", "replace")
            kind = _Damaged if any(mark in said for mark in _DAMAGE) else RepositoryError
            raise kind(self._sentence(said))
        return out.decode("utf-8", "surrogateescape")

    def _sentence(self, said: str) -> str:
        if "find remote ref" in said:
            what = f"no branch or tag {self._bundle.ref!r}" if self._bundle.ref else "no commit"
            return f"there is {what} in {self.address}"
        if "terminal prompts disabled" in said or "Authentication failed" in said:
            token = self._bundle.token_file
            words = f"it refuses the token in {token}" if token else "it asks for a token: name its file as token_file"
            return f"{self.address}: {words}"
        for mark, words in _WORDS:
            if mark in said:
                return f"{self.address}: {words}"
        lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("hint:")]
        told = [line.partition(":")[2].strip() for line in lines if line.startswith(("fatal:", "error:"))] or lines[-1:]
        return f"{self.address}: {'; '.join(told) or 'git failed'}".replace(self._bundle.url, self.address)

    def _kill(self) -> None:
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

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
        deadline = time.monotonic() + _FETCH
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            if self._interrupted or time.monotonic() > deadline:
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


def _config(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings of git's for one command, by its environment."""
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables
