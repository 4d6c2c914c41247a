"""What the executor needs to know of the cluster, as data: whose its tries are, and which runners live. Who tells it
reads it in the database.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

import msgspec

from airloom.model.report import TryKey
from airloom.model.work import Work

#: stands for the runner of a try that the executor took back: nobody else can claim it any more
WITHDRAWN = "withdrawn"


class RunnerSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A runner's row. worker: what people call it. seen_at: its last renewal, by the server's clock. lease: seconds out
    of touch after which it has ended its tries. tries: those that it has in hand."""

    worker: str
    host: str
    seen_at: float
    lease: float
    tries: frozenset[TryKey]


class ServerSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The row of a process of the API. seen_at: its last renewal, by its own clock. outage: for how many seconds
    without the database it may tell runners that no lease runs out; 0: it does not."""

    seen_at: float
    outage: float = 0.0


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of the database. claims: all live tries of the executor, with the runner that has claimed each, or "".
    runners: all of the executor's, by id. servers: the processes of the API, by id."""

    claims: Mapping[TryKey, str] = {}
    runners: Mapping[str, RunnerSeen] = {}
    servers: Mapping[str, ServerSeen] = {}


class Cluster(Protocol):
    """The executor's way to the database. All of it raises StoreError while that is away."""

    def seal(self, work: Work) -> Work:
        """The work with the token of its try. Raises SettingsError."""

    def look(self) -> View:
        """How things are now."""

    def withdraw(self, keys: Collection[TryKey]) -> set[TryKey]:
        """Take back those of the tries that nobody has claimed: from now on nobody can. Doing it again is harmless."""

    def forget(self, servers: Mapping[str, float]) -> None:
        """These processes of the API are dead, unless they have renewed their row since they were seen at that time."""
