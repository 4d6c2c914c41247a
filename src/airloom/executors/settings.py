"""The settings of the local executor, which its runner gets as they are, and the files that both know."""

import os
from pathlib import Path

import msgspec

from airloom.model.bundles import GitBundle
from airloom.model.spec import Isolation


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_parallelism() -> int:
    """One try a core, with a core left for everything else; at least 1."""
    return max(1, cores() - 1)


def kept_source(home: str, file_hash: str) -> str:
    """Where the text of a DAG file is kept in a home folder: a run goes on with the code of its version."""
    return f"{home}/code/{file_hash}.py"


class LocalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How tries run on this machine. Durations in seconds, sizes in bytes.

    home: the folder of sockets, logs and unsent reports. bundles: the root folder of each bundle's DAG code, but for
    repositories, whose commits get folders in the home.
    """

    home: str
    #: names the executor's socket, lock and folder of unsent reports, so that two executors can share a home
    name: str = "local"
    #: an id of the database whose tries these are; those of another one in the same home are never taken for ours
    owner: str = ""
    bundles: dict[str, str]
    repositories: dict[str, GitBundle] = {}
    #: tries at once; 0 = any number
    parallelism: int = msgspec.field(default_factory=default_parallelism)
    #: for tasks that do not say it themselves
    isolation: Isolation = Isolation.FORK
    #: between SIGTERM and SIGKILL
    grace: float = 5.0
    #: a DAG file may take so long to be imported
    import_timeout: float = 30.0
    #: how long a runner without a scheduler and without a try waits for one to come back
    orphan_timeout: float = 600.0
    #: DAG files that are kept imported, and how long an unused one is
    zygote_limit: int = 8
    zygote_idle: float = 60.0
    #: for tasks that have none of their own; None = no limit
    memory_limit: int | None = None
    log_limit: int = 100 * 1024 * 1024
    #: everything that one try may leave as XComs
    xcom_limit: int = 64 * 1024 * 1024
    #: between the signs of life of a runner
    heartbeat: float = 5.0
    #: a runner that is silent for so long is taken for hung, and killed
    heartbeat_timeout: float = 30.0
    #: of a runner on another machine: the task API's address, or several with commas, the file of its token, and that
    #: of the certificates to trust instead of the system's
    server: str = ""
    token_file: str = ""
    ca_file: str = ""
    #: what the worker is called that it is a part of, and of which release of Airloom it is
    worker: str = ""
    release: str = ""
    #: out of touch with the server for so long, its tries are run again elsewhere; it has ended them before
    lease: float = 60.0
    #: whose work it takes
    queues: tuple[str, ...] = ()

    def kept_source(self, file_hash: str) -> str:
        """Where the text of a DAG file that has this hash is kept, if it is."""
        return f"{self.fetched}/{file_hash}.py" if self.server else kept_source(self.home, file_hash)

    @property
    def fetched(self) -> str:
        """The folder of texts that came from a server elsewhere, which has them still."""
        return f"{self.home}/code/fetched"

    @property
    def socket(self) -> str:
        """Where the executor listens for its runner."""
        return f"{self.home}/{self.name}.sock"

    @property
    def work_socket(self) -> str:
        """Where a runner whose server is elsewhere takes work from processes of its own machine."""
        return f"{self.home}/{self.name}.work.sock"

    @property
    def file(self) -> str:
        """Where the runner finds these settings; it reads them whenever it connects."""
        return f"{self.home}/{self.name}.settings.json"

    @property
    def id_file(self) -> str:
        """Holds an id of the home folder, by which the server tells two workers of one name."""
        return f"{self.home}/{self.name}.id"

    @property
    def lock(self) -> str:
        """The file that a living runner holds locked, with its process number."""
        return f"{self.home}/{self.name}.lock"

    @property
    def spools(self) -> str:
        """The folder of the owners' spools."""
        return f"{self.home}/spool/{self.name}"

    @property
    def spool(self) -> str:
        """The folder of the owner's reports that no scheduler has acknowledged."""
        return f"{self.spools}/{self.owner or 'any'}"


def write_settings(settings: LocalSettings) -> None:
    """Put the settings where the runner reads them. Raises OSError."""
    fresh = Path(settings.file + ".new")
    fresh.write_bytes(msgspec.json.encode(settings))
    fresh.replace(settings.file)


def read_settings(file: str) -> LocalSettings:
    """The settings in `file`. Raises OSError, or msgspec.MsgspecError if there are none of this release in it."""
    return msgspec.json.decode(Path(file).read_bytes(), type=LocalSettings)
