"""How a worker with a range of slots grows and shrinks, in virtual time."""

import pytest

from airloom.runtime.worker.scaling import EVERY, Machine, Scaling, read_machine
from airloom.wiring.worker import slots_of

GIB = 2**30
IDLE_MACHINE = Machine(load=0.1, memory=8 * GIB)


def scaling() -> Scaling:
    return Scaling(least=4, most=32, reserve=GIB)


def test_it_grows_while_messages_wait_and_all_slots_are_used_up_to_the_most() -> None:
    rule, slots, now, seen = scaling(), 4, 0.0, []
    for _ in range(20):
        slots = rule.decide(now, slots, slots, IDLE_MACHINE, waiting=True)
        seen.append(slots)
        now += EVERY
    assert seen[:3] == [5, 6, 7]
    assert seen[-1] == 32


def test_it_does_not_grow_when_nothing_waits() -> None:
    assert scaling().decide(0.0, 4, 4, IDLE_MACHINE, waiting=False) == 4


def test_it_does_not_grow_when_the_processors_are_busy() -> None:
    assert scaling().decide(0.0, 4, 4, Machine(load=1.2, memory=8 * GIB), waiting=True) == 4


def test_it_does_not_grow_when_memory_is_short() -> None:
    assert scaling().decide(0.0, 4, 4, Machine(load=0.1, memory=GIB // 2), waiting=True) == 4


def test_short_of_memory_it_gives_up_the_slots_that_are_free_but_not_the_least() -> None:
    short = Machine(load=0.1, memory=GIB // 2)
    assert scaling().decide(0.0, 20, 12, short, waiting=True) == 12
    assert scaling().decide(0.0, 20, 1, short, waiting=True) == 4


def test_it_shrinks_in_steps_when_slots_are_not_used_for_a_minute() -> None:
    rule = scaling()
    rule.decide(0.0, 16, 16, IDLE_MACHINE, waiting=False)
    assert rule.decide(59.0, 16, 3, IDLE_MACHINE, waiting=False) == 16
    assert rule.decide(60.0, 16, 3, IDLE_MACHINE, waiting=False) == 12
    assert rule.decide(65.0, 12, 3, IDLE_MACHINE, waiting=False) == 12
    assert rule.decide(120.0, 12, 3, IDLE_MACHINE, waiting=False) == 9


def test_it_never_shrinks_below_what_is_in_use_or_the_least() -> None:
    rule = scaling()
    rule.decide(0.0, 16, 16, IDLE_MACHINE, waiting=False)
    assert rule.decide(100.0, 16, 15, IDLE_MACHINE, waiting=False) == 15
    assert rule.decide(200.0, 5, 0, IDLE_MACHINE, waiting=False) == 4
    assert rule.decide(300.0, 4, 0, IDLE_MACHINE, waiting=False) == 4


def test_this_machine_tells_its_load_and_its_memory() -> None:
    machine = read_machine()
    assert machine.load >= 0.0
    assert machine.memory > 0


@pytest.mark.parametrize(("text", "slots"), [("", (3, 3)), ("4", (4, 4)), ("2..9", (2, 9))])
def test_a_worker_has_a_slot_for_each_core_that_it_may_use_unless_it_is_told(
    monkeypatch: pytest.MonkeyPatch, text: str, slots: tuple[int, int]
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 2, 5})
    assert slots_of(text) == slots
