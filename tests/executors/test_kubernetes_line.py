"""Which pod the Kubernetes executor makes next, in a time of the test's own."""

from collections.abc import Sequence
from typing import Any

from airloom.executors.kubernetes.line import LARGEST, TOGETHER, WHOLE, Line, Making
from airloom.model.report import TryKey
from airloom.model.work import RunInfo, Work

_RUN = RunInfo(run_id="r", run_type="manual", run_after=0.0)


def work(number: int) -> Work:
    return Work(
        key=TryKey(number, 1),
        dag_id="d",
        task_id="t",
        run=_RUN,
        run_key=1,
        bundle="dags",
        rel_path="d.py",
        version_id=1,
    )


def numbers(batch: Any) -> list[int]:
    """The tries of a batch."""
    assert isinstance(batch, Sequence), batch
    return [making.work.key.ti_id for making in batch]


def take(line: Line, now: float) -> list[Making]:
    batch = line.take(now)
    assert isinstance(batch, list), batch
    return batch


def filled(count: int) -> Line:
    """A line of so many, whose works are in a Secret."""
    line = Line()
    for number in range(count):
        line.put(work(number), "team", 100)
    line.packed(take(line, 0.0), "secret")
    return line


def test_works_are_put_into_secrets_together_and_pods_are_made_in_their_order() -> None:
    line = Line()
    for number in range(TOGETHER + 5):
        line.put(work(number), "team", 100)
    first, second = take(line, 0.0), take(line, 0.0)
    assert numbers(first) == list(range(TOGETHER))
    assert numbers(second) == list(range(TOGETHER, TOGETHER + 5))
    assert line.take(0.0) is None
    line.packed(second, "second")
    line.packed(first, "first")
    assert [numbers(take(line, 0.0)) for _ in range(TOGETHER + 5)] == [[number] for number in range(TOGETHER + 5)]


def test_the_next_works_are_put_into_a_secret_before_the_last_pods_are_made() -> None:
    line = Line()
    for number in range(3 * TOGETHER):
        line.put(work(number), "team", 100)
    line.packed(take(line, 0.0), "first")
    assert numbers(take(line, 0.0)) == [0]
    second = take(line, 0.0)
    assert numbers(second) == list(range(TOGETHER, 2 * TOGETHER))
    line.packed(second, "second")
    assert numbers(take(line, 0.0)) == [1]


def test_large_works_have_a_secret_of_their_own() -> None:
    line = Line()
    for number, size in enumerate((100, LARGEST, 100)):
        line.put(work(number), "team", size)
    assert [numbers(take(line, 0.0)) for _ in range(3)] == [[0], [1], [2]]


def test_what_was_asked_for_twice_is_made_once() -> None:
    line = Line()
    line.put(work(1), "team", 100)
    line.put(work(1), "team", 100)
    assert numbers(take(line, 0.0)) == [1]
    assert line.take(0.0) is None


def test_what_is_dropped_is_not_made() -> None:
    line = filled(3)
    line.drop([TryKey(1, 1)])
    assert [numbers(take(line, 0.0)) for _ in range(2)] == [[0], [2]]
    assert line.take(0.0) is None


def test_a_full_namespace_holds_its_own_and_no_other() -> None:
    line = filled(3)
    batch = take(line, 0.0)
    line.shut(batch, "team", 0.0, 10.0, "namespace quota: pods 1/1")
    assert line.put(work(8), "team", 100) == "namespace quota: pods 1/1"
    assert line.put(work(9), "other", 100) == ""
    assert numbers(take(line, 0.0)) == [9]
    assert line.take(0.0) is None
    assert line.due(0.0) == 10.0
    assert line.waiting("team") == [TryKey(0, 1), TryKey(1, 1), TryKey(2, 1), TryKey(8, 1)]


def test_one_pod_tries_a_full_namespace_before_the_others_and_keeps_its_place() -> None:
    line = filled(3)
    line.shut(take(line, 0.0), "team", 0.0, 10.0, "full")
    probe = take(line, 11.0)
    assert numbers(probe) == [0]
    assert line.take(11.0) is None
    line.over(probe[0], made=True)
    assert [numbers(take(line, 11.0)) for _ in range(2)] == [[1], [2]]


def test_who_is_refused_again_and_again_is_waited_for_longer_up_to_a_limit() -> None:
    line, now, waits = filled(1), 0.0, []
    for _ in range(7):
        line.shut(take(line, now), "team", now, 1.0, "full")
        due = line.due(now)
        assert due is not None
        waits.append(due)
        now += due
    assert waits == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]


def test_room_that_is_made_ends_the_wait() -> None:
    line = filled(1)
    line.shut(take(line, 0.0), "team", 0.0, 30.0, "full")
    line.freed("team", 5.0, 0.1)
    assert line.take(5.0) is None
    assert numbers(take(line, 5.2)) == [0]


def test_a_server_that_asks_to_wait_is_asked_for_nothing_until_then() -> None:
    line = filled(1)
    line.shut(take(line, 0.0), WHOLE, 0.0, 40.0, "too much to do")
    line.put(work(9), "other", 100)
    line.add(lambda: None)
    assert line.take(39.0) is None
    assert line.take(40.0) is not None


def test_two_writers_that_met_try_again_in_a_moment_and_hold_nobody_else() -> None:
    line = filled(2)
    line.again(take(line, 0.0), 0.0, 0.05)
    assert numbers(take(line, 0.0)) == [1]
    assert line.take(0.0) is None
    assert line.due(0.0) == 0.05
    assert numbers(take(line, 0.06)) == [0]


def test_chores_and_pods_take_turns() -> None:
    line = filled(2)
    for _ in range(2):
        line.add(lambda: None)
    assert [callable(line.take(0.0)) for _ in range(4)] == [True, False, True, False]


def test_several_that_are_refused_at_once_wait_as_long_as_one() -> None:
    line = filled(8)
    for batch in [take(line, 0.0) for _ in range(8)]:
        line.shut(batch, "team", 0.0, 1.0, "full")
    assert line.due(0.0) == 1.0
