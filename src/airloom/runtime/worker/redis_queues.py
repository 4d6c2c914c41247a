"""Redis as a worker wants it: what is given back keeps its place in the queue, and a full Redis loses nothing."""

import contextlib
import logging
import time
from collections.abc import Iterator
from typing import Any

from kombu.asynchronous import get_event_loop
from kombu.transport import redis, virtual
from redis.exceptions import OutOfMemoryError

log = logging.getLogger("airloom.worker")


#: seconds between two complaints
_SELDOM = 30.0


class QoS(redis.QoS):  # type: ignore[misc]
    """Messages that are not answered yet."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._answered: list[str] = []

    def append(self, message: Any, delivery_tag: str) -> None:
        """Keep a message until it is answered. A Redis without memory cannot, and it has left the queue already: so it
        is delivered without; should this worker die now, the scheduler publishes the try again."""
        try:
            super().append(message, delivery_tag)
        except OutOfMemoryError:
            _complain()
            virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Forget a message, together with what else is answered in this turn of the loop."""
        virtual.QoS.ack(self, delivery_tag)
        self._answered.append(delivery_tag)
        hub = get_event_loop()
        if hub is None:
            self._forget()
        elif len(self._answered) == 1:
            hub.call_soon(self._forget)

    def _forget(self) -> None:
        tags, self._answered = self._answered, []
        if self.channel.connection is not None and self.channel.connection.client is not None:
            with self.channel.conn_or_acquire() as client:
                # Not as a transaction: a Redis without memory refuses those.
                pipe = client.pipeline(transaction=False)
                pipe.hdel(self.unacked_key, *tags).zrem(self.unacked_index_key, *tags).execute()

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Requeued it comes next; kombu would put it behind all others."""
        if not requeue:
            self.ack(delivery_tag)
            return
        try:
            self.restore_by_tag(delivery_tag)
        except OutOfMemoryError:
            _complain()
        virtual.QoS.ack(self, delivery_tag)

    def restore_unacked(self, client: Any = None) -> None:
        """At the end of a connection. Where there is none any more, Redis gives them again after a time."""
        if self.channel.connection is not None and self.channel.connection.client is not None:
            with contextlib.suppress(*self.channel.connection_errors):
                super().restore_unacked(client)
        self._delivered.clear()

    def restore_visible(self, *args: Any, **options: Any) -> None:
        """Give to others what a worker that died has not answered."""
        with contextlib.suppress(OutOfMemoryError):  # there is another time
            super().restore_visible(*args, **options)


class Patient:
    """What both kinds of channels have."""

    QoS = QoS
    _client_kept: Any = None

    @contextlib.contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """A client for some commands: kombu makes a new one each time, which takes as long as the commands."""
        kept = self._client_kept
        if client is None and (kept is None or kept.connection_pool is not self.pool):  # type: ignore[attr-defined]
            kept = self._client_kept = self._create_client()  # type: ignore[attr-defined]
        yield client or kept

    def _size(self, queue: str) -> int:
        """Messages in a queue; 0 where Redis has no memory to tell."""
        try:
            return int(super()._size(queue))  # type: ignore[misc]
        except OutOfMemoryError:
            return 0


class Channel(Patient, redis.Channel):  # type: ignore[misc]
    """To a Redis server."""


class SentinelChannel(Patient, redis.SentinelChannel):  # type: ignore[misc]
    """To the Redis server that Sentinel names."""


class Transport(redis.Transport):  # type: ignore[misc]
    """To a Redis server."""

    Channel = Channel


class SentinelTransport(redis.SentinelTransport):  # type: ignore[misc]
    """To the Redis server that Sentinel names."""

    Channel = SentinelChannel


_COMPLAINTS: dict[str, float] = {}


def _complain() -> None:
    now = time.monotonic()
    if now - _COMPLAINTS.get("", -_SELDOM) >= _SELDOM:
        _COMPLAINTS[""] = now
        log.warning("the broker is out of memory: messages are taken from it, and cannot be given back")
