"""What a runner does besides when its server is elsewhere: it claims what it is handed before it starts it, says at its
work socket whether it takes work, and ends its tries when it has been out of touch for too long.
"""

import logging
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from airloom.executors.settings import LocalSettings
from airloom.model.report import Cause, HandedBack, Report, TryKey
from airloom.model.wire import (
    STARTING,
    Claimed,
    FromRunner,
    Heartbeat,
    Slots,
    Source,
    Standing,
    ToIntake,
    ToRunner,
    Wanted,
)
from airloom.model.work import Cancel, Work
from airloom.runtime import fence, machine
from airloom.runtime.claims import Claims
from airloom.runtime.errand import Errand
from airloom.runtime.fence import Fence
from airloom.runtime.intake import Intake
from airloom.runtime.link import Link
from airloom.runtime.loop import Loop
from airloom.runtime.supervisor import Supervisor

log = logging.getLogger("airloom.runner")

#: between two looks at the fence, of the lease
_LOOK = 1 / 60
#: seconds that the server has to answer when the runner takes leave
_FAREWELL = 2.0
#: why no work comes when who hands it on is gone
_ALONE = "has lost the process that takes its work from the broker"
#: heartbeats in the time of a lease, at least
_BEATS = 10


class Afar(NamedTuple):
    """What a runner has whose server is elsewhere: what watches the contact; and the one try that it is there for,
    unless it takes work at its socket."""

    watch: Fence
    errand: Errand | None = None


class Outpost:
    """The part of a runner that only one has whose server is elsewhere. `report` is called with what the server is to
    know, `ordered` with what is said at the work socket beside the handing over of work."""

    def __init__(
        self,
        loop: Loop,
        settings: LocalSettings,
        afar: Afar,
        link: Link,
        supervisor: Supervisor,
        report: Callable[[Report], None],
        ordered: Callable[[ToRunner], None],
    ) -> None:
        self._loop = loop
        self._settings = settings
        self._fence = afar.watch
        self._link = link
        self._supervisor = supervisor
        self._report = report
        self._heard_there = ordered
        self.slots = settings.parallelism
        supervisor.line.slots = self.slots or None
        self._sources = supervisor.preparation.sources
        errand = afar.errand
        supervisor.stopped = "its worker was stopped" if errand is None else "its pod was ended"
        self._intake: Intake | Errand
        if errand is None:
            self._intake = Intake(loop, settings.work_socket, self._ordered, self.withdraw, supervisor.live)
        else:
            self._intake = errand
            loop.later(0.0, lambda: errand.begin(self._ordered))

        def run(work: Work) -> None:
            link.begin(work)
            supervisor.submit(work)

        self._claims = Claims(run, self._hand_back, self._intake.answer)
        self._wanted: Wanted | None = None
        #: why no work comes to who hands it on; None: nobody has come yet who does
        self._trouble: str | None = None
        self._stopping = False
        self._leaving = self._left = False
        self._look()

    @property
    def idle(self) -> bool:
        """Whether nothing waits for the server's word."""
        return not self._claims.pending

    @property
    def alone_since(self) -> float | None:
        """Since when nobody has been there who hands it work (monotonic), None while somebody is."""
        return self._intake.alone_since

    @property
    def dismissed(self) -> bool:
        """Whether its errand is over; or people want the worker stopped, and nobody is there who would see to that."""
        if isinstance(self._intake, Errand):
            return self._intake.over
        return self._wanted is not None and self._wanted.stop and not self._intake.visited

    @property
    def beat(self) -> float:
        """Seconds between two heartbeats."""
        return min(self._settings.heartbeat, self._settings.lease / _BEATS)

    def submit(self, works: Iterable[Work]) -> None:
        """Work has come."""
        if not self._stopping:
            self._claims.add(works, self._supervisor.live())

    def withdraw(self, keys: Iterable[TryKey]) -> None:
        """Nobody has use for these any more, if they have not been granted."""
        self._claims.withdraw(keys)

    def heard(self, message: ToRunner) -> None:
        """The server says something that only concerns this part."""
        match message:
            case Claimed():
                self._claims.heard(message)
            case Source():
                self._sources.heard(message)
            case Wanted():
                self._wanted = message
                self._left = self._left or (self._leaving and message.stop)

    def heartbeat(self) -> Heartbeat:
        """What is in hand: tries whose end the server has not got are, too. It is shown at the work socket, too, that
        the runner does not hang."""
        self._intake.sign()
        tries = self._link.untold() | self._supervisor.live()
        free, total = machine.memory()
        return Heartbeat(
            live=tuple(tries),
            tokens=tuple(tries.values()),
            slots=self.slots,
            memory_free=free,
            memory=total,
            leaving=self._leaving,
            trouble=_no_work(self._trouble, self.alone_since),
        )

    def greeting(self) -> list[FromRunner]:
        """What is to be said on a new connection."""
        return [self.heartbeat(), *self._claims.again(), *self._sources.again()]

    def turned(self) -> None:
        """Something has happened: start what there is a slot for, ask for what has come, tell at the work socket what
        has changed."""
        self._supervisor.line.fill()
        why = self._why_not()
        if self._link.away_since is None and (question := self._claims.question()) is not None:
            self._link.send(question)
        stop = self._wanted is not None and self._wanted.stop
        self._intake.stand(
            Standing(taking=not why, why=why, stop=stop, trouble=_no_work(self._trouble, self.alone_since))
        )

    def tell(self, reports: list[Report]) -> None:
        """Pass on how tries have ended."""
        self._intake.tell(reports)

    def stop(self) -> None:
        """Take no more work, and have no use for what was not granted."""
        self._stopping = True
        self._claims.withdraw_all()

    def leave(self) -> bool:
        """Take leave of the server, so that nobody misses this runner; whether it has heard, or cannot."""
        if not self._leaving:
            self._leaving = True
            self._link.send(self.heartbeat())
            self._loop.later(_FAREWELL, self._give_up)
        return self._left or self._link.away_since is not None

    def close(self) -> None:
        """Listen no more."""
        self._intake.close()

    def _give_up(self) -> None:
        self._left = True

    def _ordered(self, order: ToIntake) -> None:
        if isinstance(order, Slots):
            self.slots = self._supervisor.line.slots = order.slots
            self._trouble = order.trouble
            self._link.send(self.heartbeat())
        else:
            self._heard_there(order)

    def _hand_back(self, work: Work) -> None:
        detail = "it was given back before it was granted"
        self._report(HandedBack(key=work.key, at=time.time(), detail=detail, token=work.token))

    def _why_not(self) -> str:
        """Why no work is taken; "" if it is."""
        if self._stopping:
            return "it is stopping"
        if self._link.away_since is not None and (self._fence.trouble or self._wanted is not None):
            return self._fence.trouble or "the server is out of reach"
        if self._wanted is None:
            return STARTING
        if self._wanted.stop:
            return "it is to stop"
        return "it is drained" if self._wanted.drain else ""

    def _look(self) -> None:
        """End the tries if the server has been out of reach for so long that it will soon run them again."""
        if self._fence.closes(fence.now()) and self._supervisor.live():
            lease = self._settings.lease
            log.error("the server has been out of reach for %g s: its tries are ended", self._fence.patience)
            reason = (
                f"its worker could not reach the server for {self._fence.patience:g} s and has ended it, "
                f"for it is run again elsewhere after {lease:g} s"
            )
            for key in self._supervisor.live():
                cancel = Cancel(key=key, executor="", reason=reason, grace=self._fence.grace)
                self._supervisor.cancel(cancel, Cause.LOST)
        self._loop.later(self._settings.lease * _LOOK, self._look)


def _no_work(trouble: str | None, alone_since: float | None) -> str:
    """Why nobody hands it work; "" if somebody does, or nobody has done so yet."""
    if trouble is None:
        return ""
    return trouble if alone_since is None else _ALONE
