"""Sends spans by OTLP over HTTP. Only this module needs the packages of the extra `otel`."""

import logging
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from airloom import __version__
from airloom.model.spans import Span

# Each attempt that fails would be a line of its own: that traces are dropped is said once, by who sends them.
logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)

#: seconds that one batch may take, with all attempts
_PATIENCE = 5.0


class Otlp:
    """Sends to the collector at `endpoint`, such as http://localhost:4318, under the name of `service`."""

    def __init__(self, endpoint: str, service: str) -> None:
        self._exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_PATIENCE)
        self._resource = Resource({"service.name": service, "service.version": __version__})
        self._scope = InstrumentationScope("airloom", __version__)

    def send(self, spans: Sequence[Span]) -> bool:
        """Send these; False if they were not taken. Waits for the answer."""
        return self._exporter.export([self._readable(span) for span in spans]) is SpanExportResult.SUCCESS

    def end(self) -> None:
        """Free what is open."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _readable(self, span: Span) -> ReadableSpan:
        parent = None if span.parent is None else _context(span.trace, span.parent)
        return ReadableSpan(
            name=span.name,
            context=_context(span.trace, span.id),
            parent=parent,
            resource=self._resource,
            attributes=span.attributes,
            kind=SpanKind.INTERNAL,
            status=Status(StatusCode.OK) if span.problem is None else Status(StatusCode.ERROR, span.problem),
            start_time=_nanoseconds(span.start),
            end_time=_nanoseconds(span.end),
            instrumentation_scope=self._scope,
        )


def _context(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e6) * 1000
