"""The thread that speaks with the broker: publishes what waits, measures the queues, tells what is wrong there."""

import logging
import threading
import time
from collections.abc import Collection, Sequence
from typing import Protocol

from airloom.executors.celery.broker import BATCH, Broker
from airloom.executors.celery.settings import CelerySettings
from airloom.model.errors import AirloomError
from airloom.model.report import TryKey
from airloom.model.work import Work

log = logging.getLogger("airloom.executor")

#: seconds between two measurements of the queues, and between two looks whether the broker is still there
_MEASURE = 2.0
#: seconds to wait before what failed is tried again: at first, and at most
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 15.0


class Owner(Protocol):
    """Whose messages are published. All of it is called from the publisher's thread."""

    def unsent(self, most: int) -> Sequence[Work]:
        """The next to be published, sealed. Raises AirloomError."""

    def sent(self, keys: Collection[TryKey]) -> None:
        """These are safe at the broker."""

    def waiting_at(self) -> list[str]:
        """The queues that are to be measured."""

    def measured(self, lengths: dict[str, int], at: float) -> None:
        """How long they were, at a time that is not later."""

    def trouble(self, text: str) -> None:
        """What is wrong at the broker; "" when nothing is."""


class Publisher:
    """Publishes until it is closed. `ring` tells that there is something to publish."""

    def __init__(self, settings: CelerySettings, owner: Owner) -> None:
        self._settings = settings
        self._owner = owner
        self._bell = threading.Event()
        self._closed = threading.Event()
        self._broker: Broker | None = None
        self._measure_at = 0.0
        self._thread = threading.Thread(target=self._run, name="airloom-celery-publisher", daemon=True)

    def start(self) -> None:
        """Connect, and go on from there."""
        self._thread.start()

    def ring(self) -> None:
        """There is something to publish."""
        self._bell.set()

    def close(self, wait: float) -> None:
        """Publish nothing more; waits so long for what is under way."""
        self._closed.set()
        self._bell.set()
        self._thread.join(wait)

    def _run(self) -> None:
        wait = _FIRST_WAIT
        failed = False
        while not self._closed.is_set():
            try:
                # After a failure one message at a time, until one gets through: what the broker may have taken
                # without saying so is published again.
                self._work(1 if failed else BATCH)
            except AirloomError as error:
                failed = True
                self._drop_broker()
                self._owner.trouble(str(error))
                self._closed.wait(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
            except Exception:
                log.exception("publishing failed by a fault of Airloom's")
                self._drop_broker()
                self._owner.trouble("publishing fails by a fault of Airloom's, which is in the scheduler's log")
                self._closed.wait(_LONGEST_WAIT)
            else:
                failed, wait = False, _FIRST_WAIT
        if self._broker is not None:
            self._broker.close()

    def _work(self, most: int) -> None:
        """Publish what there is, or wait for it. Raises AirloomError."""
        if self._broker is None:
            self._broker = Broker(self._settings)
        broker = self._broker
        self._bell.clear()
        works = self._owner.unsent(most)
        done: list[TryKey] = []
        if works:
            try:
                broker.publish(works, done.append)
            finally:
                self._owner.sent(done)
        if time.monotonic() >= self._measure_at:
            self._measure(broker)
        self._owner.trouble("")
        if not works:
            self._bell.wait(max(0.0, self._measure_at - time.monotonic()))
        elif not done:
            self._closed.wait(_FIRST_WAIT)

    def _measure(self, broker: Broker) -> None:
        began = time.monotonic()
        queues = self._owner.waiting_at()
        if queues:
            self._owner.measured(broker.lengths(queues), began)
        else:
            broker.check()
        self._measure_at = time.monotonic() + _MEASURE

    def _drop_broker(self) -> None:
        broker, self._broker = self._broker, None
        if broker is not None:
            broker.drop()
