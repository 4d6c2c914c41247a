"""The first page: counts, what runs, what failed, what waits, what comes next; only of dags that the caller sees."""

import time
from typing import Any

import msgspec
import pytest
from fastapi.testclient import TestClient

from airloom.api.state import Api
from airloom.model.access import Grant, Identity, Role
from airloom.model.events import TriggerRun
from airloom.model.loading import LoadError
from airloom.model.processes import Load, ProcessKind, ProcessRow, SchedulerState, WaitingFor
from airloom.model.report import Outcome
from airloom.model.spec import DagSpec, Delta, TaskSpec
from airloom.model.work import Work
from airloom.operations import overview
from airloom.operations.asking import ask
from airloom.store import leadership, processes
from tests.api.conftest import As
from tests.operations.leading import FLIGHTS, WEATHER, leading, save_dags
from tests.waiting import wait_for

#: its first run is a century away
HOURLY = DagSpec(
    dag_id="hourly",
    tasks=(TaskSpec(task_id="t"),),
    schedule=Delta(seconds=3600.0),
    start_date=4e9,
    is_paused_upon_creation=False,
)
BROKEN = LoadError(rel_path="dags.py", text="no", dag_id="broken")
EVE = Identity(username="eve", grants=(Grant(pattern="hour*", role=Role.VIEWER),))


def outcome(work: Work) -> Outcome | None:
    """`flights` goes on for ever, everything else fails."""
    return None if work.dag_id == "flights" else Outcome.FAILED


@pytest.fixture
def busy(api: Api) -> Api:
    """Runs that go on and runs that failed, without a scheduler by now."""
    save_dags(api.settings, FLIGHTS, WEATHER, HOURLY, errors=(BROKEN,))
    with leading(api.settings, outcome):
        for dag_id, run_id in (("flights", "f1"), ("hourly", "h1"), ("hourly", "h2")):
            ask(api.ops, TriggerRun(dag_id=dag_id, run_id=run_id))
        wait_for(lambda: settled(api), "the runs")
    return api


def settled(api: Api) -> bool:
    found = overview.overview_of(api.ops, None)
    return len(found.failed) == 2 and len(found.running) == 1


def home(client: TestClient) -> dict[str, Any]:
    answer = client.get("/api/v1/home")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_an_empty_place_has_a_home_too(client: TestClient) -> None:
    found = home(client)
    assert (found["dags"], found["paused"], found["import_errors"]) == (2, 1, 0)
    assert (found["runs"], found["instances"], found["running"], found["failed"]) == ({}, {}, [], [])
    assert found["health"]["status"] == "down"


def test_what_runs_what_failed_and_what_comes_is_shown(busy: Api, client: TestClient) -> None:
    found = home(client)
    assert (found["dags"], found["paused"], found["import_errors"]) == (3, 1, 1)
    assert found["runs"] == {"running": 1, "failed": 2}
    assert found["instances"] == {"running": 1, "none": 2}
    assert [(ti["dag_id"], ti["run_id"], ti["task_id"]) for ti in found["running"]] == [("flights", "f1", "load")]
    assert [(run["dag_id"], run["run_id"], run["state"]) for run in found["failed"]] == [
        ("hourly", "h2", "failed"),
        ("hourly", "h1", "failed"),
    ]
    [planned] = found["ahead"]
    assert (planned["dag_id"], planned["run_after"]) == ("hourly", "2096-10-02T07:06:40Z")


def test_who_sees_some_dags_sees_a_home_of_these(busy: Api, as_: As) -> None:
    found = home(as_(EVE))
    assert (found["dags"], found["paused"], found["import_errors"]) == (1, 0, 0)
    assert (found["runs"], found["instances"], found["running"]) == ({"failed": 2}, {}, [])
    assert {run["dag_id"] for run in found["failed"]} == {"hourly"}
    assert [part["name"] for part in found["health"]["parts"]][:2] == ["database", "scheduler"]


def test_what_waits_is_what_the_scheduler_told(api: Api, as_: As, client: TestClient) -> None:
    waiting = (
        WaitingFor(kind="pool", name="small", text="pool small is full", count=9),
        WaitingFor(kind="paused", name="hourly", text="dag hourly is paused", count=2, dag_id="hourly"),
        WaitingFor(kind="paused", name="flights", text="dag flights is paused", count=1, dag_id="flights"),
    )
    lead(api, Load(waiting=waiting))
    assert [(entry["name"], entry["count"]) for entry in home(client)["waiting"]] == [
        ("small", 9),
        ("hourly", 2),
        ("flights", 1),
    ]
    assert [entry["name"] for entry in home(as_(EVE))["waiting"]] == ["hourly"]


def test_very_many_instances_are_not_counted_anew(api: Api, client: TestClient) -> None:
    lead(api, Load(instances={"scheduled": 1_000_000, "running": 4}))
    assert home(client)["instances"] == {"scheduled": 1_000_000, "running": 4}


def lead(api: Api, load: Load) -> None:
    """A scheduler leads and has told this."""
    now = time.time()
    state = SchedulerState(leading=True, epoch=1, load=load)
    row = ProcessRow(
        id="s",
        kind=ProcessKind.SCHEDULER,
        host="box",
        pid=1,
        version="1",
        started_at=now,
        seen_at=now,
        state=msgspec.to_builtins(state),
    )
    with api.ops.db.transaction() as conn:
        leadership.acquire(conn, "x", now, 60.0, place=("box", 1, ""))
        processes.renew(conn, [row])
