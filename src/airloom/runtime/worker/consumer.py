"""Celery's consumer, as a worker needs it: it takes messages when there is a slot for them, and says in one line what
is wrong with the broker or with a message."""

import logging
import time
from collections.abc import Sequence
from typing import Any

from celery import bootsteps
from celery.app.task import Task
from celery.events.dispatcher import EventDispatcher
from celery.exceptions import InvalidTaskError
from celery.worker.consumer import Consumer
from celery.worker.consumer.control import Control
from celery.worker.consumer.tasks import Tasks
from celery.worker.state import maybe_shutdown
from kombu import Consumer as KombuConsumer
from kombu.exceptions import ChannelError, KombuError

from airloom.executors.celery.broker import broker_trouble
from airloom.executors.celery.messages import TASK, ForeignMessage, OtherVersion, decode
from airloom.runtime.worker.hand import Hand
from airloom.runtime.worker.request import TryRequest

log = logging.getLogger("airloom.worker")

#: seconds between two attempts to reach the broker: at first, more each time, at most
_FIRST_WAIT, _MORE, _LONGEST_WAIT = 1.0, 1.0, 5.0
#: seconds for which a worker leaves messages to others that it is too old for: at first, and at last
_TOO_OLD, _LONGEST_TOO_OLD = 1.0, 30.0
#: what RabbitMQ says to a queue that there is with other properties
_OTHER_KIND = 406


class TryTask(Task):  # type: ignore[misc]
    """The one kind of task. Its tries run under the runner: Celery runs nothing."""

    name = TASK


class GatedConsumer(KombuConsumer):  # type: ignore[misc]
    """Consumes when it is told to by `take`, not when Celery's loop starts."""

    prefetch = 0

    @property
    def on_redis(self) -> bool:
        """Whether the broker is Redis: there the limit is one of our own, for all queues together."""
        return bool(self.connection.transport.driver_type == "redis")

    def consume(self, no_ack: bool | None = None) -> None:
        """Consume, if there is to be anything."""
        if self.prefetch > 0:
            super().consume(no_ack)

    def take(self, prefetch: int) -> None:
        """Have up to so many messages without an answer; 0: none."""
        was, self.prefetch = self.prefetch, prefetch
        # RabbitMQ has a limit for each consumer, from its beginning on; one for all is not for every kind of queue.
        if was > 0 and (prefetch == 0 or not self.on_redis):
            self.cancel()
        if prefetch > 0:
            self.qos(prefetch_count=prefetch, apply_global=False)
            self.consume()

    def give_back(self, messages: Sequence[TryRequest]) -> None:
        """In the order in which this broker puts them back: Redis puts each before the others."""
        for message in reversed(messages) if self.on_redis else messages:
            message.give_back()


class Telling(EventDispatcher):  # type: ignore[misc]
    """What monitors are told. Celery goes on trying to for as long as the broker is away, and nothing else is done."""

    def send(self, type: str, **fields: Any) -> Any:
        """Once."""
        return super().send(type, **{**fields, "retry": False})


class Answering(Control):  # type: ignore[misc]
    """What monitors ask. A Redis without memory lets nobody listen for that, and tasks can be run without."""

    def __init__(self, c: Any, **options: Any) -> None:
        super().__init__(c, **options)
        self.start = self._start

    def _start(self, c: Any) -> None:
        try:
            self.box.start(c)
        except c.channel_errors as error:
            log.warning("monitors cannot ask this worker: %s", error)


class Taking(bootsteps.StartStopStep):  # type: ignore[misc]
    """Gives `Hand` the broker while it is there."""

    requires = (Tasks,)

    def start(self, c: Any) -> None:
        """It is connected."""
        c.hand.connected(c.task_consumer)

    def stop(self, c: Any) -> None:
        """It is gone, or is about to be left."""
        c.hand.disconnected()


class TryConsumer(Consumer):  # type: ignore[misc]
    """The messages of a worker's queues, for `hand`. `meanwhile` is called while the broker is waited for."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
        """Its steps."""

        default_steps = [
            "celery.worker.consumer.connection:Connection",
            "celery.worker.consumer.mingle:Mingle",
            "celery.worker.consumer.events:Events",
            "celery.worker.consumer.heart:Heart",
            Answering,
            "celery.worker.consumer.tasks:Tasks",
            Taking,
            "celery.worker.consumer.consumer:Evloop",
        ]

    def __init__(self, *args: Any, **options: Any) -> None:
        worker = options["controller"].worker
        self.hand: Hand = worker.hand
        self._meanwhile = worker.meanwhile
        self._address = worker.broker
        self._too_old = self._left_until = 0.0
        self._trouble = ""
        self._served = False
        super().__init__(*args, **options)

    def update_strategies(self) -> None:
        """There is one kind of message, and `_came` is for it."""

    def create_task_handler(self, *_args: Any) -> Any:
        """What is called with each message."""
        return self._came

    # --- messages -----------------------------------------------------------------------------------------------------
    def _came(self, message: Any) -> None:
        try:
            request = self._read(message)
        except OtherVersion as error:
            self._leave_to_others(message, str(error))
        except ForeignMessage as error:
            queue = (message.delivery_info or {}).get("routing_key")
            log.error("a message in the queue %s is dropped, which is no task of Airloom's: %s", queue, error)
            message.ack_log_error(log, self.connection_errors)
        else:
            self._too_old = 0.0
            request.received()
            self.hand.add(request)

    def _read(self, message: Any) -> TryRequest:
        """Raises ForeignMessage, OtherVersion."""
        headers = message.headers if isinstance(message.headers, dict) else {}
        if headers.get("task") != TASK:
            raise ForeignMessage(f"its task is {headers.get('task')!r}")
        try:
            work = decode(message.payload[0], headers)
            return TryRequest(
                message,
                work,
                app=self.app,
                hostname=self.hostname,
                eventer=self.event_dispatcher,
                task=self.app.tasks[TASK],
                connection_errors=self.connection_errors,
            )
        except (KombuError, InvalidTaskError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise ForeignMessage(f"it cannot be read: {error}") from None

    def _leave_to_others(self, message: Any, why: str) -> None:
        """Workers of another release may be there; this one does not ask again at once. If there are none, the message
        must not stand before others for ever: what nobody has claimed the scheduler publishes again."""
        now = time.monotonic()
        # Until its consumer has ended, RabbitMQ gives a message again at once: that is the same look at it.
        if now >= self._left_until:
            if self._too_old >= _LONGEST_TOO_OLD:
                log.error("%s. It is dropped here, and published again later", why)
                message.ack_log_error(log, self.connection_errors)
                return
            self._too_old = min(2 * self._too_old or _TOO_OLD, _LONGEST_TOO_OLD)
            self._left_until = now + self._too_old
            self.hand.hold(self._too_old, why)
        message.reject_log_error(log, self.connection_errors, requeue=True)

    # --- the broker ---------------------------------------------------------------------------------------------------
    def connect(self) -> Any:
        """Connect for the messages, however long that takes."""
        connection = super().connect()
        for queue in self.app.amqp.queues.values():
            queue.no_declare = False
            try:
                # A channel of its own: what is refused ends it.
                with connection.channel() as channel:
                    queue.bind(channel).declare()
            except ChannelError as error:
                if error.reply_code != _OTHER_KIND:
                    raise
                queue.no_declare = True
                text = "has a queue %s of another kind than [celery] queue_type says, which is used as it is: %s"
                log.warning(f"the broker %s {text}", self._address, queue.name, error)
        return connection

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, however long that takes."""
        return conn.ensure_connection(
            lambda error, _wait: self._complain(error),
            interval_start=_FIRST_WAIT,
            interval_step=_MORE,
            interval_max=_LONGEST_WAIT,
            callback=self._between,
        )

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """It is there, and refuses something."""
        self._complain(exc)
        self._between()
        time.sleep(_FIRST_WAIT)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """It is gone, or refuses something."""
        served, self._served = self._served, False
        self._complain(exc)
        super().on_connection_error_after_connected(exc)
        if not served:
            self.on_connection_error_before_connected(exc)

    def on_ready(self) -> None:
        """Messages can come."""
        super().on_ready()
        self._served = True
        if self._trouble:
            self._trouble = ""
            log.warning("the broker %s serves again", self._address)
            self.hand.in_trouble("")

    def _complain(self, error: Exception) -> None:
        trouble = broker_trouble(error)
        if trouble != self._trouble:
            self._trouble = trouble
            text = "the broker %s %s; no work comes until it serves again, tries that run go on"
            log.error(text, self._address, trouble)
            self.hand.in_trouble(f"cannot reach its broker: {self._address} {trouble}")

    def _between(self) -> None:
        maybe_shutdown()
        self._meanwhile()
