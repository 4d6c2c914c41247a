"""One connection to the broker, to publish and to measure queues; every failure is worded for people."""

import contextlib
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from celery import Celery
from kombu import Connection, Producer

from airloom.executors.celery.app import make_app, make_queue, priority_at_broker
from airloom.executors.celery.messages import TASK, encode, message_id, shown_arguments, title
from airloom.executors.celery.settings import CelerySettings
from airloom.model.errors import AirloomError
from airloom.model.report import TryKey
from airloom.model.work import Work

log = logging.getLogger("airloom.executor")

#: seconds that the broker may take for an answer, and for the confirmation of a message
_ANSWER = 10.0
#: messages in one request
BATCH = 500


class BrokerTrouble(AirloomError):
    """The broker does not do what it is asked."""


class Broker:
    """A connection to the broker; for one thread. It is not used any more after it raised BrokerTrouble."""

    def __init__(self, settings: CelerySettings) -> None:
        """Connect. Raises BrokerTrouble, SettingsError."""
        self._settings = settings
        self._app: Celery = make_app(settings)
        self._declared: set[str] = set()
        options: dict[str, Any] = {"socket_timeout": _ANSWER, **settings.options}
        if settings.speaks_amqp:
            options = {"read_timeout": _ANSWER, "write_timeout": _ANSWER, **settings.options}
            # Confirmations are asked for here: Celery's way waits for each message.
            options |= {"on_blocked": self._on_blocked, "on_unblocked": self._on_unblocked, "confirm_publish": False}
        self._connection: Connection = self._app.connection_for_write(transport_options=options)
        self._blocked = False
        self._aside: Any = None
        with self._worded():
            self._connection.ensure_connection(max_retries=max(0, len(self._connection.alt) - 1), interval_start=0)
            self._channel: Any = self._connection.channel()
            self._producer = Producer(self._channel)
            if settings.speaks_amqp:
                self._confirms = _Confirms(self._channel)

    def publish(self, works: Sequence[Work], done: Callable[[TryKey], None]) -> None:
        """Hand these to the broker; `done` is told of each that is there now. What it refuses, since a queue is full,
        is looked after as what it loses is. Raises BrokerTrouble."""
        with self._worded():
            for queue in {work.queue for work in works} - self._declared:
                self._declare(queue)
            if self._settings.speaks_amqp:
                self._publish_confirmed(works, done)
            else:
                with self._producer.batch(BATCH):
                    for work in works:
                        self._send(work)
                for work in works:
                    done(work.key)

    def lengths(self, queues: Iterable[str]) -> dict[str, int]:
        """How many messages wait in each of these queues. Raises BrokerTrouble."""
        with self._worded():
            return {queue: self._length(self._settings.queue_name(queue)) for queue in queues}

    def close(self) -> None:
        """End the connection in good order."""
        with contextlib.suppress(Exception):
            self._connection.release()

    def drop(self) -> None:
        """Forget the connection, without a word to the broker."""
        with contextlib.suppress(Exception):
            self._connection.collect()

    def check(self) -> None:
        """See whether it is still there. Raises BrokerTrouble."""
        with self._worded():
            if not self._settings.speaks_amqp:
                self._channel.client.ping()
                return
            with contextlib.suppress(TimeoutError):
                self._connection.drain_events(timeout=0.001)
            if self._blocked:
                raise BrokerTrouble(self._about(_BLOCKED))

    def _on_blocked(self, _reason: str) -> None:
        self._blocked = True

    def _on_unblocked(self) -> None:
        self._blocked = False

    def _declare(self, queue: str) -> None:
        try:
            make_queue(self._settings, queue).bind(self._asking()).declare()
        except self._connection.channel_errors as error:
            self._is_answer(error, _PRECONDITION_FAILED)
            name = self._settings.queue_name(queue)
            text = (
                f"has a queue {name} of another kind, which is used as it is. To have it made as [celery] queue_type "
                f"says, delete it there: what waits in it is published again ({_text(error)})"
            )
            log.warning("%s", self._about(text))
        self._declared.add(queue)

    def _length(self, name: str) -> int:
        try:
            return int(self._asking().queue_declare(queue=name, passive=True).message_count)
        except self._connection.channel_errors as error:
            self._is_answer(error, _NOT_FOUND)
            return 0

    def _asking(self) -> Any:
        """A channel for what may be refused: RabbitMQ ends a channel with that."""
        if self._aside is None:
            self._aside = self._connection.channel()
        return self._aside

    def _is_answer(self, error: Exception, code: str) -> None:
        if _code(error) != code:
            raise error
        if self._settings.speaks_amqp:
            self._aside = None

    def _send(self, work: Work, **options: Any) -> None:
        arguments, headers = encode(work)
        message = self._app.amqp.as_task_v2(
            message_id(work.key),
            TASK,
            arguments,
            {},
            shadow=title(work),
            argsrepr=shown_arguments(work),
            kwargsrepr="",
            ignore_result=True,
        )
        self._producer.publish(
            message.body,
            exchange="",
            routing_key=self._settings.queue_name(work.queue),
            priority=priority_at_broker(self._settings, work.priority),
            delivery_mode=2,
            serializer="json",
            headers={**message.headers, **headers},
            **message.properties,
            **options,
        )

    def _publish_confirmed(self, works: Sequence[Work], done: Callable[[TryKey], None]) -> None:
        confirms = self._confirms
        for work in works:
            confirms.expect(work)
            self._send(work, mandatory=True)
        while True:
            for work in confirms.settled():
                done(work.key)
            if not confirms.open:
                break
            self._connection.drain_events(timeout=_ANSWER)
        # A queue that someone deleted: its messages are not done, and the next time it is declared again.
        self._declared -= confirms.unrouted()
        if refused := confirms.refused():
            queues = ", ".join(sorted({self._settings.queue_name(work.queue) for work in refused}))
            log.warning("%s", self._about(f"refuses messages (are these queues full?), for now: {queues}"))

    def _about(self, text: str) -> str:
        return f"the broker {self._settings.shown} {text}"

    @contextlib.contextmanager
    def _worded(self) -> Iterator[None]:
        try:
            yield
        except BrokerTrouble:
            raise
        except Exception as error:
            raise BrokerTrouble(self._about(broker_trouble(error, self._blocked))) from error


class _Confirms:
    """What the broker says of what is published on a channel, in the order of `expect`."""

    def __init__(self, channel: Any) -> None:
        #: what it has not answered yet, by number
        self.open: dict[int, Work] = {}
        self._number = 0
        self._settled: list[Work] = []
        self._refused: list[Work] = []
        #: Celery's ids of messages whose queue there is not, and those queues
        self._returned: set[str] = set()
        self._unrouted: set[str] = set()
        channel.events["basic_ack"].add(self._on_ack)
        channel.events["basic_nack"].add(self._on_nack)
        channel.events["basic_return"].add(self._on_return)
        channel.confirm_select()

    def expect(self, work: Work) -> None:
        """This is published next."""
        self._number += 1
        self.open[self._number] = work

    def settled(self) -> list[Work]:
        """What was taken or refused since the last call."""
        settled, self._settled = self._settled, []
        return settled

    def refused(self) -> list[Work]:
        """What was refused since the last call."""
        refused, self._refused = self._refused, []
        return refused

    def unrouted(self) -> set[str]:
        """The queues that were not there since the last call."""
        unrouted, self._unrouted = self._unrouted, set()
        return unrouted

    def _answered(self, number: int, multiple: bool) -> list[Work]:
        numbers = [known for known in self.open if known <= number] if multiple else [number]
        return [self.open.pop(known) for known in numbers if known in self.open]

    def _on_ack(self, number: int, multiple: bool) -> None:
        for work in self._answered(number, multiple):
            if message_id(work.key) in self._returned:
                self._returned.discard(message_id(work.key))
                self._unrouted.add(work.queue)
            else:
                self._settled.append(work)

    def _on_nack(self, number: int, multiple: bool) -> None:
        refused = self._answered(number, multiple)
        self._refused += refused
        self._settled += refused

    def _on_return(self, _error: Exception, _exchange: str, _routing_key: str, message: Any) -> None:
        # It comes before the acknowledgement.
        self._returned.add(message.properties.get("correlation_id", ""))


#: answers as AMQP numbers them; kombu gives those that it plays for Redis as text
_NOT_FOUND, _PRECONDITION_FAILED = "404", "406"
_BLOCKED = "takes no messages now: it is short of memory or disk"
#: what is wrong and what to do, by the name of an error of amqp's or redis' (which are loaded when they are used only),
#: the more special before the more general
_SENTENCES = {
    "AuthenticationError": "refuses the user or the password that [celery] broker has: {text}",
    "AccessRefused": "refuses access; see the user, the password and that user's rights: {text}",
    "NoPermissionError": "does not let this user do what is needed: {text}",
    "NotAllowed": "refuses the connection: {text}",
    "OutOfMemoryError": "is out of memory; raise its maxmemory, or free some of it: {text}",
    "ReadOnlyError": "is a replica, which takes no messages: {text}",
    "MasterNotFoundError": "names no master; see master_name in [celery] broker_options: {text}",
    "ResponseError": "refuses what it is asked: {text}",
    "TimeoutError": "does not answer: {text}",
}
#: what redis puts before the error's own words, a part of the message with it, and after them
_DECORATION = re.compile(r"^Command # .* of pipeline caused error: | : <.*", re.DOTALL)


def broker_trouble(error: BaseException, blocked: bool = False) -> str:
    """What a broker does that has answered so, as the end of a sentence that begins with it."""
    if blocked:
        return _BLOCKED
    text = _text(error)
    if "(_ssl.c" in text:
        return f"cannot be spoken with over TLS: {text}"
    names = {kind.__name__ for link in _chain(error) for kind in type(link).__mro__}
    known = (sentence for name, sentence in _SENTENCES.items() if name in names)
    return next(known, "is unreachable: {text}").format(text=text)


def _code(error: Exception) -> str:
    return str(getattr(error, "reply_code", ""))


def _text(error: BaseException) -> str:
    """The words of the first cause that has any."""
    texts = [str(link).strip() for link in _chain(error)]
    text = next((text for text in reversed(texts) if text), type(error).__name__)
    return _DECORATION.sub("", text).rstrip(".")


def _chain(error: BaseException) -> list[BaseException]:
    """An error and what it was raised for."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None and cause not in chain:
        chain.append(cause)
    return chain
