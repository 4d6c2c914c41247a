"""Reports that come by the inbox, from runners on other machines: folded in once, and none of them stops the others."""

from typing import Any

import pytest

from airloom.decide import turn
from airloom.decide.explain import explain
from airloom.decide.load import load
from airloom.decide.state import World
from airloom.model.events import Event, Reported
from airloom.model.plan import Plan
from airloom.model.report import Cause, Ended, HandedBack, Outcome, Report, Started, TryKey, Waiting, XComValue
from airloom.services import commands, scheduler
from airloom.store import inbox, xcoms
from airloom.store.tables import inbox_answer
from tests.services.rig import Rig, dag, task


def three_running(rig: Rig) -> list[TryKey]:
    """The keys of the tries of a, b and c, which run."""
    rig.load(dag(task("a"), task("b"), task("c")))
    rig.trigger()
    return [rig.executor.work(name).key for name in "abc"]


def end(key: TryKey, outcome: Outcome = Outcome.SUCCESS, **fields: Any) -> Ended:
    return Ended(key=key, at=1_000.0, outcome=outcome, started_at=999.0, runner="far", host="away", pid=7, **fields)


def left(rig: Rig) -> tuple[int, int]:
    """How many commands wait, and how many answers."""
    with rig.db.reading() as conn:
        answers = len(conn.execute(inbox_answer.select()).all())
        return len(inbox.take(conn, 100)), answers


def settle(rig: Rig) -> None:
    """Turns until the inbox is empty, whatever they raise."""
    for _ in range(40):
        try:
            rig.tick()
        except ZeroDivisionError:
            continue
        if left(rig)[0] == 0:
            return
    raise AssertionError("the inbox is not empty")


def test_what_is_reported_by_the_inbox_ends_the_tries_and_leaves_nothing_there(rig: Rig) -> None:
    a, b, c = three_running(rig)
    answers = left(rig)[1]
    value = XComValue(key="return_value", value=b'"x"')
    reports: tuple[Report, ...] = (Started(key=a, at=1.0, runner="far"), end(a, xcoms=(value,)), end(b))
    rig.tick(Reported(reports=reports))
    assert rig.states() == {"a": "success", "b": "success", "c": "queued"}
    assert left(rig) == (0, answers)
    with rig.db.reading() as conn:
        assert xcoms.get_xcoms(conn, "d", "r", "a", "return_value", None) == [(-1, b'"x"')]
    rig.tick(Reported(reports=(end(c),)))
    assert rig.run().state == "success"


def test_what_is_reported_twice_counts_once(rig: Rig) -> None:
    rig.load(dag(task("a", retries=3)))
    rig.trigger()
    key = rig.executor.work("a").key
    report = Reported(reports=(end(key, Outcome.FAILED, cause=Cause.ERROR),))
    rig.put(report)
    rig.tick(report)
    rig.clock.now += 1_000.0
    rig.tick(report)
    assert [work.key.try_number for work in rig.executor.submitted] == [1, 2]
    assert rig.tis()["a"].try_number == 2


@pytest.mark.parametrize("cause", [Cause.LOST, Cause.OOM, Cause.KILLED, Cause.EXIT])
def test_the_end_that_a_runner_tells_comes_before_what_an_executor_infers(rig: Rig, cause: Cause) -> None:
    a, _, _ = three_running(rig)
    with rig.db.transaction() as conn:
        inbox.put(conn, Reported(reports=(end(a),)), None, rig.clock.now)  # of which no hint has come
    rig.executor.end("a", Outcome.FAILED, cause=cause)
    rig.tick()
    assert rig.states()["a"] == "success"


def test_it_does_so_behind_more_than_one_turn_takes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, _ = three_running(rig)
    monkeypatch.setattr(commands, "BATCH", 1)
    with rig.db.transaction() as conn:
        for key in (b, a):
            inbox.put(conn, Reported(reports=(end(key),)), None, rig.clock.now)
    rig.executor.end("a", Outcome.FAILED, cause=Cause.OOM)
    rig.executor.end("c", Outcome.FAILED, cause=Cause.OOM)
    settle(rig)
    rig.tick()
    assert rig.states() == {"a": "success", "b": "success", "c": "failed"}


def test_what_an_executor_waits_for_is_the_reason_until_the_try_starts(rig: Rig) -> None:
    key, other, _ = three_running(rig)

    def reasons(name: str) -> str:
        assert rig.scheduler.world is not None
        return explain(rig.scheduler.world, "d", "r", name)[0].reasons[0].text

    rig.executor.report(*(Waiting(key=one, why="namespace quota team: pods 8/8") for one in (key, other)))
    rig.tick()
    assert "namespace quota team: pods 8/8" in reasons("a")
    assert rig.scheduler.world is not None
    (waiting,) = load(rig.scheduler.world, {}).waiting
    assert (waiting.count, waiting.kind) == (2, "starting")
    assert "namespace quota team: pods 8/8" in waiting.text
    rig.executor.report(Waiting(key=other, why=""), Started(key=key, at=1.0, runner="far"))
    rig.tick()
    assert reasons("a") == "it is running"
    assert "quota" not in reasons("b")
    assert load(rig.scheduler.world, {}).waiting == ()


def test_what_is_handed_back_twice_is_handed_out_once(rig: Rig) -> None:
    rig.load(dag(task("a")))
    rig.trigger()
    key = rig.executor.work("a").key
    report = Reported(reports=(HandedBack(key=key, at=1.0, detail="it stops"),))
    rig.put(report)
    rig.tick(report)
    assert [work.key.try_number for work in rig.executor.submitted] == [1, 2]


def test_what_a_runner_says_comes_before_what_its_executor_thinks_of_its_silence(rig: Rig) -> None:
    rig.load(dag(task("a")))
    rig.trigger()
    key = rig.executor.work("a").key
    rig.put(Reported(reports=(end(key),)))
    rig.executor.end("a", Outcome.FAILED, cause=Cause.LOST)
    rig.tick()
    assert rig.states() == {"a": "success"}


def test_an_end_in_the_inbox_counts_when_another_scheduler_takes_over(rig: Rig) -> None:
    key = three_running(rig)[0]
    rig.put(Reported(reports=(end(key),)))
    # Its executor does not know of the try any more, as when nobody has it leased.
    del rig.executor.held[key]
    rig.take_over()
    rig.tick()
    assert rig.states()["a"] == "success"
    assert rig.executor.names() == ["a", "b", "c"]


def test_a_commit_that_fails_loses_no_report_of_the_inbox(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    key = three_running(rig)[0]

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(scheduler, "apply_plan", fail)
        with pytest.raises(ZeroDivisionError):
            rig.tick(Reported(reports=(end(key),)))
    assert left(rig)[0] == 1
    settle(rig)
    assert rig.states()["a"] == "success"


@pytest.mark.parametrize("together", [True, False])
def test_a_report_that_makes_the_scheduler_fail_ends_its_own_try_only(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    a, b, c = three_running(rig)
    whole = turn.handle

    def fragile(world: World, events: list[Event], now: float) -> Plan:
        for event in events:
            if isinstance(event, Ended) and event.key == b and event.outcome is Outcome.SUCCESS:
                raise ZeroDivisionError("an end that nobody foresaw")
        return whole(world, events, now)

    monkeypatch.setattr(scheduler, "handle", fragile)
    reports = [end(a), end(b), end(c)]
    for command in [Reported(reports=tuple(reports))] if together else [Reported(reports=(r,)) for r in reports]:
        rig.put(command)
    settle(rig)
    assert rig.states() == {"a": "success", "b": "failed", "c": "success"}
    assert "how the try ended could not be stored: ZeroDivisionError" in (rig.tis()["b"].detail or "")


def test_a_report_that_fails_in_every_form_is_dropped_and_stops_nothing_else(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = three_running(rig)
    whole = turn.handle

    def fragile(world: World, events: list[Event], now: float) -> Plan:
        if any(isinstance(event, Started | Ended) and event.key == b for event in events):
            raise ZeroDivisionError
        return whole(world, events, now)

    monkeypatch.setattr(scheduler, "handle", fragile)
    rig.put(Reported(reports=(end(a), Started(key=b, at=1.0), end(b), end(c))))
    settle(rig)
    assert rig.states() == {"a": "success", "b": "queued", "c": "success"}


def test_text_that_the_database_refuses_stops_no_other_report(rig: Rig) -> None:
    a, b, c = three_running(rig)
    odd = Ended(key=b, at=1.0, outcome=Outcome.SUCCESS, runner="r", host="a\0b", pid=2**62)
    rig.put(Reported(reports=(end(a), odd, end(c))))
    settle(rig)
    states = rig.states()
    assert (states["a"], states["c"]) == ("success", "success")
    assert states["b"] in ("success", "failed")


def test_very_many_reports_are_taken_in_parts(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "TAKEN", 300)
    keys = three_running(rig)
    for key in keys:
        rig.put(Reported(reports=(end(key, xcoms=(XComValue(key="k", value=b'"' + b"x" * 200 + b'"'),)),)))
    with rig.db.reading() as conn:
        taken, more = inbox.take_some(conn, 100)
    assert (len(taken), more) == (1, True)
    settle(rig)
    assert rig.run().state == "success"
