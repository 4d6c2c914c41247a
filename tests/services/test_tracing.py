"""Traces: a span for each run and each try, with ids that a restart does not change, sent by OTLP; never waited for."""

import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from airloom.model.errors import SettingsError
from airloom.model.events import ClearTasks
from airloom.model.report import Cause, Outcome, TryKey
from airloom.model.spans import Span
from airloom.model.trace_ids import run_span_id, trace_id, try_span_id
from airloom.sections import OtelSection
from airloom.services import tracing
from airloom.services.otlp import Otlp
from airloom.services.tracing import Tracing, make_tracing
from tests.services.rig import Rig, dag, task

_LONG = 30.0


class Collector:
    """A collector of traces: decodes what is posted to it. status: what it answers."""

    def __init__(self) -> None:
        self.requests: Queue[ExportTraceServiceRequest] = Queue()
        self.paths: list[str] = []
        self.status = 200
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.paths.append(self.path)
                collector.requests.put(ExportTraceServiceRequest.FromString(body))
                self.send_response(collector.status)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_LONG)


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


class Sent:
    """What was sent, and whether it is taken."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.works = True

    def __call__(self, spans: Sequence[Span]) -> bool:
        if self.works:
            self.spans += spans
        return self.works

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def traced(rig: Rig, sent: Sent) -> Tracing:
    """Tracing of the rig's scheduler."""
    service = Tracing("db", sent, lambda: None)
    rig.scheduler.watch(service.on_commit)
    rig.tick()
    return service


def test_a_collector_gets_a_trace_of_a_run(rig: Rig, collector: Collector) -> None:
    otlp = Otlp(f"{collector.endpoint}/", "weather office")
    service = Tracing("db", otlp.send, otlp.end)
    rig.scheduler.watch(service.on_commit)
    rig.tick()
    rig.load(dag(task("a"), task("b", "a")))
    rig.trigger()
    rig.executor.start("a", 1_001.0)
    rig.clock.now = 1_003.5
    rig.executor.end("a", at=1_003.5, started_at=1_001.0)
    rig.tick()
    rig.executor.end("b", Outcome.FAILED, at=1_004.0, started_at=1_003.75, cause=Cause.FAIL, detail="a secret")
    rig.clock.now = 1_004.0
    rig.tick()
    service.close()
    request = collector.requests.get(timeout=_LONG)
    assert collector.paths == ["/v1/traces"]
    [resource] = request.resource_spans
    assert {entry.key: entry.value.string_value for entry in resource.resource.attributes}[
        "service.name"
    ] == "weather office"
    spans = {span.name: span for scope in resource.scope_spans for span in scope.spans}
    assert spans.keys() == {"a", "b", "d"}
    run = spans["d"]
    assert run.parent_span_id == b""
    assert {span.trace_id for span in spans.values()} == {run.trace_id}
    assert (spans["a"].parent_span_id, spans["b"].parent_span_id) == (run.span_id, run.span_id)
    assert (spans["a"].start_time_unix_nano, spans["a"].end_time_unix_nano) == (1_001 * 10**9, 1_003_500_000_000)
    assert (run.start_time_unix_nano, run.end_time_unix_nano) == (1_000 * 10**9, 1_004 * 10**9)
    assert spans["a"].status.code == Status.STATUS_CODE_OK
    assert (spans["b"].status.code, spans["b"].status.message) == (Status.STATUS_CODE_ERROR, "fail")
    assert run.status.code == Status.STATUS_CODE_ERROR
    attributes = {entry.key: entry.value for entry in spans["a"].attributes}
    assert attributes["airloom.run_id"].string_value == "r"
    assert attributes["airloom.try_number"].int_value == 1
    assert "a secret" not in str(request)


def test_each_try_has_a_span(rig: Rig, traced: Tracing, sent: Sent) -> None:
    rig.load(dag(task("a", retries=1, retry_delay=0.0)))
    rig.trigger()
    rig.executor.end("a", Outcome.FAILED, cause=Cause.ERROR)
    rig.tick()
    rig.tick()
    rig.executor.end("a")
    rig.tick()
    traced.tick()
    assert [(span.attributes["airloom.try_number"], span.problem) for span in sent.named("a")] == [
        (1, "error"),
        (2, None),
    ]
    assert len({span.id for span in sent.spans}) == 3


def test_a_restart_continues_the_trace(rig: Rig, traced: Tracing, sent: Sent) -> None:
    rig.load(dag(task("a"), task("b", "a")))
    rig.trigger()
    rig.executor.end("a")
    rig.tick()
    traced.tick()
    rig.take_over()
    again = Tracing("db", sent, lambda: None)
    rig.scheduler.watch(again.on_commit)
    rig.tick()
    rig.executor.end("b")
    rig.tick()
    again.tick()
    [run] = sent.named("d")
    assert {span.trace for span in sent.spans} == {run.trace}
    assert {span.parent for span in sent.spans if span is not run} == {run.id}


def test_a_run_that_is_cleared_has_another_span_in_its_trace(rig: Rig, traced: Tracing, sent: Sent) -> None:
    rig.load(dag(task("a")))
    rig.trigger()
    rig.executor.end("a")
    rig.tick()
    rig.clock.now += 10
    rig.ask(ClearTasks(dag_id="d", run_id="r"))
    rig.executor.end("a", at=rig.clock.now)
    rig.tick()
    traced.tick()
    first, second = sent.named("d")
    assert first.trace == second.trace
    assert first.id != second.id
    assert [span.parent for span in sent.named("a")] == [first.id, second.id]


def test_a_run_without_work_has_a_span_too(rig: Rig, traced: Tracing, sent: Sent) -> None:
    rig.load(dag(task("a", empty=True)))
    rig.trigger()
    traced.tick()
    assert [span.name for span in sent.spans] == ["d"]


def test_what_cannot_be_sent_is_dropped_and_counted(
    rig: Rig, traced: Tracing, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "CAPACITY", 3)
    rig.load(dag(*(task(f"t{number}") for number in range(5))))
    rig.trigger()
    for number in range(5):
        rig.executor.end(f"t{number}")
    rig.tick()
    assert traced.dropped == 3
    sent.works = False
    traced.tick()
    assert traced.dropped == 6
    sent.works = True
    rig.trigger("r2")
    rig.executor.end("t0")
    rig.tick()
    traced.tick()
    assert [span.name for span in sent.spans] == ["t0"]


def test_a_fault_in_making_spans_does_not_stop_the_scheduler(
    rig: Rig, traced: Tracing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Span:
        raise RuntimeError("no")

    monkeypatch.setattr(traced, "_of_run", fail)
    rig.load(dag(task("a", empty=True)))
    rig.trigger()
    assert rig.run().state == "success"


def test_a_collector_that_refuses_is_not_believed_to_have_taken_anything(collector: Collector) -> None:
    collector.status = 400
    otlp = Otlp(collector.endpoint, "airloom")
    span = Span(name="x", trace=1, id=2, parent=None, start=1.0, end=2.0, attributes={})
    assert not otlp.send([span])
    collector.status = 200
    assert otlp.send([span])
    otlp.end()


def test_ids_are_of_what_they_name() -> None:
    ids = {
        trace_id("a", 1),
        trace_id("a", 2),
        trace_id("b", 1),
        run_span_id("a", 1, 1.0),
        run_span_id("a", 1, 2.0),
        try_span_id("a", TryKey(1, 1)),
        try_span_id("a", TryKey(1, 2)),
    }
    assert len(ids) == 7
    assert trace_id("a", 1) == trace_id("a", 1)
    assert trace_id("a", 1) < 2**128
    assert try_span_id("a", TryKey(1, 1)) < 2**64


def test_no_traces_are_made_unless_they_are_asked_for() -> None:
    assert make_tracing(OtelSection(), "db") is None


def test_traces_without_their_packages_are_a_mistake_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    monkeypatch.delitem(sys.modules, "airloom.services.otlp")
    with pytest.raises(SettingsError, match="airloom\\[otel\\]"):
        make_tracing(OtelSection(endpoint="http://localhost:4318"), "db")
