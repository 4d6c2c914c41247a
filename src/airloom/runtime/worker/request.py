"""A message that Celery received, as a try in hand: what is answered to the broker, and what monitors are told."""

import logging
import os
import time
from collections.abc import Callable
from typing import Any

from celery.worker.request import Request
from celery.worker.state import task_accepted, task_ready, task_reserved, total_count

from airloom.executors.celery.messages import TASK
from airloom.model.report import Cause, Ended, HandedBack, Outcome
from airloom.model.work import Work

log = logging.getLogger("airloom.worker")

_TERMINATED = frozenset({Cause.CANCELLED, Cause.STOPPED})


class TryRequest(Request):  # type: ignore[misc]
    """Shown by `celery inspect` and Flower, without the token."""

    def __init__(self, message: Any, work: Work, **options: Any) -> None:
        super().__init__(message, **options)
        self.work = work
        self.came = time.monotonic()
        self._unanswered = message
        # What Celery keeps of a message holds the token, and is shown to whoever asks.
        self._message = self._body = None
        nothing: dict[str, Any] = {}
        self._args, self._kwargs = [self._argsrepr], nothing
        self._request_dict.update(args=self._args, kwargs=nothing)
        self._Request__payload = ((), nothing, nothing)

    def received(self) -> None:
        """Tell the monitors that it has come."""
        task_reserved(self)
        self.send_event(
            "task-received",
            name=self.name,
            args=self.argsrepr,
            kwargs=self.kwargsrepr,
            root_id=self.root_id,
            parent_id=self.parent_id,
            retries=0,
            eta=None,
            expires=None,
        )

    def granted(self) -> None:
        """The try is this worker's."""
        self.worker_pid, self.time_start = os.getpid(), time.time()
        task_accepted(self, add_to_total_count=_count)
        self.acknowledge()
        self.send_event("task-started")

    def dropped(self, reason: str) -> None:
        """Nothing is to be run for it."""
        task_ready(self)
        self.acknowledge()
        self.send_event("task-rejected", requeue=False)

    def give_back(self) -> None:
        """Another worker is to have it."""
        task_ready(self)
        message, self._unanswered = self._unanswered, None
        if message is not None:
            self._answer(lambda: message.reject(requeue=True))

    def acknowledge(self) -> None:
        """The broker may forget it."""
        message, self._unanswered = self._unanswered, None
        if message is not None:
            self._answer(message.ack)

    def ended(self, report: Ended | HandedBack | None) -> None:
        """Tell the monitors how the try ended; None: its runner died."""
        ended = report if isinstance(report, Ended) else None
        succeeded = ended is not None and ended.outcome is not Outcome.FAILED
        task_ready(self, successful=succeeded)
        if isinstance(report, HandedBack) or (ended is not None and ended.cause in _TERMINATED):
            self.send_event("task-revoked", terminated=True, signum="SIGTERM", expired=False)
        elif ended is not None and succeeded:
            self.send_event("task-succeeded", result=str(ended.outcome), runtime=time.time() - self.time_start)
        else:
            text = "its runner died" if ended is None else _failure(ended)
            self.send_event("task-failed", exception=text, traceback=None)

    def info(self, safe: bool = False) -> dict[str, Any]:
        """What `celery inspect` shows."""
        return {**super().info(safe=True), "name": self.name}

    def _answer(self, call: Callable[[], Any]) -> None:
        """A broker that is gone gives the message again; then it is known here, or refused at the claim."""
        self.acknowledged = True
        try:
            call()
        except self.connection_errors as error:
            log.warning("the broker could not be answered for %s: %s", self.name, error)


def _failure(report: Ended) -> str:
    first = (report.detail or "").strip().partition("\n")[0]
    return f"{report.cause}: {first}" if first else str(report.cause)


def _count(_names: Any) -> None:
    """One more. Celery would count each title by itself, and they have no end."""
    total_count[TASK] += 1
