"""Wakes those that follow the feed, after a commit that they should hear of."""

import time
from collections.abc import Callable

from airloom.decide.state import World
from airloom.model.plan import Plan
from airloom.store.notify import Notifier

#: seconds after a hint in which another one says nothing new: who was woken looks again within 50 ms by itself
_ENOUGH = 0.02


class Followers:
    """Told of each plan by the scheduler."""

    def __init__(self, hints: Notifier, clock: Callable[[], float] = time.monotonic) -> None:
        self._hints = hints
        self._clock = clock
        self._quiet_until = 0.0

    def on_commit(self, world: World, plan: Plan) -> None:
        """Wake them, if there is something to hear and they were not woken just now."""
        if plan.feed is not None and (now := self._clock()) >= self._quiet_until:
            self._quiet_until = now + _ENOUGH
            self._hints.notify()
