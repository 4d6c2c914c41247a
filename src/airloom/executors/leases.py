"""Which tries are lost with their runner, by what the rows of runners and servers show. Data and decisions only:
whoever calls gives the time, seconds of a clock that never jumps.
"""

from collections.abc import Mapping

from airloom.executors.cluster import RunnerSeen, ServerSeen, View
from airloom.model.processes import BLIND, RENEWAL, SERVER_SILENCE
from airloom.model.report import TryKey

#: seconds of a runner that does not say how long its lease is, and the shortest lease that is believed: rows are
#: renewed every few seconds, and it takes that long to see that no process of the API renews its own
LEASE = 60.0
_SHORTEST_LEASE = 4 * RENEWAL


class Leases:
    """How long runners have been out of touch, while they could have been in touch. When no process of the API is seen
    to live, or nothing was seen at all, every lease begins anew; and so it does while any of them is silent: it may
    have lost the database, and have told runners that no lease runs out, as long as it may do so."""

    def __init__(self) -> None:
        #: by the id of a process, what it last told as the time, and when that was new
        self._renewals: dict[str, tuple[float, float]] = {}
        self._runners: Mapping[str, RunnerSeen] = {}
        #: claimed tries of which their runner does not tell, and since when
        self._absent: dict[TryKey, float] = {}
        self._begin = 0.0
        self._last: float | None = None
        self._silent: set[str] = set()
        #: processes for which nobody waits any more, and what they last told as the time: those of the API, and pods
        self.gone: dict[str, float] = {}

    def seen(self, view: View, now: float) -> None:
        """Take in what the rows of the processes show."""
        known = self._renewals
        self._runners = view.runners
        self._absent = {key: since for key, since in self._absent.items() if key in view.claims}
        silent = {name for name, server in view.servers.items() if self._waits(name, server, now)}
        self.gone = {name: server.seen_at for name, server in view.servers.items() if self._over(name, server, now)}
        rows = {name: row.seen_at for name, row in view.runners.items()}
        rows |= {name: server.seen_at for name, server in view.servers.items()}
        self._renewals = {
            name: known[name] if name in known and known[name][0] == told else (told, now)
            for name, told in rows.items()
        }
        served = any(now - self._renewals[name][1] <= SERVER_SILENCE for name in view.servers)
        blind = self._last is None or now - self._last > BLIND
        # Once more when it is not silent any more: until then it may have told runners so.
        if silent or self._silent or not served or blind:
            self._begin = now
        self._last, self._silent = now, silent
        claimed = set(view.claims.values())
        for name, runner in view.runners.items():
            lease, away = self._of(name, now)
            # One that belongs to a worker stays: people miss it.
            if runner.worker == name and name not in claimed and away > lease:
                self.gone[name] = runner.seen_at

    def loss(self, key: TryKey, runner: str, now: float) -> str:
        """Why a try that this runner has claimed is lost; "" if it is not. To be asked after each `seen`."""
        row = self._runners.get(runner)
        if row is not None and key in row.tries:
            self._absent.pop(key, None)
            absent = None
        else:
            absent = self._absent.setdefault(key, now)
        lease, silent = self._of(runner, now)
        if row is not None and silent > lease:
            return f"the worker {row.worker} on {row.host} was not heard of for {silent:.0f} s"
        if absent is None or self._out_of_touch(absent, now) <= lease:
            return ""
        if row is None:
            return f"the runner {runner} that had it is gone"
        return f"the worker {row.worker} on {row.host} does not know of it any more"

    def _waits(self, name: str, server: ServerSeen, now: float) -> bool:
        """Whether a process of the API was silent until now, and is waited for."""
        return SERVER_SILENCE < now - self._renewals.get(name, (0.0, now))[1] <= server.outage

    def _over(self, name: str, server: ServerSeen, now: float) -> bool:
        """Whether it has been silent for longer than it is waited for."""
        told, since = self._renewals.get(name, (0.0, now))
        return told == server.seen_at and now - since > server.outage > 0

    def _of(self, runner: str, now: float) -> tuple[float, float]:
        """The lease of a runner, and how long it has been out of touch."""
        row = self._runners.get(runner)
        lease = LEASE if row is None or row.lease <= 0 else max(row.lease, _SHORTEST_LEASE)
        return lease, self._out_of_touch(self._renewals.get(runner, (0.0, now))[1], now)

    def _out_of_touch(self, since: float, now: float) -> float:
        """The seconds since then that count."""
        return now - max(since, self._begin)
