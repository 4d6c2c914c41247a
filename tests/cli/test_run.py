"""`airloom run`, `standalone`, `scheduler`: what they hand to the wiring and what they make of its answer."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from airloom import wiring
from airloom.model.errors import DagDefinitionError
from airloom.model.report import Cause
from airloom.model.run import TIRow
from airloom.model.states import TIState
from tests.cli.conftest import Airloom
from tests.operations.leading import FLIGHTS


class Summary(msgspec.Struct):
    """A run that is over, as the wiring tells it."""

    state: str
    tasks: Iterable[TIRow]
    dag_id: str = "flights"
    run_id: str = "manual-1"
    logs: str = "/somewhere/logs"


Wire = Callable[..., ModuleType]


COMMANDS = ("run", "standalone", "scheduler")


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """Puts functions in the place of the wiring's, which starts real processes and has tests of its own."""

    def put(**functions: Any) -> ModuleType:
        module = ModuleType("airloom.wiring")
        vars(module).update(functions)
        for name in ("roles", "foreground"):
            monkeypatch.setitem(sys.modules, f"airloom.wiring.{name}", module)
            monkeypatch.setattr(wiring, name, module, raising=False)
        return module

    before = {command: sys.modules.pop(f"airloom.cli.{command}", None) for command in COMMANDS}
    yield put
    for command, module in before.items():
        sys.modules.pop(f"airloom.cli.{command}", None)
        if module is not None:
            sys.modules[f"airloom.cli.{command}"] = module


@pytest.fixture
def dag_file(tmp_path: Path) -> Path:
    file = tmp_path / "flights.py"
    file.write_text("# a DAG")
    return file


def row(task_id: str, state: TIState, **fields: Any) -> TIRow:
    return TIRow(id=1, run_id=1, task_id=task_id, state=state, try_number=1, started_at=0.5, **fields)


def runs_to(state: str, calls: list[Any]) -> Callable[..., Summary]:
    end = TIState.SUCCESS if state == "success" else TIState.FAILED
    detail = None if state == "success" else "ValueError: no airport"

    def run_file(
        loaded: Any, path: Path, dag_id: str | None, conf: dict[str, Any], observer: Any, keep: bool
    ) -> Summary:
        calls.append((path, dag_id, conf, keep))
        observer.on_start(FLIGHTS, "manual-1")
        observer.on_change([row("load", TIState.RUNNING)])
        last = row("load", end, ended_at=2.0, detail=detail, cause=detail and Cause.ERROR)
        observer.on_change([last])
        return Summary(state, [last, TIRow(id=2, run_id=1, task_id="join", map_index=3)])

    return run_file


def test_a_run_that_succeeds_shows_its_tasks_and_ends_with_0(airloom: Airloom, wire: Wire, dag_file: Path) -> None:
    calls: list[Any] = []
    wire(run_file=runs_to("success", calls))
    done = airloom("run", str(dag_file), "--dag", "flights", "--conf", '{"airport": "EWR"}')
    assert calls == [(dag_file, "flights", {"airport": "EWR"}, False)]
    assert done.status == 0
    assert "load success 1.5s" in done.stdout
    assert "flights succeeded" in done.stdout.splitlines()[-2]
    assert done.stdout.splitlines()[-1] == "logs: /somewhere/logs"


def test_a_run_that_fails_ends_with_1_and_says_why(airloom: Airloom, wire: Wire, dag_file: Path) -> None:
    wire(run_file=runs_to("failed", []))
    done = airloom("run", str(dag_file))
    assert done.status == 1
    assert "ValueError: no airport" in done.stdout


@pytest.mark.parametrize(("state", "status"), [("success", 0), ("failed", 1)])
def test_as_json_stdout_is_one_object_and_nothing_else(
    airloom: Airloom, wire: Wire, dag_file: Path, state: str, status: int
) -> None:
    wire(run_file=runs_to(state, []))
    done = airloom("run", str(dag_file), "-o", "json")
    assert done.status == status
    cause, detail = (None, None) if state == "success" else ("error", "ValueError: no airport")
    assert json.loads(done.stdout) == {
        "dag_id": "flights",
        "run_id": "manual-1",
        "state": state,
        "tasks": [
            {
                "task_id": "load",
                "map_index": -1,
                "state": state,
                "try_number": 1,
                "started_at": "1970-01-01T00:00:00.500000Z",
                "ended_at": "1970-01-01T00:00:02Z",
                "cause": cause,
                "detail": detail,
            },
            {
                "task_id": "join",
                "map_index": 3,
                "state": "none",
                "try_number": 0,
                "started_at": None,
                "ended_at": None,
                "cause": None,
                "detail": None,
            },
        ],
    }
    assert "load running" in done.stderr


def test_a_file_with_a_mistake_ends_with_2(airloom: Airloom, wire: Wire, dag_file: Path) -> None:
    def run_file(*arguments: Any, keep: bool) -> Summary:
        raise DagDefinitionError("flights.py, line 3: the DAG has a cycle")

    wire(run_file=run_file)
    done = airloom("run", str(dag_file), "-o", "json")
    assert (done.status, done.stdout, "line 3" in done.stderr) == (2, "", True)


def test_ctrl_c_ends_with_130(airloom: Airloom, wire: Wire, dag_file: Path) -> None:
    def run_file(*arguments: Any, keep: bool) -> Summary:
        arguments[-1].on_start(FLIGHTS, "manual-1")
        raise KeyboardInterrupt

    wire(run_file=run_file)
    assert airloom("run", str(dag_file)).status == 130


@pytest.mark.parametrize("arguments", [["nothing.py"], ["."], ["dag.py", "--conf", "{"], ["dag.py", "-o", "yaml"]])
def test_wrong_arguments_end_with_2_before_anything_runs(
    airloom: Airloom, wire: Wire, tmp_path: Path, arguments: list[str]
) -> None:
    calls: list[Any] = []
    (tmp_path / "dag.py").write_text("")
    wire(run_file=runs_to("success", calls))
    assert airloom("run", *arguments).status == 2
    assert calls == []


def test_standalone_says_where_things_are_and_ends_with_the_wirings_status(
    airloom: Airloom, wire: Wire, home: Path, tmp_path: Path
) -> None:
    def standalone(loaded: Any, *, on_ready: Callable[[str], None]) -> int:
        assert loaded.settings.core.home == home
        on_ready("the link")
        return 4 if loaded.settings.core.dags_folder == tmp_path / "flows" else 0

    wire(standalone=standalone)
    (tmp_path / "flows").mkdir()
    chosen = airloom("standalone", "--dags", "flows")
    assert (chosen.status, str(tmp_path / "flows") in chosen.stderr) == (4, True)
    assert "the link" in chosen.stderr
    default = airloom("standalone")
    assert (default.status, str(home / "dags") in default.stderr) == (0, True)


def test_a_scheduler_runs_until_the_wiring_returns(airloom: Airloom, wire: Wire) -> None:
    def scheduler(loaded: Any, *, on_ready: Callable[[], None]) -> int:
        on_ready()
        return 0

    wire(scheduler=scheduler)
    done = airloom("scheduler")
    assert (done.status, "is running" in done.stderr) == (0, True)
