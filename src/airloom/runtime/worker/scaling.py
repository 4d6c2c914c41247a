"""How many slots a worker has, between the least and the most: more while messages wait and the machine can bear it."""

import os
import sys
from typing import NamedTuple

from airloom.executors.settings import cores
from airloom.runtime.machine import memory

#: seconds between two decisions
EVERY = 5.0
#: seconds without use of a slot after which it goes
_IDLE = 60.0
#: processes that want to run for each core, from which on no slot is added
_LOAD = 1.0


class Machine(NamedTuple):
    """load: processes that want to run, for each core. memory: bytes that are free."""

    load: float
    memory: int


class Scaling:
    """Decides by what it is told; the clock is an argument."""

    def __init__(self, least: int, most: int, reserve: int) -> None:
        self._least = least
        self._most = most
        self._reserve = reserve
        self._used_at = 0.0

    def decide(self, now: float, slots: int, busy: int, machine: Machine, waiting: bool) -> int:
        """How many slots there are to be. busy: those in use. waiting: messages wait for one."""
        if busy >= slots:
            self._used_at = now
        short = machine.memory < self._reserve
        if short:
            return max(self._least, min(slots, busy))
        if waiting and busy >= slots and machine.load < _LOAD:
            return min(self._most, slots + max(1, slots // 4))
        if slots > self._least and now - self._used_at >= _IDLE:
            self._used_at = now
            return max(self._least, busy, slots - max(1, slots // 4))
        return slots


def read_machine() -> Machine:
    """What this machine, or the container that we are in, has left."""
    free, total = memory()
    return Machine(os.getloadavg()[0] / cores(), free if total else sys.maxsize)
