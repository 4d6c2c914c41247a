"""The Celery application that the executor publishes with, the workers consume with, and Flower watches."""

import ssl
from pathlib import Path
from typing import Any

from celery import Celery
from kombu import Exchange, Queue

from airloom.executors.celery.settings import CelerySettings
from airloom.model.errors import SettingsError
from airloom.model.work import PRIORITIES, priority_step

#: how Redis is used
_REDIS = "airloom.executors.celery.redis_queues"
_CONNECT_TIMEOUT = 5.0
#: seconds that Redis may take for an answer: nothing else is done meanwhile
_ANSWER = 5.0


class Application(Celery):  # type: ignore[misc]
    """Goes to its own broker, whatever other one a CELERY_BROKER_URL of the environment names."""

    broker = ""

    def connection_for_read(self, url: str | None = None, **options: Any) -> Any:
        """A connection to consume with."""
        return super().connection_for_read(url or self.broker, **options)

    def connection_for_write(self, url: str | None = None, **options: Any) -> Any:
        """A connection to publish with."""
        return super().connection_for_write(url or self.broker, **options)

    def connection(self, hostname: str | None = None, *args: Any, **options: Any) -> Any:
        """Any other connection."""
        return super().connection(hostname or self.broker, *args, **options)


def make_app(settings: CelerySettings) -> Celery:
    """An application for this broker. Nothing is connected. Raises SettingsError."""
    app = Application("airloom", broker=settings.url, set_as_current=False)
    app.broker = settings.url
    if not settings.speaks_amqp:
        app.conf.broker_transport = f"{_REDIS}:{'SentinelTransport' if settings.scheme == 'sentinel' else 'Transport'}"
    app.conf.update(
        broker_transport_options={**_transport_options(settings), **settings.options},
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=_CONNECT_TIMEOUT,
        broker_use_ssl=_tls(settings),
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_create_missing_queues=False,
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
        arguments = {"x-max-priority": PRIORITIES - 1}
    # The exchange that every broker has: it brings a message to the queue of that name.
    return Queue(name, Exchange(""), routing_key=name, durable=True, queue_arguments=arguments)


def priority_at_broker(settings: CelerySettings, weight: int) -> int:
    """The priority of a message for a task of that weight: on Redis 0 comes first, on RabbitMQ 9 does."""
    step = priority_step(weight)
    return step if settings.speaks_amqp else PRIORITIES - 1 - step


def _transport_options(settings: CelerySettings) -> dict[str, Any]:
    if settings.speaks_amqp:
        return {"connect_timeout": _CONNECT_TIMEOUT}
    return {
        "queue_order_strategy": "priority",
        "priority_steps": list(range(PRIORITIES)),
        "socket_connect_timeout": _CONNECT_TIMEOUT,
        "socket_timeout": _ANSWER,
        "socket_keepalive": True,
    }


def _tls(settings: CelerySettings) -> dict[str, Any] | None:
    """What Celery is told about certificates; None: they are not used. Raises SettingsError."""
    files = {"ca_certs": settings.tls_ca, "certfile": settings.tls_certificate, "keyfile": settings.tls_key}
    given = {name: file for name, file in files.items() if file}
    # Sentinel's addresses do not tell whether TLS is spoken.
    if settings.scheme not in ("rediss", "amqps", "sentinel") or (settings.scheme == "sentinel" and not given):
        if given:
            raise SettingsError(
                f"[celery] names files for TLS, but the address of the broker begins with {settings.scheme}://: "
                "write rediss:// or amqps://"
            )
        return None
    for file in given.values():
        if not Path(file).is_file():
            raise SettingsError(f"[celery] the file {file}, for TLS with the broker, is not there")
    if settings.speaks_amqp:
        # The name that the certificate must have; None: that of the address. With several addresses kombu would want
        # the first one's name of all of them.
        name = {} if ";" in settings.url else {"server_hostname": None}
        return {"cert_reqs": ssl.CERT_REQUIRED, **name, **given}
    return {f"ssl_{name}": value for name, value in {"cert_reqs": ssl.CERT_REQUIRED, **given}.items()}
