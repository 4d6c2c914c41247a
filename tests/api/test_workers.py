"""Workers, executors and queues as the API shows them, and the orders that it takes."""

import pytest
from fastapi.testclient import TestClient

from airloom.model.access import Identity, Role
from airloom.model.processes import QueueUse
from airloom.operations import auditing
from airloom.operations.ops import Ops
from airloom.sections import Settings
from airloom.store.audit import AuditFilter
from tests.api.conftest import As
from tests.operations import crew
from tests.operations.leading import leading, never_end

WORKERS = "/api/v1/workers"
QUEUES = "/api/v1/queues"
VIEWER = Identity(username="vi", role=Role.VIEWER, credential="test")
OPERATOR = Identity(username="otto", role=Role.OPERATOR, credential="test")


def test_workers_and_executors_are_what_their_rows_say(client: TestClient, ops: Ops, settings: Settings) -> None:
    crew.put(
        ops,
        crew.worker_row("big", ops.now(), queues=("default", "etl"), running=1, clock=3.5),
        crew.worker_row("gone", ops.now(), silent=900, running=4),
        crew.worker_row("", ops.now(), executor="local", queues=(), runner="r", slots=None),
    )
    crew.occupy(ops, "big-runner", 1)
    with leading(settings, executor="celery"):
        crew.scheduler_tells(ops, why="the broker is unreachable")
        big, gone, local = client.get(WORKERS).json()
        [executor] = client.get("/api/v1/executors").json()
    assert (big["name"], big["status"], big["running"], big["slots"], big["queues"]) == (
        "big",
        "running",
        1,
        4,
        ["default", "etl"],
    )
    assert (big["memory"], big["memory_free"], big["clock"], big["remote"]) == (8 * 2**30, 3 * 2**30, 3.5, True)
    assert (gone["status"], gone["running"]) == ("silent", 0)
    assert (local["name"], local["remote"], local["slots"], local["queues"]) == ("host-of-:7", False, None, [])
    assert (executor["name"], executor["slots"], executor["why"]) == ("celery", 0, "the broker is unreachable")
    assert client.get("/api/v1/executors").json() == []


def test_a_worker_is_drained_resumed_and_stopped(as_: As, ops: Ops) -> None:
    crew.put(ops, crew.worker_row("a/b c", ops.now()))
    operator = as_(OPERATOR)

    def status() -> tuple[str, str | None]:
        [worker] = operator.get(WORKERS).json()
        return worker["status"], worker["ordered_by"]

    path = f"{WORKERS}/a%2Fb%20c"
    expected = {"drain": ("drained", "otto"), "resume": ("running", None), "stop": ("stopping", "otto")}
    for verb in expected:
        for _ in range(2):  # what is asked for twice is done once
            assert operator.post(f"{path}/{verb}").status_code == 204
        assert status() == expected[verb]
    recorded = [row for row in auditing.list_audit(ops, AuditFilter(), 10) if row.action.startswith("worker.")]
    assert [(row.action, row.subject, row.by, row.via) for row in reversed(recorded)] == [
        (f"worker.{verb}", "a/b c", "otto", "api") for verb in ("drain", "resume", "stop")
    ]
    refused = operator.post(f"{path}/resume")
    assert (refused.status_code, "start it again" in refused.json()["detail"]) == (409, True)


@pytest.mark.parametrize("verb", ["drain", "resume", "stop"])
def test_orders_are_for_operators_and_for_workers_that_there_are(as_: As, ops: Ops, verb: str) -> None:
    crew.put(ops, crew.worker_row("big", ops.now()), crew.worker_row("", ops.now(), executor="local", runner="r"))
    assert as_(VIEWER).post(f"{WORKERS}/big/{verb}").status_code == 403
    operator = as_(OPERATOR)
    wrong = operator.post(f"{WORKERS}/bigg/{verb}")
    assert (wrong.status_code, wrong.json()["detail"]) == (404, "there is no worker 'bigg'; did you mean big?")
    assert operator.post(f"{WORKERS}/host-of-:7/{verb}").status_code == 422


def test_queues_tell_what_runs_from_them_and_what_holds_them_up(
    client: TestClient, ops: Ops, settings: Settings
) -> None:
    assert client.get(QUEUES).json() == []
    with leading(settings, never_end, executor="celery", starts=False):
        client.post("/api/v1/dags/flights/runs", json={"run_id": "one"})
        crew.scheduler_tells(ops, QueueUse(executor="celery", name="default", queued=1, running=0))
        [queue] = client.get(QUEUES).json()
        crew.put(ops, crew.worker_row("big", ops.now()))
        crew.occupy(ops, "big-runner", 1, "elsewhere")
        served, _ = client.get(QUEUES).json()
    assert (queue["name"], queue["executor"], queue["queued"], queue["running"], queue["demand"]) == (
        "default",
        "celery",
        1,
        0,
        1,
    )
    assert (queue["kind"], queue["workers"], queue["free"]) == ("no_worker", [], 0)
    assert (served["kind"], served["trouble"], served["workers"], served["free"]) == ("", "", ["big"], 3)


def test_one_queue_is_there_for_whoever_starts_workers_by_it(client: TestClient, ops: Ops) -> None:
    crew.put(ops, crew.worker_row("g", ops.now(), queues=("gpu",), slots=None))
    gpu = client.get(f"{QUEUES}/gpu").json()
    assert (gpu["demand"], gpu["workers"], gpu["slots"], gpu["free"]) == (0, ["g"], None, None)
    assert client.get(f"{QUEUES}/a%2Fb").json()["demand"] == 0
    assert client.get(f"{QUEUES}/gpu", params={"executor": "local"}).json()["workers"] == []
