"""Which pod is made next at one cluster, and when: data and decisions only, in a time that whoever calls gives.

The works of some tries are put into one Secret before their pods are made. What refuses pods for a while, a full quota
or a server that is not there, holds all that it concerns, and is tried with one pod before the others follow.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from airloom.model.report import TryKey
from airloom.model.work import Work

#: tries, and bytes of their works, that share a Secret, which may have a mebibyte
TOGETHER = 20
LARGEST = 700 * 1024
#: how much longer each refusal in a row is waited for than the one before, and the longest wait in seconds
_PATIENCE = 2.0
_LONGEST_WAIT = 10.0
#: stands for the whole cluster among namespaces
WHOLE = ""

Chore = Callable[[], None]


class Making:
    """A pod that is to be made. secret: where its work is; "" if that is still to be made. refused: times in a row."""

    __slots__ = ("namespace", "number", "refused", "secret", "size", "work")

    def __init__(self, number: int, work: Work, namespace: str, size: int) -> None:
        self.number = number
        self.work = work
        self.namespace = namespace
        self.size = size
        self.secret = ""
        self.refused = 0

    def __lt__(self, other: "Making") -> bool:
        return self.number < other.number


class _Gate:
    """What may hold pods: a namespace, or the cluster. flying: jobs under way there."""

    def __init__(self) -> None:
        self.flying = 0
        self.refused = 0
        self.until = 0.0
        self.why = ""

    def is_open(self, now: float) -> bool:
        return now >= self.until and not (self.refused and self.flying)

    def shut(self, now: float, seconds: float, why: str) -> None:
        # Of several that were refused at once only the first makes the wait longer.
        if now >= self.until:
            self.refused += 1
        self.until = max(self.until, now + grown(seconds, self.refused))
        self.why = why

    def open(self) -> None:
        self.refused, self.until, self.why = 0, 0.0, ""


def grown(seconds: float, times: int) -> float:
    """How long to wait after so many refusals in a row, the first of which asks to wait so long."""
    return max(seconds, min(seconds * _PATIENCE ** min(times - 1, 10), _LONGEST_WAIT))


class Line:
    """The pods that are to be made at one cluster, in the order in which they were asked for, and chores between."""

    def __init__(self) -> None:
        self._number = 0
        self._known: dict[TryKey, Making] = {}
        #: by namespace, heaps: those whose work is in no Secret yet, and those whose is
        self._fresh: dict[str, list[Making]] = {}
        self._ready: dict[str, list[Making]] = {}
        self._later: list[tuple[float, Making]] = []
        self._chores: deque[Chore] = deque()
        self._gates: dict[str, _Gate] = {WHOLE: _Gate()}
        self._chore_last = False

    # --- what is to be done -------------------------------------------------------------------------------------------
    def put(self, work: Work, namespace: str, size: int) -> str:
        """Have a pod made for a work of so many bytes; why that will have to wait, if it does."""
        if work.key not in self._known:
            self._number += 1
            self._known[work.key] = making = Making(self._number, work, namespace, size)
            self._enter(making)
        return self._gates[WHOLE].why or self._gate(namespace).why

    def drop(self, keys: Iterable[TryKey]) -> None:
        """No pod is to be made for these any more."""
        for key in keys:
            self._known.pop(key, None)

    def add(self, chore: Chore) -> None:
        """Have this done."""
        self._chores.append(chore)

    def waiting(self, namespace: str) -> list[TryKey]:
        """Those that wait for their pod there, or in the whole cluster."""
        return [key for key, making in self._known.items() if namespace in (WHOLE, making.namespace)]

    # --- what is done -------------------------------------------------------------------------------------------------
    def take(self, now: float) -> Chore | Sequence[Making] | None:
        """The next thing to do: a chore, works to be put into a Secret together, or one pod, whose Making has its
        Secret. None: nothing now. What is taken must be `settled`, but for chores."""
        while self._later and self._later[0][0] <= now:
            self._enter(heapq.heappop(self._later)[1])
        whole = self._gates[WHOLE]
        if now < whole.until:
            return None
        batch = self._next(now) if whole.is_open(now) and not (self._chores and not self._chore_last) else []
        self._chore_last = not batch and bool(self._chores)
        if self._chore_last:
            return self._chores.popleft()
        if not batch:
            return None
        whole.flying += 1
        self._gate(batch[0].namespace).flying += 1
        return batch

    def due(self, now: float) -> float | None:
        """In how many seconds there may be something to take that is not now; None: not by itself."""
        times = [at for at, _ in self._later[:1]]
        times += [gate.until for gate in self._gates.values() if gate.until > now]
        return max(0.0, min(times) - now) if times else None

    def packed(self, batch: Sequence[Making], secret: str) -> None:
        """Their works are in this Secret: their pods can be made."""
        self._land(batch)
        for making in batch:
            making.secret, making.refused = secret, 0
            if self._is_wanted(making):
                self._enter(making)

    def over(self, making: Making, made: bool) -> None:
        """Its pod is made, or never will be."""
        gates = self._land([making])
        if made:
            for gate in gates:
                gate.open()
        if self._is_wanted(making):
            del self._known[making.work.key]

    def again(self, batch: Sequence[Making], now: float, seconds: float) -> None:
        """They were refused, and may be tried again in so many seconds, or more if that happens again and again."""
        self._land(batch)
        for making in batch:
            making.refused += 1
            heapq.heappush(self._later, (now + grown(seconds, making.refused), making))

    def shut(self, batch: Sequence[Making], scope: str, now: float, seconds: float, why: str) -> None:
        """They were refused as all others will be in a namespace, or in the whole cluster, for so many seconds. Of a
        chore that was refused, batch is empty."""
        if batch:
            self._land(batch)
        self._gate(scope).shut(now, seconds, why)
        for making in batch:
            self._enter(making)

    def freed(self, namespace: str, now: float, seconds: float) -> None:
        """There may be room again in so many seconds."""
        gate = self._gate(namespace)
        if gate.until > now + seconds:
            gate.until = now + seconds

    # --- how ----------------------------------------------------------------------------------------------------------
    def _gate(self, namespace: str) -> _Gate:
        return self._gates.setdefault(namespace, _Gate())

    def _is_wanted(self, making: Making) -> bool:
        return self._known.get(making.work.key) is making

    def _enter(self, making: Making) -> None:
        heapq.heappush((self._ready if making.secret else self._fresh).setdefault(making.namespace, []), making)

    def _land(self, batch: Sequence[Making]) -> tuple[_Gate, _Gate]:
        gates = self._gates[WHOLE], self._gate(batch[0].namespace)
        for gate in gates:
            gate.flying -= 1
        return gates

    def _next(self, now: float) -> list[Making]:
        """The pod that is next; or works that are, so that the pods of a Secret are there when they are wanted."""
        ready, fresh = self._first(self._ready, now), self._first(self._fresh, now)
        if fresh is not None and sum(map(len, self._ready.values())) < TOGETHER:
            return self._batch(self._fresh[fresh])
        if ready is not None:
            return [heapq.heappop(self._ready[ready])]
        return [] if fresh is None else self._batch(self._fresh[fresh])

    def _first(self, heaps: dict[str, list[Making]], now: float) -> str | None:
        """Of the namespaces that are open, the one of the pod that was asked for first."""
        for namespace, heap in list(heaps.items()):
            while heap and not self._is_wanted(heap[0]):
                heapq.heappop(heap)
            if not heap:
                del heaps[namespace]
        return min(
            (name for name in heaps if self._gate(name).is_open(now)), key=lambda name: heaps[name][0], default=None
        )

    def _batch(self, heap: list[Making]) -> list[Making]:
        batch: list[Making] = []
        size = 0
        while heap and len(batch) < TOGETHER and (not batch or size + heap[0].size <= LARGEST):
            making = heapq.heappop(heap)
            if self._is_wanted(making):
                batch.append(making)
                size += making.size
        return batch
