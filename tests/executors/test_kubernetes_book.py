"""What the Kubernetes executor decides, in a time of the test's own: how tries end, which pods are deleted."""

import math
from typing import Any

import msgspec

from airloom.executors.cluster import WITHDRAWN, RunnerSeen, ServerSeen, View
from airloom.executors.kubernetes.book import Book
from airloom.executors.kubernetes.judge import Ending, Phase, Stand
from airloom.executors.kubernetes.pods import Place
from airloom.executors.kubernetes.shelf import PodSeen
from airloom.model.report import Cause, TryKey
from airloom.model.work import Cancel

LOOK = 2.0
LEASE = 300.0
LIMIT, KEEP = 600.0, 3600.0
PLACE = Place(cluster="default", namespace="team")
KEY = TryKey(7, 1)
RUNS = Stand(phase=Phase.RUNNING)
WAITS = Stand(phase=Phase.WAITING, reason="no node can take the pod")
KILLED = Ending(cause=Cause.KILLED, detail="somebody deleted the pod while the task ran")


class Policy(msgspec.Struct):
    delete: str = "on_success"
    start_limit: float = LIMIT
    keep: float = KEEP

    def deletes(self, succeeded: bool) -> bool:
        return self.delete == "always" or (self.delete == "on_success" and succeeded)


def ended(cause: Cause | None = Cause.OOM, code: int = 137) -> Stand:
    ending = Ending(cause=cause or Cause.LOST, detail="so it ended", exit_code=code)
    return Stand(phase=Phase.ENDED, ending=ending, succeeded=code == 0)


class World:
    """A book with what it sees: pods, claims, runners, an API that lives; and what it orders is done."""

    def __init__(self, **policy: Any) -> None:
        self.book = Book(Policy(**policy))
        self.now = 1000.0
        self.claims: dict[TryKey, str] = {}
        self.rows: dict[str, RunnerSeen] = {}
        self.silent: set[str] = set()
        self.database = True
        self.pods: dict[str, PodSeen] = {}
        self.ends: dict[TryKey, Ending] = {}
        self.removed: list[str] = []
        self.waits: dict[TryKey, str] = {}
        self.asked: list[str] = []
        self.unused: list[str] = []
        self.dropped: set[TryKey] = set()

    def submit(self, key: TryKey = KEY) -> None:
        """A try that is committed, and given to the executor."""
        self.claims.setdefault(key, "")
        if self.book.submit(key, PLACE, self.now):
            self.book.tries.packed(PLACE, f"work-{key.ti_id}", [key])
            self.book.tries.made(key, self.now)
        self.obey()

    def pod(self, stand: Stand = RUNS, key: TryKey = KEY, **fields: Any) -> str:
        """The try's pod is like this."""
        uid = f"uid-{key.ti_id}-{key.try_number}"
        self.pods[uid] = PodSeen(
            place=PLACE, name=f"pod-{key.ti_id}", uid=uid, key=key, stand=stand, secret=f"work-{key.ti_id}", **fields
        )
        self.book.seen(self.pods[uid], self.now)
        self.obey()
        return uid

    def gone(self, key: TryKey = KEY, ending: Ending = KILLED) -> None:
        """The try's pod is gone, as it was at last."""
        self.book.gone(self.pods.pop(f"uid-{key.ti_id}-{key.try_number}"), ending, self.now)
        self.obey()

    def claim(self, runner: str = "one", key: TryKey = KEY) -> None:
        self.claims[key] = runner
        self.rows[runner] = RunnerSeen(worker=runner, host="pod", seen_at=self.now, lease=LEASE, tries=frozenset({key}))

    def over(self, key: TryKey = KEY) -> None:
        """The database has its end."""
        del self.claims[key]

    def obey(self) -> None:
        """Do what the book orders; what is to be withdrawn waits for `look`."""
        orders = self.book.orders()
        for key, ending in orders.ends.items():
            assert key not in self.ends, "an end is told once"
            self.ends[key] = ending
            self.claims.pop(key, None)
        self.removed += [pod.uid for pod in orders.remove]
        self.waits |= orders.waits
        self.asked += [pod.uid for pod in orders.ask]
        self.unused += [secret for _, secret in orders.unused]
        self.dropped |= orders.drop
        if orders.withdraw and self.database:
            taken = {key for key in orders.withdraw if self.claims.get(key) in ("", WITHDRAWN)}
            self.claims |= dict.fromkeys(taken, WITHDRAWN)
            self.book.tries.withdrawn(orders.withdraw, taken, self.now)
            self.obey()

    def go(self, seconds: float) -> None:
        """Let time pass, with looks at the database, and runners that renew their rows."""
        until = self.now + seconds
        while self.now < until:
            self.now += LOOK
            for name, row in self.rows.items():
                if name not in self.silent:
                    self.rows[name] = msgspec.structs.replace(row, seen_at=self.now)
            if self.database:
                servers = {"api": ServerSeen(seen_at=self.now)}
                view = View(claims=dict(self.claims), runners=dict(self.rows), servers=servers)
                self.book.look(view, self.now, self.now)
                self.obey()


def running() -> World:
    """A try whose pod runs, and has claimed it."""
    world = World()
    world.submit()
    world.pod(RUNS)
    world.claim()
    world.go(4)
    return world


class TestEndsThatPodsShow:
    def test_the_end_of_the_container_is_the_end_of_the_try(self) -> None:
        world = running()
        world.pod(ended(Cause.OOM))
        assert world.ends[KEY].cause is Cause.OOM

    def test_a_pod_that_ends_before_anyone_claimed_ends_its_try_at_once(self) -> None:
        world = World()
        world.submit()
        world.pod(ended(Cause.LAUNCH, code=128))
        assert world.ends[KEY].cause is Cause.LAUNCH

    def test_an_end_that_the_database_knows_already_is_not_told(self) -> None:
        world = running()
        world.over()
        world.go(4)
        world.pod(ended(code=0))
        assert world.ends == {}

    def test_a_pod_that_is_deleted_while_its_container_may_run_ends_its_try_only_after_the_lease(self) -> None:
        world = running()
        world.silent.add("one")
        world.gone()
        world.go(LEASE - 20)
        assert world.ends == {}
        world.go(40)
        assert world.ends == {KEY: KILLED}

    def test_what_was_deleted_and_lives_on_elsewhere_is_not_lost(self) -> None:
        world = running()
        world.gone()
        world.go(10 * LEASE)
        assert world.ends == {}

    def test_a_pod_that_is_deleted_before_anyone_claimed_ends_its_try_at_once(self) -> None:
        world = World()
        world.submit()
        world.pod(WAITS)
        world.gone(ending=Ending(cause=Cause.LAUNCH, detail="before it started"))
        assert world.ends[KEY].detail == "before it started"

    def test_a_pod_that_was_made_and_is_in_no_later_list_is_gone(self) -> None:
        world = World()
        world.submit()
        world.book.listed(PLACE, [], began=world.now - 1, now=world.now)
        world.obey()
        assert world.ends == {}, "the list was asked for before the pod was made"
        world.book.listed(PLACE, [], began=world.now + 1, now=world.now + 2)
        world.obey()
        assert world.ends[KEY].cause is Cause.LOST

    def test_a_pod_that_is_missing_in_a_list_is_gone(self) -> None:
        world = running()
        world.silent.add("one")
        world.book.listed(PLACE, [], began=world.now, now=world.now)
        world.go(LEASE + 20)
        assert world.ends[KEY].cause is Cause.LOST

    def test_a_pod_that_is_to_be_deleted_to_end_is_deleted(self) -> None:
        world = running()
        uid = world.pod(Stand(phase=Phase.RUNNING, doomed=True))
        assert world.removed == [uid]
        assert world.ends == {}

    def test_of_two_pods_of_a_try_the_end_of_one_is_not_the_try_s(self) -> None:
        world = running()
        other = msgspec.structs.replace(world.pods["uid-7-1"], uid="uid-other", stand=ended(code=76))
        world.book.seen(other, world.now)
        world.obey()
        assert world.ends == {}


class TestLeases:
    def test_a_runner_that_is_silent_loses_its_try_and_its_pod(self) -> None:
        world = running()
        world.silent.add("one")
        world.go(LEASE + 20)
        assert world.ends[KEY].cause is Cause.LOST
        assert world.removed == ["uid-7-1"]

    def test_while_the_database_is_away_nothing_is_lost(self) -> None:
        world = running()
        world.database = False
        world.go(10 * LEASE)
        world.database = True
        world.go(60)
        assert world.ends == {}


class TestPodsThatDoNotStart:
    def test_what_a_pod_waits_for_is_told_when_it_takes_long(self) -> None:
        world = World()
        world.submit()
        world.pod(WAITS)
        assert world.waits.get(KEY, "") == ""
        world.go(6)
        assert world.waits[KEY] == "no node can take the pod"
        world.pod(RUNS)
        assert world.waits[KEY] == ""

    def test_it_is_given_up_at_the_limit_with_the_reason(self) -> None:
        world = World()
        world.submit()
        uid = world.pod(WAITS)
        world.go(LIMIT - 10)
        assert world.ends == {}
        world.go(20)
        assert world.ends[KEY].cause is Cause.LAUNCH
        assert "no node can take the pod" in world.ends[KEY].detail
        assert world.removed == [uid]

    def test_one_that_claims_at_the_last_moment_is_not_given_up(self) -> None:
        world = World()
        world.submit()
        world.pod(WAITS)
        world.go(LIMIT - 4)
        world.claim()
        world.go(20)
        assert world.ends == {}
        assert world.removed == []

    def test_a_gate_of_the_scheduler_s_may_hold_it_for_ever(self) -> None:
        world = World()
        world.submit()
        world.pod(Stand(phase=Phase.WAITING, reason="held by a scheduling gate", patience=math.inf))
        world.go(10 * LIMIT)
        assert world.ends == {}

    def test_what_cannot_come_is_given_up_soon_also_while_its_reason_changes(self) -> None:
        world = World()
        world.submit()
        for number in range(10):
            world.pod(Stand(phase=Phase.WAITING, reason=f"the image cannot be pulled ({number})", patience=15.0))
            world.go(2)
        assert "the image cannot be pulled" in world.ends[KEY].detail

    def test_what_seemed_hopeless_and_is_not_any_more_may_take_its_time_again(self) -> None:
        world = World()
        world.submit()
        world.pod(Stand(phase=Phase.WAITING, reason="a secret is missing", patience=15.0))
        world.go(10)
        world.pod(Stand(phase=Phase.WAITING, reason="the container is made"))
        world.go(20)
        assert world.ends == {}

    def test_events_are_read_where_the_pod_does_not_say_why(self) -> None:
        world = World()
        world.submit()
        uid = world.pod(Stand(phase=Phase.WAITING, reason="the container is made", obscure=True))
        world.go(10)
        assert world.asked == []
        world.go(8)
        assert world.asked == [uid]
        world.book.explained(uid, "secret x not found", world.now)
        world.obey()
        assert world.waits[KEY] == "the container is made: secret x not found"

    def test_no_pod_can_be_made(self) -> None:
        world = World()
        world.claims[KEY] = ""
        world.book.submit(KEY, PLACE, world.now)
        world.book.tries.fail(KEY, Ending(cause=Cause.INVALID, detail="spec.nodeSelectr is no field"))
        world.obey()
        assert world.ends[KEY].cause is Cause.INVALID
        assert world.dropped == {KEY}

    def test_a_pod_that_nobody_could_take_back_for_the_database_was_away_is_taken_back_later(self) -> None:
        world = World()
        world.submit()
        world.database = False
        world.pod(Stand(phase=Phase.WAITING, reason="the image's name is none", patience=0.0))
        world.go(30)
        assert world.ends == {}
        world.database = True
        world.go(4)
        assert "name is none" in world.ends[KEY].detail


class TestCancels:
    def test_one_that_nobody_has_claimed_ends_at_once_and_its_pod_is_deleted(self) -> None:
        world = World()
        world.submit()
        uid = world.pod(WAITS)
        world.book.tries.cancel([Cancel(key=KEY, executor="", reason="enough")], world.now)
        world.obey()
        assert (world.ends[KEY].cause, world.ends[KEY].detail) == (Cause.CANCELLED, "enough")
        assert world.removed == [uid]

    def test_one_that_is_claimed_is_left_to_its_runner(self) -> None:
        world = running()
        world.book.tries.cancel([Cancel(key=KEY, executor="", reason="enough", grace=5.0)], world.now)
        world.obey()
        world.go(30)
        assert (world.ends, world.removed) == ({}, [])

    def test_a_runner_that_does_not_hear_of_it_loses_its_pod(self) -> None:
        world = running()
        world.book.tries.cancel([Cancel(key=KEY, executor="", reason="enough", grace=5.0)], world.now)
        world.go(70)
        assert world.removed == ["uid-7-1"]
        world.pod(ended(Cause.KILLED, code=143))
        assert world.ends[KEY].cause is Cause.CANCELLED


class TestDeleting:
    def test_nothing_is_deleted_before_the_database_knows_the_end(self) -> None:
        world = World(delete="always")
        world.submit()
        world.pod(RUNS)
        world.claim()
        world.go(4)
        world.pods["uid-7-1"] = msgspec.structs.replace(world.pods["uid-7-1"], stand=ended())
        world.book.seen(world.pods["uid-7-1"], world.now)
        assert KEY in world.book.orders().ends
        world.go(20)
        assert world.removed == []
        world.over()
        world.go(4)
        assert world.removed == ["uid-7-1"]

    def test_pods_that_did_well_are_deleted_and_others_are_kept_for_a_time(self) -> None:
        world = World()
        for number, code in ((1, 0), (2, 1)):
            world.submit(TryKey(number, 1))
            world.pod(ended(code=code), TryKey(number, 1))
        world.go(4)
        assert world.removed == ["uid-1-1"]
        world.gone(TryKey(1, 1))
        world.go(KEEP + 4)
        assert world.removed[1] == "uid-2-1"

    def test_pods_that_are_kept_for_ever_are(self) -> None:
        world = World(delete="never", keep=0.0)
        world.submit()
        world.pod(ended(code=0))
        world.go(10 * KEEP)
        assert world.removed == []

    def test_a_pod_that_ended_long_ago_is_not_kept_from_the_start_of_the_scheduler_on(self) -> None:
        world = World()
        world.pod(ended(code=1), over_for=KEEP)
        world.go(4)
        assert world.removed == ["uid-7-1"]

    def test_a_pod_whose_other_containers_run_on_is_deleted_whatever_is_kept(self) -> None:
        world = World(delete="never", keep=0.0)
        world.submit()
        world.pod(ended(code=0), lingers=True)
        world.go(70)
        assert world.removed == ["uid-7-1"]

    def test_an_orphan_that_waits_is_deleted_at_once_and_one_that_runs_after_a_time(self) -> None:
        world = World()
        world.pod(WAITS, TryKey(1, 1))
        world.pod(RUNS, TryKey(2, 1))
        world.go(4)
        assert world.removed == ["uid-1-1"]
        world.go(64)
        assert "uid-2-1" in world.removed

    def test_a_pod_of_a_live_try_is_no_orphan_before_its_scheduler_has_taken_over(self) -> None:
        world = World()
        world.claims[KEY] = ""
        world.pod(WAITS)
        world.go(100)
        assert world.removed == []

    def test_a_pod_that_is_being_deleted_is_not_deleted_again(self) -> None:
        world = World()
        world.pod(WAITS, deleting=True)
        world.go(100)
        assert world.removed == []

    def test_one_whose_delete_was_lost_is_deleted_again(self) -> None:
        world = World()
        uid = world.pod(WAITS)
        world.go(70)
        assert world.removed == [uid, uid]


class TestTakingOver:
    def test_a_claimed_try_goes_on_and_its_end_is_told(self) -> None:
        world = World()
        world.claim()
        world.pod(RUNS)
        world.book.adopt([KEY], world.now)
        world.go(20)
        assert world.ends == {}
        world.pod(ended(Cause.OOM))
        assert world.ends[KEY].cause is Cause.OOM

    def test_what_ended_meanwhile_is_settled_whoever_comes_first(self) -> None:
        first, second = World(), World()
        for world in (first, second):
            world.claim()
        first.pod(ended(Cause.OOM))
        first.book.adopt([KEY], first.now)
        first.obey()
        second.book.adopt([KEY], second.now)
        second.pod(ended(Cause.OOM))
        assert first.ends.keys() == second.ends.keys() == {KEY}

    def test_no_second_pod_is_made_for_one_that_has_a_pod(self) -> None:
        world = World()
        world.claims[KEY] = ""
        world.pod(WAITS)
        assert world.book.submit(KEY, PLACE, world.now) is False

    def test_one_that_the_scheduler_before_took_back_ends(self) -> None:
        world = World()
        world.claims[KEY] = WITHDRAWN
        world.book.adopt([KEY], world.now)
        world.go(4)
        assert world.ends[KEY].cause is Cause.LOST

    def test_a_scheduler_that_leads_no_more_neither_ends_nor_deletes_what_another_has(self) -> None:
        world = running()
        world.book.tries.keep(set())
        world.obey()
        world.pod(ended(Cause.OOM))
        world.go(100)
        assert (world.ends, world.removed, world.unused) == ({}, [], ["work-7"])


class TestSecrets:
    def test_a_secret_is_deleted_when_all_its_tries_are_over(self) -> None:
        world = World()
        keys = [TryKey(1, 1), TryKey(2, 1)]
        for key in keys:
            world.claims[key] = ""
            world.book.submit(key, PLACE, world.now)
        world.book.tries.packed(PLACE, "both", keys)
        for key in keys:
            seen = PodSeen(place=PLACE, name="p", uid=f"uid-{key.ti_id}", key=key, stand=RUNS, secret="both")
            world.book.seen(seen, world.now)
        world.book.seen(msgspec.structs.replace(seen, stand=ended(), uid="uid-2"), world.now)
        world.obey()
        assert world.unused == []
        world.book.gone(
            PodSeen(place=PLACE, name="p", uid="uid-1", key=keys[0], stand=RUNS, secret="both"), KILLED, 0.0
        )
        world.obey()
        assert world.unused == ["both"]

    def test_a_secret_that_another_took_the_place_of_is_deleted(self) -> None:
        world = World()
        world.claims[KEY] = ""
        world.book.submit(KEY, PLACE, world.now)
        world.book.tries.packed(PLACE, "first", [KEY])
        world.book.tries.packed(PLACE, "second", [KEY])
        world.obey()
        assert world.unused == ["first"]
        assert world.book.shelf.secrets(PLACE) == {"second"}

    def test_a_secret_whose_try_never_got_a_pod_is_deleted_with_it(self) -> None:
        world = World()
        world.claims[KEY] = ""
        world.book.submit(KEY, PLACE, world.now)
        world.book.tries.packed(PLACE, "work", [KEY])
        world.over()
        world.go(4)
        assert (world.unused, world.dropped) == (["work"], {KEY})
