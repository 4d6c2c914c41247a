"""The tries that the executor was given and whose end it has not seen. Data and decisions only.

Whoever claims a try in the database runs it, so what ends one that nobody is known to have claimed dooms it: it is
withdrawn first, which the database grants only if nobody has.
"""

from collections.abc import Collection, Iterable

import msgspec

from airloom.executors.cluster import WITHDRAWN
from airloom.executors.kubernetes.judge import Ending
from airloom.executors.kubernetes.pods import Place
from airloom.executors.kubernetes.shelf import LINGER, Shelf
from airloom.model.report import Cause, TryKey
from airloom.model.work import Cancel


class Held:
    """A try. place: where its pod is made, if that is known. made: when its pod was, as its maker was told. secret:
    where its work was put. doom: how it is to end as soon as it is withdrawn. fate: what became of its pod, which is
    gone. deadline: when a cancelled one is not waited for any longer. why: what was told."""

    __slots__ = ("cancel", "deadline", "doom", "fate", "key", "made", "place", "runner", "secret", "since", "why")

    def __init__(self, key: TryKey, place: Place | None, now: float) -> None:
        self.key = key
        self.place = place
        self.since = now
        self.made: float | None = None
        self.secret: tuple[Place, str] | None = None
        self.runner = ""
        self.doom: Ending | None = None
        self.fate: Ending | None = None
        self.cancel: Cancel | None = None
        self.deadline = 0.0
        self.why = ""


class Tries:
    """What becomes of tries that their pods do not tell."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._tries: dict[TryKey, Held] = {}

    def __len__(self) -> int:
        return len(self._tries)

    def get(self, key: TryKey) -> Held | None:
        """A try."""
        return self._tries.get(key)

    def all(self) -> list[Held]:
        """All of them."""
        return list(self._tries.values())

    def keys(self) -> Collection[TryKey]:
        """The keys of all."""
        return self._tries.keys()

    def add(self, key: TryKey, place: Place | None, now: float) -> Held | None:
        """A new one; None if it is here already."""
        if key in self._tries:
            return None
        held = self._tries[key] = Held(key, place, now)
        return held

    def keep(self, keys: Collection[TryKey]) -> None:
        """Forget all others."""
        for key in self._tries.keys() - set(keys):
            # Whoever has them now may have pods of theirs that are not seen here yet.
            self._tries[key].secret = None
            self.forget(key)

    def cancel(self, cancels: Iterable[Cancel], now: float) -> None:
        """These are to end: withdrawn, or told by the task API if they are claimed."""
        for cancel in cancels:
            if (held := self._tries.get(cancel.key)) is not None:
                held.cancel = cancel
                held.deadline = now + (cancel.grace or 0.0) + LINGER
                self.doom(held, Ending(cause=Cause.CANCELLED, detail=cancel.reason))

    # --- what their makers tell ---------------------------------------------------------------------------------------
    def fail(self, key: TryKey, ending: Ending) -> None:
        """No pod can be made for it."""
        if (held := self._tries.get(key)) is not None:
            self.doom(held, ending)

    def hold(self, key: TryKey, why: str) -> None:
        """No pod is made for it yet."""
        if (held := self._tries.get(key)) is not None:
            self.tell(held, why)

    def packed(self, place: Place, secret: str, keys: Collection[TryKey]) -> None:
        """Their work is in this Secret."""
        self._shelf.pack(place, secret, keys)
        for key in keys:
            held = self._tries.get(key)
            if held is None:
                self._shelf.unpack(place, secret, key)
                continue
            if held.secret is not None:
                self._shelf.unpack(*held.secret, key)
            held.secret = place, secret

    def made(self, key: TryKey, now: float) -> None:
        """Its pod is there."""
        if (held := self._tries.get(key)) is not None and held.made is None:
            held.made = now
            self.tell(held, "")

    # --- what becomes of them -----------------------------------------------------------------------------------------
    def tell(self, held: Held, why: str) -> None:
        """It waits for this; "": for nothing any more."""
        if held.why != why:
            held.why = self._shelf.orders.waits[held.key] = why

    def doom(self, held: Held, ending: Ending) -> None:
        """Let it end so if nobody has claimed it; what is claimed only its runner ends, or the lease."""
        if not held.runner or held.runner == WITHDRAWN:
            held.doom = held.doom or ending
            self._shelf.orders.withdraw.add(held.key)

    def withdrawn(self, asked: Iterable[TryKey], taken: Collection[TryKey], now: float) -> None:
        """Which of the doomed nobody can claim any more."""
        for key in asked:
            held = self._tries.get(key)
            if held is None:
                continue
            if key in taken and held.doom is not None:
                self.end(held, held.doom, now)
            else:
                held.doom = None

    def end(self, held: Held, ending: Ending, now: float) -> None:
        """It has ended so."""
        if held.cancel is not None:
            ending = msgspec.structs.replace(ending, cause=Cause.CANCELLED, detail=held.cancel.reason)
        self._shelf.orders.ends[held.key] = ending
        self.forget(held.key)
        self._shelf.release(held.key, now)

    def forget(self, key: TryKey) -> None:
        """It is over, or not ours any more."""
        held = self._tries.pop(key, None)
        if held is None:
            return
        orders = self._shelf.orders
        orders.withdraw.discard(key)
        orders.waits.pop(key, None)
        if held.made is None:
            orders.drop.add(key)
        if held.secret is not None and not self._shelf.of(key):
            self._shelf.unpack(*held.secret, key)
