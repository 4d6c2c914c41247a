"""/metrics for Prometheus: what the rows of processes tell, and what this server measures of its own requests."""

import time
from collections import Counter as Counts
from collections.abc import Iterator, Mapping

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airloom.model.processes import Histogram as Turns
from airloom.model.processes import Load, LoaderState, ProcessKind, RunnerState, SchedulerState
from airloom.model.reasons import ReasonKind
from airloom.operations.health import Known, leading_state
from airloom.operations.queues import service_of
from airloom.operations.workers import workers_of

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: what is waited for that has a name of its own in the labels: there are few of each, and runs are without end
_NAMED = (ReasonKind.POOL, ReasonKind.CAPACITY, ReasonKind.NO_EXECUTOR)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# A series for each that says when it was first counted: nobody wants it, and it doubles them.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Requests:
    """The requests that this server answered, by route: as many as there are routes, whatever is asked for."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._total = Counter(
            "airloom_api_requests", "Requests.", ("method", "route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "airloom_api_request_seconds",
            "Time to the beginning of the answer.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self.registry,
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """One more."""
        method = method if method in _METHODS else "other"
        self._total.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)


class Measured:
    """The application, its requests counted."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, and count at the beginning of the answer: a stream's end is its client's affair."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                self._requests.count(scope["method"], route, message["status"], time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, counted)


def exposition(requests: Requests, known: Known, import_errors: int, clients: int, now: float) -> bytes:
    """The text of /metrics. clients: of this server's events."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Rows(known, import_errors, clients, now))
    return generate_latest(registry) + generate_latest(requests.registry)


class _Rows(Collector):
    """What the database tells, as metrics."""

    def __init__(self, known: Known, import_errors: int, clients: int, now: float) -> None:
        self._known = known
        self._import_errors = import_errors
        self._clients = clients
        self._now = now

    def collect(self) -> Iterator[Metric]:
        state = leading_state(self._known, self._now)
        yield _gauge("airloom_scheduler_leads", "1 if a scheduler leads.", float(state is not None))
        yield _gauge("airloom_import_errors", "Errors of DAG files.", self._import_errors)
        yield _gauge("airloom_api_event_clients", "Browsers that follow the events of this server.", self._clients)
        yield from self._processes()
        yield from self._loaders()
        yield from self._runners()
        yield from self._workers(state)
        if state is not None:
            yield from _scheduler(state)
            yield from _load(state.load or Load())

    def _processes(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("airloom_processes", "Processes that live.", labels=("kind",))
        for kind in ProcessKind:
            alive = sum(row.kind is kind and row.alive(self._now) for row in self._known.rows)
            family.add_metric((kind.value,), alive)
        yield family

    def _loaders(self) -> Iterator[Metric]:
        files = GaugeMetricFamily("airloom_loader_files", "Files in a bundle.", labels=("bundle",))
        seconds = GaugeMetricFamily("airloom_loader_seconds", "Duration of the last look.", labels=("bundle",))
        looked = GaugeMetricFamily("airloom_loader_looked_at", "When it was taken.", labels=("bundle",))
        for row in self._known.rows:
            if row.kind is ProcessKind.LOADER and row.alive(self._now):
                state = msgspec.convert(row.state, LoaderState)
                if state.standby:
                    continue
                files.add_metric((state.bundle,), state.files)
                seconds.add_metric((state.bundle,), state.seconds)
                looked.add_metric((state.bundle,), state.looked_at or 0.0)
        yield from (files, seconds, looked)

    def _runners(self) -> Iterator[Metric]:
        used: dict[str, int] = {}
        for row in self._known.rows:
            if row.kind is ProcessKind.RUNNER and row.alive(self._now):
                state = msgspec.convert(row.state, RunnerState)
                used[state.executor] = used.get(state.executor, 0) + state.running
        yield _family("airloom_runner_tries", "Tries in the hands of runners.", "executor", used)

    def _workers(self, state: SchedulerState | None) -> Iterator[Metric]:
        """Workers, and for each queue what it asks for and what its workers can give: what autoscalers go by."""
        workers = workers_of(self._known, self._now)
        family = GaugeMetricFamily("airloom_workers", "Workers by what they do.", labels=("executor", "state"))
        counts = Counts((worker.executor, worker.status.value) for worker in workers if worker.remote)
        for labels, count in sorted(counts.items()):
            family.add_metric(labels, count)
        yield family
        load = Load() if state is None or state.load is None else state.load
        uses = {(use.executor, use.name): use for use in load.queues}
        served = {(worker.executor, queue) for worker in workers if not worker.silent for queue in worker.queues}
        names = sorted(uses.keys() | served)
        services = {name: service_of(workers, state, *name) for name in names}
        slots = {name: service.slots for name, service in services.items()}
        free = {name: service.free for name, service in services.items()}
        yield _by_queue("workers", "Workers that take work of a queue.", {n: len(services[n].takers) for n in names})
        yield _by_queue("slots", "Tries that these take at once.", slots)
        yield _by_queue("free", "Slots of these that are free.", free)
        if state is not None:
            queued = {name: uses[name].queued if name in uses else 0 for name in names}
            running = {name: uses[name].running if name in uses else 0 for name in names}
            yield _by_queue("queued", "Tries of a queue that have not started.", queued)
            yield _by_queue("running", "Tries of a queue that run.", running)


def _scheduler(state: SchedulerState) -> Iterator[Metric]:
    yield _turns(state.turns)
    yield _counter("airloom_scheduler_runs", "Runs made since the scheduler's start.", state.runs)
    yield _counter("airloom_scheduler_tries", "Tries made since the scheduler's start.", state.tries)
    yield _counter("airloom_tries_lost", "Tries whose runner was lost since the scheduler's start.", state.lost)
    yield _counter("airloom_trace_spans_dropped", "Spans of traces that could not be sent.", state.dropped)
    yield _gauge("airloom_inbox_commands", "Commands that wait for the scheduler.", state.inbox)


def _load(load: Load) -> Iterator[Metric]:
    yield _gauge("airloom_runs", "Unfinished runs.", load.runs)
    yield _gauge("airloom_schedule_lag_seconds", "By how much the run that is due longest is late.", load.schedule_lag)
    yield _gauge("airloom_tries_queued", "Tries that executors have and that have not started.", load.queued)
    yield _gauge("airloom_tries_running", "Tries that run.", load.running)
    yield _family("airloom_task_instances", "Task instances of unfinished runs.", "state", load.instances)
    held: dict[tuple[str, str], int] = {}
    for entry in load.waiting:
        key = (entry.kind, entry.name if entry.kind in _NAMED else "")
        held[key] = held.get(key, 0) + entry.count
    waiting = GaugeMetricFamily("airloom_waiting", "Task instances by what holds them.", labels=("reason", "name"))
    for key, count in held.items():
        waiting.add_metric(key, count)
    yield waiting
    slots = {use.name: float("inf") if use.slots is None else use.slots for use in load.executors}
    yield _family("airloom_executor_slots", "Tries that an executor takes at once.", "executor", slots)
    used = {use.name: use.used for use in load.executors}
    yield _family("airloom_executor_used", "Slots of an executor in use.", "executor", used)
    yield _family("airloom_pool_used", "Slots of a pool in use.", "pool", {use.name: use.used for use in load.pools})
    lines = {use.name: use.waiting for use in load.pools}
    yield _family("airloom_pool_waiting", "Task instances in the line of a pool.", "pool", lines)


def _turns(turns: Turns) -> Metric:
    family = HistogramMetricFamily("airloom_scheduler_turn_seconds", "Turns of the scheduler that changed anything.")
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*map(str, turns.bounds), "+Inf"), turns.counts, strict=True):
        total += count
        buckets.append((bound, total))
    family.add_metric((), buckets=buckets or [("+Inf", 0)], sum_value=turns.seconds)
    return family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _family(name: str, text: str, label: str, values: "dict[str, int] | dict[str, float]") -> Metric:
    family = GaugeMetricFamily(name, text, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family


def _by_queue(name: str, text: str, values: Mapping[tuple[str, str], int | None]) -> Metric:
    """A value for each executor and queue; None: no limit."""
    family = GaugeMetricFamily(f"airloom_queue_{name}", text, labels=("executor", "queue"))
    for labels, value in values.items():
        family.add_metric(labels, float("inf") if value is None else value)
    return family
