"""The Celery application that the executor publishes with, the workers consume with, and Flower watches."""

import ssl
from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from kombu import Exchange, Queue

from airloom.executors.celery.settings import CelerySettings

#: on both brokers there are priorities 0 to 9
_PRIORITIES = 10
#: seconds after which Redis gives a message to another worker when the one that has it neither took nor returned it.
#: Messages are acknowledged as soon as their try is claimed: this has nothing to do with how long tasks run
_UNTAKEN = 60
_CONNECT_TIMEOUT = 5.0


def make_app(settings: CelerySettings) -> Celery:
    """An application for this broker. Nothing is connected."""
    app = Celery("airloom", broker=settings.url, set_as_current=False)
    app.conf.update(
        broker_transport_options={**_transport_options(settings), **settings.options},
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=_CONNECT_TIMEOUT,
        broker_use_ssl=_tls(settings),
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_create_missing_queues=False,
        worker_send_task_events=True,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
    )
    return app


def make_queue(settings: CelerySettings, queue: str) -> Queue:
    """A queue as both sides declare it."""
    name = settings.queue_name(queue)
    arguments: dict[str, Any] | None = None
    if settings.speaks_amqp and settings.queue_type == "quorum":
        arguments = {"x-queue-type": "quorum"}
    elif settings.speaks_amqp:
        arguments = {"x-max-priority": _PRIORITIES - 1}
    return Queue(name, Exchange(name, type="direct"), routing_key=name, durable=True, queue_arguments=arguments)


def priority_at_broker(settings: CelerySettings, weight: int) -> int:
    """Airloom's weights have no end and brokers ten steps: each step is twice the weight of the one before.

    On Redis 0 comes first, on RabbitMQ 9 does.
    """
    step = min(_PRIORITIES - 1, max(1, weight).bit_length() - 1)
    return step if settings.speaks_amqp else _PRIORITIES - 1 - step


def _transport_options(settings: CelerySettings) -> dict[str, Any]:
    if settings.speaks_amqp:
        return {"confirm_publish": True, "connect_timeout": _CONNECT_TIMEOUT}
    return {
        "visibility_timeout": _UNTAKEN,
        "queue_order_strategy": "priority",
        "priority_steps": list(range(_PRIORITIES)),
        "socket_connect_timeout": _CONNECT_TIMEOUT,
        "socket_keepalive": True,
    }


def _tls(settings: CelerySettings) -> dict[str, Any] | None:
    scheme = urlsplit(settings.url).scheme
    if scheme not in ("rediss", "amqps"):
        return None
    prefix = "ssl_" if scheme == "rediss" else ""
    named = {
        f"{prefix}cert_reqs": ssl.CERT_REQUIRED,
        f"{prefix}ca_certs": settings.tls_ca,
        f"{prefix}certfile": settings.tls_certificate,
        f"{prefix}keyfile": settings.tls_key,
    }
    return {name: value for name, value in named.items() if value != ""}
