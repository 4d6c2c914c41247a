"""The scheduler's memory: unfinished runs with the state of each TI in compact arrays, counters of ended upstream TIs,
lanes and gates, timers. Data only; how it changes is in the modules beside this one, by concern.
"""

import heapq
from array import array
from enum import Enum
from typing import NamedTuple

import msgspec

from airloom.decide.graph import Graph
from airloom.decide.lanes import Gate, Lane, Lines
from airloom.decide.ledger import Ledger
from airloom.model.reasons import ReasonKind
from airloom.model.report import Skip
from airloom.model.run import DagRow, PoolRow, RunRow
from airloom.model.states import TIState
from airloom.model.work import RunInfo


class WorldConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings say to the scheduler. executors: names, the first is the default. parallelism 0 = unlimited.

    schedules False: runs are made only when someone asks for them. foreground: the one dag
    that runs, paused or not; all others rest.
    """

    executors: tuple[str, ...] = ("local",)
    parallelism: int = 0
    infrastructure_retries: int = 3
    max_map_length: int = 100_000
    schedules: bool = True
    foreground: str | None = None


class TimerKind(Enum):
    """What a timer is for; what it names is checked again when it fires."""

    RETRY = 0  # (run number, slot)
    DAG = 1  # dag id
    RUN = 2  # run number


class Timer(NamedTuple):
    """Something to look at when its time has come."""

    due: float
    order: int
    kind: TimerKind
    subject: tuple[int, int] | str | int


class LiveTry(msgspec.Struct):
    """A TI that is queued, running or restarting: what its try holds."""

    run: "Run"
    slot: int
    lane: Lane
    executor: str
    queued_at: float
    started_at: float | None = None
    #: why it was told to end, if it was
    ending: str | None = None
    #: why its executor cannot start it yet, if it says so
    held: str = ""


class Lack(NamedTuple):
    """How often in a row the code of a TI could not be had, and why the last time."""

    times: int
    why: str


class Run:
    """One unfinished run. TIs have slots: the first TI of task n has slot n; the others of mapped tasks come after."""

    __slots__ = (
        "_info",
        "cancelled",
        "extra",
        "failed",
        "gate",
        "graph",
        "ids",
        "infra",
        "lacks",
        "lane_of",
        "lanes",
        "map_index",
        "map_length",
        "map_lengths",
        "max_tries",
        "n_failed",
        "n_removed",
        "n_skipped",
        "n_success",
        "n_total",
        "n_upstream_failed",
        "open",
        "pending",
        "retry_at",
        "row",
        "skips",
        "started_at",
        "state",
        "states",
        "task_of",
        "tries",
    )

    def __init__(self, row: RunRow, graph: Graph, gate: Gate) -> None:
        count = len(graph.tasks)
        self.row = row
        self.graph = graph
        self.state = row.state
        self.started_at = row.started_at
        self.cancelled = row.cancelled_at is not None
        #: the limit of running tasks in this run
        self.gate = gate
        self.ids: list[int] = []
        self.task_of = array("i")
        self.map_index = array("i")
        self.states: list[TIState] = []
        self.tries = array("i")
        self.max_tries = array("i")
        self.infra = array("i")
        #: slots beyond the first of each expanded task, by map index
        self.extra: dict[int, list[int]] = {}
        #: the lengths that mapped tasks were expanded by, by task number
        self.map_lengths: dict[int, tuple[int, ...]] = {}
        # Sparse facts by slot.
        self.retry_at: dict[int, float] = {}
        self.map_length: dict[int, int] = {}
        self.skips: dict[int, Skip] = {}
        #: in this scheduler's time
        self.lacks: dict[int, Lack] = {}
        # How the upstream TIs of each task have ended, by task number.
        self.n_success = [0] * count
        self.n_skipped = [0] * count
        self.n_failed = [0] * count
        self.n_upstream_failed = [0] * count
        self.n_removed = [0] * count
        self.n_total = [0] * count
        #: TIs in state none, by task number
        self.pending = [0] * count
        #: TIs that have not ended
        self.open = 0
        #: leaf TIs that failed
        self.failed = 0
        #: by what makes TIs alike to all limits
        self.lanes: dict[tuple[int, ...], Lane] = {}
        self.lane_of: list[Lane | None] = [None] * count
        self._info: RunInfo | None = None

    def slots(self, task: int) -> list[int]:
        """The slots of a task's TIs, by map index."""
        return [task, *self.extra.get(task, ())]

    def info(self) -> RunInfo:
        """The run as its tasks see it; one object for all of them."""
        if self._info is None:
            row = self.row
            self._info = RunInfo(
                run_id=row.run_id,
                run_type=row.run_type,
                run_after=row.run_after,
                logical_date=row.logical_date,
                data_interval_start=row.data_interval_start,
                data_interval_end=row.data_interval_end,
                started_at=self.started_at,
                conf=row.conf,
                triggered_by=row.triggered_by,
            )
        return self._info

    def order_date(self) -> float:
        """What runs are ordered by: the logical date, or when it was to start."""
        return self.row.run_after if self.row.logical_date is None else self.row.logical_date


class NextRun(NamedTuple):
    """A run that a schedule asks for."""

    logical_date: float
    data_interval_start: float
    data_interval_end: float
    run_after: float


class DagState:
    """A dag: its current version, its schedule's position, and its runs in memory."""

    __slots__ = ("gate", "graph", "line", "next", "row", "running", "runs", "task_gates")

    def __init__(self, row: DagRow, graph: Graph) -> None:
        self.row = row
        self.graph = graph
        #: the next run of its schedule, worked out when it was last looked at
        self.next: NextRun | None = None
        #: numbers of its unfinished runs, of those that are running, and of those that wait to be
        self.runs: set[int] = set()
        self.running: set[int] = set()
        self.line: list[tuple[float, int]] = []
        #: closed while the dag is paused
        self.gate = Gate(ReasonKind.PAUSED, row.dag_id, 0 if row.paused else None)
        #: max_active_tis_per_dag, by task id
        self.task_gates: dict[str, Gate] = {}


class World:
    """The whole of it. `turn.handle` is the only way to change it; `recovery.rebuild` makes one from the database."""

    def __init__(self, config: WorldConfig) -> None:
        self.config = config
        self.now = 0.0
        self.dags: dict[str, DagState] = {}
        self.graphs: dict[int, Graph] = {}
        self.runs: dict[int, Run] = {}
        self.run_numbers: dict[tuple[str, str], int] = {}
        self.live: dict[int, LiveTry] = {}
        self.lines = Lines()
        self.pools: dict[str, Gate] = {}
        self.pool_rows: dict[str, PoolRow] = {}
        limit = config.parallelism or None
        self.parallelism = Gate(ReasonKind.PARALLELISM, "parallelism", limit)
        self.executors: dict[str, Gate] = {
            name: Gate(ReasonKind.CAPACITY, name, 0, f"executor {name} is not ready yet") for name in config.executors
        }
        self.timers: list[Timer] = []
        self.timers_set: set[tuple[float, TimerKind, tuple[int, int] | str | int]] = set()
        self.timer_order = 0
        self.next_run = 1
        self.next_ti = 1
        self.ledger = Ledger()
        #: dags whose runs could not be made, with the hash of their file: they rest until it is another one
        self.faulty: dict[str, str] = {}
        #: finished runs that were read back for a command of this turn; they leave unless it made them run again
        self.visitors: list[int] = []
        #: what this turn changed, as far as the plan does not tell: slots whose TI moved, runs that left the memory,
        #: dags that the loader told of
        self.moved: dict[Run, dict[int, None]] = {}
        self.gone: dict[int, Run] = {}
        self.reloaded: dict[str, None] = {}
        #: (run, task number) whose rule is to be asked; runs that may be over; dags whose runs may start or fall due
        self.dirty: dict[tuple[int, int], None] = {}
        self.ending: dict[int, None] = {}
        self.stirred: dict[str, None] = {}

    def set_timer(self, due: float, kind: TimerKind, subject: tuple[int, int] | str | int) -> None:
        """Look at `subject` again at `due`. Asking twice for the same is asking once."""
        wanted = (due, kind, subject)
        if wanted not in self.timers_set:
            self.timers_set.add(wanted)
            self.timer_order += 1
            heapq.heappush(self.timers, Timer(due, self.timer_order, kind, subject))

    def pop_timer(self) -> Timer | None:
        """The next timer that is due, or None."""
        if not self.timers or self.timers[0].due > self.now:
            return None
        timer = heapq.heappop(self.timers)
        self.timers_set.discard((timer.due, timer.kind, timer.subject))
        return timer
