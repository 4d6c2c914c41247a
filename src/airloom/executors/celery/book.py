"""The executor's book of its tries: which are to be published, wait at the broker, are claimed, and what of all that is
lost. Data and decisions only: whoever calls gives the time, seconds of a clock that never jumps.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from airloom.executors.cluster import View
from airloom.executors.leases import Leases
from airloom.model.report import TryKey
from airloom.model.work import Work, priority_step

#: seconds after which evidence that a message is lost is believed, and the first wait for it to be claimed; that
#: doubles each time the try is published again
EVIDENCE = 10.0
_LONGEST_WAIT = 300.0
#: seconds between two measurements of a queue after which nothing is known of the time between them
_UNSEEN = 10.0


class Lost(NamedTuple):
    """A try that is not running any more, and why that is thought."""

    key: TryKey
    why: str


class _Try:
    """sent: when it was published last; None while it is to be published, and for one that was claimed before it came
    into this book. number: its place among all that were published, first: that of its first message. runner: who has
    claimed it."""

    __slots__ = ("first", "key", "line", "number", "runner", "sent", "since", "times", "work")

    def __init__(self, key: TryKey, work: Work | None, now: float) -> None:
        self.key = key
        self.work = work
        self.line = ("", 0) if work is None else (work.queue, priority_step(work.priority))
        self.since = now
        self.sent: float | None = None
        self.times = 0
        self.number = self.first = 0
        self.runner = ""


class _Line:
    """The tries of one queue and priority that wait at the broker, in the order in which they were published."""

    def __init__(self) -> None:
        self.waiting: dict[TryKey, _Try] = {}
        #: since when tries up to that number have been claimed; the number before which that is proven
        self._claimed: deque[tuple[float, int]] = deque()
        self._proven = 0

    def claimed(self, number: int, now: float) -> None:
        """That try has come through."""
        if number > (self._claimed[-1][1] if self._claimed else self._proven):
            self._claimed.append((now, number))

    def proven(self, now: float) -> int:
        """What was published before the try of this number should have been claimed long ago."""
        while self._claimed and now - self._claimed[0][0] >= EVIDENCE:
            self._proven = self._claimed.popleft()[1]
        return self._proven


class _Queue:
    """The messages in a queue at the broker, and for how long it has been seen to be empty."""

    def __init__(self) -> None:
        self.length: float = math.inf
        self._empty_since: float | None = None
        self._seen = 0.0

    def measured(self, length: int, now: float) -> None:
        """It was so long then."""
        self.length = length
        if length:
            self._empty_since = None
        elif self._empty_since is None or now - self._seen > _UNSEEN:
            self._empty_since = now
        self._seen = now

    def empty_for(self, sent: float) -> float | None:
        """For how many seconds after something was sent to it; None when it is not empty."""
        return None if self._empty_since is None else self._seen - max(sent, self._empty_since)


class Book:
    """All tries that the executor was given and whose end it has not seen."""

    def __init__(self) -> None:
        self._tries: dict[TryKey, _Try] = {}
        self._unsent: dict[TryKey, _Try] = {}
        self._lines: dict[tuple[str, int], _Line] = {}
        self._queues: dict[str, _Queue] = {}
        self._published = 0
        self._leases = Leases()

    def __len__(self) -> int:
        return len(self._tries)

    def __contains__(self, key: object) -> bool:
        return key in self._tries

    # --- tries come and go -----------------------------------------------------------------------------------------
    def submit(self, works: Iterable[Work], now: float) -> int:
        """These are to be published, but for those that are here already; how many are new."""
        before = len(self._tries)
        for work in works:
            if work.key not in self._tries:
                self._tries[work.key] = self._unsent[work.key] = _Try(work.key, work, now)
        return len(self._tries) - before

    def adopt(self, keys: Iterable[TryKey], now: float) -> None:
        """These were claimed before they came into this book."""
        for key in keys:
            if key not in self._tries:
                self._tries[key] = _Try(key, None, now)

    def keep(self, keys: set[TryKey]) -> None:
        """Forget all others."""
        for key in self._tries.keys() - keys:
            self.forget(key)

    def forget(self, key: TryKey) -> None:
        """The try is over."""
        held = self._tries.pop(key, None)
        if held is not None:
            self._leave(held)

    def _leave(self, held: _Try) -> None:
        """It does not wait any more."""
        self._unsent.pop(held.key, None)
        line = self._lines.get(held.line)
        if line is not None:
            line.waiting.pop(held.key, None)
        held.work = None

    # --- at the broker ---------------------------------------------------------------------------------------------
    def unsent(self, most: int) -> list[Work]:
        """The first of those that are to be published."""
        found = (held.work for held, _ in zip(self._unsent.values(), range(most), strict=False))
        return [work for work in found if work is not None]

    def sent(self, keys: Iterable[TryKey], now: float) -> None:
        """These were published."""
        for key in keys:
            held = self._unsent.pop(key, None)
            if held is None:
                continue
            self._published += 1
            held.sent, held.number, held.times = now, self._published, held.times + 1
            held.first = held.first or held.number
            self._lines.setdefault(held.line, _Line()).waiting[key] = held

    def waiting_at(self) -> list[str]:
        """The queues at which something waits to be claimed."""
        return list(dict.fromkeys(queue for (queue, _), line in self._lines.items() if line.waiting))

    def measured(self, lengths: Mapping[str, int], now: float) -> None:
        """How many messages the broker has in each of these queues."""
        for queue, length in lengths.items():
            self._queues.setdefault(queue, _Queue()).measured(length, now)

    # --- what the database shows -----------------------------------------------------------------------------------
    def look(self, view: View, began: float, now: float) -> list[Lost]:
        """Take in what was seen by a look that `began` then: which tries are lost. They are not forgotten by that."""
        self._leases.seen(view, now)
        claims = view.claims
        for key in self._tries.keys() - claims.keys():
            # What was submitted while the look was under way may be missing from what it saw.
            if self._tries[key].since < began:
                self._passed(self._tries.pop(key), now)
        lost = []
        for key, runner in claims.items():
            if runner and (held := self._tries.get(key)) is not None:
                if held.runner != runner:
                    self._passed(held, now)
                    held.runner = runner
                if why := self._leases.loss(key, runner, now):
                    lost.append(Lost(key, why))
        return lost

    def _passed(self, held: _Try, now: float) -> None:
        if held.first:
            # Which of its messages was taken nobody knows.
            self._lines[held.line].claimed(held.first, now)
        self._leave(held)

    def gone(self) -> dict[str, float]:
        """The processes of the API that have been silent for so long that they are taken for dead, and when each was
        last seen."""
        return self._leases.gone

    def republish(self, now: float) -> int:
        """Have those published again whose messages must be lost, by what is known of the queues; how many."""
        overdue = list(self._overdue(now))
        for held in overdue:
            held.sent = None
            self._lines[held.line].waiting.pop(held.key)
            self._unsent[held.key] = held
        return len(overdue)

    def _overdue(self, now: float) -> Iterator[_Try]:
        waiting: dict[str, int] = {}
        for (name, _), line in self._lines.items():
            waiting[name] = waiting.get(name, 0) + len(line.waiting)
        # What comes first at the broker, if it was published later and at lower priority, shows that all before it
        # has been taken out; but not while there are as many messages as tries, as after a take-over, whose messages
        # are in another order than those of the scheduler before.
        proven: dict[str, int] = {}
        for (name, _), line in sorted(self._lines.items()):
            number = proven[name] = max(proven.get(name, 0), line.proven(now))
            queue = self._queues.get(name, _Queue())
            if queue.length >= waiting[name]:
                number = 0
            for held in line.waiting.values():
                assert held.sent is not None
                waited = now - held.sent if held.number < number else queue.empty_for(held.sent)
                if waited is None:
                    break
                if waited >= min(EVIDENCE * 2 ** min(held.times - 1, 10), _LONGEST_WAIT):
                    yield held
