"""Which rows of processes nobody waits for any more, by what the executor sees of them in the course of time."""

from collections.abc import Mapping

from airloom.executors.cluster import RunnerSeen, ServerSeen, View
from airloom.executors.leases import Leases
from airloom.model.report import TryKey

KEY = TryKey(1, 1)
LEASE = 300.0


def watched(seconds: int, runner: RunnerSeen, claims: Mapping[TryKey, str], *, renews: bool) -> Leases:
    """What is known after so many seconds, in which the row of the runner `one` is renewed, or is not."""
    leases = Leases()
    for second in range(seconds):
        seen = RunnerSeen(
            worker=runner.worker, host=runner.host, lease=LEASE, tries=runner.tries,
            seen_at=float(second) if renews else 0.0,
        )  # fmt: skip
        view = View(claims=claims, runners={"one": seen}, servers={"api": ServerSeen(seen_at=float(second))})
        leases.seen(view, float(second))
    return leases


def seen(worker: str) -> RunnerSeen:
    return RunnerSeen(worker=worker, host="h", seen_at=0.0, lease=LEASE, tries=frozenset())


def test_the_row_of_a_pod_that_ended_without_a_word_goes_when_its_lease_is_over():
    assert watched(299, seen("one"), {}, renews=False).gone == {}
    assert watched(310, seen("one"), {}, renews=False).gone == {"one": 0.0}


def test_the_row_of_a_pod_that_lives_stays():
    assert watched(1000, seen("one"), {}, renews=True).gone == {}


def test_the_row_of_a_pod_whose_try_is_not_over_stays():
    assert watched(1000, seen("one"), {KEY: "one"}, renews=False).gone == {}


def test_the_row_of_a_worker_stays_for_those_who_miss_it():
    assert watched(1000, seen("big"), {}, renews=False).gone == {}
