"""What the Celery executor, its workers and their monitor are told about the broker."""

from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec


class CelerySettings(msgspec.Struct, frozen=True, kw_only=True):
    """The broker. url: with its password. options: Celery's broker_transport_options. prefix: of queues' names."""

    url: str
    options: dict[str, Any] = {}
    queue_type: Literal["classic", "quorum"] = "classic"
    prefix: str = "airloom."
    tls_ca: str = ""
    tls_certificate: str = ""
    tls_key: str = ""

    @property
    def speaks_amqp(self) -> bool:
        """Whether the broker is RabbitMQ, not Redis."""
        return urlsplit(self.url).scheme in ("amqp", "amqps", "pyamqp")

    def queue_name(self, queue: str) -> str:
        """What a queue of Airloom's is called at the broker."""
        return self.prefix + queue
