"""Where the API listens. The sockets are opened before the process that serves them is there, and outlive it."""

import errno
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from airloom.model.errors import SettingsError
from airloom.sections import ApiSection

_BACKLOG = 1024
_HIGHEST_PORT = 65535
#: addresses that mean every network of the machine; a browser here is sent to localhost
_EVERYWHERE = {"0.0.0.0", "::", ""}


@dataclass(frozen=True)
class Sockets:
    """public: for browsers and programs. task: a place of the task API's own; None: it is served with the rest."""

    public: socket.socket
    task: socket.socket | None = None

    @classmethod
    def inherited(cls, numbers: Sequence[int]) -> "Sockets":
        """The sockets that another process opened and left to this one."""
        return cls(*(socket.socket(fileno=number) for number in numbers))

    def numbers(self) -> list[int]:
        """What another process is to inherit."""
        return [place.fileno() for place in (self.public, self.task) if place is not None]

    def places(self) -> tuple[str, ...]:
        """Where that is, on this machine."""
        names = (place.getsockname() for place in (self.public, self.task) if place is not None)
        return tuple(f"{host} {port}" for host, port, *_ in names)

    def close(self) -> None:
        """Listen no more, as far as this process goes."""
        self.public.close()
        if self.task is not None:
            self.task.close()

    def address(self, settings: ApiSection) -> str:
        """What a browser is given to come here."""
        if settings.base_url:
            return settings.base_url.rstrip("/")
        scheme = "https" if settings.tls_certificate else "http"
        host = "127.0.0.1" if settings.host in _EVERYWHERE else settings.host
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.public.getsockname()[1]}"


def listen_at(settings: ApiSection) -> Sockets:
    """Open the sockets that the settings ask for. Raises SettingsError with what to do, also for an address or a
    certificate that is of no use."""
    _check(settings)
    public = _listen(settings.host, settings.port)
    try:
        return Sockets(public, _listen(settings.host, settings.task_port) if settings.task_port else None)
    except SettingsError:
        public.close()
        raise


def _check(settings: ApiSection) -> None:
    if settings.base_url and not settings.base_url.startswith(("http://", "https://")):
        raise SettingsError(f"[api] base_url is {settings.base_url!r}; write it with http:// or https:// before it")
    for name, port in (("port", settings.port), ("task_port", settings.task_port)):
        if port > _HIGHEST_PORT:
            raise SettingsError(f"[api] {name} is {port}; ports go up to {_HIGHEST_PORT}")
    if not settings.tls_certificate and not settings.tls_key:
        return
    try:
        # An empty password: one that is asked for in the terminal would be asked for by a server.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.tls_certificate, settings.tls_key or None, password="")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise SettingsError(
            f"[api] tls_certificate {settings.tls_certificate!r} with tls_key {settings.tls_key!r} cannot be used "
            f"({why}): give the files of a certificate and of its key, both in PEM and without a password"
        ) from None


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError, OverflowError):
        raise SettingsError(f"[api] host {host!r} with port {port} is no address of this machine") from None
    family, _, _, _, address = found[0]
    place = socket.socket(family, socket.SOCK_STREAM)
    try:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(address)
        place.listen(_BACKLOG)
    except OSError as error:
        place.close()
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(
                f"port {port} of {host} is in use by another program: end that one, or choose another port with "
                "--port or [api] port (0 = any that is free)"
            ) from None
        raise SettingsError(f"nothing can listen at {host}, port {port}: {error.strerror}") from None
    return place
