"""What goes wrong at a cluster, by seed: what, to whom, when, and for how long."""

import random
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from airloom.model.errors import AirloomError
from tests.cluster.checker import Kill
from tests.cluster.cluster import WORKERS, Cluster, Member

KINDS = ("worker", "leader", "api", "network", "broker", "postgres", "machine")
#: those that only a network that can be cut makes possible
LONG = ("network", "machine")
#: seconds without network
PARTITION = 20.0


class Fault(NamedTuple):
    """at: the share of the runs that have been asked for when it comes. whom: a member, where the kind leaves it open.
    lasts: in seconds."""

    at: float
    kind: str
    whom: str
    lasts: float

    def __str__(self) -> str:
        whom = f" {self.whom}" if self.whom else ""
        return f"{self.kind}{whom} {self.lasts:.0f} s"


def plan(seed: int, count: int, apart: bool) -> list[Fault]:
    """The faults of a seed. apart: networks can be cut. Kinds come in turn, so that few seeds have had all of them."""
    rng = random.Random(seed)
    kinds = [kind for kind in KINDS if apart or kind not in LONG]
    turn = [kinds[(seed * count + number) % len(kinds)] for number in range(count)]
    rng.shuffle(turn)
    moments = sorted(rng.uniform(0.03, 0.9) for _ in turn)
    return [_fault(rng, at, kind) for at, kind in zip(moments, turn, strict=True)]


def _fault(rng: random.Random, at: float, kind: str) -> Fault:
    if kind in LONG:
        return Fault(at, kind, rng.choice(list(WORKERS)), PARTITION)
    whom = {"worker": rng.choice(list(WORKERS)), "api": rng.choice(("a1", "a2"))}.get(kind, "")
    return Fault(at, kind, whom, rng.uniform(1.0, 5.0))


#: how a part that starts ends when there is no database, and characters in which it says so
_NO_DATABASE, _LAST_WORDS = "airloom: PostgreSQL at", 600


class Trouble:
    """Brings faults about when it is time, one at a time, and mends them. All of it from one thread: what that starts
    ends with it."""

    def __init__(self, cluster: Cluster, faults: Iterable[Fault], say: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._faults = list(faults)
        self._say = say
        self._mend: Callable[[], object] | None = None
        self._mend_at = 0.0
        self._killed: Member | None = None
        #: the last that was started again
        self._restarted: Member | None = None
        self.kills: list[Kill] = []
        self.done: list[Fault] = []

    @property
    def over(self) -> bool:
        """Whether nothing is broken, and nothing will be."""
        return not self._faults and self._mend is None

    def tick(self, progress: float) -> None:
        """Do what is due now that this share of the runs has been asked for."""
        for member in self._cluster.members():
            if not member.running and member is not self._killed:
                said = member.said()
                if member is not self._restarted or _NO_DATABASE not in said[-_LAST_WORDS:]:
                    raise AssertionError(f"{member.name} has ended by itself:\n{said}")
                member.start()  # as a service manager does: it was still starting when the database went away
        if self._mend is not None:
            if time.monotonic() >= self._mend_at:
                self._mend()
                self._restarted = self._killed or self._restarted
                self._mend = self._killed = None
        elif self._faults and self._faults[0].at <= progress and self._begin(self._faults[0]):
            fault = self._faults.pop(0)
            self._mend_at = time.monotonic() + fault.lasts
            self.done.append(fault)
            self._say(f"{fault} at {progress:.0%}")

    def _begin(self, fault: Fault) -> bool:
        """Break something; False if that is not to be done yet."""
        cluster = self._cluster
        match fault.kind:
            case "worker" | "api":
                members = cluster.workers if fault.kind == "worker" else cluster.apis
                return self._kill(members[fault.whom])
            case "leader":
                return self._kill_leader()
            case "broker":
                cluster.broker.kill()
                self._mend = cluster.broker.start
            case "postgres":
                cluster.postgres.crash()
                self._mend = cluster.postgres.start
            case "network":
                # Only between the worker and its API: the broker still gives it messages.
                worker = cluster.workers[fault.whom].machine
                api = cluster.apis[WORKERS[fault.whom][1]].machine
                cluster.network.part(worker, api)
                self._mend = lambda: cluster.network.reunite(worker, api)
            case "machine":
                machine = cluster.workers[fault.whom].machine
                cluster.network.cut_off(machine)
                self._mend = lambda: cluster.network.join(machine)
        return True

    def _kill(self, member: Member) -> bool:
        self._killed = member
        member.kill()
        self._mend = member.start
        return True

    def _kill_leader(self) -> bool:
        try:
            leads = self._cluster.leader()
            pids = [one.process.pid for one in self._cluster.schedulers.values() if one.running]
            if leads is None or len(pids) < 2 or not all(map(self._cluster.is_scheduling, pids)):
                return False
        except AirloomError:
            return False
        epoch, member = leads
        self.kills.append(Kill(time.monotonic(), epoch))
        return self._kill(member)
