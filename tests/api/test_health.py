"""Health: of each part, by what the rows say; short and without names for whoever asks."""

import threading

import msgspec
import pytest
from fastapi.testclient import TestClient

from airloom.api.app import make_app
from airloom.api.state import Api
from airloom.model.errors import StoreError
from airloom.model.processes import (
    ApiState,
    ExecutorUse,
    Load,
    LoaderState,
    ProcessKind,
    ProcessRow,
    RunnerState,
    SchedulerState,
)
from airloom.operations import health
from airloom.operations.health import Examiner, Known, judge
from airloom.operations.ops import Ops
from airloom.store import processes
from airloom.store.leadership import LeaderRow
from tests.api.conftest import As
from tests.operations.crew import worker_row
from tests.operations.leading import leading
from tests.waiting import wait_for

NOW = 1_000_000.0
LEADER = LeaderRow(holder="x", epoch=1, expires_at=NOW + 5, host="box", pid=1, address="")


def row(kind: ProcessKind, state: msgspec.Struct, *, pid: int = 1, silent: float = 0.0) -> ProcessRow:
    return ProcessRow(
        id=f"{kind}{pid}",
        kind=kind,
        host="box",
        pid=pid,
        version="1",
        started_at=0.0,
        seen_at=NOW - silent,
        state=msgspec.to_builtins(state),
    )


def scheduler(*executors: ExecutorUse, lag: float = 0.0) -> ProcessRow:
    load = Load(executors=executors, schedule_lag=lag)
    return row(ProcessKind.SCHEDULER, SchedulerState(leading=True, epoch=1, load=load))


@pytest.mark.parametrize(("keys", "status"), [(("a",), "ok"), (("b", "a"), "ok"), ((), "ok"), (("b", "c"), "degraded")])
@pytest.mark.parametrize("kind", [ProcessKind.API, ProcessKind.SCHEDULER])
def test_a_server_that_has_no_key_in_common_with_the_leader_is_not_well(
    kind: ProcessKind, keys: tuple[str, ...], status: str
) -> None:
    leading = row(ProcessKind.SCHEDULER, SchedulerState(leading=True, epoch=1, load=Load(), keys=("a", "old")))
    state = ApiState(keys=keys) if kind is ProcessKind.API else SchedulerState(keys=keys)
    (part,) = [
        part
        for part in judge(Known(leader=LEADER, rows=[leading, LOADER, row(kind, state, pid=2)]), NOW).parts
        if part.name == "box:2"
    ]
    assert part.status == status
    assert ("another secret key" in part.text) == (status == "degraded")


LOADER = row(ProcessKind.LOADER, LoaderState(bundle="dags", files=3))
RUNNER = RunnerState(executor="local")


def found(*rows: ProcessRow, leader: LeaderRow | None = LEADER) -> tuple[str, dict[str, str]]:
    """The status of the whole, and of the first part of each kind."""
    result = judge(Known(leader=leader, rows=list(rows)), NOW)
    return result.status, {part.kind: part.status for part in reversed(result.parts)}


def test_all_is_well() -> None:
    status, parts = found(
        scheduler(ExecutorUse(name="local", slots=2, used=1)), LOADER, row(ProcessKind.RUNNER, RUNNER)
    )
    assert status == "ok"
    assert parts == dict.fromkeys(("database", "scheduler", "loader", "executor", "runner"), "ok")


@pytest.mark.parametrize("leader", [None, msgspec.structs.replace(LEADER, expires_at=NOW - 1)])
def test_without_a_leader_nothing_works(leader: LeaderRow | None) -> None:
    status, parts = found(scheduler(), LOADER, leader=leader)
    assert (status, parts["scheduler"]) == ("down", "down")


def test_a_leader_that_has_not_told_yet_leads_all_the_same() -> None:
    assert found(LOADER)[0] == "ok"


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([scheduler()], "loader"),
        ([scheduler(), row(ProcessKind.LOADER, LoaderState(trouble="the folder is gone"))], "loader"),
        ([scheduler(), row(ProcessKind.LOADER, LoaderState(), silent=60)], "loader"),
        ([scheduler(lag=100.0), LOADER], "scheduler"),
        ([scheduler(ExecutorUse(name="local", slots=0, used=0, why="no runner")), LOADER], "executor"),
        ([scheduler(), LOADER, row(ProcessKind.RUNNER, RUNNER, silent=60)], "runner"),
    ],
)
def test_a_part_that_is_not_well_degrades_the_whole(rows: list[ProcessRow], kind: str) -> None:
    status, parts = found(*rows)
    assert status == "degraded"
    assert parts[kind] in ("degraded", "down")


def test_what_has_been_gone_for_long_is_spoken_of_no_more() -> None:
    gone = row(ProcessKind.RUNNER, RUNNER, silent=5_000)
    spare = row(ProcessKind.SCHEDULER, SchedulerState(), pid=2)
    status, parts = found(
        scheduler(), LOADER, gone, spare, row(ProcessKind.SCHEDULER, SchedulerState(), pid=3, silent=60)
    )
    assert status == "ok"
    assert "runner" not in parts


def test_a_database_that_hangs_is_down_and_asked_once(ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    free, asked = threading.Event(), []

    def hang(given: Ops) -> Known:
        asked.append(given)
        free.wait(30)
        return Known(leader=None, rows=[])

    monkeypatch.setattr(health, "read", hang)
    monkeypatch.setattr(health, "_PATIENCE", 0.02)
    now = 0.0
    examiner = Examiner(ops, lambda: now)
    for _ in range(3):
        now += 10.0
        result = examiner.examine()
        assert (result.status, result.parts[0].kind) == ("down", "database")
    assert len(asked) == 1
    free.set()
    monkeypatch.setattr(health, "_PATIENCE", 30.0)
    now += 10.0
    assert [part.kind for part in examiner.examine().parts][:2] == ["database", "scheduler"]
    examiner.close()


def test_a_database_that_fails_is_down_and_asked_again(ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_ops: Ops) -> Known:
        raise StoreError("the disk of /secret/place is full")

    with monkeypatch.context() as patch:
        patch.setattr(health, "read", fail)
        examiner = Examiner(ops, iter([0.0, 10.0, 10.0]).__next__)
        assert examiner.examine().status == "down"
        assert "/secret/place" not in str(health.in_brief(examiner._found[1] if examiner._found else None))  # type: ignore[arg-type]
    assert examiner.examine().parts[0].status == "ok"
    examiner.close()


def test_what_was_found_is_believed_for_a_moment(ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 0.5, 2.0, 2.0])
    examiner = Examiner(ops, times.__next__)
    first = examiner.examine()
    assert examiner.examine() is first
    assert examiner.examine() is not first
    examiner.close()


@pytest.mark.parametrize("path", ["/health", "/api/v1/health"])
def test_anybody_may_ask_and_learns_no_names(as_: As, api: Api, path: str) -> None:
    with as_(None) as client:
        answer = client.get(path)
        assert answer.status_code == 503
        parts = {part["kind"]: part for part in answer.json()["parts"]}
        assert parts["scheduler"]["status"] == "down"
        assert parts["database"]["status"] == "ok"
        assert all(part["name"] == kind and part["seen_at"] is None for kind, part in parts.items())
        with leading(api.settings):
            wait_for(lambda: client.get(path).status_code == 200, "a scheduler")
        assert client.get(path).json()["status"] in ("ok", "degraded")


def test_an_api_server_has_a_row_while_it_runs(api: Api) -> None:
    def kinds() -> list[str]:
        with api.ops.db.reading() as conn:
            return [found.kind.value for found in processes.list_processes(conn)]

    with TestClient(make_app(api), base_url="http://127.0.0.1:8080"):
        wait_for(lambda: kinds() == ["api"], "its row")
    assert kinds() == []


def test_who_waited_while_somebody_looked_does_not_look_again(ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    now, looks = 0.0, 0

    def slow(given: Ops) -> Known:
        nonlocal now, looks
        now, looks = now + 60.0, looks + 1
        return Known(leader=None, rows=[])

    monkeypatch.setattr(health, "read", slow)
    examiner = Examiner(ops, lambda: now)
    assert examiner.examine() is examiner.examine()
    assert looks == 1
    examiner.close()


def test_workers_are_counted_and_those_that_are_missed_are_named() -> None:
    rows = [
        worker_row("w1", NOW, running=2),
        worker_row("w2", NOW, running=1),
        worker_row("w2", NOW, runner="before", silent=60),
        worker_row("gone", NOW, silent=60),
        worker_row("long gone", NOW, silent=5_000),
    ]
    parts = [part for part in judge(Known(leader=LEADER, rows=rows), NOW).parts if part.kind == "runner"]
    assert [(part.status, part.text) for part in parts] == [
        ("ok", "workers: 2; tries in hand: 3"),
        ("down", "worker gone served executor celery, and is silent"),
    ]


def test_logs_that_cannot_be_stored_degrade_the_whole_and_the_reason_is_told() -> None:
    spare = row(
        ProcessKind.SCHEDULER, SchedulerState(logs="the store of logs s3://bucket cannot be written: no"), pid=2
    )
    result = judge(Known(leader=LEADER, rows=[scheduler(), LOADER, spare]), NOW)
    (part,) = [part for part in result.parts if part.kind == "logs"]
    assert (result.status, part.status, part.seen_at) == ("degraded", "degraded", spare.seen_at)
    assert part.text.startswith("the store of logs s3://bucket cannot be written: no; finished logs stay")
