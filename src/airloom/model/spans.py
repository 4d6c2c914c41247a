"""A span of a trace: what took how long, as OpenTelemetry means it."""

import msgspec


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One span. start, end: seconds since the epoch. parent None: it is the run's own. problem: why it failed."""

    name: str
    trace: int
    id: int
    parent: int | None
    start: float
    end: float
    attributes: dict[str, str | int | float]
    problem: str | None = None
