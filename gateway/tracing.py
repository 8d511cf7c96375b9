"""Traces by OpenTelemetry: a span for each request, sent to a collector (OTLP over HTTP).

Imported only if a setting says where traces go. A collector that is slow or away costs spans, and no request
waits for it.
"""

from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from gateway.http import Scope
from gateway.passage import Passage
from gateway.trace_context import TraceParent, parent_of

_SERVICE: Final = "sluice-gateway"
_EXPORT_SECONDS: Final = 5
_FAILED: Final = 500


class Tracing:
    """Begins and ends spans; `share` of the requests that bring no trace are traced."""

    def __init__(self, endpoint: str, share: float) -> None:
        resource = Resource.create({"service.name": _SERVICE})
        # A caller that traces decides for its own requests.
        self._provider = TracerProvider(
            resource=resource, sampler=ParentBased(TraceIdRatioBased(share)), shutdown_on_exit=False
        )
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=_EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("gateway")

    def begun(self, passage: Passage, method: str, given: str | None) -> trace.Span:
        """Returns the span of a request, below the one that `given` (its traceparent) names.

        The passage then has the span's own traceparent, to be passed on.
        """
        parent = parent_of(given)
        span = self._tracer.start_span(
            method,
            context=None if parent is None else _context(parent),
            kind=trace.SpanKind.SERVER,
            attributes={"http.request.method": method, "sluice.request_id": passage.request_id},
        )
        own = span.get_span_context()
        passage.traceparent = str(
            TraceParent(f"{own.trace_id:032x}", f"{own.span_id:016x}", own.trace_flags.sampled)
        )
        return span

    def ended(self, span: trace.Span, passage: Passage, scope: Scope, status: int) -> None:
        """Ends the span of a request that was answered with `status`."""
        if span.is_recording():
            route = getattr(scope.get("route"), "path", None)
            if route is not None:
                span.update_name(f"{scope['method']} {route}")
                span.set_attribute("http.route", route)
            span.set_attribute("http.response.status_code", status)
            if passage.environment is not None:
                span.set_attribute("sluice.environment", passage.environment.value)
            if passage.version is not None:
                span.set_attribute("sluice.model_version", passage.version)
            if passage.code is not None:
                span.set_attribute("error.type", passage.code)
            if status >= _FAILED:
                span.set_status(trace.StatusCode.ERROR)
        span.end()

    def close(self) -> None:
        """Sends what is left; it may take seconds if the collector is away."""
        self._provider.shutdown()


def _context(parent: TraceParent) -> Context:
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if parent.sampled else trace.TraceFlags.DEFAULT)
    above = trace.SpanContext(
        int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=flags
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(above))
