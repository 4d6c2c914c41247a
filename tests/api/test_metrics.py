"""Metrics: what the rows tell and what the server counted, in Prometheus' words; for who may see all."""

import msgspec
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from airloom.api.app import make_app
from airloom.api.metrics import Requests, exposition
from airloom.api.state import Api
from airloom.model.access import Grant, Identity, Role
from airloom.model.processes import (
    ExecutorUse,
    Histogram,
    Load,
    LoaderState,
    OrderKind,
    PoolUse,
    ProcessKind,
    ProcessRow,
    QueueUse,
    RunnerState,
    SchedulerState,
    WaitingFor,
    WorkerOrder,
)
from airloom.operations.health import Known
from airloom.store.leadership import LeaderRow
from tests.api import logins
from tests.api.conftest import As
from tests.operations.crew import worker_row

NOW = 1_000_000.0
LEADER = LeaderRow(holder="x", epoch=1, expires_at=NOW + 5, host="box", pid=1, address="")
STATE = SchedulerState(
    leading=True,
    epoch=1,
    turns=Histogram(bounds=(0.1, 1.0), counts=(5, 2, 1), seconds=4.5),
    runs=7,
    tries=9,
    inbox=2,
    dropped=3,
    lost=6,
    load=Load(
        runs=1,
        queued=2,
        running=3,
        schedule_lag=1.5,
        instances={"running": 3, "none": 10},
        waiting=(
            WaitingFor(kind="pool", name="small", text="", count=4),
            WaitingFor(kind="dag_limit", name="d / r1", text="", count=1),
            WaitingFor(kind="dag_limit", name="d / r2", text="", count=2),
        ),
        executors=(ExecutorUse(name="local", slots=4, used=3), ExecutorUse(name="far", slots=None, used=0)),
        pools=(PoolUse(name="small", used=2, waiting=4),),
        queues=(
            QueueUse(executor="celery", name="gpu", queued=7, running=3),
            QueueUse(executor="celery", name="nobody's", queued=1, running=0),
        ),
    ),
)


def row(kind: ProcessKind, state: msgspec.Struct, pid: int = 1) -> ProcessRow:
    return ProcessRow(
        id=f"{kind}{pid}",
        kind=kind,
        host="box",
        pid=pid,
        version="1",
        started_at=NOW,
        seen_at=NOW,
        state=msgspec.to_builtins(state),
    )


def samples(text: bytes | str) -> dict[tuple[str, tuple[str, ...]], float]:
    """(name, values of the labels) -> value. Raises on anything that Prometheus could not read."""
    told = text if isinstance(text, str) else text.decode()
    found = {}
    for family in text_string_to_metric_families(told):
        for sample in family.samples:
            key = (sample.name, tuple(sample.labels.values()))
            assert key not in found
            found[key] = sample.value
    return found


def test_what_the_rows_tell() -> None:
    rows = [
        row(ProcessKind.SCHEDULER, STATE),
        row(ProcessKind.LOADER, LoaderState(bundle="dags", files=8, seconds=0.5, looked_at=NOW)),
        row(ProcessKind.RUNNER, RunnerState(executor="local", running=2)),
        row(ProcessKind.RUNNER, RunnerState(executor="local", running=1), 2),
    ]
    found = samples(exposition(Requests(), Known(leader=LEADER, rows=rows), 3, 11, NOW))
    expected = {
        ("airloom_scheduler_leads", ()): 1,
        ("airloom_import_errors", ()): 3,
        ("airloom_api_event_clients", ()): 11,
        ("airloom_processes", ("runner",)): 2,
        ("airloom_loader_files", ("dags",)): 8,
        ("airloom_runner_tries", ("local",)): 3,
        ("airloom_scheduler_runs_total", ()): 7,
        ("airloom_scheduler_tries_total", ()): 9,
        ("airloom_tries_lost_total", ()): 6,
        ("airloom_trace_spans_dropped_total", ()): 3,
        ("airloom_inbox_commands", ()): 2,
        ("airloom_schedule_lag_seconds", ()): 1.5,
        ("airloom_task_instances", ("none",)): 10,
        ("airloom_waiting", ("small", "pool")): 4,
        ("airloom_executor_slots", ("local",)): 4,
        ("airloom_executor_slots", ("far",)): float("inf"),
        ("airloom_pool_waiting", ("small",)): 4,
        ("airloom_scheduler_turn_seconds_bucket", ("0.1",)): 5,
        ("airloom_scheduler_turn_seconds_bucket", ("1.0",)): 7,
        ("airloom_scheduler_turn_seconds_bucket", ("+Inf",)): 8,
        ("airloom_scheduler_turn_seconds_sum", ()): 4.5,
    }
    assert {key: found[key] for key in expected} == expected
    # Names of runs are without end: what they hold is counted together.
    assert found["airloom_waiting", ("", "dag_limit")] == 3
    assert "d / r1" not in str(found)


def test_what_queues_ask_for_and_what_their_workers_give_is_told() -> None:
    drained = WorkerOrder(worker="g2", kind=OrderKind.DRAIN, by="ada", at=NOW)
    rows = [
        row(ProcessKind.SCHEDULER, STATE),
        worker_row("g1", NOW, queues=("gpu",), slots=4, running=3),
        worker_row("g2", NOW, queues=("gpu",), slots=4, running=1),
        worker_row("all", NOW, queues=("gpu", "spare"), slots=8, running=0),
        worker_row("gone", NOW, queues=("gpu", "gone"), silent=60),
        worker_row("", NOW, executor="local", queues=(), runner="r", slots=None),
    ]
    found = samples(exposition(Requests(), Known(leader=LEADER, rows=rows, orders=[drained]), 0, 0, NOW))

    def of(name: str) -> dict[tuple[str, ...], float]:
        return {labels: value for (metric, labels), value in found.items() if metric == f"airloom_{name}"}

    gpu, nobodys, spare = (("celery", name) for name in ("gpu", "nobody's", "spare"))
    assert of("queue_queued") == {gpu: 7, nobodys: 1, spare: 0}
    assert of("queue_running") == {gpu: 3, nobodys: 0, spare: 0}
    assert of("queue_workers") == {gpu: 2, nobodys: 0, spare: 1}
    assert of("queue_slots") == {gpu: 12, nobodys: 0, spare: 8}
    assert of("queue_free") == {gpu: 9, nobodys: 0, spare: 8}
    assert of("workers") == {("celery", "drained"): 1, ("celery", "running"): 2, ("celery", "silent"): 1}


def test_without_a_scheduler_there_is_still_something_to_tell() -> None:
    found = samples(exposition(Requests(), Known(leader=None, rows=[]), 0, 0, NOW))
    assert found["airloom_scheduler_leads", ()] == 0
    assert found["airloom_processes", ("scheduler",)] == 0


def test_requests_are_counted_by_route_and_not_by_what_was_asked_for(api: Api) -> None:
    app = make_app(logins.with_settings(api, "api", public_metrics=True))
    client = TestClient(app, base_url="http://127.0.0.1:8080")
    for path in ("/health", "/health", "/no/such/page-1", "/no/such/page-2", "/api/v1/dags/secret-name"):
        client.get(path)
    client.request("BREW", "/health")
    text = client.get("/metrics").text
    found = samples(text)
    counts = {labels: value for (name, labels), value in found.items() if name == "airloom_api_requests_total"}
    assert counts["GET", "/health", "503"] == 2
    assert "secret-name" not in text
    assert "page-1" not in text
    assert "BREW" not in text
    assert found["airloom_api_request_seconds_count", ("GET", "/health")] == 2


SOME = Identity(username="eve", grants=(Grant(pattern="wea*", role=Role.ADMIN),))


@pytest.mark.parametrize(
    ("identity", "status"),
    [(None, 401), (SOME, 403), (Identity(username="vi", role=Role.VIEWER), 200)],
)
def test_metrics_are_for_who_sees_all(as_: As, identity: Identity | None, status: int) -> None:
    answer = as_(identity).get("/metrics")
    assert answer.status_code == status
    if status == 200:
        assert answer.headers["content-type"].startswith("text/plain; version=")


def test_metrics_can_be_opened_to_all(api: Api) -> None:
    client = TestClient(
        make_app(logins.with_settings(api, "api", public_metrics=True)), base_url="http://127.0.0.1:8080"
    )
    assert client.get("/metrics").status_code == 200


def test_a_token_is_enough(api: Api) -> None:
    logins.add(api.ops, "vi")
    client = TestClient(make_app(api), base_url="http://127.0.0.1:8080")
    assert client.get("/metrics", headers=logins.bearer(logins.token(api.ops, "vi"))).status_code == 200
