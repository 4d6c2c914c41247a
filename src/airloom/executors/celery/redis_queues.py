"""Redis as this system wants it: a message is out of it as soon as a worker has it; what is given back keeps its place.

A message that is lost with its worker, or with the connection, the scheduler publishes again: by what the database
says, and sooner than Redis could. So nothing is written at Redis for a message that is under way.
"""

import contextlib
import logging
import time
from collections.abc import Iterator
from typing import Any

from kombu.transport import redis, virtual
from redis.exceptions import OutOfMemoryError, ResponseError
from redis.exceptions import TimeoutError as NoAnswer

from airloom.executors.celery.broker import broker_trouble

log = logging.getLogger("airloom.worker")

#: seconds between two complaints, and before a Redis that answers nothing is asked to take something back again
_SELDOM = 30.0


class QoS(virtual.QoS):  # type: ignore[misc]
    """Messages that are not answered yet: in memory."""

    #: until when (monotonic) no answer is waited for again
    _silent_until = 0.0

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Requeued it comes next; kombu would put it behind all others. One that cannot be put back is lost: kept, it
        would take the place of others for as long as there is this connection."""
        try:
            if requeue and time.monotonic() >= self._silent_until:
                self._put_back(self._delivered[delivery_tag])
        except NoAnswer:
            self._silent_until = time.monotonic() + _SELDOM
            raise
        finally:
            self.ack(delivery_tag)

    def restore_unacked(self) -> list[Any]:
        """At the end of a connection, as far as there still is one."""
        self._flush()
        if self.channel.connection is not None and self.channel.connection.client is not None:
            with contextlib.suppress(*self.channel.connection_errors):
                for message in reversed(self._delivered.values()):
                    self._put_back(message)
        self._delivered.clear()
        return []

    def _put_back(self, message: Any) -> None:
        delivery = message.delivery_info
        try:
            with self.channel.conn_or_acquire() as client:
                # Sent from here: what goes wrong in there kombu logs together with the message, secrets and all.
                pipe = client.pipeline(transaction=False)
                self.channel._do_restore_message(message._raw, delivery["exchange"], delivery["routing_key"], pipe)
                pipe.execute()
        except ResponseError as error:
            _complain(error)


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


def _complain(error: ResponseError) -> None:
    now = time.monotonic()
    if now - _COMPLAINTS.get("", -_SELDOM) >= _SELDOM:
        _COMPLAINTS[""] = now
        log.warning("the broker %s. Messages that cannot be given back to it come again later", broker_trouble(error))
