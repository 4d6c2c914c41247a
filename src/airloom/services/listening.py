"""Where the API listens. The sockets are opened before the process that serves them is there, and outlive it."""

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from airloom.model.errors import SettingsError
from airloom.settings import ApiSection

_BACKLOG = 1024
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
    """Open the sockets that the settings ask for. Raises SettingsError with what to do."""
    public = _listen(settings.host, settings.port)
    try:
        return Sockets(public, _listen(settings.host, settings.task_port) if settings.task_port else None)
    except SettingsError:
        public.close()
        raise


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
