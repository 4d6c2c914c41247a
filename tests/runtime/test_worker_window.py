"""How many messages a worker holds, in virtual time."""

import pytest

from airloom.model.report import TryKey
from airloom.runtime.worker.window import PATIENCE, Pace, Window, Wish


def test_a_worker_that_takes_nothing_holds_nothing() -> None:
    assert Window(at_once=False).decide(0.0, 0, None) == Wish(0, False, None)


@pytest.mark.parametrize("at_once", [True, False])
def test_more_room_is_used_at_once(at_once: bool) -> None:
    window = Window(at_once)
    assert window.decide(0.0, 4, None) == Wish(4, False, None)
    assert window.decide(0.0, 16, None) == Wish(16, False, None)


def test_less_room_is_no_matter_while_nothing_waits() -> None:
    window = Window(at_once=False)
    window.decide(0.0, 8, None)
    assert window.decide(10.0, 1, None) == Wish(8, False, None)


def test_where_it_costs_nothing_the_window_follows_downwards_at_once() -> None:
    window = Window(at_once=True)
    window.decide(0.0, 8, None)
    assert window.decide(1.0, 2, None).prefetch == 2
    assert window.decide(2.0, 0, None) == Wish(0, False, None)


def test_a_full_worker_takes_nothing_more_after_its_patience_though_nothing_waits() -> None:
    window = Window(at_once=False)
    window.decide(0.0, 2, None)
    assert window.decide(1.0, 0, None) == Wish(2, False, 1.0 + PATIENCE)
    assert window.decide(1.0 + PATIENCE, 0, None) == Wish(0, False, None)


def test_a_slot_that_comes_free_in_time_keeps_the_window_open() -> None:
    window = Window(at_once=False)
    window.decide(0.0, 2, None)
    window.decide(1.0, 0, None)
    window.decide(1.0 + PATIENCE / 2, 1, None)
    assert window.decide(1.0 + PATIENCE, 0, None).prefetch == 2


@pytest.mark.parametrize("at_once", [True, False])
def test_a_message_that_has_waited_too_long_goes_back_and_the_window_shrinks(at_once: bool) -> None:
    window = Window(at_once)
    window.decide(0.0, 16, None)
    assert window.decide(1.0, 1, 1.0).give_back is False
    wish = window.decide(1.0 + PATIENCE, 1, 1.0)
    assert wish == Wish(1, True, None)


def test_it_is_asked_again_when_the_first_message_has_waited_long_enough() -> None:
    window = Window(at_once=False)
    window.decide(0.0, 4, None)
    assert window.decide(5.0, 1, 4.95).again == pytest.approx(4.95 + PATIENCE)


def test_after_a_new_connection_everything_is_taken_anew() -> None:
    window = Window(at_once=False)
    window.decide(0.0, 4, None)
    window.reset()
    assert window.decide(1.0, 3, None) == Wish(3, False, None)


def test_a_slot_that_comes_free_is_used_after_a_time_of_taking_nothing() -> None:
    window = Window(at_once=False)
    window.decide(0.0, 4, None)
    window.decide(1.0, 0, None)
    window.decide(2.0, 0, None)
    assert window.decide(3.0, 1, None) == Wish(1, False, None)


def paced(rate: float, now: float, seconds: float = 0.1) -> Pace:
    """A worker that has ended so many tries a second for the last second, each of which took so many seconds."""
    pace = Pace()
    for number in range(int(rate)):
        end = now - 1.0 + number / rate
        pace.began(TryKey(number, 1), end - seconds)
        pace.ended(TryKey(number, 1), end)
    return pace


def test_nothing_is_ahead_of_a_worker_whose_tries_take_long() -> None:
    assert Pace().ahead(10.0) == 0
    assert paced(5, 10.0).ahead(10.0) == 0


def test_long_tries_that_end_together_are_no_pace() -> None:
    assert paced(1000, 50.0, seconds=40.0).ahead(50.0) == 0


def test_a_fast_worker_has_a_moment_of_work_ahead() -> None:
    assert 8 <= paced(100, 10.0).ahead(10.0) <= 10
    assert 90 <= paced(1000, 10.0).ahead(10.0) <= 100


def test_a_worker_that_has_stopped_being_fast_has_nothing_ahead_soon() -> None:
    pace = paced(1000, 10.0)
    assert pace.ahead(10.2) < 30
    assert pace.ahead(10.3) == 0


def test_what_was_in_hand_and_is_gone_does_not_count() -> None:
    pace = Pace()
    pace.began(TryKey(1, 1), 0.0)
    pace.reset()
    for _ in range(100):
        pace.ended(TryKey(1, 1), 0.1)
    assert pace.ahead(0.1) == 0
