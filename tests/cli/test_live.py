"""The live view: a tree on a terminal, lines anywhere else."""

import io
import re

import msgspec
import pytest
from rich.console import Console

from airloom.cli.live import LiveView, can_animate
from airloom.cli.times import clock
from airloom.model.run import TIRow
from airloom.model.spec import DagSpec, GroupSpec, MapSpec, TaskSpec, XComInput
from airloom.model.states import TIState

SPEC = DagSpec(
    dag_id="flights",
    tasks=(
        TaskSpec(task_id="load.flights", group="load", retries=2),
        TaskSpec(task_id="load.weather", group="load"),
        TaskSpec(task_id="airports", upstream=("load.flights",)),
        TaskSpec(
            task_id="delays",
            upstream=("airports",),
            map=MapSpec(inputs=(XComInput(arg="airport", task_id="airports"),)),
        ),
        TaskSpec(task_id="report", upstream=("delays",)),
    ),
    groups=(GroupSpec(group_id="load"),),
)
START = 1_000_000_000.0  # 01:46:40 UTC


class Summary(msgspec.Struct):
    """A run that is over."""

    state: str
    tasks: list[TIRow]
    dag_id: str = "flights"
    run_id: str = "manual-1"


class Screen:
    """A console in memory, and a clock."""

    def __init__(self, *, terminal: bool, height: int = 40, colours: bool = True) -> None:
        self.file = io.StringIO()
        self.now = START
        self.console = Console(
            file=self.file,
            force_terminal=terminal,
            color_system="standard" if terminal else None,
            no_color=not colours,
            width=100,
            height=height,
            highlight=False,
            _environ={"TERM": "xterm"},
        )

    def view(self, spec: DagSpec = SPEC) -> LiveView:
        return LiveView(spec, self.console, now=lambda: self.now)

    def text(self) -> str:
        """All that was written, without escape sequences."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.file.getvalue())


def ti(task_id: str, state: TIState, map_index: int = -1, took: float | None = 2.5, **fields: object) -> TIRow:
    ended = START + took if took is not None and state is not TIState.RUNNING else None
    values: dict[str, object] = {"try_number": 1, "started_at": START, "ended_at": ended, **fields}
    row = {"id": 1, "run_id": 1, "task_id": task_id, "map_index": map_index, "state": state, **values}
    return msgspec.convert(row, TIRow)


def last_tree(screen: Screen) -> str:
    """The tree as it was drawn last."""
    text = screen.text()
    return text[text.rindex("flights ━") :]


@pytest.fixture
def terminal() -> Screen:
    return Screen(terminal=True)


@pytest.fixture
def pipe() -> Screen:
    return Screen(terminal=False)


def test_the_tree_shows_tasks_under_their_groups_by_their_short_names(terminal: Screen) -> None:
    with terminal.view() as view:
        view.update([ti("load.flights", TIState.SUCCESS)])
    lines = [line.rstrip() for line in last_tree(terminal).splitlines()]
    assert lines[0].endswith("1/5 0ms")
    assert [re.sub(r"[│├└─ ]+", " ", line).strip() for line in lines[1:]] == [
        "load",
        "✓ flights 2.5s",
        "· weather",
        "· airports",
        "· delays",
        "· report",
    ]


def test_a_mapped_task_is_one_line_with_how_many_of_its_instances_have_ended(terminal: Screen) -> None:
    with terminal.view() as view:
        view.update([ti("delays", TIState.NONE)])
        view.update([ti("delays", TIState.SUCCESS if index < 12 else TIState.RUNNING, index) for index in range(30)])
    assert "delays [12/30]" in last_tree(terminal)


def test_the_placeholder_of_a_mapped_task_does_not_count_beside_its_instances(terminal: Screen) -> None:
    with terminal.view() as view:
        view.update([ti("delays", TIState.NONE, took=None)])
        view.update([ti("delays", TIState.SUCCESS, 0), ti("delays", TIState.SUCCESS, 1)])
    tree = last_tree(terminal)
    assert "delays [2/2]" in tree
    assert "2/6" in tree


def test_a_retry_is_told_with_its_error_beneath(terminal: Screen) -> None:
    with terminal.view() as view:
        view.update(
            [ti("load.flights", TIState.UP_FOR_RETRY, try_number=2, detail="ConnectionError: refused\nmore of it")]
        )
    lines = last_tree(terminal).splitlines()
    [number] = [number for number, line in enumerate(lines) if "↻ flights" in line]
    assert "try 2 of 3" in lines[number]
    assert "up for retry" in lines[number]
    assert "ConnectionError: refused" in lines[number + 1]
    assert "more of it" not in "".join(lines)


def test_of_many_failed_instances_some_errors_are_shown(terminal: Screen) -> None:
    failed = [ti("delays", TIState.FAILED, index, detail=f"ValueError: bad {index}") for index in range(8)]
    with terminal.view() as view:
        view.update(failed)
    tree = last_tree(terminal)
    assert "[2] ValueError: bad 2" in tree
    assert "bad 3" not in tree
    assert "and 5 more" in tree


def test_a_dag_that_does_not_fit_shows_what_matters_most_and_counts_the_rest() -> None:
    spec = DagSpec(dag_id="flights", tasks=tuple(TaskSpec(task_id=f"task{number}") for number in range(50)))
    screen = Screen(terminal=True, height=20)
    with screen.view(spec) as view:
        view.update(ti(f"task{number}", TIState.SUCCESS) for number in range(45))
        view.update([ti("task45", TIState.FAILED)])
    tree = last_tree(screen)
    assert len(tree.rstrip().splitlines()) == 18
    assert "34 more: 34 success" in tree
    assert "✗ task45" in tree
    assert "· task49" in tree
    assert "task44" not in tree


def test_text_from_the_task_is_never_taken_for_markup(terminal: Screen) -> None:
    with terminal.view() as view:
        view.update([ti("report", TIState.FAILED, detail="KeyError: '[bold]x[/]'")])
    assert "KeyError: '[bold]x[/]'" in last_tree(terminal)


def test_at_the_end_one_line_sums_up_and_long_errors_are_shown_whole(terminal: Screen) -> None:
    rows = [ti("load.flights", TIState.SUCCESS), ti("report", TIState.FAILED, detail="ValueError: first\nsecond line")]
    with terminal.view() as view:
        terminal.now += 75
        view.finish(Summary("failed", rows))
    text = terminal.text()
    assert "second line" in text
    assert text.rstrip().endswith("flights failed in 1m 15s: 2 tasks, 1 success, 1 failed")


def test_an_error_that_the_tree_has_no_room_for_is_shown_whole_at_the_end(terminal: Screen) -> None:
    rows = [
        ti("report", TIState.FAILED, detail="ValueError: " + "much " * 30),
        ti("airports", TIState.FAILED, detail="E: x"),
    ]
    with terminal.view() as view:
        view.finish(Summary("failed", rows))
    text = terminal.text()
    assert ("much " * 30).strip() in text.replace("\n", "")
    assert text.count("E: x") == last_tree(terminal).count("E: x") == 1


def test_a_task_that_waits_for_its_next_try_says_how_long(terminal: Screen) -> None:
    with terminal.view() as view:
        terminal.now += 10
        view.update([ti("load.flights", TIState.UP_FOR_RETRY, retry_at=terminal.now + 20)])
    assert "flights 2.5s, next try in 20.0s" in last_tree(terminal)


def test_without_a_terminal_each_change_is_a_line(pipe: Screen) -> None:
    pending = {"started_at": None, "took": None, "try_number": 0}
    with pipe.view() as view:
        view.update([ti("report", state, **pending) for state in (TIState.SCHEDULED, TIState.QUEUED)])  # type: ignore[arg-type]
        view.update([ti("report", TIState.RUNNING)])
        view.update([ti("report", TIState.RUNNING)])
        view.update([ti("report", TIState.UP_FOR_RETRY, detail="ValueError: x", retry_at=START + 60)])
        view.update([ti("report", TIState.RUNNING, try_number=2)])
        view.update([ti("delays", TIState.SUCCESS, 3)])
        view.finish(Summary("success", [ti("report", TIState.SUCCESS, try_number=2)]))
    hour = re.compile(r"^\d\d:\d\d:\d\d ")
    assert [hour.sub("", line) for line in pipe.text().splitlines()] == [
        "report running",
        f"report up_for_retry 2.5s next try at {clock(START + 60, None)}",
        "         ValueError: x",
        "report running try 2 of 2",
        "delays[3] success 2.5s",
        "report success 2.5s try 2 of 2",
        "flights succeeded in 0ms: 1 task, 1 success",
    ]


@pytest.mark.parametrize("colours", [True, False])
def test_only_a_terminal_with_colours_is_animated(colours: bool) -> None:
    assert can_animate(Screen(terminal=True, colours=colours).console) is colours
    assert not can_animate(Screen(terminal=False, colours=colours).console)


def test_the_terminal_is_given_back_when_something_goes_wrong(terminal: Screen) -> None:
    with pytest.raises(RuntimeError), terminal.view():
        raise RuntimeError("the run broke")
    assert terminal.file.getvalue().rindex("\x1b[?25h") > terminal.file.getvalue().rindex("\x1b[?25l")
