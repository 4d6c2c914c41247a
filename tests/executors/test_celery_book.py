"""What the Celery executor decides, in a time of the test's own: which tries are lost, which messages are."""

import random
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from airloom.executors.celery.book import EVIDENCE, Book
from airloom.executors.cluster import RunnerSeen, ServerSeen, View
from airloom.executors.leases import LEASE
from airloom.model.processes import RENEWAL
from airloom.model.report import TryKey
from airloom.model.work import RunInfo, Work

#: seconds between two looks, and for which a process of the API may hold its runners
LOOK = 2.0
OUTAGE = 300.0
_RUN = RunInfo(run_id="r", run_type="manual", run_after=0.0)


def work(number: int, queue: str = "default", priority: int = 1) -> Work:
    return Work(
        key=TryKey(number, 1), dag_id="d", task_id="t", run=_RUN, run_key=1, bundle="dags", rel_path="d.py",
        version_id=1, queue=queue, priority=priority,
    )  # fmt: skip


class World:
    """A book with the cluster that it sees: a database, an API, runners and a broker, all played."""

    def __init__(self) -> None:
        self.book = Book()
        self.now = 1000.0
        self.claims: dict[TryKey, str] = {}
        #: by runner: the tries that it has; it renews its row as long as it lives
        self.runners: dict[str, set[TryKey]] = {}
        self.dead: set[str] = set()
        self.rows: dict[str, RunnerSeen] = {}
        self.api_alive = True
        self.api_row = 0.0
        #: rows of other processes of the API, which nobody renews
        self.others: dict[str, ServerSeen] = {}
        self.database = True
        self.lease = LEASE
        self.lengths: dict[str, int] = {}
        self.lost: dict[TryKey, tuple[float, str]] = {}
        self.again: list[tuple[float, TryKey]] = []

    def submit(self, *works: Work) -> None:
        """Give these to the executor, which publishes them at once."""
        self.claims |= {each.key: "" for each in works}
        self.book.submit(works, self.now)
        self.publish()

    def publish(self) -> list[TryKey]:
        keys = [each.key for each in self.book.unsent(10_000)]
        self.book.sent(keys, self.now)
        return keys

    def claim(self, runner: str, keys: Iterable[TryKey]) -> None:
        self.claims |= dict.fromkeys(keys, runner)
        self.runners.setdefault(runner, set()).update(keys)

    def end(self, *keys: TryKey) -> None:
        for key in keys:
            runner = self.claims.pop(key)
            self.runners.get(runner, set()).discard(key)

    def renew(self) -> None:
        """What the processes tell in their rows, if they live and can."""
        if self.api_alive and self.database:
            self.api_row = self.now
            for name, tries in self.runners.items():
                if name not in self.dead:
                    self.rows[name] = RunnerSeen(
                        worker=f"worker of {name}", host="box", seen_at=self.now, lease=self.lease,
                        tries=frozenset(tries),
                    )  # fmt: skip

    def look(self) -> None:
        if self.lengths:
            self.book.measured(self.lengths, self.now)
        if not self.database:
            return
        servers = {"api": ServerSeen(seen_at=self.api_row), **self.others}
        view = View(claims=dict(self.claims), runners=dict(self.rows), servers=servers)
        for lost in self.book.look(view, self.now, self.now):
            self.lost.setdefault(lost.key, (self.now, lost.why))
            self.book.forget(lost.key)
        if self.book.republish(self.now):
            self.again += [(self.now, key) for key in self.publish()]

    def go(self, seconds: float) -> None:
        """Let time pass; rows are renewed at every second look or so."""
        end = self.now + seconds
        while self.now < end:
            self.now += LOOK
            if round(self.now / LOOK) % 2 == 0:
                self.renew()
            self.look()


def running(count: int, runner: str = "one", world: World | None = None) -> tuple[World, list[TryKey]]:
    """Tries that a runner has claimed."""
    world = world or World()
    works = [work(number) for number in range(count)]
    world.submit(*works)
    keys = [each.key for each in works]
    world.claim(runner, keys)
    world.go(10)
    return world, keys


class TestLostWithTheirRunner:
    def test_tries_of_a_runner_that_lives_are_never_lost(self):
        world, _ = running(3)
        world.go(3600)
        assert world.lost == {}

    def test_a_silent_runner_loses_its_tries_after_its_lease_and_not_before(self):
        world, keys = running(2)
        world.dead.add("one")
        world.go(LEASE - 2 * LOOK)
        assert world.lost == {}
        world.go(RENEWAL + 4 * LOOK)
        assert world.lost.keys() == set(keys)
        assert "worker of one on box" in world.lost[keys[0]][1]

    def test_a_lease_that_the_runner_names_counts(self):
        world = World()
        world.lease = 300.0
        running(1, world=world)
        world.dead.add("one")
        world.go(250)
        assert world.lost == {}
        world.go(70)
        assert len(world.lost) == 1

    def test_a_runner_that_comes_back_in_time_has_lost_nothing(self):
        world, _ = running(2)
        world.dead.add("one")
        world.go(LEASE - RENEWAL)
        world.dead.clear()
        world.go(300)
        assert world.lost == {}

    def test_a_try_that_its_runner_does_not_know_of_is_lost_after_the_lease(self):
        world, keys = running(2)
        world.runners["one"].discard(keys[0])
        world.go(LEASE - 2 * LOOK)
        assert world.lost == {}
        world.go(6 * LOOK)
        assert world.lost.keys() == {keys[0]}
        assert "does not know of it" in world.lost[keys[0]][1]

    def test_a_try_whose_runner_has_no_row_any_more_is_lost_after_a_while(self):
        world, keys = running(1)
        world.dead.add("one")
        del world.rows["one"]
        world.go(LEASE - 2 * LOOK)
        assert world.lost == {}
        world.go(6 * LOOK)
        assert world.lost.keys() == set(keys)

    def test_what_a_former_scheduler_had_published_is_watched_over_too(self):
        world = World()
        key = TryKey(7, 1)
        world.claim("one", [key])
        world.dead.add("one")
        world.book.adopt([key], world.now)
        world.go(LEASE + 4 * LOOK)
        assert world.lost.keys() == {key}

    def test_a_try_that_ends_while_its_runner_is_silent_is_not_lost(self):
        world, keys = running(2)
        world.dead.add("one")
        world.go(30)
        world.end(keys[0])
        world.go(60)
        assert world.lost.keys() == {keys[1]}


class TestOutages:
    def test_nobody_is_lost_while_no_api_lives_and_afterwards_all_get_a_fresh_lease(self):
        world, _ = running(3)
        world.api_alive = False
        world.go(1000)
        assert world.lost == {}
        world.api_alive = True
        world.dead.add("one")
        world.go(LEASE - 2 * LOOK)
        assert world.lost == {}
        world.go(8 * LOOK)
        assert len(world.lost) == 3

    def test_nobody_is_lost_by_an_outage_of_the_database(self):
        world, _ = running(3)
        world.database = False
        world.go(500)
        world.database = True
        world.go(500)
        assert world.lost == {}

    def test_while_another_api_is_silent_it_is_waited_for_as_long_as_it_may_hold_runners(self):
        world, keys = running(2)
        world.others = {"cut off": ServerSeen(seen_at=world.now, outage=OUTAGE)}
        world.dead.add("one")
        world.go(OUTAGE)
        assert world.lost == {}
        world.go(LEASE + 4 * LOOK)
        assert world.lost.keys() == set(keys)

    def test_an_api_that_comes_back_gives_everybody_a_fresh_lease(self):
        world, _ = running(2)
        world.others = {"cut off": ServerSeen(seen_at=world.now, outage=OUTAGE)}
        world.dead.add("one")
        world.go(OUTAGE / 2)
        world.others = {"cut off": ServerSeen(seen_at=world.now, outage=10 * OUTAGE)}
        world.go(2 * LOOK)
        world.others = {}
        world.go(LEASE - 2 * LOOK)
        assert world.lost == {}
        world.go(6 * LOOK)
        assert len(world.lost) == 2

    def test_an_api_that_was_silent_for_too_long_is_gone(self):
        world, _ = running(1)
        world.others = {"dead": ServerSeen(seen_at=7.0, outage=OUTAGE)}
        world.go(OUTAGE - LOOK)
        assert world.book.gone() == {}
        world.go(3 * LOOK)
        assert world.book.gone() == {"dead": 7.0}

    def test_an_api_of_an_older_release_is_not_waited_for(self):
        world, _ = running(1)
        world.others = {"old": ServerSeen(seen_at=7.0)}
        world.dead.add("one")
        world.go(LEASE + 4 * LOOK)
        assert len(world.lost) == 1
        assert world.book.gone() == {}

    def test_a_look_that_comes_late_takes_nobody_for_lost(self):
        world, _ = running(3)
        world.now += 5000
        world.api_row = world.now
        world.look()
        assert world.lost == {}
        world.go(300)
        assert world.lost == {}


class TestLostMessages:
    def test_what_waits_in_its_queue_is_not_published_again(self):
        world = World()
        world.lengths = {"default": 3}
        world.submit(*(work(number) for number in range(3)))
        world.go(3600)
        assert world.again == []

    def test_what_is_unclaimed_while_its_queue_is_empty_is_published_again_ever_more_rarely(self):
        world = World()
        world.lengths = {"default": 0}
        world.submit(work(1))
        world.go(1200)
        gaps = [later - earlier for (earlier, _), (later, _) in zip(world.again, world.again[1:], strict=False)]
        assert EVIDENCE <= world.again[0][0] - 1000 <= EVIDENCE + 2 * LOOK
        assert [round(gap / 10) * 10 for gap in gaps] == [20, 40, 80, 160, 300, 300]

    def test_a_queue_that_is_not_empty_all_the_time_is_no_evidence(self):
        world = World()
        world.submit(work(1))
        for _ in range(100):
            world.lengths = {"default": 0}
            world.go(6)
            world.lengths = {"default": 1}
            world.go(LOOK)
        assert world.again == []

    def test_an_empty_queue_is_no_evidence_for_what_is_claimed(self):
        world, _ = running(3)
        world.lengths = {"default": 0}
        world.go(1000)
        assert world.again == []

    def test_old_news_of_a_queue_is_no_evidence(self):
        world = World()
        world.lengths = {"default": 0}
        world.submit(work(1))
        world.go(6)
        world.lengths = {}
        world.go(1000)
        world.lengths = {"default": 0}
        world.go(EVIDENCE - LOOK)
        assert world.again == []

    def test_what_later_ones_have_overtaken_is_published_again(self):
        world = World()
        world.lengths = {"default": 4}
        world.submit(*(work(number) for number in range(10)))
        world.claim("one", [TryKey(number, 1) for number in range(3, 6)])
        world.go(EVIDENCE - LOOK)
        assert world.again == []
        world.go(3 * LOOK)
        assert [key.ti_id for _, key in world.again] == [0, 1, 2]

    def test_those_that_end_between_two_looks_have_overtaken_as_well(self):
        world = World()
        world.lengths = {"default": 1}
        world.submit(*(work(number) for number in range(3)))
        world.now += 0.1
        world.end(TryKey(2, 1))
        world.go(EVIDENCE + 2 * LOOK)
        assert [key.ti_id for _, key in world.again] == [0, 1]

    def test_what_is_less_urgent_may_be_overtaken_and_what_is_more_urgent_may_not(self):
        world = World()
        world.lengths = {"default": 1}
        world.submit(work(1, priority=1))
        world.submit(work(2, priority=100))
        world.submit(work(3, priority=10))
        world.claim("one", [TryKey(3, 1)])
        world.go(EVIDENCE + 2 * LOOK)
        assert [key.ti_id for _, key in world.again] == [2]

    def test_queues_do_not_overtake_each_other(self):
        world = World()
        world.lengths = {"a": 1, "b": 0}
        world.submit(work(1, queue="a"))
        world.submit(work(2, queue="b"))
        world.claim("one", [TryKey(2, 1)])
        world.go(1000)
        assert world.again == []

    def test_a_second_publication_takes_its_place_behind_the_others(self):
        world = World()
        world.lengths = {"default": 1}
        world.submit(work(0), work(1), work(2))
        world.claim("one", [TryKey(1, 1)])
        world.go(EVIDENCE + 2 * LOOK)
        assert [key.ti_id for _, key in world.again] == [0]
        world.claim("one", [TryKey(2, 1)])
        world.go(1000)
        assert len(world.again) == 1

    def test_what_was_proven_stays_so_when_an_earlier_one_is_claimed_late(self):
        world = World()
        world.lengths = {"default": 1}
        world.submit(work(0), work(1), work(2))
        world.claim("one", [TryKey(1, 1)])
        world.go(EVIDENCE + LOOK)
        assert [key.ti_id for _, key in world.again] == [0]
        world.submit(work(3), work(4))
        world.claim("one", [TryKey(3, 1)])
        world.go(2 * LOOK)
        world.claim("one", [TryKey(2, 1)])
        world.go(2 * EVIDENCE)
        assert [key.ti_id for _, key in world.again] == [0, 0]

    def test_a_claim_by_an_older_message_says_nothing_of_what_came_before_the_newer_one(self):
        world = World()
        world.lengths = {"default": 1}
        world.submit(work(0), work(1))
        world.claim("one", [TryKey(1, 1)])
        world.go(2 * LOOK)
        world.submit(work(2))
        world.go(EVIDENCE)
        assert [key.ti_id for _, key in world.again] == [0]
        world.claim("one", [TryKey(0, 1)])
        world.submit(work(3))  # more tries than messages
        world.go(EVIDENCE + 2 * LOOK)
        assert len(world.again) == 1

    def test_while_there_are_as_many_messages_as_tries_their_order_proves_nothing(self):
        world = World()
        world.lengths = {"default": 20}  # a former scheduler's are there as well
        world.submit(*(work(number) for number in range(10)))
        world.claim("one", [TryKey(9, 1)])
        world.go(600)
        assert world.again == []
        world.lengths = {"default": 8}
        world.go(LOOK)
        assert len(world.again) == 9


class TestTheBook:
    def test_what_is_submitted_twice_is_there_once(self):
        book = Book()
        assert book.submit([work(1), work(2), work(1)], 1.0) == 2
        assert book.submit([work(2)], 2.0) == 0
        assert [each.key.ti_id for each in book.unsent(10)] == [1, 2]

    def test_what_came_while_the_look_was_under_way_is_kept(self):
        book = Book()
        book.submit([work(1)], 1.0)
        book.submit([work(2)], 3.0)
        book.look(View(), 2.0, 4.0)
        assert TryKey(1, 1) not in book
        assert TryKey(2, 1) in book

    def test_what_is_over_is_not_published_any_more(self):
        book = Book()
        book.submit([work(1), work(2), work(3)], 1.0)
        book.forget(TryKey(1, 1))
        book.look(View(claims={TryKey(2, 1): "one", TryKey(3, 1): ""}), 2.0, 2.0)
        assert [each.key.ti_id for each in book.unsent(10)] == [3]

    def test_nothing_is_left_of_tries_that_are_over(self):
        world, keys = running(1000)
        world.end(*keys)
        world.go(LOOK)
        assert len(world.book) == 0
        assert world.book.waiting_at() == []


class Chance(World):
    """Anything happens: messages vanish, runners die, API and database go and come back."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)
        #: messages at the broker, and tries whose runner died; when each try was told of by a living runner
        self.messages: list[TryKey] = []
        self.told: dict[TryKey, float] = {}
        self.numbers = iter(range(1, 10_000))

    def step(self) -> None:
        chance = self.random
        match chance.choice(["submit", "claim", "end", "die", "vanish", "api", "database", "pass", "pass", "pass"]):
            case "submit":
                works = [work(next(self.numbers), priority=chance.choice([1, 8])) for _ in range(chance.randint(1, 4))]
                self.submit(*works)
                self.messages += [each.key for each in works]
            case "claim" if self.api_alive and self.database and self.messages:
                key = self.messages.pop(0)
                if self.claims.get(key) == "":
                    self.claim(f"runner{chance.randint(1, 3)}.{len(self.dead)}", [key])
            case "end":
                able = [key for key, runner in self.claims.items() if runner and runner not in self.dead]
                if able and self.api_alive and self.database:
                    self.end(chance.choice(able))
            case "die" if self.runners:
                self.dead.add(chance.choice(sorted(self.runners)))
            case "vanish":
                del self.messages[: chance.randint(0, 3)]
            case "api":
                self.api_alive = not self.api_alive
            case "database":
                self.database = not self.database
            case _:
                self.pass_time(chance.choice([2, 6, 20, 100]))

    def pass_time(self, seconds: float) -> None:
        self.lengths = {"default": len(self.messages)}
        before = len(self.again)
        self.go(seconds)
        self.messages += [key for _, key in self.again[before:]]
        for key, (_, _why) in self.lost.items():
            self.claims.pop(key, None)

    def renew(self) -> None:
        super().renew()
        if self.api_alive and self.database:
            for name, tries in self.runners.items():
                if name not in self.dead:
                    self.told |= dict.fromkeys(tries, self.now)


@given(st.integers(min_value=0), st.integers(min_value=10, max_value=80))
def test_whatever_happens_no_living_try_is_lost_and_in_the_end_every_try_is_somewhere(seed: int, steps: int):
    world = Chance(seed)
    for _ in range(steps):
        world.step()
    # No try of a runner that lived was ever given up: those that were, nobody had told of for a lease.
    for key, (at, _) in world.lost.items():
        assert at - world.told.get(key, 0.0) >= LEASE
    # With all parts there it comes to its end: what dead runners had is found, what no message tells of has one again.
    world.api_alive = world.database = True
    for _ in range(600):
        world.claim("last", [key for key in world.messages if world.claims.get(key) == ""])
        world.messages.clear()
        world.pass_time(LOOK)
    assert all(runner and runner not in world.dead for runner in world.claims.values())
