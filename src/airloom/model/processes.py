"""What the processes of Airloom tell about themselves: a row each, renewed while they live, with a state by kind."""

from enum import StrEnum
from typing import Any

import msgspec

from airloom.model.report import TryKey

#: seconds between two renewals of a row, and after which a process that did not renew its row is taken for dead
RENEWAL = 5.0
SILENCE = 20.0
#: seconds after which a process of the API that did not renew its row has no part in what leases count, and between two
#: looks at the rows after which nothing is known of the time between them
SERVER_SILENCE = 2.5 * RENEWAL
BLIND = 15.0


def holds(away: float, outage: float) -> bool:
    """Whether no runner's lease can run out because a process of the API has not renewed its row for so many seconds:
    from when everybody who looks must have seen that, until nobody waits for it any more."""
    return SERVER_SILENCE + BLIND < away < outage - SERVER_SILENCE


class ProcessKind(StrEnum):
    """What a process is for. A loader lives in a scheduler's process and has a row of its own. A pod has a runner that
    is there for one try."""

    SCHEDULER = "scheduler"
    LOADER = "loader"
    API = "api"
    RUNNER = "runner"
    POD = "pod"


class ProcessRow(msgspec.Struct, frozen=True, kw_only=True):
    """A process. state: the struct of its kind, below, as a dict."""

    id: str
    kind: ProcessKind
    host: str
    pid: int
    version: str
    started_at: float
    seen_at: float
    state: dict[str, Any] = {}

    def alive(self, now: float) -> bool:
        """Whether it has been heard of lately."""
        return now - self.seen_at <= SILENCE


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """How often something took how long. counts: up to each bound (seconds), and one more beyond the last."""

    bounds: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    seconds: float = 0.0


class WaitingFor(msgspec.Struct, frozen=True, kw_only=True):
    """How many TIs one thing holds. kind: a ReasonKind. name: of the pool, dag, executor ... dag_id: whose TIs they are
    if they are of one dag only."""

    kind: str
    name: str
    text: str
    count: int
    dag_id: str | None = None


class ExecutorUse(msgspec.Struct, frozen=True, kw_only=True):
    """An executor. slots None: no limit. why: it takes nothing, if it does not."""

    name: str
    slots: int | None
    used: int
    why: str = ""


class PoolUse(msgspec.Struct, frozen=True, kw_only=True):
    """A pool: slots in use, and TIs in its line."""

    name: str
    used: int
    waiting: int


class QueueUse(msgspec.Struct, frozen=True, kw_only=True):
    """The live tries of one queue of an executor: those that have not started, and those that run."""

    executor: str
    name: str
    queued: int
    running: int


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What a leader has in its memory. schedule_lag: seconds by which the run that is due longest is late.

    instances: TIs of unfinished runs by state. waiting: by what holds them, the most first; of very many the first.
    """

    runs: int = 0
    queued: int = 0
    running: int = 0
    scheduled: int = 0
    timers: int = 0
    schedule_lag: float = 0.0
    instances: dict[str, int] = {}
    waiting: tuple[WaitingFor, ...] = ()
    executors: tuple[ExecutorUse, ...] = ()
    pools: tuple[PoolUse, ...] = ()
    queues: tuple[QueueUse, ...] = ()


class SchedulerState(msgspec.Struct, frozen=True, kw_only=True):
    """A scheduler. load: of the one that leads. turns: those that changed anything. runs, tries: made since its start,
    lost: tries whose runner was lost. inbox: commands that wait. dropped: spans of traces that could not be sent.
    logs: why finished logs cannot be stored. keys: what its secret keys are known by."""

    leading: bool = False
    epoch: int | None = None
    load: Load | None = None
    turns: Histogram = Histogram()
    runs: int = 0
    tries: int = 0
    lost: int = 0
    inbox: int = 0
    dropped: int = 0
    logs: str = ""
    keys: tuple[str, ...] = ()


class LoaderState(msgspec.Struct, frozen=True, kw_only=True):
    """A loader, of one bundle. kind: of the bundle. version: the commit that it has come to, and fetched_at when it
    last asked for it. looked_at: when it last looked at all files; that took so many seconds. trouble: what is wrong.
    standby: another process loads."""

    bundle: str = ""
    kind: str = ""
    version: str | None = None
    fetched_at: float | None = None
    standby: bool = False
    files: int = 0
    looked_at: float | None = None
    seconds: float = 0.0
    trouble: str = ""


class ApiState(msgspec.Struct, frozen=True, kw_only=True):
    """An API server. clients: browsers that follow its events. address: what a browser is given to come to it. listens:
    where it does on its machine; the next one there is in its place. outage: for how many seconds without the database
    it may tell runners that no lease runs out. keys: what its secret keys are known by."""

    clients: int = 0
    address: str = ""
    listens: tuple[str, ...] = ()
    outage: float = 0.0
    keys: tuple[str, ...] = ()


class RunnerState(msgspec.Struct, frozen=True, kw_only=True):
    """A runner: supervises tries on a machine. queues empty: it takes the work of every queue. slots None: no limit.

    Of a runner on another machine, tries: those that it has in hand, which are leased to it while its row counts as
    alive; credential: what it proved itself with; worker, home: as in its Hello; lease: seconds out of touch after
    which it has ended them; clock: seconds by which its clock is ahead of the server's; memory in bytes; drained: it is
    to take nothing new. trouble: why no work comes to it, as in its Heartbeat.
    """

    executor: str
    queues: tuple[str, ...] = ()
    slots: int | None = None
    running: int = 0
    tries: tuple[TryKey, ...] = ()
    credential: str = ""
    worker: str = ""
    home: str = ""
    lease: float = 0.0
    clock: float = 0.0
    memory_free: int = 0
    memory: int = 0
    drained: bool = False
    trouble: str = ""


class OrderKind(StrEnum):
    """What a worker is told. drain: to take nothing new until it is resumed. stop: nothing but that a runner stops."""

    DRAIN = "drain"
    STOP = "stop"


class WorkerOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What people want of a worker, by its name (RunnerState.worker). A drain holds for every runner that bears the
    name, also after a restart. runner: the one that is to stop in good order, whatever the kind; None: none is.
    by, at: who ordered it, and when."""

    worker: str
    kind: OrderKind
    by: str
    at: float
    runner: str | None = None

    def drains(self) -> bool:
        """Whether the worker is to take nothing new."""
        return self.kind is OrderKind.DRAIN

    def stops(self, runner: str) -> bool:
        """Whether this runner is to stop."""
        return self.runner == runner
