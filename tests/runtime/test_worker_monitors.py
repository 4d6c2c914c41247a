"""What Celery's monitors see of a worker, and what they cannot do to it."""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from celery.events import EventReceiver

from airloom.executors.celery.messages import encode
from airloom.model.report import Cause, Outcome
from airloom.model.wire import Stop
from tests.runtime.worker_rig import TOKEN, Site, work_of
from tests.waiting import wait_for


def _events(site: Site, until: str, after: Callable[[], Any]) -> list[dict[str, Any]]:
    """The events of tasks from what `after` starts until the one of that type."""
    seen: list[dict[str, Any]] = []

    def heard(kind: str) -> bool:
        if not any(event["type"] == kind for event in seen):
            with suppress(TimeoutError):
                line.drain_events(timeout=0.1)
        return any(event["type"] == kind for event in seen)

    with site.post.app.connection_for_read() as connection:
        receiver = EventReceiver(connection, handlers={"*": seen.append}, app=site.post.app)
        with receiver.consumer_context(wakeup=False) as (line, _channel, _consumers):
            # As a monitor does: without one, workers tell nothing.
            wait_for(lambda: site.post.app.control.enable_events(reply=True, timeout=1.0), "the worker to tell events")
            wait_for(lambda: heard("worker-heartbeat"), "a first event")
            after()
            wait_for(lambda: heard(until), until)
    return [event for event in seen if event["type"].startswith("task-")]


@pytest.mark.parametrize(
    ("outcome", "cause", "last"),
    [
        (Outcome.SUCCESS, None, "task-succeeded"),
        (Outcome.SKIPPED, None, "task-succeeded"),
        (Outcome.FAILED, Cause.ERROR, "task-failed"),
        (Outcome.FAILED, Cause.CANCELLED, "task-revoked"),
    ],
)
def test_monitors_hear_how_a_try_went(on_redis: Site, outcome: Outcome, cause: Cause | None, last: str) -> None:
    _, runner = on_redis.worker()

    def run() -> None:
        on_redis.post.send(work_of(1))
        runner.grant(*runner.handed(1))
        runner.end(*runner.keys, outcome=outcome, cause=cause)

    events = _events(on_redis, last, run)
    assert [event["type"] for event in events] == ["task-received", "task-started", last]
    assert events[0]["name"] == "etl.task1"
    assert {event["uuid"] for event in events} == {"1-1"}
    assert TOKEN not in json.dumps(events)
    if last == "task-failed":
        assert events[-1]["exception"] == "error: it broke"


def test_nobody_who_asks_a_worker_is_shown_a_secret(site: Site) -> None:
    worker, runner = site.worker()
    site.post.send(work_of(1), work_of(2), work_of(3))
    runner.grant(runner.handed(2)[0])
    control = site.post.app.control
    asked = ("ping", "active", "reserved", "stats", "active_queues", "registered", "conf", "report")
    inspect = control.inspect(timeout=1.0)
    told = {name: getattr(inspect, name)() for name in asked}
    told["query_task"] = inspect.query_task("1-1", "2-1")
    assert told["ping"] == {"airloom@one": {"ok": "pong"}}
    assert [task["id"] for task in told["active"]["airloom@one"]] == ["1-1"]
    assert "2-1" in [task["id"] for task in told["reserved"]["airloom@one"]]
    text = json.dumps(told)
    work, _ = encode(work_of(1))
    assert TOKEN not in text
    assert work[0] not in text
    assert not re.search(r":[^/@\s\"]+@127", text)
    assert TOKEN not in worker.said


def test_orders_that_are_not_celerys_to_give_are_refused(on_redis: Site) -> None:
    _, runner = on_redis.worker()
    on_redis.post.send(work_of(1))
    runner.grant(*runner.handed(1))
    (answer,) = on_redis.post.app.control.revoke("1-1", terminate=True, reply=True, timeout=1.0)
    assert "airloom runs cancel" in answer["airloom@one"]["error"]
    on_redis.post.app.control.broadcast("shutdown", reply=True, timeout=1.0)
    assert runner.told(Stop).grace == 600.0
