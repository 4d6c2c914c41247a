"""Running git: as whom, how long, never asking anybody, and what it says in a sentence."""

import base64
import contextlib
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from airloom.bundles.definitions import SCHEMES, without_user
from airloom.model.bundles import GitBundle
from airloom.model.errors import AirloomError

#: seconds that fetching and other work may take
FETCHING, _WORK = 600.0, 120.0
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


class Damaged(RepositoryError):
    """The clone itself is no good."""


class GitProgram:
    """The program, as it works for one bundle. One thread runs it; any may interrupt it."""

    def __init__(self, bundle: GitBundle) -> None:
        self._bundle = bundle
        self._process: subprocess.Popen[bytes] | None = None
        self.interrupted = False

    @property
    def address(self) -> str:
        """The repository's address as it may be shown."""
        return without_user(self._bundle.url)

    def fetch(self, git_folder: Path, depth: str, *refs: str, lock: int) -> None:
        """Fetch refs from the repository. Raises RepositoryError."""
        # Whose the token is goes with the token.
        url = self._bundle.url if not self._bundle.token_file else _USER.sub("://", self._bundle.url)
        settings = {
            "http.lowSpeedLimit": "1000",
            "http.lowSpeedTime": "30",
            "gc.autoDetach": "false",
            **self._credential(),
        }
        options = ("--quiet", "--force", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", depth)
        command = (f"--git-dir={git_folder}", "fetch", *options, "--end-of-options", url, *refs)
        self.run(*command, lock=lock, more=_config(settings), limit=FETCHING)

    def run(self, *arguments: str, lock: int, more: Mapping[str, str], limit: float = _WORK) -> str:
        """What it says. more: variables of its environment; limit: seconds it may take. It has the lock as well: if
        this process is killed, nobody else begins before it has ended. Raises RepositoryError, with no secret in it.
        """
        if self.interrupted:
            raise RepositoryError("this process is stopping")
        try:
            self._process = process = subprocess.Popen(
                ["git", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**self._environment(), **more},
                start_new_session=True,
                pass_fds=(lock,),
            )
        except OSError as error:
            raise RepositoryError(f"git cannot be started: {error.strerror}; is it installed?") from None
        if self.interrupted:
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
            # Not what the other side says of its own.
            ours = "\n".join(line for line in said.splitlines() if not line.startswith("remote:"))
            kind = Damaged if any(mark in ours for mark in _DAMAGE) else RepositoryError
            raise kind(self._sentence(said))
        return out.decode("utf-8", "surrogateescape")

    def interrupt(self) -> None:
        """End what goes on, and begin nothing more."""
        self.interrupted = True
        self._kill()

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


def _config(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings of git's for one command, by its environment."""
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables
