"""What a worker has in hand: messages that wait for a slot, tries that its runner was handed, tries that it runs."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from airloom.model.report import Ended, HandedBack, Report, Started, TryKey
from airloom.model.wire import STARTING, Claimed, FromIntake, Reports, Slots, Standing, Submit, ToIntake
from airloom.model.work import Work
from airloom.runtime.worker.window import Pace, Window

log = logging.getLogger("airloom.worker")

_NO_RUNNER = Standing(taking=False, why=STARTING)


class Message(Protocol):
    """A message of the broker's with a try."""

    work: Work
    #: when it came (monotonic)
    came: float

    def granted(self) -> None:
        """The try is this worker's; the message is done with."""

    def dropped(self, reason: str) -> None:
        """The try is not to be run for this message, which is done with."""

    def give_back(self) -> None:
        """Another worker is to have the message."""

    def ended(self, report: Ended | HandedBack | None) -> None:
        """The try is over; None: its runner died."""


class Broker(Protocol):
    """What messages come from."""

    def take(self, prefetch: int) -> None:
        """Take messages, and so many at most that are not answered yet; 0: take none."""

    def give_back(self, messages: Sequence[Message]) -> None:
        """Other workers are to have these, which came in this order, and to have them in this order."""


class Loop(Protocol):
    """Has `Hand.turn` called."""

    def soon(self) -> None:
        """In a moment, once."""

    def at(self, moment: float) -> None:
        """At a time (monotonic)."""


class Hand:
    """One for a worker. `send` tells the runner, if there is one; `stop` is called when a person wants the worker to
    end. Nothing here waits: whatever happens is noted, and `turn` acts on all of it together."""

    def __init__(
        self,
        slots: int,
        window: Window,
        send: Callable[[ToIntake], bool],
        loop: Loop,
        stop: Callable[[], None],
    ) -> None:
        self.slots = slots
        self._window = window
        self._send = send
        self._loop = loop
        self._stop = stop
        self._pace = Pace()
        self._broker: Broker | None = None
        self._prefetch = 0
        #: neither answered nor handed on, in the order in which they came
        self._waiting: dict[TryKey, Message] = {}
        #: handed to the runner, which has not said yet whether it may run them; None: the message is gone
        self._asked: dict[TryKey, Message | None] = {}
        #: claimed; None: for a message that was not heard here
        self._running: dict[TryKey, Message | None] = {}
        self._standing = _NO_RUNNER
        self._held_until, self._held_why = 0.0, ""
        self._closed = False
        self._told = STARTING
        self._trouble = ""

    @property
    def busy(self) -> int:
        """Slots in use."""
        return min(self.slots, self._taken)

    @property
    def _taken(self) -> int:
        """Tries that the runner has."""
        return len(self._running) + len(self._asked)

    @property
    def why(self) -> str:
        """Why nothing is taken now; "" if it is."""
        if self._closed:
            return "it is stopping"
        if time.monotonic() < self._held_until:
            return self._held_why
        return "" if self._standing.taking else self._standing.why

    # --- the broker ---------------------------------------------------------------------------------------------------
    def connected(self, broker: Broker) -> None:
        """There is a broker, which gives nothing yet."""
        self._broker, self._prefetch = broker, 0
        self._window.reset()
        self._loop.soon()

    def disconnected(self) -> None:
        """It is gone, and gives all unanswered messages again."""
        self._broker = None
        self._waiting.clear()
        self._asked = dict.fromkeys(self._asked)

    def add(self, message: Message) -> None:
        """A message has come."""
        key = message.work.key
        if key in self._running and self._running[key] is None:
            self._running[key] = message
            message.granted()
        elif key in self._asked and self._asked[key] is None:
            self._asked[key] = message
        elif key in self._waiting or key in self._asked or key in self._running:
            message.dropped("it is in hand here")
        else:
            self._waiting[key] = message
        self._loop.soon()

    def hold(self, seconds: float, why: str) -> None:
        """Take nothing for a while."""
        self._held_until, self._held_why = time.monotonic() + seconds, why
        self._loop.soon()

    def in_trouble(self, trouble: str) -> None:
        """Why no messages come, which the runner is to tell people; "": they do."""
        if trouble != self._trouble:
            self._trouble = trouble
            self._send(Slots(slots=self.slots, trouble=trouble))

    # --- the runner ---------------------------------------------------------------------------------------------------
    def runner_came(self) -> None:
        """There is a runner, which tells next how it stands."""
        self._send(Slots(slots=self.slots, trouble=self._trouble))

    def runner_went(self) -> None:
        """It is gone, and with it what it ran."""
        self._standing = _NO_RUNNER
        asked, self._asked = self._asked, {}
        running, self._running = self._running, {}
        self._pace.reset()
        self._give_back(asked.values())
        for message in running.values():
            if message is not None:
                message.ended(None)
        self._loop.soon()

    def heard(self, said: FromIntake) -> None:
        """The runner says something."""
        match said:
            case Claimed(granted=granted, refused=refused):
                for key in granted:
                    self._granted(key)
                for refusal in refused:
                    message = self._asked.pop(refusal.key, None)
                    if message is not None:
                        message.dropped(refusal.reason)
            case Reports(reports=reports):
                for report in reports:
                    self._reported(report)
            case Standing():
                self._standing = said
                if said.stop:
                    self._stop()
        self._loop.soon()

    def resize(self, slots: int) -> None:
        """Run so many at once from now on."""
        self.slots = slots
        self._send(Slots(slots=slots, trouble=self._trouble))
        self._loop.soon()

    def close(self) -> None:
        """Take nothing more, and give back what has not been handed on."""
        self._closed = True
        self.turn()

    def turn(self) -> None:
        """Hand on what there are slots for, have the broker give as many as there is room for, give back the rest."""
        now = time.monotonic()
        why = self.why
        self._tell(why)
        if now < self._held_until:  # said at each turn: the loop keeps the earliest moment only
            self._loop.at(self._held_until)
        ahead = self._pace.ahead(now)
        most = self.slots + ahead
        if not why and most - self._taken >= ahead // 2:  # not each by itself
            self._hand_on(most - self._taken)
        if self._broker is None:
            return
        gone = sum(message is None for message in self._asked.values())
        room = max(0, most - len(self._running) - gone) if not why else 0
        # What was handed to a runner that cannot claim is not to wait here, either.
        unanswered = [*(self._asked.values() if why else ()), *self._waiting.values()]
        since = min((message.came for message in unanswered if message is not None), default=None)
        wish = self._window.decide(now, room, since)
        if self._closed:
            wish = wish._replace(prefetch=0, give_back=True)
        if wish.prefetch != self._prefetch:
            self._prefetch = wish.prefetch
            self._broker.take(wish.prefetch)
        if wish.give_back:
            self._waiting.clear()
            if why:
                self._asked = dict.fromkeys(self._asked)
            self._give_back(unanswered)
        elif wish.again is not None:
            self._loop.at(wish.again)

    def _hand_on(self, free: int) -> None:
        keys = list(self._waiting)[: max(0, free)]
        if not keys:
            return
        messages = {key: self._waiting.pop(key) for key in keys}
        self._asked.update(messages)
        self._send(Submit(works=tuple(message.work for message in messages.values())))

    def _granted(self, key: TryKey) -> None:
        if key not in self._running:
            message = self._asked.pop(key, None) or self._waiting.pop(key, None)
            self._running[key] = message
            self._pace.began(key, time.monotonic())
            if message is not None:
                message.granted()

    def _reported(self, report: Report) -> None:
        if isinstance(report, Started):
            return
        asked = self._asked.pop(report.key, None)
        if asked is not None:  # it was claimed when it was not to be run any more
            asked.dropped("it was handed back")
        message = self._running.pop(report.key, None)
        if isinstance(report, Ended):
            self._pace.ended(report.key, time.monotonic())
        else:
            self._pace.left(report.key)
        if message is not None:
            message.ended(report)

    def _give_back(self, messages: Iterable[Message | None]) -> None:
        if self._broker is not None:
            self._broker.give_back([message for message in messages if message is not None])

    def _tell(self, why: str) -> None:
        # That it stops is told by who stops it, and that the broker is away by who waits for that.
        if why == self._told or self._closed or (not why and self._broker is None):
            return
        self._told = why
        if why:
            log.warning("takes no work: %s", why)
        else:
            log.info("takes work")
