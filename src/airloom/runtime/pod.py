"""The process of a pod that runs one try, and ends with it: `airloom pod`. What it finds there, and how it ends, is
said in executors/pod_terms.py.
"""

import logging
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from airloom.bundles.git import COMMIT, Repository, folder_of
from airloom.bundles.git_program import RepositoryError
from airloom.executors import pod_terms
from airloom.executors.settings import LocalSettings
from airloom.model.bundles import GitBundle
from airloom.model.errors import SettingsError
from airloom.model.report import HandedBack, Outcome
from airloom.model.structs import prepare_structs
from airloom.model.wire import FrameError, Submit, Unframer
from airloom.model.work import Work
from airloom.runtime import fence
from airloom.runtime.errand import Errand
from airloom.runtime.first_process import End, guard
from airloom.runtime.http_server import Address, HttpServer
from airloom.runtime.http_transport import HttpTransport
from airloom.runtime.mirror import Mirror
from airloom.runtime.outpost import Afar
from airloom.runtime.runner import serve

log = logging.getLogger("airloom.runner")

#: refusals in a row after which a pod that has not begun gives up; the runner pauses after each
_REFUSALS = 3
#: seconds that whoever reads the standard output has to take the rest of it
_LAST_LINES = 5.0
#: seconds for which a commit is tried to be fetched, and between two attempts at first and at last
_FETCHING, _FIRST_WAIT, _LONGEST_WAIT = 120.0, 1.0, 15.0
#: of folders that the container of the try is to look into, which may run as somebody else
_OPEN = 0o755


class PodServer(HttpServer):
    """The server as a pod knows it, with the token of its try. refusals: in a row."""

    def __init__(self, settings: LocalSettings, token: str, watch: fence.Fence) -> None:
        super().__init__(settings.server, "", settings.ca_file, watch)
        self._try_token = token
        self.refusals = 0

    def token(self) -> str:
        """The token."""
        return self._try_token

    def refused(self, address: Address, reason: str) -> None:
        """The server there does not want this pod."""
        self.refusals += 1
        super().refused(address, reason)

    def reached(self, address: Address) -> None:
        """All is well."""
        self.refusals = 0
        super().reached(address)


def run(environment: Mapping[str, str]) -> int:
    """Run the try; the exit status."""
    return guard(lambda: _run(*_given(environment)), _last_words(environment))


def fetch(environment: Mapping[str, str]) -> int:
    """Have the code of the try in the home, if it is in a repository; the exit status."""
    return guard(lambda: _fetch(*_given(environment)), _last_words(environment))


def _last_words(environment: Mapping[str, str]) -> str:
    return environment.get(pod_terms.LAST_WORDS) or pod_terms.LAST_WORDS_FILE


def _given(environment: Mapping[str, str]) -> tuple[LocalSettings, Work]:
    """What the pod was made with. Raises SettingsError."""
    text = environment.get(pod_terms.SETTINGS)
    if text is None:
        raise SettingsError(f"this is run by pods of the executor kubernetes: {pod_terms.SETTINGS} is not set")
    file = environment.get(pod_terms.WORK) or pod_terms.WORK_FILE
    unframer: Unframer[Submit] = Unframer(Submit)
    try:
        settings = msgspec.json.decode(text, type=LocalSettings)
        works = [work for submit in unframer.feed(Path(file).read_bytes()) for work in submit.works]
    except msgspec.MsgspecError as error:
        raise SettingsError(f"{pod_terms.SETTINGS} does not fit this release of Airloom: {error}") from None
    except FrameError as error:
        raise SettingsError(f"the work in {file} does not fit this release of Airloom: {error}") from None
    except OSError as error:
        raise SettingsError(f"the work in {file} cannot be read: {error.strerror}") from None
    if len(works) != 1:
        raise SettingsError(f"there are {len(works)} tries in {file}; expected one")
    return settings, works[0]


# --- the try ----------------------------------------------------------------------------------------------------------
def _run(settings: LocalSettings, work: Work) -> End:
    prepare_structs()
    watch = fence.Fence(settings.lease, fence.now())
    server = PodServer(settings, work.token, watch)
    mirror = Mirror(sys.stdout.fileno())
    errand = Errand(work, mirror.show, lambda: server.refusals >= _REFUSALS)
    told = serve(settings, lambda: HttpTransport(server), Afar(watch, errand))
    mirror.close(_LAST_LINES)
    return _end_of(errand, watch.trouble or errand.why_not, told)


def _end_of(errand: Errand, trouble: str, told: bool) -> End:
    """How the pod ends. told: the server has heard all reports."""
    end = errand.end
    if errand.refused:
        return End(pod_terms.UNTOLD, f"the server does not give the try to this pod: {errand.refused}")
    if end is None:
        return End(pod_terms.UNTOLD if errand.granted else pod_terms.UNABLE, f"the try has not begun: {trouble}")
    if isinstance(end, HandedBack):
        return End(pod_terms.FAILED if told else pod_terms.UNABLE, end.detail)
    if not told:
        return End(pod_terms.UNTOLD, f"the try has ended ({end.outcome}), and the server was not told: {trouble}")
    if end.outcome is Outcome.FAILED:
        return End(pod_terms.FAILED, end.detail or "the try has failed")
    return End(pod_terms.DONE)


# --- its code ---------------------------------------------------------------------------------------------------------
def _fetch(settings: LocalSettings, work: Work) -> End:
    bundle, commit = settings.repositories.get(work.bundle), work.bundle_version or ""
    if bundle is None or not COMMIT.fullmatch(commit):
        return End(pod_terms.DONE)  # if it is to have one, the try says so
    with tempfile.TemporaryDirectory() as folder:
        repository = Repository(settings.home, work.bundle, _with_own_key(bundle, folder))
        signal.signal(signal.SIGTERM, lambda _number, _frame: repository.interrupt())
        error = _check_out(repository, commit, min(_FETCHING, settings.orphan_timeout))
    if error:
        return End(pod_terms.UNABLE, f"commit {commit[:12]} of the bundle {work.bundle} cannot be had: {error}")
    there = folder_of(settings.home, work.bundle)
    for path in (there.parent, there, there / "at", there / "at" / commit):
        path.chmod(_OPEN)
    return End(pod_terms.DONE)


def _check_out(repository: Repository, commit: str, seconds: float) -> str:
    """See that the commit's folder is there; why it cannot be had within so many seconds, or ""."""
    until, wait = time.monotonic() + seconds, _FIRST_WAIT
    while True:
        try:
            repository.check_out(commit)
            return ""
        except RepositoryError as error:
            if repository.interrupted or time.monotonic() + wait > until:
                return str(error)
            log.warning("%s; it is tried again in %g s", error, wait)
        time.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)


def _with_own_key(bundle: GitBundle, folder: str) -> GitBundle:
    """The bundle with a copy of its key: ssh takes none of its own user's that others may read, as may be those that
    Kubernetes mounts. Raises SettingsError."""
    if not bundle.ssh_key_file:
        return bundle
    copy = Path(folder) / "key"
    try:
        copy.touch(0o600)
        shutil.copyfile(bundle.ssh_key_file, copy)
    except OSError as error:
        raise SettingsError(f"the ssh_key_file {bundle.ssh_key_file} cannot be read: {error.strerror}") from None
    return msgspec.structs.replace(bundle, ssh_key_file=str(copy))
