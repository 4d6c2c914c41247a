"""What the Celery executor, its workers and their monitor are told about the broker."""

from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from airloom.model.errors import SettingsError
from airloom.model.queues import LONGEST_QUEUE

_AMQP = ("amqp", "amqps", "pyamqp")
_SCHEMES = ("redis", "rediss", "sentinel", "amqp", "amqps", "pyamqp", "redis+socket")
#: bytes that names have at RabbitMQ
_LONGEST_NAME = 255


class CelerySettings(msgspec.Struct, frozen=True, kw_only=True):
    """The broker. url: with its password; several with ; between them. options: Celery's broker_transport_options.
    prefix: of queues' names. Raises SettingsError when it cannot be any broker's."""

    url: str
    options: dict[str, Any] = {}
    queue_type: Literal["classic", "quorum"] = "classic"
    prefix: str = "airloom."
    tls_ca: str = ""
    tls_certificate: str = ""
    tls_key: str = ""

    def __post_init__(self) -> None:
        for address in self.url.split(";"):
            fault = _fault(address)
            if fault:
                raise SettingsError(f"[celery] broker: {_shown(address)}: {fault}")
        if self.scheme == "sentinel" and "master_name" not in self.options:
            raise SettingsError(
                "[celery] broker_options: with Sentinel it needs the name of the master, such as "
                """{master_name = "mymaster"}"""
            )
        if len(self.prefix.encode(errors="replace")) > _LONGEST_NAME - LONGEST_QUEUE or not self.prefix.isprintable():
            raise SettingsError(
                f"[celery] prefix has up to {_LONGEST_NAME - LONGEST_QUEUE} bytes of printable characters"
            )
        # Whatever a task calls its queue, the broker takes it: one that it refuses would hold up all the others.
        if not self.prefix or self.prefix.startswith("amq."):
            raise SettingsError("[celery] prefix is not empty, and does not begin with amq., which is RabbitMQ's own")

    @property
    def scheme(self) -> str:
        """What the address begins with."""
        return urlsplit(self.url).scheme

    @property
    def speaks_amqp(self) -> bool:
        """Whether the broker is RabbitMQ, not Redis."""
        return self.scheme in _AMQP

    @property
    def shown(self) -> str:
        """The address as people may see it: no password, and no options, which may hold one."""
        return ";".join(_shown(address) for address in self.url.split(";"))

    def queue_name(self, queue: str) -> str:
        """What a queue of Airloom's is called at the broker."""
        return self.prefix + queue


def _parts(address: str) -> tuple[SplitResult, int | None]:
    """An address with its port. Raises ValueError when it is none, such as one with a / in its password: the rest of
    the password would be taken for the path, and shown."""
    parts = urlsplit(address)
    if "@" in parts.path + parts.query + parts.fragment:
        raise ValueError
    return parts, parts.port


def _fault(address: str) -> str:
    """What is wrong with the address of a broker; "" if nothing is."""
    try:
        parts, _port = _parts(address)
    except ValueError:
        return (
            "this is no address such as redis://:PASSWORD@HOST:6379/0; in a password, characters such as / # ? @ are "
            "to be percent-encoded"
        )
    if parts.scheme not in _SCHEMES or f"{parts.scheme}://" not in address.lower():
        return f"a broker's address begins with {', '.join(f'{scheme}://' for scheme in _SCHEMES[:5])}"
    database = parts.path.strip("/")
    if parts.scheme in ("redis", "rediss", "sentinel") and database and not database.isdecimal():
        return f"Redis' databases have numbers, {database!r} is none"
    return ""


def _shown(address: str) -> str:
    try:
        parts, port = _parts(address)
    except ValueError:
        return "***"
    password = ":***" if parts.password else ""
    user = f"{parts.username or ''}{password}@" if parts.username or password else ""
    place = (parts.hostname or "") + ("" if port is None else f":{port}")
    return f"{parts.scheme}://{user}{place}{parts.path}" if parts.scheme else "***"
