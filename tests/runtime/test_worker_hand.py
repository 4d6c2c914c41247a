"""What a worker does with its messages and tries: a broker and a runner that only note what they are told."""

import time
from collections.abc import Sequence
from typing import Any

import pytest

from airloom.model.report import Ended, HandedBack, Outcome, TryKey
from airloom.model.wire import Claimed, Refusal, Reports, Slots, Standing, Submit
from airloom.runtime.worker.hand import Hand
from airloom.runtime.worker.window import PATIENCE, Window
from tests.runtime.worker_rig import work_of


class Note:
    """A message that notes what becomes of it."""

    def __init__(self, number: int, age: float = 0.0) -> None:
        self.work = work_of(number)
        self.came = time.monotonic() - age
        self.fate: list[Any] = []

    def granted(self) -> None:
        self.fate.append("granted")

    def dropped(self, reason: str) -> None:
        self.fate.append(("dropped", reason))

    def give_back(self) -> None:
        self.fate.append("given back")

    def ended(self, report: Any) -> None:
        self.fate.append(("ended", report))


class Desk:
    """A hand with all that is around it."""

    def __init__(self, slots: int = 2) -> None:
        self.sent: list[Any] = []
        self.taken: list[int] = []
        self.returned: list[list[int]] = []
        self.stops = 0
        self.hand = Hand(slots, Window(at_once=True), self._send, self, self._stop)
        self.hand.runner_came()
        self.hand.connected(self)
        self.say(Standing(taking=True))

    def _send(self, message: Any) -> bool:
        self.sent.append(message)
        return True

    def _stop(self) -> None:
        self.stops += 1

    # --- the loop ---
    def soon(self) -> None:
        """The test makes the turns."""

    def at(self, moment: float) -> None:
        """The test makes the turns."""

    # --- the broker ---
    def take(self, prefetch: int) -> None:
        self.taken.append(prefetch)

    def give_back(self, messages: Sequence[Any]) -> None:
        self.returned.append([message.work.key.ti_id for message in messages])
        for message in messages:
            message.give_back()

    # --- what the tests do ---
    def say(self, message: Any) -> None:
        self.hand.heard(message)
        self.hand.turn()

    def bring(self, *numbers: int, age: float = 0.0) -> list[Note]:
        notes = [Note(number, age) for number in numbers]
        for note in notes:
            self.hand.add(note)
        self.hand.turn()
        return notes

    @property
    def submitted(self) -> list[int]:
        works = [work for message in self.sent if isinstance(message, Submit) for work in message.works]
        return [work.key.ti_id for work in works]


def key(number: int) -> TryKey:
    return TryKey(number, 1)


def ended(number: int, outcome: Outcome = Outcome.SUCCESS) -> Ended:
    return Ended(key=key(number), at=1.0, outcome=outcome)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_runner_is_told_the_slots_when_it_comes(desk: Desk) -> None:
    assert desk.sent[0] == Slots(slots=2)


def test_messages_that_come_together_are_handed_on_together(desk: Desk) -> None:
    desk.bring(1, 2)
    assert [len(message.works) for message in desk.sent if isinstance(message, Submit)] == [2]


def test_no_more_is_handed_on_than_there_are_slots(desk: Desk) -> None:
    desk.bring(1, 2, 3)
    assert desk.submitted == [1, 2]


def test_a_message_is_answered_when_its_claim_is_and_not_before(desk: Desk) -> None:
    one, two = desk.bring(1, 2)
    assert one.fate == []
    desk.say(Claimed(granted=(key(1),), refused=(Refusal(key(2), "another runner has it"),)))
    assert one.fate == ["granted"]
    assert two.fate == [("dropped", "another runner has it")]


def test_a_slot_that_comes_free_is_for_the_first_that_waits(desk: Desk) -> None:
    one, _, _, _ = desk.bring(1, 2, 3, 4)
    desk.say(Claimed(granted=(key(1), key(2))))
    desk.say(Reports(seq=0, reports=(ended(1),)))
    assert desk.submitted == [1, 2, 3]
    assert one.fate == ["granted", ("ended", ended(1))]


def test_a_refused_claim_frees_its_slot(desk: Desk) -> None:
    desk.bring(1, 2, 3)
    desk.say(Claimed(refused=(Refusal(key(2), "it has ended"),)))
    assert desk.submitted == [1, 2, 3]


def test_what_waits_too_long_goes_back_in_its_order(desk: Desk) -> None:
    desk.bring(1, 2)
    desk.say(Claimed(granted=(key(1), key(2))))
    desk.bring(3, 4, 5, age=PATIENCE)
    assert desk.returned == [[3, 4, 5]]
    assert desk.taken[-1] == 0


def test_taking_begins_again_when_a_slot_is_free(desk: Desk) -> None:
    desk.bring(1, 2)
    desk.say(Claimed(granted=(key(1), key(2))))
    assert desk.taken[-1] == 0
    desk.say(Reports(seq=0, reports=(ended(1),)))
    assert desk.taken[-1] == 1


@pytest.mark.parametrize("step", ["waiting", "asked", "running"])
def test_a_second_message_of_a_try_in_hand_is_dropped(desk: Desk, step: str) -> None:
    number = 3 if step == "waiting" else 1
    desk.bring(1, 2, 3)
    if step == "running":
        desk.say(Claimed(granted=(key(1),)))
    (again,) = desk.bring(number)
    assert again.fate == [("dropped", "it is in hand here")]
    assert desk.submitted.count(number) == (0 if step == "waiting" else 1)


def test_a_worker_whose_runner_cannot_claim_gives_back_even_what_it_has_handed_on(desk: Desk) -> None:
    one, two = desk.bring(1, 2, age=PATIENCE)
    desk.say(Standing(taking=False, why="the server is out of reach"))
    assert desk.returned == [[1, 2]]
    assert desk.taken[-1] == 0
    assert desk.hand.busy == 2
    desk.say(Standing(taking=True))
    desk.say(Claimed(granted=(key(1),), refused=(Refusal(key(2), "another runner has it"),)))
    assert one.fate == two.fate == ["given back"]
    assert desk.hand.busy == 1


def test_a_message_that_comes_again_after_it_was_given_back_belongs_to_the_try_in_hand(desk: Desk) -> None:
    desk.bring(1, age=PATIENCE)
    desk.say(Standing(taking=False, why="the server is out of reach"))
    (again,) = desk.bring(1)
    assert again.fate == []
    desk.say(Claimed(granted=(key(1),)))
    assert again.fate == ["granted"]
    assert desk.submitted == [1]


def test_when_the_broker_is_lost_what_waited_is_forgotten_and_what_runs_goes_on(desk: Desk) -> None:
    one, two, three = desk.bring(1, 2, 3)
    desk.say(Claimed(granted=(key(1),)))
    desk.hand.disconnected()
    desk.hand.connected(desk)
    desk.hand.turn()
    assert desk.hand.busy == 2
    assert (two.fate, three.fate) == ([], [])
    (again,) = desk.bring(2)
    desk.say(Claimed(granted=(key(2),)))
    assert again.fate == ["granted"]
    desk.say(Reports(seq=0, reports=(ended(1),)))
    assert one.fate[-1] == ("ended", ended(1))


def test_a_message_that_comes_again_for_a_try_in_hand_leaves_room_for_others(desk: Desk) -> None:
    desk.bring(1)
    desk.hand.disconnected()
    desk.hand.connected(desk)
    desk.hand.turn()
    assert desk.taken[-1] == 1
    desk.bring(1)
    assert desk.taken[-1] == 2


def test_when_the_runner_dies_what_it_had_not_claimed_goes_to_others(desk: Desk) -> None:
    one, two = desk.bring(1, 2)
    desk.say(Claimed(granted=(key(1),)))
    desk.hand.runner_went()
    desk.hand.turn()
    assert one.fate == ["granted", ("ended", None)]
    assert two.fate == ["given back"]
    assert desk.taken[-1] == 0
    desk.hand.runner_came()
    desk.say(Standing(taking=True))
    assert desk.taken[-1] == 2


def test_what_a_living_runner_has_from_before_takes_its_slots(desk: Desk) -> None:
    desk.say(Claimed(granted=(key(7),)))
    desk.bring(1, 2)
    assert desk.submitted == [1]
    desk.say(Reports(seq=0, reports=(ended(7),)))
    assert desk.submitted == [1, 2]


def test_a_try_that_was_claimed_too_late_and_handed_back_is_done_with(desk: Desk) -> None:
    (one,) = desk.bring(1)
    desk.say(Reports(seq=0, reports=(HandedBack(key=key(1), at=1.0, detail="it stops"),)))
    assert one.fate == [("dropped", "it was handed back")]
    assert desk.hand.busy == 0


def test_more_slots_are_told_to_the_runner_and_used(desk: Desk) -> None:
    desk.bring(1, 2, 3)
    desk.hand.resize(3)
    desk.hand.turn()
    assert desk.sent.count(Slots(slots=3)) == 1
    assert desk.submitted == [1, 2, 3]


def test_fewer_slots_than_tries_take_nothing_until_there_is_room(desk: Desk) -> None:
    desk.bring(1, 2)
    desk.say(Claimed(granted=(key(1), key(2))))
    desk.hand.resize(1)
    desk.say(Reports(seq=0, reports=(ended(1),)))
    assert desk.taken[-1] == 0
    desk.say(Reports(seq=0, reports=(ended(2),)))
    assert desk.taken[-1] == 1


def test_a_worker_that_stops_gives_back_what_waits_at_once(desk: Desk) -> None:
    desk.bring(1, 2, 3)
    desk.hand.close()
    assert desk.returned == [[1, 2, 3]]
    assert desk.taken[-1] == 0
    assert desk.hand.why == "it is stopping"


def test_a_worker_that_is_held_takes_nothing_until_then(desk: Desk) -> None:
    desk.hand.hold(60.0, "it is too old")
    desk.hand.turn()
    assert desk.taken[-1] == 0
    assert desk.hand.why == "it is too old"
    desk.hand.hold(0.0, "it is too old")
    desk.hand.turn()
    assert desk.taken[-1] == 2


def test_an_order_to_stop_reaches_whoever_can(desk: Desk) -> None:
    desk.say(Standing(taking=False, why="it is to stop", stop=True))
    assert desk.stops == 1


def test_while_tries_end_fast_some_are_handed_on_ahead_of_their_slots(desk: Desk) -> None:
    for number in range(50):
        desk.bring(number)
        desk.say(Claimed(granted=(key(number),)))
        desk.say(Reports(seq=0, reports=(ended(number),)))
    before = len(desk.submitted)
    desk.bring(*range(100, 140))
    ahead = len(desk.submitted) - before
    assert 2 < ahead < 40
    assert desk.hand.busy == 2


def test_that_tries_are_handed_back_fast_is_no_pace(desk: Desk) -> None:
    for number in range(50):
        desk.bring(number)
        desk.say(Claimed(granted=(key(number),)))
        desk.say(Reports(seq=0, reports=(HandedBack(key=key(number), at=1.0, detail="no slot"),)))
    before = len(desk.submitted)
    desk.bring(*range(100, 140))
    assert len(desk.submitted) == before + 2


def test_what_is_ahead_is_filled_up_together(desk: Desk) -> None:
    for number in range(50):
        desk.bring(number)
        desk.say(Claimed(granted=(key(number),)))
        desk.say(Reports(seq=0, reports=(ended(number),)))
    desk.bring(*range(100, 160))
    desk.say(Claimed(granted=tuple(map(key, range(100, 110)))))
    before = len(desk.submitted)
    desk.say(Reports(seq=0, reports=(ended(100),)))
    assert len(desk.submitted) == before
    desk.say(Reports(seq=0, reports=tuple(map(ended, range(101, 110)))))
    assert len(desk.submitted) >= before + 5
