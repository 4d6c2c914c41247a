"""The executor's book: what it was asked for, what the clusters show, what the database says; and what is to be done.

Data and decisions only: whoever calls gives the time, seconds of a clock that never jumps, and takes what is to be done
out of `orders`.
"""

from collections.abc import Iterable

from airloom.executors.cluster import WITHDRAWN, View
from airloom.executors.kubernetes.judge import UNSEEN, Ending, Phase
from airloom.executors.kubernetes.pods import Place
from airloom.executors.kubernetes.shelf import KnownPod, Orders, PodSeen, Policy, Shelf
from airloom.executors.kubernetes.tries import Held, Tries
from airloom.executors.leases import Leases
from airloom.model.report import Cause, TryKey

#: seconds that any pod may take to start, of which nobody needs to hear
_ORDINARY = 5.0
#: seconds that a pod waits before its events are read, and between two looks at them
_ASK = 15.0
_GONE = "the pod was deleted before the try had begun"
_TAKEN_BACK = "it was taken back before it had begun"


class Book:
    """All tries that the executor was given and whose end it has not seen, and all pods of its own."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.shelf = Shelf(policy)
        self.tries = Tries(self.shelf)
        self.leases = Leases()

    @property
    def idle(self) -> bool:
        """Whether there is nothing to watch over."""
        return not self.tries and not self.shelf

    def orders(self) -> Orders:
        """What is to be done since the last call."""
        orders, self.shelf.orders = self.shelf.orders, Orders()
        return orders

    # --- tries come ---------------------------------------------------------------------------------------------------
    def submit(self, key: TryKey, place: Place | None, now: float) -> bool:
        """The try is to have a pod there; False if there is nothing to make: it has one, or is here already."""
        held = self.tries.add(key, place, now)
        if held is None:
            return False
        if self.shelf.of(key):
            held.made = now
            self._judge_all(held, now)
            return False
        return True

    def adopt(self, keys: Iterable[TryKey], now: float) -> None:
        """These were claimed before they came into this book."""
        for key in keys:
            if (held := self.tries.add(key, None, now)) is not None:
                held.made = now
                self._judge_all(held, now)

    # --- what the clusters show ---------------------------------------------------------------------------------------
    def listed(self, place: Place, pods: Iterable[PodSeen], began: float, now: float) -> None:
        """These are all pods of a place, by a list that was asked for then."""
        there = set()
        for seen in pods:
            there.add(seen.uid)
            self.seen(seen, now)
        for known in self.shelf.at(place):
            if known.seen.uid not in there:
                self.gone(known.seen, known.seen.stand.ending or UNSEEN, now)
        for held in self.tries.all():
            if held.place == place and held.made is not None and held.made < began and not self.shelf.of(held.key):
                self.tries.doom(held, Ending(cause=Cause.LOST, detail=_GONE))

    def seen(self, seen: PodSeen, now: float) -> None:
        """A pod is there, and like this."""
        known = self.shelf.put(seen, now)
        if (held := self.tries.get(seen.key)) is not None:
            if held.made is None:
                held.made = now
                self.shelf.orders.drop.add(seen.key)
            self._judge(held, known, now)

    def gone(self, last: PodSeen, ending: Ending, now: float) -> None:
        """A pod is not there any more; it was like this at last, which means that its try ended so."""
        self.shelf.take(last)
        held = self.tries.get(last.key)
        if held is None or self.shelf.of(last.key):
            return
        if last.stand.phase is Phase.ENDED:
            self.tries.end(held, ending, now)
        else:
            # Whoever has claimed it may be running still, on a node that is cut off: only the lease tells.
            held.fate = ending
            self.tries.doom(held, ending)

    def explained(self, uid: str, note: str, now: float) -> None:
        """What the events of a pod say that waits."""
        known = self.shelf.get(uid)
        if known is not None and note != known.note:
            known.note = note
            if (held := self.tries.get(known.seen.key)) is not None:
                self._judge(held, known, now)

    def _judge_all(self, held: Held, now: float) -> None:
        for known in list(self.shelf.of(held.key)):
            self._judge(held, known, now)

    def _judge(self, held: Held, known: KnownPod, now: float) -> None:
        """What a pod means to its try."""
        if self.tries.get(held.key) is not held:
            return
        seen, stand = known.seen, known.seen.stand
        if stand.ending is not None:
            # Of two pods, which only a change of the settings makes, one has the try.
            if all(one.over is not None for one in self.shelf.of(held.key)):
                self.tries.end(held, stand.ending, now)
        elif stand.phase is Phase.RUNNING:
            self.tries.tell(held, "")
            if stand.doomed and not seen.deleting:
                self.shelf.remove(known, now)
        else:
            self._wait(held, known, now)

    def _wait(self, held: Held, known: KnownPod, now: float) -> None:
        """It has not begun: may it wait on?"""
        seen, stand = known.seen, known.seen.stand
        why = ": ".join(filter(None, (stand.reason, known.note if stand.obscure else "")))
        limit, since = self._policy.start_limit, known.since
        if stand.patience is not None and known.hurried is not None:
            limit, since = stand.patience, known.hurried
        if now - since >= limit:
            self.tries.doom(held, Ending(cause=Cause.LAUNCH, detail=f"its pod {seen.name} did not start: {why}"))
            return
        self.tries.tell(held, why if stand.patience is not None or now - known.since >= _ORDINARY else "")
        if stand.obscure and now - known.asked >= _ASK:
            known.asked = now
            self.shelf.orders.ask.append(known.name)

    # --- what the database says ---------------------------------------------------------------------------------------
    def look(self, view: View, began: float, now: float) -> None:
        """Take in what was seen by a look that `began` then."""
        self.leases.seen(view, now)
        for held in self.tries.all():
            runner = view.claims.get(held.key)
            if runner is None:
                # What was submitted while the look was under way may be missing from what it saw.
                if held.since < began:
                    self.tries.forget(held.key)
                continue
            held.runner = runner
            if runner == WITHDRAWN:
                self.tries.end(held, held.doom or Ending(cause=Cause.LOST, detail=_TAKEN_BACK), now)
            elif runner and (why := self.leases.loss(held.key, runner, now)):
                self.tries.end(held, held.fate or Ending(cause=Cause.LOST, detail=why), now)
            else:
                self._tend(held, now)
        self.shelf.tidy(view.claims.keys() | self.tries.keys(), began, now)

    def _tend(self, held: Held, now: float) -> None:
        """What only time brings."""
        if held.doom is not None:
            self.shelf.orders.withdraw.add(held.key)
        elif held.cancel is not None:
            self.tries.doom(held, Ending(cause=Cause.CANCELLED, detail=held.cancel.reason))
        if held.cancel is not None and held.runner and now > held.deadline:
            self.shelf.release(held.key, now)
        self._judge_all(held, now)
