"""A runner that is out of touch ends its tries before the server runs them elsewhere: by a clock that tests move."""

import random

import pytest

from airloom.runtime.fence import Fence

LEASE, BEAT, LOOK = 60.0, 5.0, 1.0


def test_a_runner_that_is_heard_goes_on():
    fence = Fence(LEASE, 0.0)
    for second in range(0, 1000, 5):
        fence.contact(float(second))
        assert not fence.closes(second + 4.9)


def test_it_closes_once_for_each_time_that_the_server_is_out_of_reach():
    fence = Fence(LEASE, 0.0)
    fence.contact(100.0)
    assert not fence.closes(144.9)
    assert fence.closes(145.0)
    assert not fence.closes(1000.0)
    fence.contact(1001.0)
    assert not fence.closes(1002.0)
    assert fence.closes(1046.0)


def test_twenty_seconds_without_a_network_end_nothing():
    fence = Fence(LEASE, 0.0)
    # The heartbeat before may be as old as one period, the next one be lost and asked again after ten seconds.
    fence.contact(100.0)
    assert not any(fence.closes(100.0 + BEAT + seconds) for seconds in range(36))


def test_a_late_word_of_an_earlier_heartbeat_takes_nothing_back():
    fence = Fence(LEASE, 0.0)
    fence.contact(200.0)
    fence.contact(100.0)
    assert not fence.closes(230.0)


@pytest.mark.parametrize("lease", [4.0, 20.0, 60.0, 600.0])
def test_what_is_left_when_the_fence_is_closed_is_enough_to_end_the_tries(lease: float):
    fence = Fence(lease, 0.0)
    assert fence.grace > 0
    assert fence.patience + fence.grace < lease * 0.9


@pytest.mark.parametrize("seed", range(200))
def test_no_try_lives_when_the_server_takes_it_for_lost(seed: int):
    """The network comes and goes, an answer is lost that was heard, the database goes away and comes back: a try has
    ended whenever its lease has run out, and one that was never out of touch for long goes on."""
    chance = random.Random(seed)
    fence = Fence(LEASE, 0.0)
    now = renewed = 0.0
    up, database, switch = True, True, chance.uniform(0, 200)
    beat_at, closed_at, silent_since = 0.0, None, 0.0
    while now < 2000.0 and closed_at is None:
        now += 0.25
        if now >= switch:
            up, database, switch = chance.random() < 0.6, chance.random() < 0.8, now + chance.uniform(0.5, 120)
        if not database:
            renewed = now  # nobody is taken for lost meanwhile, and everybody has a fresh period after that
        if now >= beat_at:
            beat_at = now + BEAT
            if up and database:
                renewed = now
            if up and chance.random() < 0.9:  # its answer comes
                fence.contact(now)
                silent_since = now
        if fence.closes(now):
            closed_at = now
    if closed_at is not None:
        assert closed_at - silent_since >= fence.patience
        assert closed_at + fence.grace + LOOK < renewed + LEASE
