"""The skeleton of every daemon: tick, wait until there is news or it is time, tick again."""

import logging
import threading
from typing import Protocol

log = logging.getLogger("airloom")

#: seconds to wait after a tick that failed in a way nobody foresaw
_AFTER_ERROR = 1.0


class Service(Protocol):
    """One daemon. `tick` does what there is to do and returns the seconds until it wants to be called again."""

    name: str

    def tick(self) -> float: ...

    def interrupt(self) -> None:
        """Come back from a tick that waits for something. Called by another thread."""

    def close(self) -> None:
        """Free what it has; called in its own thread after the last tick."""


class Bell:
    """Wakes the one thread that waits at it. Ringing twice before it wakes is ringing once."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.stopped = False

    def ring(self) -> None:
        """There is news."""
        self._event.set()

    def stop(self) -> None:
        """The one who waits is to end."""
        self.stopped = True
        self._event.set()

    def wait(self, seconds: float) -> None:
        """Wait for a ring, at most so long. Rings since the last wait count."""
        self._event.wait(max(0.0, seconds))
        self._event.clear()


def serve(service: Service, bell: Bell) -> None:
    """Run a service in this thread until its bell is stopped."""
    try:
        while not bell.stopped:
            try:
                delay = service.tick()
            except Exception:
                log.exception("%s: unexpected error; it goes on in %g s", service.name, _AFTER_ERROR)
                delay = _AFTER_ERROR
            if not bell.stopped:
                bell.wait(delay)
    finally:
        service.close()


class Daemon:
    """A service in a thread of its own."""

    def __init__(self, service: Service, bell: Bell) -> None:
        self.name = service.name
        self._service = service
        self._bell = bell
        self._thread = threading.Thread(target=serve, args=(service, bell), name=service.name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; `join` waits for that."""
        self._bell.stop()
        self._service.interrupt()

    def join(self, seconds: float) -> bool:
        """Wait for its end; whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()
