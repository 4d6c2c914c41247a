"""Leases as runners, processes of the API and the executor count them together, each with what it can see: in a time of
the test's own, in which networks are cut, the database is away for some or for all, and processes are killed."""

import random

import pytest

from airloom.executors import pod_terms
from airloom.executors.celery.book import Book
from airloom.executors.cluster import RunnerSeen, ServerSeen, View
from airloom.model.processes import RENEWAL, holds
from airloom.model.report import TryKey
from airloom.runtime.fence import Fence

LEASE, OUTAGE, BEAT = 60.0, 120.0, 5.0
#: of workers, and of pods
TERMS = ((LEASE, BEAT), (pod_terms.LEASE, pod_terms.HEARTBEAT))
KEY = TryKey(1, 1)
#: how finely time passes, and how often in a test
TICK, TICKS = 0.5, 12_000


class Server:
    """A process of the API. sees: it reaches the database. heard: the runner reaches it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sees = self.heard = self.lives = True
        self.told_at: float | None = None
        self.renew_at = 0.0

    def away(self, now: float) -> float:
        """For how long it has not renewed its row."""
        return 0.0 if self.told_at is None else now - self.told_at


class Cluster:
    """One runner with a try, processes of the API, and the executor's book."""

    def __init__(self, servers: int, lease: float = LEASE, beat: float = BEAT) -> None:
        self.now = 1000.0
        self.lease, self.every = lease, beat
        self.servers = [Server(f"api{number}") for number in range(servers)]
        #: whether the executor reaches the database, too
        self.database = True
        self.rows: dict[str, ServerSeen] = {}
        #: it was there when it claimed the try
        self.runner = self.row()
        self.fence = Fence(lease, self.now)
        self.book = Book()
        self.book.adopt([KEY], self.now)
        self.lost_at: float | None = None
        self.over_at: float | None = None
        self.beat_at = self.look_at = 0.0

    def row(self) -> dict[str, RunnerSeen]:
        """The runner's row, renewed now."""
        tries = frozenset([KEY])
        return {"one": RunnerSeen(worker="w", host="box", seen_at=self.now, lease=self.lease, tries=tries)}

    def tick(self, pause: float, answered: bool = True) -> None:
        """Let a moment pass. pause: after the executor's next look. answered: the answers to the runner arrive."""
        self.now += max(TICK, self.lease / 300)
        for server in self.servers:
            if server.lives and server.sees and self.database and self.now >= server.renew_at:
                server.renew_at, server.told_at = self.now + RENEWAL, self.now
                self.rows[server.name] = ServerSeen(seen_at=self.now, outage=OUTAGE)
        if self.now >= self.beat_at:
            self.beat_at = self.now + self.every
            self.beat(answered)
        if self.over_at is None and self.fence.closes(self.now):
            self.over_at = self.now + self.fence.grace
        if self.now >= self.look_at and self.database:
            self.look_at = self.now + pause
            view = View(claims={KEY: "one"}, runners=self.runner, servers=dict(self.rows))
            if self.book.look(view, self.now, self.now) and self.lost_at is None:
                self.lost_at = self.now
            for name in self.book.gone():
                del self.rows[name]

    def beat(self, answered: bool) -> None:
        """The runner asks one after the other until one answers."""
        for server in self.servers:
            if not server.heard or not server.lives:
                continue
            if server.sees and self.database:
                self.runner = self.row()
                if answered:
                    self.fence.contact(self.now)
                    return
            elif answered and holds(server.away(self.now), OUTAGE):
                self.fence.contact(self.now)


@pytest.mark.parametrize(("lease", "beat"), TERMS)
@pytest.mark.parametrize("seed", range(200))
def test_no_try_lives_when_it_is_taken_for_lost(seed: int, lease: float, beat: float):
    chance = random.Random(seed)
    cluster = Cluster(chance.randint(1, 3), lease, beat)
    switch, answers, pauses = 0.0, 1.0, [2.0]
    for _ in range(TICKS):
        if cluster.now >= switch:
            switch = cluster.now + lease * chance.choice([0.1, 0.3, 0.8, 1.6, 5.0, 8.0]) * chance.uniform(0.5, 1.0)
            cluster.database = chance.random() < 0.9
            answers = chance.choice([0.9, 0.2])
            pauses = [40.0] if chance.random() < 0.05 else chance.choice([[2.0], [2.0, 10.0, 14.0]])
            for server in cluster.servers:
                server.sees, server.heard = chance.choice([(True, True), (True, False), (False, True)])
                server.lives = server.lives and chance.random() < 0.99
        cluster.tick(chance.choice(pauses), chance.random() < answers)
        if cluster.lost_at is not None:
            break
    if cluster.lost_at is not None:
        assert cluster.over_at is not None
        assert cluster.over_at < cluster.lost_at


def passing(cluster: Cluster, seconds: float) -> None:
    end = cluster.now + seconds
    while cluster.now < end:
        cluster.tick(2.0)


def test_a_worker_that_reaches_only_an_api_without_the_database_ends_its_tries_before_they_run_again():
    cluster = Cluster(2)
    passing(cluster, 20)
    cut, well = cluster.servers
    cut.sees, well.heard = False, False
    passing(cluster, OUTAGE + 2 * LEASE)
    assert cluster.lost_at is not None
    assert cluster.over_at is not None
    assert cluster.over_at < cluster.lost_at


@pytest.mark.parametrize("servers", [1, 3])
def test_a_database_that_is_away_for_all_ends_nothing_while_it_may_be(servers: int):
    cluster = Cluster(servers)
    passing(cluster, 20)
    cluster.database = False
    passing(cluster, OUTAGE - 20)
    cluster.database = True
    passing(cluster, 3 * LEASE)
    assert (cluster.over_at, cluster.lost_at) == (None, None)


def test_an_api_that_loses_the_database_alone_ends_nothing_of_workers_that_reach_another():
    cluster = Cluster(2)
    passing(cluster, 20)
    cluster.servers[0].sees = False
    passing(cluster, 10 * OUTAGE)
    assert (cluster.over_at, cluster.lost_at) == (None, None)
