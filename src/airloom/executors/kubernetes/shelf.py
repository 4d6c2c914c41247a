"""The pods that the clusters show, the Secrets that they need, and when they are deleted. Data and decisions only."""

from collections.abc import Collection, Iterable
from typing import NamedTuple, Protocol

import msgspec

from airloom.executors.kubernetes.judge import Ending, Phase, Stand
from airloom.executors.kubernetes.pods import Place
from airloom.model.report import TryKey

#: seconds that a pod may go on after its try is over
LINGER = 60.0
#: seconds after which a pod that is still there is deleted again
_AGAIN = 60.0


class PodName(NamedTuple):
    """One certain pod."""

    place: Place
    name: str
    uid: str


class PodSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A pod, and what its state means. over_for: seconds since its try's container ended. lingers: others of its
    containers run on. deleting: somebody has deleted it. secret: where its work is."""

    place: Place
    name: str
    uid: str
    key: TryKey
    stand: Stand
    over_for: float = 0.0
    lingers: bool = False
    deleting: bool = False
    secret: str = ""


class Policy(Protocol):
    """When pods are deleted, and given up; seconds. keep 0: for ever."""

    @property
    def start_limit(self) -> float: ...

    @property
    def keep(self) -> float: ...

    def deletes(self, succeeded: bool) -> bool: ...


class Orders:
    """What is to be done. ends: to be reported. withdraw: tries that nobody is to claim any more. drop: tries of which
    no pod is to be made any more. remove: pods. waits: what tries wait for that have not begun, "" for nothing. ask:
    pods whose events may say more. freed: where pods have made room. unused: Secrets that nobody needs any more."""

    def __init__(self) -> None:
        self.ends: dict[TryKey, Ending] = {}
        self.withdraw: set[TryKey] = set()
        self.drop: set[TryKey] = set()
        self.remove: list[PodName] = []
        self.waits: dict[TryKey, str] = {}
        self.ask: list[PodName] = []
        self.freed: set[Place] = set()
        self.unused: set[tuple[Place, str]] = set()


class KnownPod:
    """over: since when its try's container has ended. hurried: since when it may wait for a short time only. unwanted:
    since when the database knows its try to be over. asked: when its events were."""

    __slots__ = ("asked", "hurried", "note", "over", "removed", "seen", "since", "unwanted")

    def __init__(self, seen: PodSeen, now: float) -> None:
        self.seen = seen
        self.since = self.asked = now
        self.over: float | None = None
        self.hurried: float | None = None
        self.unwanted: float | None = None
        self.removed: float | None = None
        self.note = ""

    @property
    def name(self) -> PodName:
        """Which it is."""
        return PodName(self.seen.place, self.seen.name, self.seen.uid)


class Shelf:
    """All pods of the executor's own, whatever their tries have come to."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.orders = Orders()
        self._pods: dict[str, KnownPod] = {}
        #: the pods of each try: hardly ever more than one
        self._of: dict[TryKey, list[KnownPod]] = {}
        #: the tries whose work is in each Secret
        self._secrets: dict[tuple[Place, str], set[TryKey]] = {}

    def __len__(self) -> int:
        return len(self._pods)

    def of(self, key: TryKey) -> list[KnownPod]:
        """The pods of a try."""
        return self._of.get(key, [])

    def at(self, place: Place) -> list[KnownPod]:
        """The pods of a place."""
        return [known for known in self._pods.values() if known.seen.place == place]

    def get(self, uid: str) -> KnownPod | None:
        """A pod."""
        return self._pods.get(uid)

    def put(self, seen: PodSeen, now: float) -> KnownPod:
        """A pod is there, and like this."""
        known = self._pods.get(seen.uid)
        if known is None:
            known = self._pods[seen.uid] = KnownPod(seen, now)
            self._of.setdefault(seen.key, []).append(known)
        known.seen = seen
        over = seen.stand.phase is Phase.ENDED
        if over and known.over is None:
            known.over = now - seen.over_for
            self.orders.freed.add(seen.place)
        if seen.stand.patience is None:
            known.hurried = None
        elif known.hurried is None:
            known.hurried = now
        if seen.secret and over:
            self.unpack(seen.place, seen.secret, seen.key)
        elif seen.secret:
            self._secrets.setdefault((seen.place, seen.secret), set()).add(seen.key)
        return known

    def take(self, seen: PodSeen) -> None:
        """A pod is gone."""
        known = self._pods.pop(seen.uid, None)
        if known is not None:
            self._of[seen.key].remove(known)
            if not self._of[seen.key]:
                del self._of[seen.key]
        self.orders.freed.add(seen.place)
        if seen.secret:
            self.unpack(seen.place, seen.secret, seen.key)

    # --- Secrets ------------------------------------------------------------------------------------------------------
    def pack(self, place: Place, secret: str, keys: Iterable[TryKey]) -> None:
        """The works of these tries are in that Secret."""
        self._secrets[place, secret] = set(keys)

    def unpack(self, place: Place, secret: str, key: TryKey) -> None:
        """A try does not need that Secret any more."""
        keys = self._secrets.get((place, secret))
        if keys is not None:
            keys.discard(key)
            if not keys:
                del self._secrets[place, secret]
                self.orders.unused.add((place, secret))

    def secrets(self, place: Place) -> set[str]:
        """The Secrets there that are needed."""
        return {secret for at, secret in self._secrets if at == place}

    # --- deleting -----------------------------------------------------------------------------------------------------
    def remove(self, known: KnownPod, now: float) -> None:
        """Delete a pod; again only if it is there still after a while."""
        if known.removed is None or now - known.removed >= _AGAIN:
            known.removed = now
            self.orders.remove.append(known.name)

    def release(self, key: TryKey, now: float) -> None:
        """A try is over, without its pods' having ended: those are deleted."""
        for known in self.of(key):
            if known.over is None:
                self.remove(known, now)

    def tidy(self, live: Collection[TryKey], began: float, now: float) -> None:
        """Delete the pods whose time has come, of all tries but those that are live, by what was known then."""
        for known in self._pods.values():
            if known.seen.key not in live and known.since < began and not known.seen.deleting:
                if known.unwanted is None:
                    known.unwanted = now
                if self._is_due(known, now - known.unwanted, now):
                    self.remove(known, now)

    def _is_due(self, known: KnownPod, unwanted_for: float, now: float) -> bool:
        stand, keep = known.seen.stand, self._policy.keep
        if known.over is None:
            return stand.phase is Phase.WAITING or unwanted_for >= LINGER
        over_for = now - known.over
        lingers = known.seen.lingers and over_for >= LINGER
        return lingers or self._policy.deletes(stand.succeeded) or bool(keep and over_for >= keep)
