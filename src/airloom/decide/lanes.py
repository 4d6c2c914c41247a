"""Lines of waiting TIs, and the gates they wait at.

A *lane* holds the scheduled TIs of one run that are alike to every limit: whatever refuses the first refuses all. So
limits are asked once per lane, not once per TI, and a million TIs that wait for one pool cost as much as one.
A *gate* is one limit: a pool, a dag's or task's limit, an executor's capacity. A lane that a gate refuses is parked in
that gate's line, by priority, and is woken when the gate has room.
"""

import heapq
import itertools
from typing import NamedTuple

from airloom.model.reasons import ReasonKind

_SLOT_BITS = 32
_MAP_BITS = 32
_WEIGHT_BIAS = 1 << 32
_SLOT_MASK = (1 << _SLOT_BITS) - 1


class Order(NamedTuple):
    """Who goes first: higher priority, then the older run, then the lower map index, then the older TI."""

    weight: int  # negated, so that smaller goes first
    date: float
    map_index: int
    ti_id: int


def waiting_key(weight: int, map_index: int, slot: int) -> int:
    """A waiting TI as one integer that sorts within its lane: 48 bytes for each of a million."""
    return ((_WEIGHT_BIAS - weight) << (_MAP_BITS + _SLOT_BITS)) | ((map_index + 1) << _SLOT_BITS) | slot


def slot_of(key: int) -> int:
    """The slot in a waiting key."""
    return key & _SLOT_MASK


class Gate:
    """One limit. `limit` None: no limit. `used`: what live tries take of it."""

    __slots__ = ("kind", "limit", "line", "name", "never", "used", "why")

    def __init__(self, kind: ReasonKind, name: str, limit: int | None, why: str = "") -> None:
        self.kind = kind
        self.name = name
        self.limit = limit
        self.why = why
        self.used = 0
        self.line: list[tuple[Order, int, Lane]] = []
        #: lanes that need more than the whole limit: they hold nobody up
        self.never: list[Lane] = []

    def has_room(self, need: int) -> bool:
        """Whether `need` more fits."""
        return self.limit is None or self.used + need <= self.limit

    def fits_never(self, need: int) -> bool:
        """Whether `need` is more than the whole limit, though the limit is not closed."""
        return self.limit is not None and 0 < self.limit < need

    def first(self) -> "Lane | None":
        """The lane at the head of the line, or None."""
        while self.line:
            _, stamp, lane = self.line[0]
            if lane.gate is self and lane.stamp == stamp:
                return lane
            heapq.heappop(self.line)
        return None

    def refuses(self, lane: "Lane") -> bool:
        """Whether the lane's first TI must wait here: no room, or someone of higher order is in line before it.

        The second half keeps a TI that needs many slots from being overtaken for ever by ones that need few.
        """
        if not self.has_room(lane.need(self)):
            return True
        first = self.first()
        return first is not None and first.order() < lane.order()


class Lane:
    """The waiting TIs of one run that are alike to every limit, by order."""

    __slots__ = ("date", "gate", "gates", "ids", "keys", "pool", "pool_slots", "run", "stamp", "woken_by")

    def __init__(
        self, run: int, date: float, ids: list[int], gates: tuple[Gate, ...], pool: Gate, pool_slots: int
    ) -> None:
        self.run = run
        self.date = date
        self.gates = gates
        self.pool = pool
        self.pool_slots = pool_slots
        #: the run's TI ids, by slot
        self.ids = ids
        self.keys: list[int] = []
        #: where the lane is parked; None: it is empty, or among the ready
        self.gate: Gate | None = None
        self.woken_by: Gate | None = None
        #: a new one at each move, so that heap entries of older places are known as stale
        self.stamp = 0

    def need(self, gate: Gate) -> int:
        """What one TI of this lane takes of `gate`."""
        return self.pool_slots if gate is self.pool else 1

    def order(self) -> Order:
        """The order of its first TI."""
        return self.order_of(self.keys[0])

    def order_of(self, key: int) -> Order:
        """The order of one of its TIs."""
        weight = (key >> (_MAP_BITS + _SLOT_BITS)) - _WEIGHT_BIAS
        map_index = ((key >> _SLOT_BITS) & ((1 << _MAP_BITS) - 1)) - 1
        return Order(weight, self.date, map_index, self.ids[key & _SLOT_MASK])

    def order_at(self, slot: int) -> Order:
        """The order of the TI in a slot. It must be in the lane."""
        return self.order_of(next(key for key in self.keys if slot_of(key) == slot))

    def slots(self) -> list[int]:
        """The slots of its TIs, in no order."""
        return [slot_of(key) for key in self.keys]


class Lines:
    """All lanes that have TIs: ready ones in a heap, refused ones parked at gates."""

    __slots__ = ("_stamps", "loosened", "ready", "waiting")

    def __init__(self) -> None:
        # No two entries of a heap are alike: a run that left the memory and came back has the same TIs in new lanes.
        self._stamps = itertools.count(1)
        self.ready: list[tuple[Order, int, Lane]] = []
        #: gates that may have got room since their line was last looked at
        self.loosened: dict[int, Gate] = {}
        #: how many TIs wait in all
        self.waiting = 0

    def add(self, lane: Lane, key: int) -> None:
        """A TI becomes ready to run."""
        was_first = lane.keys[0] if lane.keys else None
        heapq.heappush(lane.keys, key)
        self.waiting += 1
        if was_first is None:
            self.make_ready(lane)
        elif lane.keys[0] != was_first:
            self._replace(lane)

    def discard(self, lane: Lane, keys: set[int]) -> None:
        """Take TIs out of a lane: a user cancelled or cleared them."""
        before = len(lane.keys)
        lane.keys = [key for key in lane.keys if key not in keys]
        heapq.heapify(lane.keys)
        self.waiting -= before - len(lane.keys)
        if lane.gate is not None:
            self.loosen(lane.gate)
        if lane.keys:
            self._replace(lane)
        else:
            lane.gate = None
            lane.stamp = next(self._stamps)

    def make_ready(self, lane: Lane) -> None:
        """Put a lane among those to be looked at, by the order of its first TI."""
        lane.gate = None
        lane.stamp = next(self._stamps)
        heapq.heappush(self.ready, (lane.order(), lane.stamp, lane))

    def pop_ready(self) -> Lane | None:
        """The ready lane whose first TI goes before all others', or None."""
        while self.ready:
            _, stamp, lane = heapq.heappop(self.ready)
            if lane.gate is None and lane.stamp == stamp and lane.keys:
                return lane
        return None

    def take(self, lane: Lane) -> int:
        """The slot of the lane's first TI, which leaves the lane; the lane stays ready while it has more."""
        slot = slot_of(heapq.heappop(lane.keys))
        self.waiting -= 1
        if lane.keys:
            self.make_ready(lane)
        return slot

    def park(self, lane: Lane, gate: Gate) -> None:
        """A gate refused the lane: it waits there."""
        lane.stamp = next(self._stamps)
        lane.gate = gate
        if gate.fits_never(lane.need(gate)):
            gate.never = [other for other in gate.never if other.gate is gate and other.keys and other is not lane]
            gate.never.append(lane)
        else:
            heapq.heappush(gate.line, (lane.order(), lane.stamp, lane))

    def loosen(self, gate: Gate) -> None:
        """The gate may have room now."""
        self.loosened[id(gate)] = gate

    def wake(self) -> None:
        """Make ready the first lane in line of each loosened gate, where it has room for it."""
        while self.loosened:
            _, gate = self.loosened.popitem()
            while (lane := gate.first()) is not None and gate.fits_never(lane.need(gate)):
                heapq.heappop(gate.line)
                self.park(lane, gate)
            if lane is not None and gate.has_room(lane.need(gate)):
                heapq.heappop(gate.line)
                lane.woken_by = gate
                self.make_ready(lane)

    def change_limit(self, gate: Gate, limit: int | None, why: str = "") -> None:
        """A limit was changed; whoever waits at it is looked at again."""
        gate.limit = limit
        gate.why = why
        never, gate.never = gate.never, []
        for lane in never:
            if lane.gate is gate and lane.keys:
                self.make_ready(lane)
        self.loosen(gate)

    def _replace(self, lane: Lane) -> None:
        """The lane's first TI is another now: its place in the heap it is in must follow."""
        if lane.gate is None:
            self.make_ready(lane)
        else:
            gate = lane.gate
            self.park(lane, gate)
            self.loosen(gate)
