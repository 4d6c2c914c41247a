"""The live view of one run: a tree of its tasks on a terminal, one line per change anywhere else."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import tzinfo
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from airloom.cli.times import clock, duration
from airloom.model.report import Cause
from airloom.model.spec import DagSpec, TaskSpec
from airloom.model.states import FAILURES, FINISHED, TIState


class TIView(Protocol):
    """What the view needs to know of a task instance; model.run.TIRow has it all."""

    @property
    def task_id(self) -> str: ...
    @property
    def map_index(self) -> int: ...
    @property
    def state(self) -> TIState: ...
    @property
    def try_number(self) -> int: ...
    @property
    def started_at(self) -> float | None: ...
    @property
    def ended_at(self) -> float | None: ...
    @property
    def retry_at(self) -> float | None: ...
    @property
    def cause(self) -> Cause | None: ...
    @property
    def detail(self) -> str | None: ...


class SummaryView(Protocol):
    """A run that is over."""

    @property
    def dag_id(self) -> str: ...
    @property
    def run_id(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def tasks(self) -> Sequence[TIView]: ...


#: state -> symbol, style. A running task shows a frame of _SPINNER.
LOOKS: dict[TIState, tuple[str, str]] = {
    TIState.NONE: ("·", "dim"),
    TIState.SCHEDULED: ("○", "dim"),
    TIState.QUEUED: ("○", "cyan"),
    TIState.RUNNING: ("●", "bold cyan"),
    TIState.SUCCESS: ("✓", "green"),
    TIState.FAILED: ("✗", "bold red"),
    TIState.SKIPPED: ("-", "magenta"),
    TIState.UPSTREAM_FAILED: ("✗", "yellow"),
    TIState.REMOVED: ("-", "dim"),
    TIState.RESTARTING: ("↻", "yellow"),
    TIState.UP_FOR_RETRY: ("↻", "yellow"),
    TIState.UP_FOR_RESCHEDULE: ("○", "yellow"),
    TIState.DEFERRED: ("○", "blue"),
}
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
#: states that nobody needs a line of their own for: the next one follows at once, or says it better
_QUIET = frozenset({TIState.NONE, TIState.SCHEDULED, TIState.QUEUED, TIState.REMOVED})
#: which of a mapped task's states the task shows: the first one that any of its instances has
_LOUDEST = (
    TIState.RUNNING,
    TIState.FAILED,
    TIState.UP_FOR_RETRY,
    TIState.RESTARTING,
    TIState.UPSTREAM_FAILED,
    TIState.QUEUED,
    TIState.DEFERRED,
    TIState.UP_FOR_RESCHEDULE,
    TIState.SCHEDULED,
    TIState.NONE,
    TIState.SUCCESS,
    TIState.SKIPPED,
    TIState.REMOVED,
)
_OF_ERRORS = FAILURES | {TIState.UP_FOR_RETRY}
_ERRORS_SHOWN = 3
#: frames a second: enough for a spinner, little for the processor
_FRAMES = 8


def can_animate(console: Console) -> bool:
    """Whether the console can show a tree that redraws itself."""
    dull = console.is_dumb_terminal or console.no_color or not console.encoding.startswith("utf")
    return console.is_terminal and not dull


class LiveView:
    """Shows a run of `spec` while it goes on. `update` and `finish` may be called from any one thread at a time.

    Use it in a `with`, so that the terminal is given back whatever happens.
    """

    def __init__(
        self,
        spec: DagSpec,
        console: Console,
        *,
        zone: tzinfo | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._spec = spec
        self._console = console
        self._zone = zone
        self._now = now
        self._begun = now()
        self._lock = threading.Lock()
        self._tis: dict[str, dict[int, TIView]] = {task.task_id: {} for task in spec.tasks}
        self._tallies: dict[str, _Tally] = {}
        self._live = (
            Live(get_renderable=self._render, console=console, refresh_per_second=_FRAMES)
            if can_animate(console)
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, changes: Iterable[TIView]) -> None:
        """Take in what changed. A mapped task's placeholder (map index -1) gives way to its instances."""
        for ti in changes:
            with self._lock:
                instances = self._tis.setdefault(ti.task_id, {})
                before = instances.get(ti.map_index)
                instances[ti.map_index] = ti
                self._tallies.pop(ti.task_id, None)
                if ti.map_index >= 0:
                    instances.pop(-1, None)
            changed = before is None or (before.state, before.try_number) != (ti.state, ti.try_number)
            if self._live is None and changed and ti.state not in _QUIET:
                self._print_change(ti)

    def finish(self, summary: SummaryView) -> None:
        """Show the run as it ended: the tree for the last time, the whole text of each error, and one line in sum."""
        self.update(summary.tasks)
        if self._live is not None:
            self._live.stop()
        for ti in summary.tasks:
            if ti.state is TIState.FAILED and ti.detail and not self._was_shown_whole(ti.detail.strip()):
                self._print(Text(f"\n{ti_name(ti)}", style="bold red"), Text(ti.detail.strip()))
        self._print(sum_up(summary, self._now() - self._begun))

    def _was_shown_whole(self, detail: str) -> bool:
        return "\n" not in detail and (self._live is None or Text(detail).cell_len <= self._room_for_error())

    # --- lines --------------------------------------------------------------------------------------------------------
    def _print_change(self, ti: TIView) -> None:
        at = ti.ended_at if ti.state in FINISHED and ti.ended_at is not None else ti.started_at
        words = [clock(at if at is not None else self._now(), self._zone), ti_name(ti), ti.state.value]
        if ti.state is not TIState.RUNNING and ti.started_at is not None:
            words.append(duration(_seconds(ti, self._now())))
        if ti.try_number > 1:
            words.append(self._try_of(ti))
        if ti.state is TIState.UP_FOR_RETRY and ti.retry_at is not None:
            words.append(f"next try at {clock(ti.retry_at, self._zone)}")
        line = Text(" ".join(words), style=LOOKS[ti.state][1])
        error = _error_line(ti)
        self._print(line, *([Text(f"         {error}")] if error else []))

    def _print(self, *lines: Text) -> None:
        for line in lines:
            self._console.print(line, soft_wrap=True, highlight=False)

    # --- the tree -----------------------------------------------------------------------------------------------------
    def _render(self) -> RenderableType:
        with self._lock:
            return self._tree()

    def _tree(self) -> RenderableType:
        tallies = {task.task_id: self._tally(task.task_id) for task in self._spec.tasks}
        room = max(1, self._console.height - len(self._spec.groups) - 4)
        by_weight = sorted(self._spec.tasks, key=lambda task: _LOUDEST.index(tallies[task.task_id].state))
        shown = {task.task_id for task in by_weight[:room]}
        tree = Tree(self._headline(tallies.values()), guide_style="dim")
        branches: dict[str | None, Tree] = {None: tree}
        for task in self._spec.tasks:
            if task.task_id in shown:
                self._branch(task.group, branches).add(self._task_lines(task, tallies[task.task_id]))
        if by_weight[room:]:
            states = Counter(tallies[task.task_id].state for task in by_weight[room:])
            tree.add(Text(f"{len(by_weight) - room} more: {_count_states(states)}", style="dim"))
        return tree

    def _branch(self, group: str | None, branches: dict[str | None, Tree]) -> Tree:
        if group not in branches:
            parent = next((g.parent for g in self._spec.groups if g.group_id == group), None)
            branches[group] = self._branch(parent, branches).add(Text(_short(str(group), parent), style="bold"))
        return branches[group]

    def _headline(self, tallies: Iterable["_Tally"]) -> RenderableType:
        tallies = list(tallies)
        done, total = sum(tally.done for tally in tallies), sum(tally.total for tally in tallies)
        line = Table.grid(padding=(0, 1))
        took = duration(self._now() - self._begun)
        name = Text(self._spec.dag_id, style="bold")
        line.add_row(name, _bar(done, total, 24), Text(f"{done}/{total}"), Text(took, style="dim"))
        return line

    def _task_lines(self, task: TaskSpec, tally: "_Tally") -> RenderableType:
        symbol, style = LOOKS[tally.state]
        if tally.state is TIState.RUNNING:
            symbol = _SPINNER[int(self._now() * 10) % len(_SPINNER)]
        line = Text.assemble((symbol, style), " ", (_short(task.task_id, task.group), style))
        row: list[RenderableType] = [line]
        if tally.mapped:
            line.append(f" [{tally.done}/{tally.total}]")
            row.append(_bar(tally.done, tally.total, 16))
        row.append(Text(self._remarks(tally), style="dim"))
        grid = Table.grid(padding=(0, 1))
        grid.add_row(*row)
        errors = self._errors(tally)
        return Group(grid, *errors) if errors else grid

    def _remarks(self, tally: "_Tally") -> str:
        """What is said behind a task's name: how long, which try, and its state where the symbol does not tell."""
        words = []
        if tally.started is not None:
            ended = tally.ended if tally.state in FINISHED or tally.retry_at is not None else None
            words.append(duration((self._now() if ended is None else ended) - tally.started))
        if tally.retried:
            words.append(f"{len(tally.retried)} retried" if tally.mapped else self._try_of(tally.retried[0]))
        if tally.retry_at is not None:
            words.append(f"next try in {duration(tally.retry_at - self._now())}")
        elif tally.state in (TIState.SKIPPED, TIState.UPSTREAM_FAILED, TIState.UP_FOR_RETRY, TIState.RESTARTING):
            words.append(tally.state.value.replace("_", " "))
        return ", ".join(words)

    def _errors(self, tally: "_Tally") -> list[Text]:
        lines = []
        for ti in tally.errors[:_ERRORS_SHOWN]:
            index = f"[{ti.map_index}] " if ti.map_index >= 0 else ""
            line = Text(f"  {index}{_error_line(ti)}", style=LOOKS[ti.state][1])
            line.truncate(self._room_for_error(), overflow="ellipsis")
            lines.append(line)
        if len(tally.errors) > _ERRORS_SHOWN:
            lines.append(Text(f"  and {len(tally.errors) - _ERRORS_SHOWN} more", style="dim"))
        return lines

    def _room_for_error(self) -> int:
        """How many cells of an error the tree shows."""
        return max(20, self._console.width - 12)

    def _tally(self, task_id: str) -> "_Tally":
        """What the TIs of a task come to; counted again only when one of them has changed."""
        if task_id not in self._tallies:
            self._tallies[task_id] = _count(self._tis[task_id])
        return self._tallies[task_id]

    def _try_of(self, ti: TIView) -> str:
        retries = next((task.retries for task in self._spec.tasks if task.task_id == ti.task_id), 0)
        return f"try {ti.try_number} of {max(retries + 1, ti.try_number)}"


class _Tally(NamedTuple):
    """The TIs of one task, counted."""

    state: TIState
    mapped: bool
    done: int
    total: int
    started: float | None
    ended: float | None
    #: when the next try is due, if the task waits for that alone
    retry_at: float | None
    retried: list[TIView]
    errors: list[TIView]


def _count(instances: Mapping[int, TIView]) -> _Tally:
    tis = [ti for ti in instances.values() if ti.state is not TIState.REMOVED]
    states = {ti.state for ti in tis}
    state = next((state for state in _LOUDEST if state in states), TIState.NONE)
    due = [ti.retry_at for ti in tis if ti.state is TIState.UP_FOR_RETRY and ti.retry_at is not None]
    return _Tally(
        state=state,
        mapped=bool(tis) and -1 not in instances,
        done=sum(ti.state in FINISHED for ti in tis),
        total=max(1, len(tis)),
        started=min((ti.started_at for ti in tis if ti.started_at is not None), default=None),
        ended=max((ti.ended_at for ti in tis if ti.ended_at is not None), default=None),
        retry_at=min(due, default=None) if state is TIState.UP_FOR_RETRY else None,
        retried=[ti for ti in tis if ti.try_number > 1],
        errors=[ti for ti in tis if _error_line(ti)],
    )


def _count_states(states: Counter[TIState]) -> str:
    return ", ".join(f"{states[state]} {state.value.replace('_', ' ')}" for state in TIState if states[state])


def ti_name(ti: TIView) -> str:
    """The task's id, with the map index if it has one."""
    return ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"


def sum_up(summary: SummaryView, seconds: float) -> Text:
    """One line: how the run ended, how long it took, how many tasks ended how."""
    tis = [ti for ti in summary.tasks if ti.state is not TIState.REMOVED]
    counts = _count_states(Counter(ti.state for ti in tis))
    good = summary.state == "success"
    verb = "succeeded" if good else "failed" if summary.state == "failed" else f"is {summary.state}"
    text = f"{summary.dag_id} {verb} in {duration(seconds)}: {_tasks(len(tis))}{', ' if counts else ''}{counts}"
    return Text(text, style="bold green" if good else "bold red")


def _bar(done: int, total: int, width: int) -> ProgressBar:
    return ProgressBar(total=max(1, total), completed=done, width=width, complete_style="cyan", finished_style="green")


def _tasks(number: int) -> str:
    return "1 task" if number == 1 else f"{number} tasks"


def _seconds(ti: TIView, now: float) -> float | None:
    return None if ti.started_at is None else (ti.ended_at if ti.ended_at is not None else now) - ti.started_at


def _error_line(ti: TIView) -> str:
    """The first line of the error that ended the TI's last try, if its state comes of one."""
    if not ti.detail or ti.state not in _OF_ERRORS:
        return ""
    return ti.detail.strip().splitlines()[0]


def _short(name: str, group: str | None) -> str:
    """The name without its group's in front of it."""
    return name.removeprefix(f"{group}.") if group else name
