"""Work that a runner has been handed and may not start yet: the server gives each try to one runner only."""

from collections import OrderedDict
from collections.abc import Callable, Container, Iterable

from airloom.model.report import TryKey
from airloom.model.wire import Claim, Claimed, Refusal
from airloom.model.work import Work

#: tries that were granted and are remembered, so that a message that comes again is not taken for a new one
_MOST = 20_000


class Claims:
    """`granted` is called with each work that may be run, `returned` with each that was granted when nobody had use for
    it any more, and `answered` with what has become of tries, once that is so."""

    def __init__(
        self,
        granted: Callable[[Work], None],
        returned: Callable[[Work], None],
        answered: Callable[[Claimed], None],
    ) -> None:
        self._grant = granted
        self._return = returned
        self._answered = answered
        #: not asked for yet, and asked for
        self._new: dict[TryKey, Work] = {}
        self._asked: dict[TryKey, Work] = {}
        self._withdrawn: set[TryKey] = set()
        self._granted: OrderedDict[TryKey, None] = OrderedDict()

    @property
    def pending(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self._asked or self._new)

    def add(self, works: Iterable[Work], live: Container[TryKey]) -> None:
        """Work has come. What is in hand already (`live`) is granted, what has ended here is refused."""
        granted: list[TryKey] = []
        refused: list[Refusal] = []
        for work in works:
            key = work.key
            self._withdrawn.discard(key)
            if key in live:
                granted.append(key)
            elif key in self._granted:
                refused.append(Refusal(key, "it has ended here"))
            elif key not in self._asked:
                self._new[key] = work
        if granted or refused:
            self._answered(Claimed(granted=tuple(granted), refused=tuple(refused)))

    def withdraw(self, keys: Iterable[TryKey]) -> None:
        """Whoever handed these over has no use for them, unless they are granted already."""
        for key in keys:
            self._new.pop(key, None)
            if key in self._asked:
                self._withdrawn.add(key)

    def withdraw_all(self) -> None:
        """Nobody has use for any of it, unless it is granted already."""
        self.withdraw([*self._new, *self._asked])

    def question(self) -> Claim | None:
        """What is to be asked of a server that is there: all that has come since the last answer, together."""
        if self._asked or not self._new:
            return None
        self._asked, self._new = self._new, {}
        return self._claim()

    def again(self) -> list[Claim]:
        """What is to be asked again on a new connection: the answer may have been lost with the old one."""
        return [self._claim()] if self._asked else []

    def heard(self, claimed: Claimed) -> None:
        """The server's answer."""
        granted: list[TryKey] = []
        for key in claimed.granted:
            work = self._asked.pop(key, None)
            if work is None:
                continue
            self._granted[key] = None
            if key in self._withdrawn:
                self._return(work)
            else:
                self._grant(work)
                granted.append(key)
        refused = tuple(refusal for refusal in claimed.refused if self._asked.pop(refusal.key, None) is not None)
        self._withdrawn &= self._asked.keys()
        while len(self._granted) > _MOST:
            self._granted.popitem(last=False)
        if granted or refused:
            self._answered(Claimed(granted=tuple(granted), refused=refused))

    def _claim(self) -> Claim:
        return Claim(keys=tuple(self._asked), tokens=tuple(work.token for work in self._asked.values()))
