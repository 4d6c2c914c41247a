"""What a worker is told."""

import msgspec

from airloom.executors.celery.settings import CelerySettings
from airloom.executors.settings import LocalSettings


class Slots(msgspec.Struct, frozen=True, kw_only=True):
    """How many tries a worker runs at once: from least to most, by load and free memory."""

    least: int
    most: int

    def __str__(self) -> str:
        return str(self.most) if self.least == self.most else f"{self.least}..{self.most}"


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """runner: what its runner is told. Durations in seconds, sizes in bytes.

    grace: how long a worker that is stopped lets its tries go on. memory_reserve: free memory below which it does not
    grow. replaces: a runner that lives already was told something else.
    """

    name: str
    broker: CelerySettings
    runner: LocalSettings
    queues: tuple[str, ...]
    slots: Slots
    grace: float
    memory_reserve: int
    replaces: bool = False
