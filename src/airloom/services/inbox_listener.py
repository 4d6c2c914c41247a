"""Hears hints that the inbox has news, and wakes the scheduler."""

from airloom.services.scheduler import Scheduler
from airloom.services.service import Bell
from airloom.store.notify import Listener

#: seconds of silence after which it just listens again
_PATIENCE = 60.0


class InboxListener:
    """The service."""

    name = "inbox-listener"

    def __init__(self, hints: Listener, scheduler: Scheduler, bell: Bell) -> None:
        self._hints = hints
        self._scheduler = scheduler
        self._bell = bell

    def tick(self) -> float:
        """Wait for a hint and pass it on."""
        if self._hints.wait(_PATIENCE):
            self._scheduler.hint()
            self._bell.ring()
        return 0.0

    def interrupt(self) -> None:
        """End the wait."""
        self._hints.close()

    def close(self) -> None:
        """Nothing is left open: `interrupt` closed it."""
